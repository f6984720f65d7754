"""The memory budget: kept streams give way first, then new work is refused, then the largest live stream is ended."""

import json

import pytest
from conftest import route

PIECE = "x" * 60_000


@pytest.fixture
def small(gateway_with, up):
    return gateway_with("memory: 1MiB\nkeep: 5min", route("/text", up.url + "/generate", "grace: never"))


def journal_bytes(gateway):
    return gateway.metrics()['lastword_memory_bytes{kind="journal"}']


def test_E8_kept_streams_give_way_oldest_first(gateway_with, up):
    small = gateway_with("memory: 1MiB\nkeep: 5min", route("/text", up.url + "/generate", "grace: never"),
                         args=("--workers", "1"))  # several keep an order each
    viewers = []
    for _ in range(6):
        viewer = small.viewer()
        viewer.watch("/text?prompt=hi")
        up.expect_request()
        up.head()
        for _ in range(5):
            up.event(PIECE)
        up.done().end()
        for n in range(1, 6):
            viewer.expect(id=n, data=PIECE)
        viewer.expect_last_word("finished")
        viewers.append(viewer)
    assert journal_bytes(small) <= 1 << 20
    oldest, latest = small.viewer(), small.viewer()
    oldest.watch(f"/streams/{viewers[0].id}", headers={"Last-Event-ID": f"{viewers[0].id}.5"})
    oldest.expect_last_word("forgotten")
    latest.watch(f"/streams/{viewers[-1].id}")
    for n in range(1, 6):
        latest.expect(id=n, data=PIECE)
    latest.expect_last_word("finished")


def test_E8_the_largest_live_stream_fails_overloaded_and_the_others_go_on(small, up):
    large, little = small.viewer(), small.viewer()
    little.watch("/text?prompt=little")
    up.expect_request()
    up.head().event("a")
    little.expect(id=1, data="a")
    large.watch("/text?prompt=large")
    up.expect_request()
    up.head()
    for n in range(1, 19):  # the eighteenth does not fit into 1 MiB
        up.event(PIECE)
        large.expect(id=n, data=PIECE)
    large.expect_last_word("overloaded")
    state = json.loads(small.ask(f"/streams/{little.id}", headers={"Accept": "application/json"}).body)
    assert state["state"] == "live"
    assert journal_bytes(small) <= 1 << 20


def test_E8_new_work_is_refused_while_memory_is_tight(small, up):
    large = small.viewer()
    large.watch("/text?prompt=large")
    up.expect_request()
    up.head()
    for n in range(1, 18):  # over 95 %
        up.event(PIECE)
        large.expect(id=n, data=PIECE)
    refused = small.ask("/streams", method="POST", body={"prompt": "hi"})
    assert refused.status == 503 and refused.header("Retry-After")
    browser = small.ask("/text?prompt=hi")
    assert browser.status == 200 and browser.body.startswith(b"retry: ") and b"event:" not in browser.body
    up.done().end()
    large.expect_last_word("finished")
