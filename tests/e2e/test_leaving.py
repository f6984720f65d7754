"""Leaving is not stopping: the upstream is cancelled when nobody has watched for `grace` (300 ms here), not before."""

import socket

import pytest
from conftest import route
from upstream import wait_until

check = pytest.mark.check


def begin(house, path="/text", token="a"):
    up, viewer = house.at(path)
    viewer.ask(f"{path}?prompt=hi")
    up.expect_request()
    up.head().event(token)
    viewer.expect(token, id=1)
    return up, viewer


@check
@pytest.mark.parametrize("leave", ["cut", "reset"])
def test_A27_the_upstream_is_cancelled_when_the_last_viewer_has_left(house, leave):
    up, viewer = begin(house)
    getattr(viewer, leave)()
    up.expect_gone()
    late = house.viewer().watch(f"/streams/{viewer.id}")
    late.expect("a", id=1)
    late.expect_last_word("abandoned", side="viewer")


@check
def test_A27_leaving_before_the_first_token_reaches_the_upstream_too(house):
    up, viewer = house.at("/text")
    viewer.watch("/text?prompt=hi")
    up.expect_request()
    viewer.cut()
    up.expect_gone()


def test_A27_with_no_grace_the_upstream_is_cancelled_at_once(house):
    up, viewer = begin(house, "/at-once")
    viewer.cut()
    up.expect_gone()


@check
def test_a_viewer_that_comes_back_in_time_cancels_the_cancelling(house):
    up, viewer = begin(house, "/patient")
    viewer.cut()
    viewer.resume()
    up.event("b").done().end()
    viewer.expect("b", id=2)
    viewer.expect_last_word("finished", events=2)


def test_one_viewer_that_stays_keeps_the_upstream_running(house):
    up, viewer = begin(house)
    other = house.viewer().watch(f"/streams/{viewer.id}")
    other.expect("a", id=1)
    viewer.cut()
    # Far longer than grace, measured by the gateway's own clock: another stream is abandoned meanwhile.
    up2, passer_by = begin(house, "/sse-proxy")
    passer_by.cut()
    up2.expect_gone()
    up.event("b").done().end()
    other.expect("b", id=2)
    other.expect_last_word("finished", events=2)


def test_a_route_may_run_every_answer_to_its_end(house):
    up, viewer = begin(house, "/never")
    viewer.cut()
    up2, passer_by = begin(house, "/sse-proxy")
    passer_by.cut()
    up2.expect_gone()
    up.stall()
    up.event("b").done().end()
    late = house.viewer().watch(f"/streams/{viewer.id}")
    late.expect_tokens("a", "b")
    late.expect_last_word("finished", events=2)


def test_a_client_that_only_shuts_down_its_sending_side_is_tolerated_where_the_route_says_so(house):
    up, viewer = begin(house, "/tolerant")
    viewer.socket.shutdown(socket.SHUT_WR)
    up2, passer_by = begin(house, "/sse-proxy")
    passer_by.cut()
    up2.expect_gone()
    up.event("b").done().end()
    viewer.expect("b", id=2)
    viewer.expect_last_word("finished", events=2)


def test_everywhere_else_a_shut_down_sending_side_is_a_leave(house):
    up, viewer = begin(house)
    viewer.socket.shutdown(socket.SHUT_WR)
    up.expect_gone()


def test_C37_an_upstream_that_does_not_stop_is_cut_off(house):
    up, viewer = begin(house)
    viewer.cut()
    wait_until(lambda: up.event("and another thing").gone, "the connection to be closed")


@check
def test_stopping_is_said_to_every_viewer_and_to_the_upstream(house):
    up, viewer = begin(house)
    other = house.viewer().watch(f"/streams/{viewer.id}")
    other.expect("a", id=1)
    assert house.gateway.ask(f"/streams/{viewer.id}", method="DELETE").status == 204
    viewer.expect_last_word("stopped", end="stopped", proof=None, events=1)
    other.expect_last_word("stopped")
    assert viewer.reader.events[-1].name == "close"
    up.expect_gone()
    assert house.gateway.ask(f"/streams/{viewer.id}", method="DELETE").status == 204


def test_stopping_an_unknown_stream_is_404(house):
    house.viewer().ask("/streams/AAAAAAAAAAAAAAAAAAAAAA", method="DELETE").expect_error(404)


def test_a_stream_that_has_ended_cannot_be_stopped_any_more(house):
    up, viewer = begin(house)
    up.done().end()
    viewer.expect_last_word("finished")
    assert house.gateway.ask(f"/streams/{viewer.id}", method="DELETE").status == 204
    late = house.viewer().watch(f"/streams/{viewer.id}")
    late.expect("a", id=1)
    late.expect_last_word("finished", events=1)


def test_a_stream_that_nobody_comes_for_is_abandoned(gateway_with, up):
    gateway = gateway_with("first_viewer: 300ms", route("/text", up.url + "/generate"))
    made = gateway.ask("/streams", method="POST", body={"prompt": "hi"})
    assert made.status == 201
    up.expect_request()
    up.expect_gone()
    gateway.viewer().watch("/" + made.header("Location")).expect_last_word("abandoned")
