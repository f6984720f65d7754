"""A passthrough route: what is no recognised stream is copied both ways, and its end is mirrored: clean stays clean, cut stays cut."""

import json
import re
import threading

import pytest
from conftest import route
from judge import CLEAN, CUT, RESET
from upstream import wait_until

BODY = b'{ "model":"tiny",\n "stream": false, "messages":[{"role":"user","content":"h\\u00e9"}] }'


def ask(house, path="/v1/models", up="/v1/*", **how):
    viewer = house.viewer().ask(path, **how)
    upstream = house.ups[up]
    return upstream, viewer, upstream.expect_request()


def wait_end(viewer):
    viewer.wait(lambda: viewer.response.end, "the end of the answer")
    return viewer.response


def test_a_body_goes_up_and_an_answer_comes_down_byte_for_byte(house):
    up, viewer, request = ask(house, "/v1/chat/completions?x=1&y=%20", method="POST", body=BODY,
                              headers={"Content-Type": "application/json", "traceparent": "00-1-2-01", "Idempotency-Key": "k"})
    assert (request.method, request.target, request.body) == ("POST", "/v1/chat/completions?x=1&y=%20", BODY)
    assert (request.headers["traceparent"], request.headers["idempotency-key"]) == ("00-1-2-01", "k")
    answer = json.dumps({"choices": []}, indent=3)
    up.answer(answer, headers=["x-request-id: r1", "x-ratelimit-remaining: 7"])
    response = wait_end(viewer)
    assert (response.status, response.end, response.body.decode()) == (200, CLEAN, answer)
    assert (response.header("x-request-id"), response.header("x-ratelimit-remaining")) == ("r1", "7")
    assert response.header("Lastword-Stream") is None


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_clean_end_stays_clean(house, framing):
    up, viewer, _ = ask(house)
    up.head(framing, type="application/octet-stream", length=5).send("ab").send("cde").end()
    response = wait_end(viewer)
    assert (response.end, bytes(response.body)) == (CLEAN, b"abcde")


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_cut_stays_a_cut(house, framing, fault):
    up, viewer, _ = ask(house)
    up.head(framing, type="application/octet-stream", length=500).send("abc")
    viewer.wait(lambda: bytes(viewer.response.body) == b"abc", "what came before the cut")
    getattr(up, fault)()
    assert wait_end(viewer).end in (CUT, RESET)


def test_a_reset_of_a_close_delimited_answer_stays_a_cut(house):
    up, viewer, _ = ask(house)
    up.head("close", type="text/plain").send("abc")
    viewer.wait(lambda: bytes(viewer.response.body) == b"abc", "what came before the reset")
    up.reset()
    assert wait_end(viewer).end in (CUT, RESET)


def test_a_cut_before_the_head_is_a_502(house):
    up, viewer, _ = ask(house)
    up.cut()
    viewer.expect_error(502)


def test_events_of_an_unknown_kind_come_down_one_by_one_and_nothing_is_added(house):
    up, viewer, _ = ask(house)
    frames = ["event: x\ndata: 1\n\n", ": comment\n\n", "id: 7\ndata: 2\r\n\r\n"]
    up.head(type="text/event-stream")
    sent = ""
    for frame in frames:
        up.send(frame)
        sent += frame
        viewer.wait(lambda: viewer.response.body.decode() == sent, f"{frame!r}")
    up.end()
    assert wait_end(viewer).body.decode() == sent


@pytest.mark.parametrize("status", [204, 301, 400, 404, 429, 500, 503])
def test_C6_an_answer_that_is_an_error_is_not_touched(house, status):
    up, viewer, _ = ask(house)
    up.answer(b"" if status == 204 else b"<h1>no</h1>", status=status, type="text/html", headers=["Retry-After: 7"])
    response = wait_end(viewer)
    assert (response.status, bytes(response.body)) == (status, b"" if status == 204 else b"<h1>no</h1>")
    assert response.header("Retry-After") == "7"
    assert up.requests == 1


@pytest.mark.parametrize("status", [401, 403])
def test_C4_a_refusal_of_our_credentials_is_ours_and_of_the_client_s_is_its_own(house, status):
    up, viewer, _ = ask(house)
    up.answer("{}", status=status)
    viewer.expect_error(502)
    up, viewer, _ = ask(house, "/trusted/x", "/trusted/*")
    up.answer("{}", status=status)
    assert wait_end(viewer).status == status


def test_credentials_cross_only_where_the_route_says_so(house):
    secrets = {"Authorization": "Bearer s3cret", "x-api-key": "s3cret", "api-key": "s3cret", "x-goog-api-key": "s3cret", "Cookie": "a=s3cret"}
    _, _, request = ask(house, "/v1/models?key=s3cret&other=1", headers=secrets)
    assert "s3cret" not in str(request.headers) + request.target and "other=1" in request.target
    _, _, request = ask(house, "/trusted/x?key=s3cret", "/trusted/*", headers=secrets)
    assert request.headers["authorization"] == "Bearer s3cret" and request.target.endswith("?key=s3cret")


def test_A29_hop_by_hop_headers_do_not_cross(house):
    up, viewer, request = ask(house, headers={"Connection": "x-private, keep-alive", "X-Private": "1", "Keep-Alive": "1", "TE": "trailers",
                                              "X-Forwarded-For": "6.6.6.6", "X_Api_Key": "1", "Accept-Encoding": "gzip"})
    assert not {"x-private", "keep-alive", "te", "x_api_key"} & set(request.headers)
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert request.headers["accept-encoding"] == "identity"
    up.answer("{}", headers=["Connection: x-secret", "X-Secret: 1", "Keep-Alive: timeout=5"])
    response = wait_end(viewer)
    assert response.header("X-Secret") is None and response.header("Keep-Alive") is None


def test_a_chunked_upload_and_a_large_one(house):
    up, viewer = house.at("/v1/*")
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (b"ab", 3000 * b"c", b"d"))
    viewer.connect().begin().send(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
    assert up.expect_request().body == b"ab" + 3000 * b"c" + b"d"
    up.answer("{}")
    wait_end(viewer)


def resident_bytes(gateway):
    status = open(f"/proc/{gateway.process.pid}/status").read()
    return 1024 * int(re.search(r"VmRSS:\s*(\d+) kB", status)[1])


def test_C36_an_answer_of_thirty_megabytes_to_a_reader_that_starts_late(house):
    up, viewer, _ = ask(house)
    body = bytes(range(256)) * 4096 * 30
    writer = threading.Thread(target=up.exchange.answer, args=[body], kwargs={"type": "application/octet-stream"})
    before = resident_bytes(house.gateway)
    writer.start()
    wait_until(lambda: up.unread() > 1 << 16, "the want of a reader to be felt by the upstream")
    assert resident_bytes(house.gateway) - before < 16 << 20  # what the kernel took went through; a sanitizer forgets nothing
    response = wait_end(viewer)
    writer.join()
    assert response.end == CLEAN and bytes(response.body) == body


def test_C39_an_answer_before_the_upload_is_over(house):
    up, viewer = house.at("/v1/*")
    viewer.connect().begin().send(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + 1000 * b"x")
    up.expect_connection()
    up.answer("too large", status=413)
    up.cut()
    assert viewer.wait_status() == 413
    assert bytes(wait_end(viewer).body) == b"too large"
    assert house.gateway.ask("/nowhere").status == 404


def test_A27_a_client_that_leaves_cancels_its_request_at_once(house):
    up, viewer, _ = ask(house)
    up.head(type="text/plain").send("abc")
    viewer.wait_status()
    viewer.cut()
    up.expect_gone()


def test_A27_a_client_that_leaves_before_the_head_cancels_its_request(house):
    up, viewer, _ = ask(house)
    viewer.reset()
    up.expect_gone()


def test_C1_nobody_listens_there_is_a_502(gateway_with, house):
    gateway = gateway_with("", route("/v1/*", house.closed.url))
    gateway.viewer().ask("/v1/models").expect_error(502)


def test_head_has_no_body(house):
    up, viewer, request = ask(house, method="HEAD")
    assert request.method == "HEAD"
    up.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\nContent-Type: text/plain\r\n\r\n")
    response = wait_end(viewer)
    assert (response.status, response.end, response.header("Content-Length")) == (200, CLEAN, "77")
    viewer.ask("/nowhere").expect_error(404)


def test_F3_a_foreign_page_pipes_nothing(house):
    up, viewer = house.at("/v1/*")
    viewer.ask("/v1/models", headers={"Origin": "https://foe.example"}).expect_error(403)
    assert up.requests == 0


def test_pipes_are_counted_by_their_end(gateway_with, up):
    gateway = gateway_with("", route("/v1/*", up.url, "grace: 0"))
    for fault in ("end", "cut"):
        viewer = gateway.viewer().ask("/v1/x")
        up.expect_request()
        up.head(type="text/plain").send("abc")
        viewer.wait_status()
        getattr(up, fault)()
        wait_end(viewer)
        viewer.cut()
    assert gateway.metric("lastword_piped_total") == 2
