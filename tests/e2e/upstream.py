"""A scripted upstream: the test says, verb by verb, what the model server does.

    up.expect_request(); up.head(); up.event("Hello"); up.cut()

It listens on TCP or on a Unix socket and accepts when the test expects a request, so there is no thread and no race in
here; `requests` counts all that came, those that nobody expected too. A reset is sent only when the gateway has read
everything before it: a reset may throw away bytes that are still on their way, and the test could not say what is right.
"""

import json
import select
import socket
import struct
import time
from array import array
from fcntl import ioctl
from urllib.parse import parse_qs, urlsplit

from judge import Response
from viewer import DEADLINE

SIOCOUTQ = 0x5411


def wait_until(done, what, within=DEADLINE):
    """Polls; for what no file descriptor tells."""
    deadline = time.monotonic() + within
    while not (answer := done()):
        assert time.monotonic() < deadline, f"waited {within} s for {what}"
        select.select([], [], [], 0.001)
    return answer


class Request:
    """What the gateway asked for."""

    def __init__(self, head, body):
        line, *fields = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = line.split(" ")
        self.headers = {}
        for text in fields:
            name, value = text.split(":", 1)
            assert name.lower() not in self.headers, f"{name} twice"
            self.headers[name.lower()] = value.strip()
        self.body = body
        self.path = urlsplit(self.target).path
        self.query = parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def prompt(self):
        return self.query["prompt"][0]

    @property
    def json(self):
        return json.loads(self.body)


class Exchange:
    """One connection from the gateway, after its request was read."""

    def __init__(self, sock, reads=True):
        self.socket = sock
        self.framing = None
        self.gone = False   # a write has failed: nobody is there
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kept = False
        sock.settimeout(DEADLINE)
        if reads:
            self.read_request()

    def read_request(self):
        self.socket.settimeout(DEADLINE)
        self.kept = False   # between two requests: the gateway may send the next one here
        self.request = self._read()

    # What a healthy server says.

    def head(self, framing="chunked", status=200, type="text/event-stream", length=None, headers=()):
        self.framing = framing
        lines = [f"HTTP/1.1 {status} Said"]
        lines += [f"Content-Type: {type}"] if type else []
        lines += {"chunked": ["Transfer-Encoding: chunked"], "length": [f"Content-Length: {length}"], "close": []}[framing]
        self.raw("\r\n".join([*lines, *headers, "", ""]).encode())
        return self

    def raw(self, data):
        """Bytes on the wire as they are. A gateway that has left had heard enough: what the viewer gets will tell whether it
        was right to."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.gone = True
        return self

    def send(self, data):
        """Bytes of the body, framed."""
        data = data.encode() if isinstance(data, str) else data
        return self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self.framing == "chunked" else data)

    def event(self, data, name=None):
        """One event of the dialect text."""
        lines = [f"event: {name}"] if name else []
        lines += ["data: " + line for line in data.split("\n")] if data is not None else []
        return self.send("\n".join([*lines, "", ""]))

    def tokens(self, *tokens):
        for token in tokens:
            self.event(token)
        return self

    def chunk(self, content=None, finish=None, index=0, **delta):
        """One chunk of the dialect openai-chat."""
        if content is not None:
            delta["content"] = content
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return self.event(json.dumps({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}))

    def done(self):
        return self.event("[DONE]")

    def end(self):
        """The end that the framing promises."""
        if self.framing == "chunked":
            self.raw(b"0\r\n\r\n")
        elif self.framing == "close":
            self.cut()
        self.kept = self.framing != "close"
        return self

    def answer(self, body, status=200, type="application/json", headers=()):
        """A whole answer with a length."""
        body = body.encode() if isinstance(body, str) else body
        return self.head("length", status, type, len(body), headers).raw(body).end()

    # What a broken one does.

    def cut(self):
        """FIN, wherever the message stands."""
        self.kept = False
        self.socket.close()

    def reset(self):
        """RST, when all that was sent has been read."""
        self.wait_read()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def stall(self):
        """Says nothing more, and stays."""
        assert not self.is_gone(), "the gateway has already left"

    def drip(self, data):
        """One byte at a time, each read before the next is sent."""
        for at in range(len(data)):
            self.send(data[at:at + 1])
            self.wait_read()
        return self

    # What it sees of the gateway.

    def expect_gone(self, within=DEADLINE):
        """The gateway closes this connection and sends nothing more before that."""
        self.socket.settimeout(within)
        try:
            assert self.socket.recv(1) == b"", "the gateway sent more than its request"
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise AssertionError(f"the gateway is still there after {within} s") from None
        self.socket.close()

    def is_gone(self):
        if not select.select([self.socket], [], [], 0)[0]:
            return False
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True

    def wait_read(self):
        wait_until(lambda: self.unread() == 0, "the gateway to read what was sent")

    def unread(self):
        """Bytes that were sent and that the gateway's process has not read. Of a Unix socket the send queue counts them; of a
        TCP socket it counts what was not acknowledged, and the rest lies in the peer's receive queue."""
        count = array("i", [0])
        ioctl(self.socket.fileno(), SIOCOUTQ, count)
        if count[0] or self.socket.family == socket.AF_UNIX:
            return count[0]
        return peer_queue(self.socket)

    def _read(self):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        request = Request(head, b"")
        if "transfer-encoding" in request.headers:
            request.body = self._read_chunks(body)
            return request
        length = int(request.headers.get("content-length", 0))
        while len(body) < length:
            body += self._more()
        assert len(body) == length, f"bytes after the request: {body[length:]!r}"
        request.body = body
        return request

    def _read_chunks(self, begun):
        """A body is framed alike in both directions."""
        message = Response()
        message.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + begun)
        while not message.end:
            message.feed(self._more())
        return bytes(message.body)

    def _more(self):
        data = self.socket.recv(65536)
        assert data, "the gateway hung up inside its request"
        return data


def peer_queue(sock):
    """The receive queue of the other end of a loopback connection, from /proc/net/tcp."""
    ends = ["%08X:%04X" % (struct.unpack("=I", socket.inet_aton(host))[0], port) for host, port in (sock.getpeername(), sock.getsockname())]
    with open("/proc/net/tcp") as table:
        for line in table:
            column = line.split()
            if column[1:3] == ends:
                return int(column[4].split(":")[1], 16)
    return 0


class Upstream:
    """A listening model server. The verbs of Exchange work on the latest request."""

    def __init__(self, path=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            self.url = f"unix:{path}:"
        else:
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", 0))
            self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(128)
        self.exchange = None
        self.exchanges = []
        self._count = 0

    def expect_request(self, within=DEADLINE):
        """Waits for a request, on a new connection or on one that was kept, and reads all of it."""
        deadline = time.monotonic() + within
        while not (ready := self._ready(max(deadline - time.monotonic(), 0))):
            assert time.monotonic() < deadline, f"no request within {within} s"
        if ready is self.socket:
            self.exchange = Exchange(self.socket.accept()[0])
            self.exchanges.append(self.exchange)
        else:
            self.exchange = ready
            self.exchange.read_request()
        self._count += 1
        return self.exchange.request

    def expect_connection(self, within=DEADLINE):
        """A request that is not read before it is answered."""
        self.socket.settimeout(within)
        self.exchange = Exchange(self.socket.accept()[0], reads=False)
        self.exchanges.append(self.exchange)
        self._count += 1

    @property
    def requests(self):
        """How many requests came, those too that nobody expected."""
        self._drain()
        return self._count

    def forget(self):
        """Between two tests: no connection and no count stays."""
        self._drain()
        for exchange in self.exchanges:
            exchange.socket.close()
        self.exchange, self.exchanges, self._count = None, [], 0

    def close(self):
        self.forget()
        self.socket.close()

    def __getattr__(self, verb):
        if verb.startswith("_") or self.exchange is None:
            raise AttributeError(f"{verb}: no request yet")
        return getattr(self.exchange, verb)

    def _ready(self, within):
        """The listener, or a kept connection with a request on it, or nothing yet."""
        kept = {exchange.socket: exchange for exchange in self.exchanges if exchange.kept}
        for sock in select.select([self.socket, *kept], [], [], within)[0]:
            if sock is self.socket:
                return sock
            if not kept[sock].is_gone():
                return kept[sock]
            kept[sock].kept = False
        return None

    def _drain(self):
        while ready := self._ready(0):
            if ready is self.socket:
                self.socket.accept()[0].close()
            else:
                ready.cut()
            self._count += 1


class Closed:
    """An address where nobody listens, kept so that nobody else begins to."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


class Deaf:
    """An address that never completes a connection: its queue is full."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(0)
        self.filling = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self.socket.getsockname())
            self.filling.append(client)
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]

    def close(self):
        for client in [*self.filling, self.socket]:
            client.close()
