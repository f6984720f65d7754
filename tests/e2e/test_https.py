"""Upstreams over TLS: a good one is read to its true end; every broken certificate is `tls` with its own sentence, and the
server never sees a byte of the request. The server is Python's ssl, the certificates are made here."""

import contextlib
import datetime
import socket
import ssl
import threading

import pytest
import trustme
from conftest import route
from upstream import wait_until

DAY = datetime.timedelta(days=1)
ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"d\r\ndata: Hello\n\n\r\n")
CLOSE = b"18\r\nevent: close\ndata: bye\n\n\r\n0\r\n\r\n"


class Server:
    """Accepts one connection after the other; `play` says what to do with each once it is secured."""

    def __init__(self, certificate, play, version=None, handshake=True):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if version:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version = self.context.maximum_version = version
        certificate.configure_cert(self.context)
        self.play, self.handshake, self.seen, self.names = play, handshake, [], []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError):
            if not self.handshake:
                plain.recv(1 << 20)
                plain.recv(1)  # says nothing until the gateway goes
                return
            sock = self.context.wrap_socket(plain, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request:
                request += sock.recv(1 << 16)
            self.seen.append(request)
            self.play(sock)

    def close(self):
        self.listener.close()


def whole(sock):
    sock.sendall(ANSWER + CLOSE)
    sock.recv(1)


def without_close_notify(sock):
    """An end that looks like one to TCP alone: the connection is closed, close-delimited, without close_notify."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: Hello\n\n")
    socket.socket(fileno=sock.detach()).close()


def with_close_notify(sock):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: Hello\n\n")
    with contextlib.suppress(OSError):
        sock.unwrap()
    sock.close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ask(gateway_with, authority, tmp_path):
    """Asks one question of a server with that certificate, and gives the viewer and the server."""
    servers = []

    def ask(certificate, play=whole, host="localhost", connect="5s", **how):
        ca = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(ca)
        servers.append(Server(certificate, play, **how))
        gateway = gateway_with("", route("/text", f"https://{host}:{servers[-1].port}/generate", f"ca: '{ca}', connect: {connect}, grace: 300ms"))
        viewer = gateway.viewer()
        viewer.watch("/text?prompt=hi")
        return viewer, servers[-1]

    yield ask
    for server in servers:
        server.close()


def test_a_good_answer_over_tls(ask, authority):
    viewer, server = ask(authority.issue_cert("localhost"))
    viewer.expect(id=1, data="Hello")
    viewer.expect_last_word("finished", proof="marker")
    assert server.seen[0].startswith(b"GET /generate?prompt=hi HTTP/1.1\r\nHost: localhost:")
    assert server.names == ["localhost"]


def test_an_address_is_checked_like_a_name(ask, authority):
    viewer, server = ask(authority.issue_cert("127.0.0.1"), host="127.0.0.1")
    viewer.expect(id=1, data="Hello")
    viewer.expect_last_word("finished")


@pytest.mark.parametrize("certificate, words", [
    (lambda ca: ca.issue_cert("localhost", not_before=datetime.datetime.now() - 9 * DAY, not_after=datetime.datetime.now() - 2 * DAY), "has expired"),
    (lambda ca: ca.issue_cert("localhost", not_before=datetime.datetime.now() + 2 * DAY, not_after=datetime.datetime.now() + 9 * DAY), "not valid yet"),
    (lambda ca: ca.issue_cert("elsewhere.example"), "for another name than localhost"),
    (lambda ca: trustme.CA().issue_cert("localhost"), "issuer that is not trusted here"),
], ids=["expired", "not yet valid", "wrong name", "unknown issuer"])
def test_C3_a_broken_certificate_is_named(ask, authority, certificate, words):
    viewer, server = ask(certificate(authority))
    word = viewer.expect_last_word("tls")
    assert words in word["detail"]
    assert server.seen == []


def test_a_ca_file_that_was_replaced_is_read_again(gateway_with, authority, tmp_path):
    server, ca = Server(authority.issue_cert("localhost"), whole), tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    gateway = gateway_with("", route("/text", f"https://localhost:{server.port}/generate", f"ca: '{ca}'"))
    gateway.viewer().watch("/text?prompt=hi").expect_last_word("tls")
    authority.cert_pem.write_to_path(ca)
    wait_until(lambda: b"event: close" in gateway.ask("/text?prompt=hi").body, "the new file to be believed")
    server.close()


def test_C3_an_old_protocol_is_named(ask, authority):
    viewer, server = ask(authority.issue_cert("localhost"), version=ssl.TLSVersion.TLSv1)
    assert "old TLS versions" in viewer.expect_last_word("tls")["detail"]
    assert server.seen == []


def test_C3_a_stalled_handshake_is_named(ask, authority):
    viewer, server = ask(authority.issue_cert("localhost"), handshake=False, connect="400ms")
    word = viewer.expect_last_word("tls")
    assert "handshake" in word["detail"]
    assert server.seen == []


def test_C3_a_port_without_tls_is_named(gateway_with):
    plain = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            sock, _ = plain.accept()
            sock.recv(1 << 16)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            sock.close()

    threading.Thread(target=serve, daemon=True).start()
    gateway = gateway_with("", route("/text", f"https://localhost:{plain.getsockname()[1]}/generate"))
    viewer = gateway.viewer()
    viewer.watch("/text?prompt=hi")
    assert "does not speak TLS" in viewer.expect_last_word("tls")["detail"]
    plain.close()


def test_an_end_without_close_notify_is_a_cut(ask, authority):
    viewer, server = ask(authority.issue_cert("localhost"), without_close_notify)
    viewer.expect(id=1, data="Hello")
    assert "close_notify" in viewer.expect_last_word("cut")["detail"]


def test_an_end_with_close_notify_is_unproven_all_the_same(ask, authority):
    viewer, server = ask(authority.issue_cert("localhost"), with_close_notify)
    viewer.expect(id=1, data="Hello")
    viewer.expect_last_word("unproven")


class Proxy:
    """Understands CONNECT, or refuses."""

    def __init__(self, status=200):
        self.status, self.asked = status, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1 << 16)
        self.asked.append(head)
        client.sendall(b"HTTP/1.1 %d X\r\n\r\n" % self.status)
        if self.status != 200:
            client.close()
            return
        host, port = head.split()[1].decode().rsplit(":", 1)
        server = socket.create_connection(("127.0.0.1", int(port)))
        threading.Thread(target=self.copy, args=(server, client), daemon=True).start()
        self.copy(client, server)

    def copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_a_proxy_is_asked_by_connect(ask, authority, monkeypatch):
    proxy = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    viewer, server = ask(authority.issue_cert("upstream.example"), host="upstream.example")
    viewer.expect(id=1, data="Hello")
    viewer.expect_last_word("finished")
    assert proxy.asked[0].startswith(b"CONNECT upstream.example:%d HTTP/1.1\r\nHost: upstream.example:%d\r\n" % (server.port, server.port))
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in proxy.asked[0]


def test_a_proxy_that_refuses_is_named(ask, authority, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{Proxy(403).port}")
    viewer, server = ask(authority.issue_cert("upstream.example"), host="upstream.example")
    assert "it answered 403" in viewer.expect_last_word("refused")["detail"]
    assert server.seen == []


def test_no_proxy_names_who_is_asked_directly(ask, authority, monkeypatch):
    proxy = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "example.com, localhost")
    viewer, server = ask(authority.issue_cert("localhost"))
    viewer.expect(id=1, data="Hello")
    viewer.expect_last_word("finished")
    assert proxy.asked == []
