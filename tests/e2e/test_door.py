"""Who is at the door is let in before a stream is given up for want of viewers: `grace` and `first_viewer` are judged only when
every worker has accepted the connections that waited, and has read their requests."""

import json
import signal
import time

import pytest
from conftest import route
from judge import CLEAN
from upstream import wait_until

MANY = 200  # more than are accepted in one turn
check = pytest.mark.check
workers = pytest.mark.parametrize("workers", [1, 2, 3])


def begin(gateway, up):
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("a")
    viewer.expect("a", id=1)
    return viewer


def come_back(viewer):
    """Asks, and does not wait for an answer."""
    place, viewer.before = viewer.place, ["a"]
    viewer.cut()
    viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": place})


def expect_all_alive(up, viewers, *tokens):
    for exchange in up.exchanges:
        exchange.event("b").done().end()
    for viewer in viewers:
        viewer.expect_tokens(*tokens)
        viewer.expect_last_word("finished", events=2)


@check
@workers
def test_E10_who_comes_back_during_a_pause_finds_its_stream(gateway_with, up, workers):
    gateway = gateway_with("", route("/text", up.url + "/generate", "grace: 0"), args=("--workers", str(workers)))
    viewers = [begin(gateway, up) for _ in range(MANY)]
    gateway.pause()
    for viewer in viewers:
        come_back(viewer)
    gateway.signal(signal.SIGCONT)
    expect_all_alive(up, viewers, "b")


def leave(gateway, viewers):
    for viewer in viewers:
        viewer.cut()
    wait_until(lambda: gateway.metric("lastword_viewers") == 0, "the gateway to notice")


class Pages:
    """They read, and leave."""
    options, route_options = "", "grace: {}s"

    def __init__(self, gateway, up):
        self.viewers = [begin(gateway, up) for _ in range(MANY)]
        self.left = time.monotonic()
        leave(gateway, self.viewers)

    def come(self):
        for viewer in self.viewers:
            come_back(viewer)

    def expect_all(self, up):
        expect_all_alive(up, self.viewers, "b")


class Promised:
    """Streams that were made, for which nobody has come yet."""
    options, route_options = "first_viewer: {}s", "grace: 5min"

    def __init__(self, gateway, up):
        self.left, self.viewers, self.urls = time.monotonic(), [gateway.viewer() for _ in range(MANY)], []
        for _ in self.viewers:
            self.urls.append(json.loads(gateway.ask("/streams", method="POST", body={"prompt": "hi", "route": "/text"}).body)["url"])
            up.expect_request()
            up.head().event("a")

    def come(self):
        for viewer, url in zip(self.viewers, self.urls):
            viewer.ask("/" + url)

    def expect_all(self, up):
        expect_all_alive(up, self.viewers, "a", "b")


class Clients:
    """Their libraries repeat what broke. Nobody knows which worker has it, so all are asked, one after the other."""
    options, route_options = "", "grace: {}s"

    def __init__(self, gateway, up):
        self.viewers = [gateway.viewer() for _ in range(MANY)]
        for n, client in enumerate(self.viewers):
            self.ask(n, client)
            up.expect_request()
            up.head().chunk("a")
            client.wait(lambda: client.response.body, "the first frame")
        self.left = time.monotonic()
        leave(gateway, self.viewers)

    def ask(self, n, client, **headers):
        body = {"stream": True, "messages": [{"role": "user", "content": str(n)}]}
        client.ask("/v1/chat/completions", method="POST", body=body, headers={"Authorization": "Bearer a", **headers})

    def come(self):
        for n, client in enumerate(self.viewers):
            self.ask(n, client, **{"X-Stainless-Retry-Count": "1"})

    def expect_all(self, up):
        for exchange in up.exchanges:
            exchange.chunk("b").chunk(finish="stop").done().end()
        for client in self.viewers:
            client.wait(lambda: client.response.end, "the end")
            assert client.response.end == CLEAN and b"[DONE]" in client.response.body, client.story()
        assert up.requests == MANY


@workers
@pytest.mark.parametrize("crowd", [Pages, Promised, Clients])
def test_E10_who_came_before_the_time_was_over_finds_its_stream_after_a_pause(gateway_with, up, workers, crowd):
    for seconds in (1, 5, 25):  # longer for a machine that is too busy to pause it in time
        of_route = crowd.route_options.format(seconds)
        gateway = gateway_with(crowd.options.format(seconds), route("/text", up.url + "/generate", of_route),
                               route("/v1/*", up.url, f"attach_retries: true, auth: client, {of_route}"),
                               args=("--workers", str(workers)))
        there = crowd(gateway, up)
        gateway.pause()
        if time.monotonic() < there.left + seconds:
            break
        gateway.kill()
        up.forget()
    there.come()
    paused = time.monotonic()
    wait_until(lambda: time.monotonic() > paused + seconds, "the time to be over", within=seconds + 10)
    gateway.signal(signal.SIGCONT)
    there.expect_all(up)


@workers
def test_half_a_request_at_the_door_keeps_nothing_alive(gateway_with, up, workers):
    gateway = gateway_with("", route("/text", up.url + "/generate"), args=("--workers", str(workers)))
    viewer = begin(gateway, up)
    for _ in range(20):
        gateway.viewer().connect().begin().send(f"GET /streams/{viewer.id} HTTP/1.1\r\nHost: loc".encode())
    viewer.cut()
    up.expect_gone()


@workers
def test_where_nobody_can_be_let_in_a_stream_is_given_up_all_the_same(gateway_with, up, workers):
    gateway = gateway_with("limits: {connections: 2}", route("/text", up.url + "/generate"), args=("--workers", str(workers)))
    viewer = begin(gateway, up)
    waiting = [gateway.viewer().connect().begin() for _ in range(10)]
    viewer.cut()
    up.expect_gone()
    assert len(waiting) == 10  # they are there until here


@workers
def test_those_who_are_missed_at_different_times_are_given_up_each(gateway_with, up, workers):
    gateway = gateway_with("", route("/text", up.url + "/generate"), args=("--workers", str(workers)))
    viewers = [begin(gateway, up) for _ in range(MANY)]
    for viewer in viewers:
        viewer.cut()
    for exchange in up.exchanges:
        exchange.expect_gone()
    assert gateway.metric("lastword_streams_ended_total", cause="abandoned") == MANY


@check
@workers
def test_E1_who_comes_back_while_the_last_stream_of_a_drain_ends_reads_its_last_word(gateway_with, up, workers):
    gateway = gateway_with("drain: 10min", route("/text", up.url + "/generate", "grace: 5min"), args=("--workers", str(workers)))
    viewers = [begin(gateway, up)] + [gateway.viewer() for _ in range(MANY)]
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: gateway.ask_admin("/readyz").status == 503, "readiness to be withdrawn")
    viewers[0].cut()
    wait_until(lambda: gateway.metric("lastword_viewers") == 0, "the gateway to notice")
    gateway.pause()
    up.event("b").done().end()
    place = viewers[0].place
    for viewer in viewers:
        viewer.before = ["a"]
        viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": place})
    gateway.signal(signal.SIGCONT)
    for viewer in viewers:
        viewer.expect_tokens("b")
        viewer.expect_last_word("finished", events=2)
    assert gateway.wait() == 0
