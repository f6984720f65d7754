"""The public listener speaks TLS: what a viewer gets is the same, an end is said by close_notify and a break is not, and
who does not speak TLS costs nobody anything. The client is Python's ssl, the certificates are made here."""

import contextlib
import datetime
import os
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request

import pytest
import trustme
from conftest import COMMON, route
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from test_command_line import expect_refusal, lastword
from upstream import wait_until
from viewer import Viewer

NAMES = "localhost", "127.0.0.1", "chat.example"
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def put(directory, issued, key=None):
    """The two files of a certificate, where the configuration names them."""
    (directory / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    (directory / "key.pem").write_bytes(key or issued.private_key_pem.bytes())


def options(directory, more=""):
    return f"tls: {{ cert: '{directory}/cert.pem', key: '{directory}/key.pem' }}\n{more}"


def client(authority, version=None):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


@pytest.fixture
def secure(gateway_with, authority, tmp_path):
    """A gateway that speaks TLS, and viewers of it that trust it."""

    def secure(*routes, more="", args=()):
        put(tmp_path, authority.issue_cert(*NAMES))
        gateway = gateway_with(options(tmp_path, more), *routes, args=args)
        gateway.tls = client(authority)
        return gateway

    return secure


@pytest.fixture
def text(secure, up):
    return secure(route("/text", up.url + "/generate"))


def said(gateway, *words):
    """The lines on failed handshakes that have these words."""
    return [line for line in gateway.logged() if line["event"] == "tls_handshake" and all(word in line["why"] for word in words)]


def expect_served(gateway, up, viewer=None):
    viewer = viewer or gateway.viewer()
    viewer.watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    return viewer


# What is the same.


@pytest.mark.check
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_stream_over_tls(text, up, authority, version):
    assert text.scheme == "https"
    text.tls = client(authority, version)
    viewer = expect_served(text, up)
    assert viewer.socket.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    for _ in range(3):   # the connection lives on
        expect_served(text, up, viewer)


def test_a_long_answer_arrives_whole(text, up):
    viewer = text.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head()
    for n in range(200):
        up.event(f"{n} " + 5000 * "x")
    up.done().end()
    viewer.expect_end("finished", events=200)


def test_a_slow_viewer_gets_all_of_it(text, up):
    """More than the kernel takes: records wait in the gateway."""
    viewer = text.viewer().connect(buffer=4096).ask("/text?prompt=hi")
    up.expect_request()
    up.head()
    for n in range(400):
        up.event(f"{n} " + 10_000 * "x")
    up.done().end()
    wait_until(lambda: any(line["event"] == "stream" for line in text.logged()), "the end of the answer")
    viewer.expect_end("finished", events=400)


def test_A27_a_viewer_that_takes_nothing_has_left(secure, up):
    gateway = secure(route("/text", up.url + "/generate", "write_timeout: 500ms, grace: 0"))
    viewer = gateway.viewer().connect(buffer=4096).ask("/text?prompt=hi")
    up.expect_request()
    up.head()
    while not up.exchange.gone and not up.is_gone():
        up.event(10_000 * "x")
    viewer.cut()


def test_a_large_request_arrives_whole(text, up):
    prompt = 20_000 * "x"
    viewer = text.viewer().ask("/text", method="POST", body={"prompt": prompt})
    assert up.expect_request().prompt == prompt
    up.head().done().end()
    viewer.expect_stream()


def test_a_request_byte_by_byte(text, up):
    viewer = text.viewer().connect().begin()
    for byte in b"GET /text?prompt=hi HTTP/1.1\r\nHost: localhost\r\n\r\n":
        viewer.send(bytes([byte]))
    assert up.expect_request().prompt == "hi"


def test_curl_reads_a_stream(text, up, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    curl = subprocess.Popen(["curl", "-sN", "--cacert", tmp_path / "ca.pem", "https://localhost:%d/text?prompt=hi" % text.address[1]],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"NO_PROXY": "*"})
    up.expect_request()
    up.head().event("a").done().end()
    out, _ = curl.communicate(timeout=30)
    assert curl.returncode == 0 and b"event: close\n" in out


def test_python_reads_a_stream(text, up):
    asked = []
    thread = threading.Thread(target=lambda: asked.append(urllib.request.urlopen("https://localhost:%d/text?prompt=hi" % text.address[1], context=text.tls).read()))
    thread.start()
    up.expect_request()
    up.head().event("a").done().end()
    thread.join(30)
    assert b"event: close\n" in asked[0]


# Ends and breaks.


def test_a_good_end_is_said_by_close_notify(text, up):
    viewer = text.viewer().ask("/text?prompt=hi", version="HTTP/1.0")
    up.expect_request()
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")   # a body that ends by close
    assert viewer.response.framing == "close" and viewer.farewell


def test_an_answer_that_is_refused_ends_with_close_notify(text):
    viewer = text.viewer().connect().begin().send(b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n")
    viewer.expect_error(400)
    viewer.expect_hang_up()
    assert viewer.farewell


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_break_looks_like_one(secure, up, version):
    """No last chunk, and no close_notify."""
    gateway = secure(route("/v1/*", up.url))
    viewer = gateway.viewer().ask("/v1/files", version=version)
    up.expect_request()
    up.head(type="application/octet-stream").send("half")
    viewer.wait(lambda: bytes(viewer.response.body) == b"half", "the first half")
    up.cut()
    if version == "HTTP/1.1":
        viewer.expect_broken()
    else:
        viewer.expect_hang_up()
    assert not viewer.farewell


def test_a_killed_gateway_looks_like_a_break(text, up):
    viewer = text.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("a")
    viewer.expect("a", id=1)
    text.kill()
    viewer.expect_broken()
    assert not viewer.farewell


def test_an_idle_connection_is_told_of_the_drain(text):
    viewer = text.viewer().ask("/healthz")
    viewer.expect_error(404)
    text.signal(signal.SIGTERM)
    viewer.expect_hang_up()
    assert viewer.farewell


@pytest.mark.parametrize("leave", ["fin", "close_notify", "reset"])
def test_A27_a_viewer_leaves(text, up, leave):
    viewer = text.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("a")
    viewer.expect("a", id=1)
    if leave == "close_notify":
        say_farewell(viewer.socket)
    elif leave == "reset":
        viewer.reset()
    else:
        viewer.cut()
    up.expect_gone()


def say_farewell(sock):
    """Sends close_notify and goes on reading."""
    sock.settimeout(0)
    with pytest.raises((ssl.SSLWantReadError, ssl.SSLEOFError)):   # no answer yet, or the server has already gone
        sock.unwrap()


def test_a_client_that_only_ends_its_sending_side_may_be_tolerated(secure, up):
    gateway = secure(route("/text", up.url + "/generate", "half_close: true"))
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    say_farewell(viewer.socket)
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")


def test_a_request_that_ends_without_close_notify_is_broken_off(secure, up):
    gateway = secure(route("/v1/*", up.url))
    viewer = gateway.viewer().connect().begin()
    viewer.send(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
    up.expect_connection()
    received = b""
    while not received.endswith(b"half"):
        received += up.exchange.socket.recv(65536)
    viewer.cut()
    up.expect_gone()


# How TLS is spoken.


def raw(gateway):
    return socket.create_connection(gateway.address, timeout=30)


@pytest.mark.parametrize("protocols, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)])
def test_F18_http_1_1_is_agreed_upon(text, up, protocols, chosen):
    text.tls.set_alpn_protocols(protocols)
    viewer = expect_served(text, up)
    assert viewer.socket.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("protocols", [["h2"], ["http/1.0"], ["smtp", "imap"]])
def test_F18_a_client_that_means_another_protocol_is_refused(text, protocols):
    text.tls.set_alpn_protocols(protocols)
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        text.viewer().connect()
    assert wait_until(lambda: said(text, "other protocols than http/1.1"), "its line")[0]["peer"].startswith("127.0.0.1:")


def test_F18_an_old_version_is_refused(text):
    text.tls.set_ciphers("ALL:@SECLEVEL=0")
    text.tls.minimum_version = text.tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        text.viewer().connect()
    wait_until(lambda: said(text, "1.2 is the oldest"), "its line")


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"])
def test_F18_weak_suites_are_refused(text, authority, suite):
    text.tls = client(authority, ssl.TLSVersion.TLSv1_2)
    text.tls.set_ciphers(suite)
    with pytest.raises(ssl.SSLError, match="(?i)handshake.failure"):
        text.viewer().connect()
    wait_until(lambda: said(text, "no shared cipher"), "its line")


def test_a_client_that_does_not_trust_us_is_named(text):
    text.tls = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        text.viewer().connect()
    wait_until(lambda: said(text, "does not accept the certificate"), "its line")


def test_a_session_is_resumed(text, up, authority):
    text.tls = client(authority, ssl.TLSVersion.TLSv1_2)
    session = expect_served(text, up).socket.session
    again = text.viewer()
    again.tls = None
    again.connect()
    again.tls = text.tls
    again.secure(session)
    expect_served(text, up, again)
    assert again.socket.session_reused


# Who does not speak TLS.


def answer_to(gateway, sent):
    """All that comes back."""
    with raw(gateway) as sock:
        sock.sendall(sent)
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got


def test_A26_plain_http_on_the_tls_port_is_told_so(text, up):
    viewer = Viewer(text.address).ask("/text?prompt=hi")
    response = viewer.expect_error(400)
    assert b"This port speaks TLS" in response.body
    viewer.expect_hang_up()
    assert up.requests == 0
    wait_until(lambda: said(text, "plain HTTP"), "its line")


@pytest.mark.parametrize("sent", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\x01\x02\x03", b"\xff" * 5000, b"\r\n\r\n",
                                  b"\x16\x03\x01\x00\x05hello", b"\x16" + bytes(range(256)), b"\x16\x03\x01\xff\xff" + 70000 * b"a",
                                  b"\x80\x2e\x01\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=range(9))
def test_A26_what_is_no_tls_is_closed(text, up, sent):
    got = answer_to(text, sent)
    assert got == b"" or got[:1] == b"\x15" or got.startswith(b"HTTP/1.1 400 ")
    assert len(wait_until(lambda: said(text), "its line")) == 1
    expect_served(text, up)


def first_words():
    """What a client begins with."""
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    return hello.read()


def test_A26_tls_on_the_plain_port_is_a_bad_request(house):
    assert answer_to(house.gateway, first_words()).startswith(b"HTTP/1.1 400 ")


def test_A26_the_log_is_not_flooded(text, up):
    for _ in range(200):
        answer_to(text, b"\x00")
    expect_served(text, up)
    wait_until(lambda: any(line["event"] == "stream" for line in text.logged()), "the stream's line")
    assert 1 <= len(said(text)) <= 11 * int(os.environ.get("LASTWORD_WORKERS", 1))


def test_a_connection_without_a_word_is_no_failure(text, up):
    """What balancers do to see that a port is open."""
    raw(text).close()
    expect_served(text, up)
    wait_until(lambda: any(line["event"] == "stream" for line in text.logged()), "the stream's line")
    assert not said(text)


def test_A28_a_handshake_that_stalls_is_cut_off_and_costs_nobody_anything(text, up):
    begun, whole, silent = raw(text), raw(text), raw(text)
    begun.sendall(first_words()[:50])
    whole.sendall(first_words())
    expect_served(text, up)
    whole.settimeout(30)
    while whole.recv(65536):
        pass
    assert begun.recv(1) == b"" and silent.recv(1) == b""
    assert len(wait_until(lambda: len(said(text, "not over in time")) == 2 and said(text), "their lines")) == 2
    expect_served(text, up)


def test_an_end_inside_the_handshake_is_named(text, up):
    sock = raw(text)
    sock.sendall(b"\x16\x03\x01")
    sock.close()
    wait_until(lambda: said(text, "in the middle of the TLS handshake"), "its line")


# Who asks.


def test_the_cookie_is_secure_and_the_upstream_is_told(text, up):
    assert text.ask("/").header("Set-Cookie").endswith("; SameSite=Strict; Secure")
    viewer = text.viewer().watch("/text?prompt=hi")
    request = up.expect_request()
    assert request.headers["x-forwarded-proto"] == "https" and request.headers["x-forwarded-for"] == "127.0.0.1"


def test_F3_our_own_origin_is_https(text, up):
    authority = "127.0.0.1:%d" % text.address[1]
    text.viewer().ask("/text?prompt=hi", headers={"Origin": f"http://{authority}"}).expect_error(403)
    viewer = text.viewer().watch("/text?prompt=hi", headers={"Origin": f"https://{authority}"})
    up.expect_request()


def test_F5_names_of_the_certificate_are_ours(text, up):
    viewer = text.viewer().watch("/text?prompt=hi", headers={"Host": "chat.example"})
    up.expect_request()
    for other in ("evil.example", "chat.example.evil.example", "a.chat.example"):
        text.viewer().ask("/text?prompt=hi", headers={"Host": other}).expect_error(421)


def test_F5_hosts_that_are_listed_are_the_only_ones(secure, up):
    gateway = secure(route("/text", up.url + "/generate"), more="hosts: [other.example]")
    gateway.viewer().ask("/text?prompt=hi", headers={"Host": "chat.example"}).expect_error(421)
    viewer = gateway.viewer().watch("/text?prompt=hi", headers={"Host": "other.example"})
    up.expect_request()


def test_F3_off_the_loopback_interface_a_program_may_ask_by_tls(secure, up):
    gateway = secure(route("/text", up.url + "/generate"), args=["--listen", "0.0.0.0:0"])
    viewer = gateway.viewer().watch("/text?prompt=hi", headers={"Host": "chat.example"})
    up.expect_request()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://foe.example"}):
        gateway.viewer().ask("/text?prompt=hi", headers=headers | {"Host": "chat.example"}).expect_error(403)


# The files.


def check(directory, more=""):
    file = directory / "check.yaml"
    file.write_text(options(directory, more) + "\nroutes: [{ path: /x, upstream: 'http://127.0.0.1:9/' }]\n")
    return lastword("--config", file, "--check-config")


def test_files_that_are_fine_are_printed(authority, tmp_path):
    put(tmp_path, authority.issue_cert(*NAMES))
    status, out, err = check(tmp_path)
    assert (status, err) == (0, "")
    assert f"tls:\n  cert: {tmp_path}/cert.pem\n  key: {tmp_path}/key.pem\n" in out


def test_E16_a_key_of_another_certificate(authority, tmp_path):
    put(tmp_path, authority.issue_cert(*NAMES), authority.issue_cert(*NAMES).private_key_pem.bytes())
    expect_refusal(check(tmp_path), "check.yaml:1:", "tls.key", "key.pem holds the key of another certificate")


def test_E16_an_encrypted_key_is_refused_without_asking(authority, tmp_path):
    issued = authority.issue_cert(*NAMES)
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    for form in PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL:
        put(tmp_path, issued, key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")))
        expect_refusal(check(tmp_path), "check.yaml:1:", "tls.key", "key.pem is encrypted", "without a password")


@pytest.mark.parametrize("file", ["cert.pem", "key.pem"])
def test_E16_a_file_that_is_missing_or_no_pem(authority, tmp_path, file):
    put(tmp_path, authority.issue_cert(*NAMES))
    (tmp_path / file).write_text("hello")
    expect_refusal(check(tmp_path), "check.yaml:1:", f"{file} holds no ", "in PEM")
    (tmp_path / file).unlink()
    expect_refusal(check(tmp_path), "check.yaml:1:", f"{file} cannot be used: no such file")
    os.mkfifo(tmp_path / file)
    expect_refusal(check(tmp_path), "check.yaml:1:", f"{file} cannot be used: is not a regular file")


def test_E9_a_certificate_that_has_expired_is_a_warning(authority, tmp_path, gateway_with):
    put(tmp_path, authority.issue_cert("localhost", not_before=datetime.datetime.now() - 9 * DAY, not_after=datetime.datetime.now() - 2 * DAY))
    status, out, err = check(tmp_path)
    assert status == 0 and err == f"lastword: warning: the certificate in {tmp_path}/cert.pem has expired\n"
    gateway = gateway_with(options(tmp_path), route("/text", "http://127.0.0.1:9/"))
    assert wait_until(lambda: [line for line in gateway.logged() if line["level"] == "warn"], "a warning")[0]["message"].endswith("has expired")


# SIGHUP.


@pytest.fixture
def reload(text, up, tmp_path):
    """Reads the files again, and waits for the words that are said then."""
    file = next(tmp_path.rglob("lastword.yaml"))

    def reload(*words, tls=True):
        before = text.stderr.count('"event":"reload"')
        file.write_text("\n".join([COMMON, options(tmp_path) if tls else "", "routes:", route("/text", up.url + "/generate")]))
        text.signal(signal.SIGHUP)
        wait_until(lambda: text.stderr.count('"event":"reload"') > before and all(word in text.stderr for word in words), words)

    return reload


def number(viewer):
    return viewer.socket.getpeercert()["serialNumber"]


def test_E17_a_new_certificate_is_for_new_connections(text, up, authority, tmp_path, reload):
    old = text.viewer().watch("/text?prompt=old")
    up.expect_request()
    up.head().event("a")
    old.expect("a", id=1)
    running = up.exchange
    put(tmp_path, authority.issue_cert(*NAMES))
    reload("is in force")
    new = expect_served(text, up)
    assert number(new) != number(old)
    running.event("b").done().end()
    old.expect("b", id=2)
    old.expect_last_word("finished")


def test_E17_a_handshake_goes_on_with_the_certificate_that_it_began_with(text, up, authority, tmp_path, reload):
    first = number(expect_served(text, up))
    heard, says, sock = ssl.MemoryBIO(), ssl.MemoryBIO(), raw(text)
    tls = text.tls.wrap_bio(heard, says, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    sock.sendall(says.read())
    heard.write(sock.recv(65536))   # it has begun
    put(tmp_path, authority.issue_cert(*NAMES))
    reload("is in force")
    tls.do_handshake()
    tls.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
    sock.sendall(says.read())
    assert tls.getpeercert()["serialNumber"] == first
    answer = b""
    while b"404" not in answer:
        heard.write(sock.recv(65536))
        with contextlib.suppress(ssl.SSLWantReadError):   # tickets
            answer += tls.read(65536)
    assert number(expect_served(text, up)) != first


def test_E17_a_broken_file_keeps_the_old_certificate(text, up, authority, tmp_path, reload):
    first = number(expect_served(text, up))
    put(tmp_path, authority.issue_cert(*NAMES), authority.issue_cert(*NAMES).private_key_pem.bytes())
    reload("nothing was changed", "holds the key of another certificate")
    assert number(expect_served(text, up)) == first
    (tmp_path / "cert.pem").unlink()
    reload("cannot be used: no such file")
    assert number(expect_served(text, up)) == first
    put(tmp_path, authority.issue_cert(*NAMES))
    reload("is in force")
    assert number(expect_served(text, up)) != first


def test_tls_or_not_needs_a_restart(text, up, reload):
    first = number(expect_served(text, up))
    reload("tls is as it was", "is in force", tls=False)
    assert number(expect_served(text, up)) == first
