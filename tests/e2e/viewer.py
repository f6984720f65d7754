"""A viewer that speaks in verbs: ask, watch, expect, cut, resume. A raw socket below, the judge's reader above.

Everything waits until something is there or a deadline passes (E2E_DEADLINE seconds, 10 by default); nothing sleeps. What
went wrong is said together with all that this viewer was sent.
"""

import json
import os
import socket
import ssl
import struct
import time

from judge import CLEAN, CUT, LAST_WORDS, RESET, EventReader, Response, judge, plain, tokens_of

DEADLINE = float(os.environ.get("E2E_DEADLINE", 10))


def fetch(address, target, method="GET", headers=None, body=None, tls=None):
    """One exchange from head to end. A body that is a dict travels as JSON by way of ask."""
    viewer = Viewer(address, tls)
    try:
        viewer.ask(target, method, headers, body)
        viewer.wait(lambda: viewer.response.end, "the end of the answer")
        return viewer.response
    finally:
        viewer.cut()


class Viewer:
    def __init__(self, address, tls=None):
        """tls: an SSLContext, or None."""
        self.address, self.tls = address, tls
        self.farewell = False   # the server said by close_notify that nothing is missing
        self.socket = None
        self.response = None
        self.reader = EventReader()
        self.before = []    # tokens that earlier connections took
        self.taken = 0      # events of this connection that were expected so far
        self.comments = 0   # likewise
        self.target = None
        self._read = 0      # bytes of the body that the reader has seen

    # Asking.

    def connect(self, buffer=None):
        """buffer: bytes that the kernel may take for a viewer that does not read."""
        self.cut()
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            self.secure()
        return self

    def secure(self, session=None):
        self.socket = self.tls.wrap_socket(self.socket, server_hostname="localhost", suppress_ragged_eofs=False, session=session)
        self.farewell = False
        return self

    def send(self, raw):
        if self.socket is None:
            self.connect()
        self.socket.sendall(raw)
        return self

    def ask(self, target, method="GET", headers=None, body=None, version="HTTP/1.1"):
        """Sends one request; on the same connection if there is one that was not cut."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if body is not None:
            headers.setdefault("Content-Length", str(len(body)))
        headers.setdefault("Host", "%s:%d" % self.address)
        lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.target = target
        self.begin(method)
        return self.send("\r\n".join(lines + ["", ""]).encode() + (body or b""))

    def begin(self, method="GET"):
        """The next bytes are a new response."""
        rest = self.response.rest if self.response and self.socket else b""
        self.response, self.reader = Response(method), EventReader()
        self.taken = self.comments = self._read = 0
        if rest:
            self.take(bytes(rest))
        return self

    def watch(self, target, **how):
        """Asks for a browser stream and sees it begin."""
        self.before = []
        return self.ask(target, **how).expect_stream()

    def resume(self, last=None, by="header", target=None):
        """Comes back as an EventSource does: the same URL, with the last id that was seen."""
        last = last or self.reader.last_event_id
        self.before += tokens_of(self.reader.events, self.is_json)
        self.cut()
        target = target or self.target
        if by == "header":
            self.ask(target, headers={"Last-Event-ID": last})
        else:
            self.ask(target + ("&" if "?" in target else "?") + "last_event_id=" + last)
        self.expect_stream()
        assert self.reader.blocks[0].id == last, self.story()
        return self

    # Leaving.

    def cut(self):
        """Goes away by FIN."""
        if self.socket:
            self.socket.close()
        self.socket = None

    def reset(self):
        """Goes away by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.cut()

    # Expecting.

    @property
    def id(self):
        return self.place.split(".")[0]

    @property
    def place(self):
        return self.reader.last_event_id

    @property
    def is_json(self):
        return bool(self.response) and self.response.header("Lastword-Data") == "json"

    def wait_status(self):
        self.wait(lambda: self.response.status, "a status line")
        return self.response.status

    def expect_status(self, status):
        assert self.wait_status() == status, self.story()
        return self.response

    def expect_error(self, status):
        """A refusal: a status, and a JSON object that says why."""
        self.expect_status(status)
        self.wait(lambda: self.response.end, "the end of the answer")
        assert self.response.end == CLEAN, self.story()
        error = json.loads(self.response.body)["error"]
        assert {"message", "type", "param", "code"} <= set(error) and error["message"], self.story()
        return self.response

    def expect_stream(self):
        self.expect_status(200)
        assert self.response.header("Content-Type") == "text/event-stream", self.story()
        self.wait(lambda: self.reader.blocks, "the first block")
        return self

    def expect(self, data, id=None, name="message"):
        """The next event; id is the number of its place."""
        self.wait(lambda: len(self.reader.events) > self.taken, f"the event {data!r}")
        event = self.reader.events[self.taken]
        self.taken += 1
        assert event.name == name, self.story()
        assert plain(event, self.is_json and name == "message") == data, self.story()
        assert id is None or event.id == f"{self.id}.{id}", self.story()
        return event

    def expect_tokens(self, *tokens):
        for token in tokens:
            self.expect(token)

    def expect_last_word(self, cause, **fields):
        """The last word comes next, with this cause and these fields; then the body ends cleanly, and the judge agrees with
        everything that was sent."""
        self.wait(lambda: len(self.reader.events) > self.taken, f"the last word {cause}")
        assert self.reader.events[self.taken].name in LAST_WORDS, self.story()
        return self.expect_end(cause, **fields)

    def expect_end(self, cause, **fields):
        """As expect_last_word, for a viewer that did not look at the events one by one."""
        self.wait(lambda: self.response.end, "the end of the body")
        assert self.response.end == CLEAN, self.story()
        verdict = judge(bytes(self.response.body), self.is_json, self.before)
        assert not verdict.wrong, "\n".join(verdict.wrong) + self.story()
        said = {name: verdict[name] for name in fields}
        assert (verdict["cause"], said) == (cause, fields), self.story()
        return verdict

    def expect_heartbeat(self):
        self.wait(lambda: self.reader.comments > self.comments, "a heartbeat")
        self.comments += 1

    def expect_broken(self):
        """The transport visibly breaks: no last word, no last chunk."""
        self.wait(lambda: self.response.end, "the break")
        assert self.response.end in (CUT, RESET), self.story()
        assert not any(event.name in LAST_WORDS for event in self.reader.events), self.story()

    def expect_hang_up(self):
        """The server closes the connection, whatever it says before that."""
        deadline = time.monotonic() + DEADLINE
        while self._receive(deadline, "the server's close"):
            pass

    # Waiting.

    def wait(self, done, what):
        deadline = time.monotonic() + DEADLINE
        while not done():
            assert self.response.end is None, f"waited for {what}, but the answer ended {self.response.end}" + self.story()
            self._receive(deadline, what)

    def _receive(self, deadline, what):
        try:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"waited {DEADLINE} s for {what}" + self.story()) from None
        except (ConnectionResetError, BrokenPipeError):
            self.response.reset()
            return False
        except ssl.SSLEOFError:   # a FIN alone
            self.response.eof()
            return False
        if data:
            self.take(data)
        else:
            self.farewell = self.tls is not None
            self.response.eof()
        return bool(data)

    def take(self, data):
        self.response.feed(data)
        if self.response.status == 200:
            self.reader.feed(bytes(self.response.body[self._read:]))
            self._read = len(self.response.body)

    def story(self):
        """All that was seen, for the person who reads the failure."""
        r = self.response
        return f"\n--- {self.target}: {r.status} {r.headers} end={r.end}\n{bytes(r.body).decode('utf-8', 'replace')}\n---"
