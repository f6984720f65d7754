"""The memory budget: kept streams give way first, then what all viewers have taken of live ones, then new work is refused,
then the largest live stream is ended."""

import json

import pytest
from conftest import route
from judge import CLEAN
from test_passthrough import CHAT, DONE, JSON, STOP, body_of, chunk, wait_body, wait_end
from upstream import Upstream, wait_until

PIECE = "x" * 60_000
MANY = 40            # such pieces are more than twice the memory
LUMP = "y" * 200_000  # a viewer that does not read is still at it when everyone else has it
TEXT, OTHER = "/text?prompt=hi", {"prompt": "hi", "route": "/other"}
STATE = {"Accept": "application/json"}
workers = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def small(gateway_with, up):
    return gateway_with("memory: 1MiB\nkeep: 5min", route("/text", up.url + "/generate", "grace: never"))


@pytest.fixture
def other():
    """Behind the route of new work."""
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def tiny(gateway_with, up, other):
    """With so many workers."""
    def start(number):
        return gateway_with("memory: 1MiB\nkeep: 5min", route("/text", up.url + "/generate", "grace: never"),
                            route("/other", other.url + "/generate", "grace: never"),
                            route("/v1/*", up.url, "attach_retries: true, grace: never"), args=("--workers", str(number)))
    return start


def journal_bytes(gateway):
    return gateway.metrics()['lastword_memory_bytes{kind="journal"}']


def state_of(gateway, viewer):
    return json.loads(gateway.ask(f"/streams/{viewer.id}", headers=STATE).body)


def stay_behind(gateway, viewer):
    """A second viewer of that stream, which takes nothing for now."""
    return gateway.viewer().connect(buffer=4096).ask(f"/streams/{viewer.id}").expect_stream()


def begin(gateway, up):
    viewer = gateway.viewer().watch(TEXT)
    up.expect_request()
    up.head()
    return viewer


def feed(up, viewer, numbers, piece=PIECE):
    for n in numbers:
        up.event(piece)
        viewer.expect(piece, id=n)


def begin_chat(gateway, up):
    """A client of a passthrough route that has read more frames than there is memory for; its stream's id, and all frames."""
    client = gateway.viewer().ask("/v1/chat/completions", method="POST", body=CHAT, headers=JSON)
    up.expect_request()
    up.head()
    frames = ""
    for _ in range(MANY):
        up.send(chunk(PIECE))
        frames += chunk(PIECE)
        wait_body(client, frames)
    return client, client.response.header("Lastword-Stream"), frames


def start_other(gateway, other):
    """New work, which is taken."""
    made = gateway.ask("/streams", method="POST", body=OTHER)
    assert made.status == 201
    other.expect_request()
    return json.loads(made.body)["id"]


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


@workers
def test_what_all_viewers_have_taken_gives_way_and_new_work_is_taken(tiny, up, other, workers):
    gateway = tiny(workers)
    viewer = begin(gateway, up)
    for n in range(1, MANY + 1):
        feed(up, viewer, [n])
        if n % 10 == 0:
            start_other(gateway, other)
    assert journal_bytes(gateway) <= 1 << 20
    state = state_of(gateway, viewer)
    assert (state["state"], state["events"], state["bytes"]) == ("live", MANY, MANY * len(PIECE))
    up.done().end()
    viewer.expect_last_word("finished", events=MANY, bytes=MANY * len(PIECE))
    assert gateway.metric("lastword_streams_ended_total", cause="overloaded") == 0


@workers
def test_a_place_before_what_was_given_up_is_forgotten_and_starts_nothing(tiny, up, workers):
    gateway = tiny(workers)
    viewer = begin(gateway, up)
    feed(up, viewer, range(1, MANY + 1))
    for place in (0, 1, MANY // 2):
        for target in (TEXT, f"/streams/{viewer.id}"):
            late = gateway.viewer().watch(target, headers={"Last-Event-ID": f"{viewer.id}.{place}"})
            assert late.reader.blocks[0].id == f"{viewer.id}.{place}"
            late.expect_last_word("forgotten")
            assert not late.response.header("Lastword-Stream")
    gateway.viewer().watch(f"/streams/{viewer.id}", headers={"Accept": "text/event-stream"}).expect_last_word("forgotten")
    assert b"forgotten" in gateway.viewer().ask(f"/streams/{viewer.id}").expect_error(404).body
    back = gateway.viewer().watch(TEXT, headers={"Last-Event-ID": f"{viewer.id}.{MANY - 1}"})
    back.before = [PIECE] * (MANY - 1)
    back.expect(PIECE, id=MANY)
    assert gateway.metric("lastword_resumes_total", result="forgotten") == 7
    assert up.requests == 1
    up.done().end()
    back.expect_last_word("finished", events=MANY)
    viewer.expect_last_word("finished", events=MANY)
    kept = gateway.viewer().watch(TEXT, headers={"Last-Event-ID": f"{viewer.id}.1"})
    kept.expect_last_word("forgotten")


@workers
def test_a_key_of_what_was_given_up_is_forgotten_and_starts_nothing(tiny, up, workers):
    gateway = tiny(workers)
    key = {"Idempotency-Key": "k"}
    viewer = gateway.viewer().watch(TEXT, headers=key)
    up.expect_request()
    up.head()
    feed(up, viewer, range(1, MANY + 1))
    late = gateway.viewer().watch(TEXT, headers=key)
    assert late.reader.blocks[0].id == f"{viewer.id}.0"
    late.expect_last_word("forgotten")
    made = gateway.ask("/streams", method="POST", body={"prompt": "hi", "route": "/text"}, headers=key)
    assert (made.status, json.loads(made.body)["id"]) == (200, viewer.id)
    assert up.requests == 1


@workers
def test_a_viewer_that_stays_behind_keeps_what_it_has_not_taken(tiny, up, other, workers):
    gateway = tiny(workers)
    viewer = begin(gateway, up)
    slow = stay_behind(gateway, viewer)
    feed(up, viewer, [1], LUMP)
    feed(up, viewer, range(2, 15))
    feed(up, viewer, [15])   # over 95 %
    assert gateway.ask("/streams", method="POST", body=OTHER).status == 503
    slow.expect(LUMP, id=1)
    for n in range(2, 16):
        slow.expect(PIECE, id=n)
    wait_until(lambda: gateway.ask("/streams", method="POST", body=OTHER).status == 201, "new work to be taken")
    for n in range(16, MANY + 1):
        feed(up, viewer, [n])
        slow.expect(PIECE, id=n)
    up.done().end()
    slow.expect_last_word("finished", events=MANY)
    viewer.expect_last_word("finished", events=MANY)


@workers
def test_a_stream_that_everyone_has_left_gives_its_beginning_and_goes_on(tiny, up, workers):
    gateway = tiny(workers)
    viewer = begin(gateway, up)
    feed(up, viewer, [1])
    viewer.cut()
    wait_until(lambda: gateway.metric("lastword_viewers") == 0, "the viewer to be gone")
    for n in range(2, MANY + 1):
        up.event(PIECE)
        wait_until(lambda: state_of(gateway, viewer)["events"] == n, f"event {n} in the journal")
    assert state_of(gateway, viewer)["state"] == "live"
    late = gateway.viewer().watch(TEXT, headers={"Last-Event-ID": f"{viewer.id}.1"})
    late.expect_last_word("forgotten")
    up.done().end()
    back = gateway.viewer().ask(TEXT, headers={"Last-Event-ID": f"{viewer.id}.{MANY - 1}"})
    back.before = [PIECE] * (MANY - 1)
    back.expect_end("finished", events=MANY)


def test_what_is_read_gives_way_before_what_everyone_has_left(tiny, up):
    gateway = tiny(1)
    left = begin(gateway, up)
    feed(up, left, range(1, 9))
    left.cut()
    wait_until(lambda: gateway.metric("lastword_viewers") == 0, "the viewer to be gone")
    viewer = begin(gateway, up)
    feed(up, viewer, range(1, MANY + 1))
    back = gateway.viewer().watch(TEXT, headers={"Last-Event-ID": f"{left.id}.0"})
    for n in range(1, 9):
        back.expect(PIECE, id=n)


def test_a_stream_that_nobody_has_read_yet_keeps_its_beginning(tiny, up, other):
    gateway = tiny(1)
    unread = start_other(gateway, other)
    other.head()
    for n in range(1, 9):
        other.event(PIECE)
        wait_until(lambda: json.loads(gateway.ask(f"/streams/{unread}", headers=STATE).body)["events"] == n, f"event {n}")
    viewer = begin(gateway, up)
    feed(up, viewer, range(1, MANY + 1))
    first = gateway.viewer().watch(f"/streams/{unread}")
    for n in range(1, 9):
        first.expect(PIECE, id=n)


@workers
def test_frames_that_were_given_up_are_not_told(tiny, up, workers):
    gateway = tiny(workers)
    client, id, frames = begin_chat(gateway, up)
    assert b"forgotten" in gateway.viewer().ask(f"/streams/{id}?as=upstream").expect_error(404).body
    for place in ("0", str(MANY - 1)):   # a browser's form is read from the first frame on
        gateway.viewer().watch(f"/streams/{id}", headers={"Last-Event-ID": f"{id}.{place}"}).expect_last_word("forgotten")
    up.send(STOP + DONE).end()
    assert (wait_end(client).end, body_of(client)) == (CLEAN, frames + STOP + DONE)


@workers
def test_a_retry_of_what_was_given_up_is_asked_anew(tiny, up, workers):
    gateway = tiny(workers)
    begin_chat(gateway, up)[0].cut()
    again = gateway.viewer().ask("/v1/chat/completions", method="POST", body=CHAT,
                                 headers=JSON | {"X-Stainless-Retry-Count": "1"})
    up.expect_request()
    up.head().send(chunk("b") + STOP + DONE).end()
    assert (wait_end(again).end, body_of(again)) == (CLEAN, chunk("b") + STOP + DONE)
    assert up.requests == 2


def test_E8_the_largest_live_stream_fails_overloaded_and_the_others_go_on(small, up):
    little, large = small.viewer(), small.viewer()
    little.watch("/text?prompt=little")
    up.expect_request()
    up.head().event("a")
    little.expect(id=1, data="a")
    large.watch("/text?prompt=large")
    up.expect_request()
    up.head()
    slow = stay_behind(small, large)
    feed(up, large, [1], LUMP)
    feed(up, large, range(2, 16))  # the next one does not fit into 1 MiB
    up.event(PIECE)
    large.expect(PIECE, id=16)
    large.expect_last_word("overloaded")
    slow.expect_end("overloaded")  # and nothing is missing before it
    assert state_of(small, little)["state"] == "live"
    assert journal_bytes(small) <= 1 << 20


def test_E8_new_work_is_refused_while_memory_is_tight(small, up):
    large = begin(small, up)
    slow = stay_behind(small, large)
    feed(up, large, [1], LUMP)
    feed(up, large, range(2, 16))  # over 95 %
    refused = small.ask("/streams", method="POST", body={"prompt": "hi"})
    assert refused.status == 503 and refused.header("Retry-After")
    browser = small.ask("/text?prompt=hi")
    assert browser.status == 200 and browser.body.startswith(b"retry: ") and b"event:" not in browser.body
    up.done().end()
    large.expect_last_word("finished")
    slow.expect_end("finished")
