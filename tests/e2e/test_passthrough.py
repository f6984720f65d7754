"""A passthrough route whose answer is recognised as a stream: the upstream's frames byte for byte, one true end in the
dialect, a status line that waits for the first meaning, and the same stream for browsers under /streams/ID."""

import json

import pytest
from conftest import route
from judge import CLEAN
from upstream import Closed, Upstream

CHAT = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
JSON = {"Content-Type": "application/json"}


def chunk(text=None, finish=None, **more):
    delta = {} if text is None else {"content": text}
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}) + "\n\n"


ROLE = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
STOP, DONE = chunk(finish="stop"), "data: [DONE]\n\n"


def ask(viewer, path="/v1/chat/completions", body=CHAT, **headers):
    return viewer.ask(path, method="POST", body=body, headers=JSON | headers)


@pytest.fixture
def chat(house):
    up, viewer = house.at("/v1/*")
    ask(viewer)
    return up, viewer, up.expect_request()


def body_of(viewer):
    return bytes(viewer.response.body).decode()


def wait_end(viewer):
    viewer.wait(lambda: viewer.response.end, "the end of the answer")
    return viewer.response


def wait_body(viewer, text):
    viewer.wait(lambda: body_of(viewer) == text, f"{text!r}")


def error_of(text):
    """The error in the one frame that text must be."""
    assert text.startswith("data: ") and text.endswith("\n\n") and text.count("\n") == 2, text
    return json.loads(text[6:])


def test_a_good_answer_is_the_upstreams_bytes(chat):
    up, viewer, request = chat
    assert request.body == CHAT
    frames = ": hello\n\n" + ROLE + "id: 7\nretry: 3\n" + chunk("Héllo") + chunk(" 🌍") + STOP + DONE
    up.head(type="text/event-stream; charset=utf-8", headers=["x-request-id: r1", "Cache-Control: max-age=9", "X-Accel-Buffering: yes",
                                                              "Lastword-Stream: another", "Lastword-Data: json"]).send(frames).end()
    response = wait_end(viewer)
    assert (response.status, response.end, body_of(viewer)) == (200, CLEAN, frames)
    assert response.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert response.header("x-request-id") == "r1"
    assert response.header("Cache-Control") == "no-cache, no-transform"
    assert response.header("X-Accel-Buffering") == "no"
    assert len(response.header("Lastword-Stream")) == 22
    assert response.header("Lastword-Data") is None
    assert response.header("Connection") is None


def test_frames_go_on_as_they_come(chat):
    up, viewer, _ = chat
    up.head().send(chunk("a"))
    wait_body(viewer, chunk("a"))
    up.send(chunk("b")[:20])
    up.send(chunk("b")[20:])
    wait_body(viewer, chunk("a") + chunk("b"))
    up.send(STOP + DONE).end()
    assert wait_end(viewer).end == CLEAN


def test_the_status_line_waits_for_a_meaning(chat):
    up, viewer, _ = chat
    up.head().send(ROLE)
    up.send('data: {"error":{"message":"no memory","type":"server_error","code":500}}\n\n' + DONE).end()
    response = wait_end(viewer)
    assert (response.status, response.header("Content-Type")) == (502, "application/json")
    error = json.loads(response.body)
    assert error["error"] == {"message": "no memory", "type": "server_error", "param": None, "code": "500"}
    assert error["lastword"] == {"end": "failed", "cause": "error"}
    assert response.header("x-should-retry") is None


@pytest.mark.parametrize("fault, status, cause", [("end", 502, "truncated"), ("cut", 502, "cut"), ("reset", 502, "cut")])
def test_a_failure_before_the_first_token_is_an_http_error(chat, fault, status, cause):
    up, viewer, _ = chat
    up.head().send(ROLE)
    getattr(up, fault)()
    response = wait_end(viewer)
    assert (response.status, json.loads(response.body)["lastword"]["cause"]) == (status, cause)
    assert response.header("x-should-retry") == "false"


def test_silence_before_the_first_token_is_504(gateway_with, up):
    gateway = gateway_with("", route("/v1/*", up.url, "first_event: 100ms"))
    viewer = ask(gateway.viewer())
    up.expect_request()
    up.head().send(ROLE)
    response = wait_end(viewer)
    assert (response.status, json.loads(response.body)["lastword"]["cause"]) == (504, "first_event_timeout")
    assert response.header("x-should-retry") == "false"


def test_no_answer_at_all_is_504_for_a_stream(gateway_with, up):
    gateway = gateway_with("", route("/v1/*", up.url, "first_event: 100ms"))
    viewer = ask(gateway.viewer())
    up.expect_request()
    response = wait_end(viewer)
    assert (response.status, json.loads(response.body)["lastword"]["cause"]) == (504, "first_event_timeout")
    assert response.header("x-should-retry") is None


def test_the_hold_ends_with_200_and_heartbeats(gateway_with, up):
    gateway = gateway_with("hold: 50ms\nheartbeat: 50ms", route("/v1/*", up.url))
    viewer = ask(gateway.viewer())
    up.expect_request()
    up.head().send(ROLE)
    viewer.wait(lambda: body_of(viewer).startswith(ROLE + ":\n"), "a heartbeat")
    assert viewer.response.status == 200
    up.cut()
    assert wait_end(viewer).end == CLEAN
    assert error_of(body_of(viewer)[len(ROLE):].lstrip(":\n"))["lastword"]["cause"] == "cut"


@pytest.mark.parametrize("fault, cause", [("end", "truncated"), ("cut", "cut"), ("reset", "cut")])
def test_a_failure_after_it_is_one_error_frame(chat, fault, cause):
    up, viewer, _ = chat
    up.head().send(chunk("a"))
    wait_body(viewer, chunk("a"))
    up.send('data: {"cho')
    getattr(up, fault)()
    response = wait_end(viewer)
    assert (response.status, response.end) == (200, CLEAN)
    assert body_of(viewer).startswith(chunk("a"))
    error = error_of(body_of(viewer)[len(chunk("a")):])
    assert error["error"]["code"] == f"lastword_{cause}"
    assert error["lastword"] == {"end": "failed", "cause": cause}


def test_a_false_terminator_is_not_forwarded(chat):
    up, viewer, _ = chat
    up.head().send(chunk("a") + DONE).end()
    wait_end(viewer)
    assert error_of(body_of(viewer).removeprefix(chunk("a")))["lastword"]["cause"] == "truncated"


def test_the_text_of_a_failing_finish_is_sent_first(chat):
    up, viewer, _ = chat
    up.head().send(chunk("a") + chunk("b", finish="abort") + DONE).end()
    wait_end(viewer)
    text, _, error = body_of(viewer).removeprefix(chunk("a")).partition("\n\n")
    assert json.loads(text[6:]) == json.loads(chunk("b")[6:])
    assert error_of(error)["lastword"]["cause"] == "aborted"


def test_a_missing_terminator_is_supplied(chat):
    up, viewer, _ = chat
    up.head().send(chunk("a") + STOP).end()
    wait_end(viewer)
    assert body_of(viewer) == chunk("a") + STOP + DONE


def test_done_after_an_error_where_a_route_says_so(gateway_with, up):
    gateway = gateway_with("", route("/v1/*", up.url, "done_after_error: true"))
    viewer = ask(gateway.viewer())
    up.expect_request()
    up.head().send(chunk("a")).cut()
    wait_end(viewer)
    assert body_of(viewer).endswith("\n\n" + DONE)


def test_no_stream_in_answer_to_a_request_for_one(chat):
    up, viewer, _ = chat
    up.answer(json.dumps({"error": {"message": "bad model", "type": "invalid", "code": "model_not_found"}}))
    response = wait_end(viewer)
    assert (response.status, json.loads(response.body)["error"]["message"]) == (502, "bad model")


def test_a_page_in_answer_to_a_request_for_a_stream(chat):
    up, viewer, _ = chat
    up.answer("<html>log in</html>", type="text/html")
    response = wait_end(viewer)
    assert (response.status, json.loads(response.body)["lastword"]["cause"]) == (502, "protocol")


def test_an_answer_that_was_not_asked_to_stream_is_piped(house):
    up, viewer = house.at("/v1/*")
    ask(viewer, body=b'{"stream":false}')
    up.expect_request()
    up.answer('{"choices":[]}')
    response = wait_end(viewer)
    assert (response.status, body_of(viewer), response.header("Lastword-Stream")) == (200, '{"choices":[]}', None)


def test_an_upstreams_own_error_is_untouched(chat):
    up, viewer, _ = chat
    up.answer('{"error":{"message":"slow down"}}', status=429, headers=["Retry-After: 7"])
    response = wait_end(viewer)
    assert (response.status, body_of(viewer), response.header("Retry-After")) == (429, '{"error":{"message":"slow down"}}', "7")


def test_a_stream_of_an_unknown_path_is_known_by_its_first_event(house):
    up, viewer = house.at("/v1/*")
    ask(viewer, "/v1/custom")
    up.expect_request()
    up.head().send(": hi\n\n" + chunk("a"))
    wait_body(viewer, ": hi\n\n" + chunk("a"))
    up.cut()
    wait_end(viewer)
    assert error_of(body_of(viewer).removeprefix(": hi\n\n" + chunk("a")))["lastword"]["cause"] == "cut"


def test_an_event_stream_of_no_dialect_is_piped(house):
    up, viewer = house.at("/v1/*")
    ask(viewer, "/v1/custom")
    up.expect_request()
    event = 'event: message\ndata: {"jsonrpc":"2.0","id":1}\n\n'
    up.head().send(event)
    wait_body(viewer, event)
    assert viewer.response.header("Lastword-Stream") is None
    up.send("data: more")
    up.end()
    assert (wait_end(viewer).end, body_of(viewer)) == (CLEAN, event + "data: more")


def test_an_event_stream_that_was_only_got_is_piped_at_once(house):
    up, viewer = house.at("/v1/*")
    viewer.ask("/v1/custom")
    up.expect_request()
    up.head()
    viewer.wait(lambda: viewer.response.status == 200, "the head")
    up.end()
    wait_end(viewer)


def test_leaving_cancels_the_upstream(chat):
    up, viewer, _ = chat
    up.head().send(chunk("a"))
    wait_body(viewer, chunk("a"))
    viewer.cut()
    up.expect_gone()


def test_leaving_while_the_status_line_waits_cancels_the_upstream(chat):
    up, viewer, _ = chat
    up.head().send(ROLE)
    viewer.cut()
    up.expect_gone()


def test_the_stream_can_be_read_again_in_both_forms(house, chat):
    up, viewer, _ = chat
    up.head().send(ROLE + chunk("a\r\nb"))
    viewer.wait(lambda: viewer.response.header("Lastword-Stream"), "the head")
    id = viewer.response.header("Lastword-Stream")
    page = house.viewer().watch(f"/streams/{id}")
    page.expect("a\nb", id=1)
    again = house.viewer().ask(f"/streams/{id}?as=upstream")
    up.send(chunk(" 🌍") + STOP + DONE).end()
    assert (wait_end(again).end, wait_end(viewer).end) == (CLEAN, CLEAN)
    assert body_of(again) == body_of(viewer) == ROLE + chunk("a\r\nb") + chunk(" 🌍") + STOP + DONE
    page.expect(" 🌍", id=2)
    page.expect_last_word("finished", proof="marker", events=2, bytes=len("a\nb 🌍".encode()))
    house.viewer().ask(f"/streams/{id}", headers={"Last-Event-ID": f"{id}.1"}).expect_stream().expect(" 🌍", id=2)
    house.viewer().ask(f"/streams/{id}", headers={"Last-Event-ID": f"{id}.3"}).expect_stream().expect_last_word("forgotten")


def test_frames_of_a_browser_stream_do_not_exist(house):
    up, viewer = house.at("/text")
    viewer.watch("/text?prompt=x")
    up.expect_request()
    up.head().tokens("a")
    viewer.expect("a")
    house.viewer().ask(f"/streams/{viewer.id}?as=upstream").expect_error(406)
    house.viewer().ask(f"/streams/{viewer.id}?as=text").expect_error(400)


def test_stop_is_an_error_to_an_sdk(house, chat):
    up, viewer, _ = chat
    up.head().send(chunk("a"))
    viewer.wait(lambda: viewer.response.header("Lastword-Stream"), "the head")
    house.viewer().ask("/streams/" + viewer.response.header("Lastword-Stream"), method="DELETE")
    up.expect_gone()
    wait_end(viewer)
    assert error_of(body_of(viewer).removeprefix(chunk("a")))["lastword"]["cause"] == "stopped"


def test_members_are_merged_into_the_body(gateway_with, up):
    gateway = gateway_with("", route("/v1/*", up.url, "request: {model: tiny, temperature: 0.5}"))
    viewer = ask(gateway.viewer(), body=b'{ "model" : "big", "stream":true }')
    assert up.expect_request().body == b'{ "model":"tiny", "stream":true ,"temperature":0.5}'
    up.head().send(chunk("a") + STOP + DONE).end()
    assert wait_end(viewer).status == 200


def list_of(first, second, options=""):
    return route("/v1/*", first.url, options).replace(f"'{first.url}'", f"['{first.url}', '{second.url}']")


def test_the_first_event_of_a_passthrough_stream_is_timed(gateway_with, up):
    gateway = gateway_with("", route("/v1/*", up.url))
    viewer = ask(gateway.viewer())
    up.expect_request()
    up.head().send(ROLE)
    up.send(chunk("a") + STOP + DONE).end()
    wait_end(viewer)
    assert gateway.metric("lastword_first_event_seconds_count") == 1


class TestLists:
    """A list of upstreams is tried in order before the first event."""

    def test_after_a_failed_connect(self, gateway_with, up):
        closed = Closed()
        gateway = gateway_with("", list_of(closed, up, ""))
        viewer = ask(gateway.viewer())
        assert up.expect_request().body == CHAT
        up.head().send(chunk("a") + STOP + DONE).end()
        assert wait_end(viewer).status == 200
        closed.close()

    def test_after_a_status_of_retry_on(self, gateway_with, up):
        first = Upstream()
        gateway = gateway_with("", list_of(first, up, "retry_on: [503]"))
        viewer = ask(gateway.viewer())
        first.expect_request()
        first.answer("{}", status=503)
        assert up.expect_request().body == CHAT
        up.answer("{}", status=503)
        assert wait_end(viewer).status == 503
        first.close()

    def test_the_body_that_is_kept_counts_as_memory(self, gateway_with, up):
        first = Upstream()
        gateway = gateway_with("", list_of(first, up, "retry_on: [503]"))
        body = b'{"stream":true,"pad":"' + b"x" * 5000 + b'"}'
        viewer = ask(gateway.viewer(), body=body)
        first.expect_request()
        assert gateway.metric("lastword_memory_bytes", kind="body") == len(body)
        first.head().send(chunk("a"))
        wait_body(viewer, chunk("a"))
        assert gateway.metric("lastword_memory_bytes", kind="body") == 0
        first.send(STOP + DONE).end()
        wait_end(viewer)
        first.close()

    def test_never_once_one_has_answered(self, gateway_with, up):
        first = Upstream()
        gateway = gateway_with("", list_of(first, up, "retry_on: [503]"))
        viewer = ask(gateway.viewer())
        first.expect_request()
        first.head().send(ROLE).cut()
        assert wait_end(viewer).status == 502
        assert up.requests == 0
        first.close()

    def test_a_body_that_is_too_long_to_keep_is_sent_once(self, gateway_with, up):
        first = Upstream()
        gateway = gateway_with("retry_body: 1KiB", list_of(first, up, "retry_on: [503]"))
        viewer = ask(gateway.viewer(), body=b'{"stream":true,"pad":"' + b"x" * 2000 + b'"}')
        first.expect_request()
        first.answer("{}", status=503)
        assert wait_end(viewer).status == 503
        first.close()


class TestListsOfBrowserRoutes:
    def list_of(self, first, second, options=""):
        return route("/text", first.url + "/generate", options).replace(f"'{first.url}/generate'",
            f"['{first.url}/generate?a=1', '{second.url}/other?b=2']")

    def test_after_a_failed_connect(self, gateway_with, up):
        closed = Closed()
        gateway = gateway_with("", self.list_of(closed, up))
        viewer = gateway.viewer().watch("/text?prompt=h%20i")
        assert up.expect_request().target == "/other?b=2&prompt=h%20i"
        up.head().tokens("a").send("event: close\ndata: x\n\n").end()
        viewer.expect("a")
        viewer.expect_last_word("finished")
        closed.close()

    def test_after_a_status_of_retry_on_and_never_after_200(self, gateway_with, up):
        first = Upstream()
        gateway = gateway_with("", self.list_of(first, up, "retry_on: [429, 503]"))
        viewer = gateway.viewer().watch("/text?prompt=x")
        assert first.expect_request().target == "/generate?a=1&prompt=x"
        first.answer("{}", status=429)
        up.expect_request()
        up.answer("{}", status=503)
        assert viewer.expect_last_word("status")["upstream_status"] == 503
        assert gateway.metric("lastword_memory_bytes", kind="body") == 0
        again = gateway.viewer().watch("/text?prompt=y")
        first.expect_request()
        first.head().cut()
        again.expect_last_word("cut")
        assert up.requests == 1
        first.close()
