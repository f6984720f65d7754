"""Requests that are wrong: refused with a status and a reason, over a real socket, and nothing reaches the upstream."""

import pytest

check = pytest.mark.check


def refuse(house, raw, *statuses, hangs_up=True):
    """Sends these bytes; the answer has one of these statuses, and the connection is closed behind it."""
    viewer = house.viewer().connect().begin()
    viewer.send(raw.replace(b"HOST", b"Host: %s:%d" % (house.gateway.address[0].encode(), house.gateway.address[1])))
    assert viewer.wait_status() in statuses, viewer.story()
    viewer.expect_error(viewer.response.status)
    if hangs_up:
        assert viewer.response.header("Connection") == "close", viewer.story()
        viewer.expect_hang_up()
        assert not viewer.response.rest, "a second answer"
    assert house.ups["/text"].requests == 0


def post(*fields, body=b"", version=b"HTTP/1.1"):
    return b"\r\n".join([b"POST /text " + version, b"HOST", b"Content-Type: application/json", *fields, b"", b""]) + body


# Requests that are well-formed and still wrong.

@check
@pytest.mark.parametrize("method, target, body, status", [
    ("GET", "/text", None, 400),
    ("GET", "/text?prompt=", None, 400),
    ("GET", "/nowhere", None, 404),
    ("GET", "/text/more?prompt=hi", None, 404),
    ("PUT", "/text?prompt=hi", None, 405),
    ("DELETE", "/text?prompt=hi", None, 405),
    ("POST", "/", {}, 405),
    ("GET", "/streams", None, 405),
    ("POST", "/text", {}, 400),
    ("POST", "/text", {"prompt": 7}, 400),
    ("POST", "/text", b"{", 400),
    ("POST", "/text", b"[]", 400),
    ("POST", "/text", b'"hi"', 400),
    ("POST", "/text", b'{"prompt": "hi"} x', 400),
    ("POST", "/text", b'{"prompt": "hi", "prompt": "ho"}', 400),
    ("POST", "/text", b'{"prompt": "\xff"}', 400),
    ("POST", "/streams", b"{", 400),
    ("POST", "/text", {"messages": [{"role": "user", "content": "hi"}]}, 422),
    ("GET", "/text?prompt=%zz", None, 400),
    ("TRACE", "/text?prompt=hi", None, 405),
])
def test_a_wrong_request_is_told_so(house, method, target, body, status):
    headers = {"Content-Type": "application/json"} if isinstance(body, bytes) else {}
    viewer = house.viewer().ask(target, method=method, body=body, headers=headers)
    response = viewer.expect_error(status)
    if status == 405:
        assert response.header("Allow"), viewer.story()
    assert house.ups["/text"].requests == 0


@check
def test_A25_a_body_that_is_too_large_is_refused_before_it_is_sent(house):
    refuse(house, post(b"Content-Length: 2000000"), 413)


def test_A25_a_chunked_body_that_grows_too_large_is_refused(house):
    refuse(house, post(b"Transfer-Encoding: chunked", body=20 * (b"10000\r\n" + 0x10000 * b" " + b"\r\n")), 413)


def test_A25_a_depth_bomb_is_refused(house):
    house.viewer().ask("/text", method="POST", headers={"Content-Type": "application/json"}, body=100000 * b"[").expect_error(400)


def test_a_prompt_with_nul_and_escapes_is_a_prompt(house):
    up, viewer = house.at("/chat")
    viewer.ask("/chat", method="POST", headers={"Content-Type": "application/json"}, body=rb'{"prompt": "a\u0000b\ud83d\ude00\n"}')
    assert up.expect_request().json["messages"][0]["content"] == "a\0b😀\n"


@check
def test_A13_long_request_lines(house):
    refuse(house, b"GET /nowhere?" + 9000 * b"a" + b" HTTP/1.1\r\nHOST\r\n\r\n", 414)
    refuse(house, b"GET /text?prompt=" + 70000 * b"a" + b" HTTP/1.1\r\nHOST\r\n\r\n", 414)
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=" + 60000 * "a")
    assert up.expect_request().prompt == 60000 * "a"


def test_A13_too_many_and_too_large_headers(house):
    refuse(house, b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\n" + 101 * b"A: b\r\n" + b"\r\n", 431)
    refuse(house, b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\nA: " + 33000 * b"b" + b"\r\n\r\n", 431)


@check
def test_A24_head_starts_no_generation(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi", method="HEAD")
    response = viewer.expect_status(200)
    assert response.header("Content-Type") == "text/event-stream"
    viewer.ask("/nowhere", method="HEAD").expect_status(404)
    assert up.requests == 0


# A1-A11: one message, one meaning.

@check
@pytest.mark.parametrize("raw", [
    post(b"Content-Length: 15", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    post(b"Transfer-Encoding: chunked", b"Content-Length: 15", body=b"0\r\n\r\n"),
], ids=["length first", "coding first"])
def test_A1_length_and_coding(house, raw):
    refuse(house, raw, 400)


@pytest.mark.parametrize("fields", [[b"2", b"2"], [b"2", b"3"], [b"5, 5"]], ids=range(3))
def test_A2_two_lengths(house, fields):
    refuse(house, post(*(b"Content-Length: " + field for field in fields), body=b"{}"), 400)


@pytest.mark.parametrize("length", [b"+5", b"-1", b"0x5", b"1_0", b" 5 5", b"", b"9223372036854775808", b"18446744073709551621"])
def test_A3_a_length_that_is_no_number(house, length):
    refuse(house, post(b"Content-Length: " + length, body=b'{"prompt":"hi"}'), 400, 413)


@pytest.mark.parametrize("coding", [
    b"xchunked", b"chunked, chunked", b",chunked", b"chunked;x", b"identity", b"chunked\r\nTransfer-Encoding: chunked",
    b"\x0bchunked", b"chunked\x0c", b"chun\x00ked", b"\xa0chunked", b"gzip, chunked", b"",
], ids=range(12))
def test_A4_a_coding_that_is_not_chunked(house, coding):
    refuse(house, post(b"Transfer-Encoding: " + coding, body=b"0\r\n\r\n"), 400, 501)


def test_A5_a_coding_in_http_1_0(house):
    refuse(house, post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"HTTP/1.0"), 400)


@pytest.mark.parametrize("field", [b"A : b", b"A\t: b", b": b", b"no colon", b"A(b: c", b"\x80: b", b"Content-Length : 2"], ids=range(7))
def test_A6_names_that_are_none(house, field):
    refuse(house, b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\n" + field + b"\r\n\r\n", 400)


@check
@pytest.mark.parametrize("raw", [
    b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\nA: b\r\n c\r\n\r\n",
    b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\nA: b\r\n\tc\r\n\r\n",
    b"GET /text?prompt=hi HTTP/1.1\r\n A: b\r\nHOST\r\n\r\n",
], ids=["space", "tab", "before the first"])
def test_A7_folded_lines(house, raw):
    refuse(house, raw, 400)


@pytest.mark.parametrize("raw", [
    b"GET /text?prompt=hi HTTP/1.1\nHOST\n\n",
    b"GET /text?prompt=hi HTTP/1.1\r\nHOST\nA: b\r\n\r\n",
    b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\nA: b\rc\r\n\r\n",
    b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\nA: b\x00c\r\n\r\n",
    b"GET /text?prompt=hi HTTP/1.1\r\nHOST\r\nA\x00: b\r\n\r\n",
    b"GET /text?prompt=\x00 HTTP/1.1\r\nHOST\r\n\r\n",
    b"GET /text?prompt=a\rb HTTP/1.1\r\nHOST\r\n\r\n",
], ids=range(7))
def test_A8_bare_line_ends_and_nul(house, raw):
    refuse(house, raw, 400)


@pytest.mark.parametrize("size", [b"0x5", b"+5", b"-1", b"5_0", b" 5", 17 * b"1", b""], ids=range(7))
def test_A9_chunk_sizes_that_are_none(house, size):
    refuse(house, post(b"Transfer-Encoding: chunked", body=size + b"\r\nhello\r\n0\r\n\r\n"), 400, 413)


@pytest.mark.parametrize("end", [b"\n", b"\rx", b"", b"xx"], ids=range(4))
def test_A10_chunks_that_do_not_end(house, end):
    refuse(house, post(b"Transfer-Encoding: chunked", body=b"2\r\n{}" + end + b"0\r\n\r\n"), 400)


@check
def test_A11_chunk_extensions_are_dropped_within_limits(house):
    up, viewer = house.at("/text")
    body = b'3;name=value;other="a b"\r\n{"p\r\n9;x\r\nrompt":"h\r\n3\r\ni"}\r\n0;last\r\n\r\n'
    viewer.connect().begin().send(post(b"Transfer-Encoding: chunked", body=body).replace(b"HOST", b"Host: localhost"))
    viewer.expect_stream()
    assert up.expect_request().prompt == "hi"
    for extension in (300 * b"x", b"a\rb", b"a\nb", b"a\x00b"):
        raw = post(b"Transfer-Encoding: chunked", body=b"2;" + extension + b"\r\n{}\r\n0\r\n\r\n")
        viewer = house.viewer().connect().begin().send(raw.replace(b"HOST", b"Host: localhost"))
        viewer.expect_error(400)
    assert up.requests == 1


def test_A12_trailers_are_dropped(house):
    up, viewer = house.at("/text")
    body = b'f\r\n{"prompt":"hi"}\r\n0\r\nHost: evil.example\r\nContent-Length: 3\r\nAuthorization: x\r\n\r\n'
    viewer.connect().begin().send(post(b"Transfer-Encoding: chunked", body=body).replace(b"HOST", b"Host: localhost"))
    viewer.expect_stream()
    assert "authorization" not in up.expect_request().headers


@pytest.mark.parametrize("line", [
    b"GET /text?prompt=hi", b"GET /text?prompt=hi HTTP/1.2", b"GET /text?prompt=hi HTTP/01.1", b"GET /text?prompt=hi http/1.1",
    b"PRI * HTTP/2.0", b"GET  /text?prompt=hi HTTP/1.1", b"GET /text?prompt=hi  HTTP/1.1", b"GET /te xt HTTP/1.1", b"G(T /text HTTP/1.1",
], ids=range(9))
def test_A19_request_lines_that_are_none(house, line):
    refuse(house, line + b"\r\nHOST\r\n\r\n", 400, 505)


@pytest.mark.parametrize("line, statuses", [
    (b"GET http://evil.example/text?prompt=hi HTTP/1.1", (400, 421)),
    (b"GET * HTTP/1.1", (400,)),
    (b"CONNECT evil.example:443 HTTP/1.1", (405, 501, 400)),
], ids=range(3))
def test_A20_other_forms_of_a_target(house, line, statuses):
    refuse(house, line + b"\r\nHOST\r\n\r\n", *statuses, hangs_up=False)


@pytest.mark.parametrize("hosts", [
    b"", b"HOST\r\nHOST\r\n", b"Host:\r\n", b"Host: localhost, localhost\r\n", b"Host: localhost/x\r\n", b"Host: me@localhost\r\n",
], ids=range(6))
def test_A21_hosts_that_are_none(house, hosts):
    refuse(house, b"GET /text?prompt=hi HTTP/1.1\r\n" + hosts + b"\r\n", 400, hangs_up=False)


@pytest.mark.parametrize("target", [b"/../text?prompt=hi", b"/./text?prompt=hi", b"/%2e%2e/text?prompt=hi", b"/a%2ftext?prompt=hi",
                                    b"/text%00?prompt=hi", b"/text\\x?prompt=hi", b"/text?prompt=hi#x", b"/t\xc3\xa9xt?prompt=hi"], ids=range(8))
def test_A23_targets_that_are_none(house, target):
    refuse(house, b"GET " + target + b" HTTP/1.1\r\nHOST\r\n\r\n", 400, 404, hangs_up=False)


def test_A22_an_upgrade_is_not_made(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi", headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x"})
    assert viewer.wait_status() in (200, 426)
    assert not viewer.response.interim


def test_A26_other_protocols_are_turned_away(house):
    for raw in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 300 * b"\x00", b"SSH-2.0-OpenSSH_9.2\r\n", bytes(range(256)) * 8):
        viewer = house.viewer().connect().begin()
        try:
            viewer.send(raw)
            viewer.expect_hang_up()
        except OSError:
            pass
    assert house.gateway.process.poll() is None
