"""Streams by name: made by POST, watched by id, described as JSON."""

import json
import re

import pytest
from conftest import route
from upstream import wait_until

check = pytest.mark.check

UNKNOWN = "AAAAAAAAAAAAAAAAAAAAAA"


def state(gateway, id):
    answer = gateway.ask(f"/streams/{id}", headers={"Accept": "application/json"})
    assert answer.status == 200 and answer.header("Content-Type").startswith("application/json")
    return json.loads(answer.body)


@check
def test_a_stream_is_made_and_watched_by_its_location(house):
    up, viewer = house.at("/chat")
    made = house.gateway.ask("/streams", method="POST", body={"messages": [{"role": "user", "content": "hi"}], "route": "/chat"})
    assert made.status == 201
    said = json.loads(made.body)
    assert re.fullmatch("[A-Za-z0-9_-]{22}", said["id"])
    assert said["url"] == made.header("Location") == f"streams/{said['id']}"
    request = up.expect_request()
    assert request.json["messages"] == [{"role": "user", "content": "hi"}] and "route" not in request.json
    viewer.watch("/" + said["url"])
    up.head().chunk("a").chunk(finish="stop").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    assert viewer.id == said["id"] == viewer.response.header("Lastword-Stream")


def test_without_a_route_the_first_browser_route_is_meant(house):
    up, _ = house.at("/sse-proxy")
    assert house.gateway.ask("/streams", method="POST", body={"prompt": "hi"}).status == 201
    assert up.expect_request().prompt == "hi"


def test_an_unknown_route_is_404(house):
    house.viewer().ask("/streams", method="POST", body={"prompt": "hi", "route": "/nowhere"}).expect_error(404)


def test_D9_the_same_key_and_body_give_the_same_location(house):
    up, _ = house.at("/text")
    ask = dict(method="POST", body={"prompt": "hi", "route": "/text"}, headers={"Idempotency-Key": "made-once"})
    first, second = house.gateway.ask("/streams", **ask), house.gateway.ask("/streams", **ask)
    assert (first.status, second.status) == (201, 200)
    assert first.header("Location") == second.header("Location")
    other = dict(ask, body={"prompt": "other", "route": "/text"})
    house.viewer().ask("/streams", **other).expect_error(422)
    up.expect_request()
    assert up.requests == 1


@check
def test_the_state_of_a_stream_as_json(house):
    up, viewer = house.at("/chat")
    viewer.ask("/chat?prompt=hi")
    up.expect_request()
    up.head().chunk("Hello")
    viewer.expect("Hello", id=1)
    now = state(house.gateway, viewer.id)
    assert (now["id"], now["state"], now["end"], now["events"], now["bytes"], now["viewers"]) == (viewer.id, "live", None, 1, 5, 1)
    up.chunk(finish="stop").event(json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})).done().end()
    verdict = viewer.expect_last_word("finished")
    after = state(house.gateway, viewer.id)
    assert (after["state"], after["end"], after["cause"], after["finish"], after["proof"]) == ("ended", "complete", "finished", "stop", "marker")
    assert [after[name] for name in ("events", "bytes", "crc32")] == [verdict[name] for name in ("events", "bytes", "crc32")]
    assert after["usage"] == {"prompt_tokens": 3, "completion_tokens": 4}
    assert isinstance(after["age_ms"], int)


def test_the_state_of_a_failure_as_json(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi")
    up.expect_request()
    up.head().event("a").cut()
    viewer.expect("a", id=1)
    viewer.expect_last_word("cut")
    after = state(house.gateway, viewer.id)
    assert (after["state"], after["end"], after["cause"]) == ("ended", "failed", "cut")


def test_an_unknown_stream_is_404_or_forgotten_by_what_was_asked_for(house):
    assert house.gateway.ask(f"/streams/{UNKNOWN}", headers={"Accept": "application/json"}).status == 404
    assert house.gateway.ask(f"/streams/{UNKNOWN}").status == 404
    assert house.gateway.ask(f"/streams/{UNKNOWN}", headers={"Accept": "*/*"}).status == 404
    for headers in ({"Accept": "text/event-stream"}, {"Last-Event-ID": f"{UNKNOWN}.2"}):
        house.viewer().ask(f"/streams/{UNKNOWN}", headers=headers).expect_last_word("forgotten")


def test_a_browser_stream_is_not_acceptable_as_the_upstream_s(house):
    up, viewer = house.at("/text")
    viewer.watch("/text?prompt=hi")
    up.expect_request()
    house.viewer().ask(f"/streams/{viewer.id}?as=upstream").expect_error(406)
    house.viewer().ask(f"/streams/{UNKNOWN}?as=upstream").expect_error(404)


@check
def test_a_browser_route_takes_post_too(house):
    up, viewer = house.at("/chat")
    viewer.ask("/chat", method="POST", body={"prompt": "hi", "temperature": 0.5, "model": "other"})
    request = up.expect_request()
    assert request.json == {"messages": [{"role": "user", "content": "hi"}], "stream": True, "model": "tiny", "temperature": 0.5}
    up.head().chunk("a").chunk(finish="stop").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")


def test_the_head_of_a_browser_stream(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi")
    head = viewer.expect_status(200)
    up.expect_request()
    viewer.expect_stream()
    assert head.header("Content-Type") == "text/event-stream"
    assert head.header("Cache-Control") == "no-cache, no-transform"
    assert head.header("X-Accel-Buffering") == "no"
    assert head.header("Lastword-Stream") == viewer.id
    assert head.header("Lastword-Data") == "text"
    assert head.header("Content-Encoding") is None
    assert (head.header("Connection") or "").lower() != "close"
    assert (head.framing, viewer.reader.retry, viewer.place) == ("chunked", 100, f"{viewer.id}.0")


@check
def test_metrics_tell_what_happened(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate", "grace: 5min"))
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("Hello")
    viewer.expect("Hello", id=1)
    assert gateway.metric("lastword_streams_live") == 1
    assert gateway.metric("lastword_viewers") == 1
    assert gateway.metric("lastword_memory_bytes", kind="journal") > 0
    viewer.cut()
    viewer.resume()
    up.done().end()
    viewer.expect_last_word("finished")
    second = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("a").cut()
    second.expect("a", id=1)
    second.expect_last_word("cut")
    assert gateway.metric("lastword_streams_started_total", route="/text") == 2
    assert gateway.metric("lastword_streams_ended_total", route="/text", end="complete", cause="finished") == 1
    assert gateway.metric("lastword_streams_ended_total", route="/text", end="failed", cause="cut") == 1
    assert gateway.metric("lastword_streams_live") == 0
    assert gateway.metric("lastword_streams_kept") == 2
    assert gateway.metric("lastword_events_total") == 2
    assert gateway.metric("lastword_event_bytes_total") == 6
    assert gateway.metric("lastword_resumes_total", result="live") == 1
    assert gateway.metric("lastword_attached_total", by="id") == 1
    assert gateway.metric("lastword_first_event_seconds_count") == 2
    assert gateway.metric("lastword_added_latency_seconds_count") >= 2
    families = {name.partition("{")[0] for name in gateway.metrics()}
    assert {"lastword_events_unwatched_total", "lastword_build_info", "lastword_piped_total"} <= families


def test_events_that_nobody_watched_are_counted(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate", "grace: never"))
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("watched")
    viewer.expect("watched", id=1)
    viewer.cut()
    wait_until(lambda: gateway.metric("lastword_viewers") == 0, "the viewer to be gone")
    up.tokens("alone", "still alone").done().end()
    wait_until(lambda: state(gateway, viewer.id)["state"] == "ended", "the end")
    assert gateway.metric("lastword_events_unwatched_total") == 2


def test_E20_the_admin_listener_tells_health(house):
    assert house.gateway.ask_admin("/healthz").status == 200
    assert house.gateway.ask_admin("/readyz").status == 200


def test_F13_the_admin_pages_are_not_public(house):
    for target in ("/metrics", "/healthz", "/readyz"):
        house.viewer().ask(target).expect_error(404)


def test_F10_neither_prompt_nor_answer_nor_a_whole_id_is_logged(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    viewer = gateway.viewer().watch("/text?prompt=canaryprompt")
    up.expect_request()
    up.head().event("canaryanswer").cut()
    viewer.expect("canaryanswer", id=1)
    viewer.expect_last_word("cut")
    metrics = gateway.ask_admin("/metrics").body.decode()
    gateway.stop()
    for text in (gateway.stderr, metrics):
        assert "canary" not in text
        assert viewer.id not in text
    assert any(line.get("cause") == "cut" for line in gateway.logged()), gateway.stderr
