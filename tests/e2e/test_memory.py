"""The memory budget: kept streams give way first, then what all viewers have taken of live ones, then new work is refused,
then the largest live stream is ended. What waits for a viewer that does not read, and bodies that are gathered, count like
live streams."""

import json
from pathlib import Path

import pytest
from conftest import route
from gateway import binary
from judge import CLEAN
from test_passthrough import CHAT, DONE, JSON, STOP, body_of, chunk, wait_body, wait_end
from upstream import Closed, Deaf, Upstream, wait_until

PIECE = "x" * 60_000
MANY = 40            # such pieces are more than twice the memory
LUMP = "y" * 200_000  # a viewer that does not read is still at it when everyone else has it …
BEHIND = 256 << 10    # … and this much memory holds what waits for it
FULL = 60             # events of which LUMP is the first: with one such viewer they hold more than 95 % of 4 MiB, not 100 %
AHEAD = 15 << 10      # of an answer wait for the kernel before no further event is put
TEXT, OTHER = "/text?prompt=hi", {"prompt": "hi", "route": "/other"}
STATE = {"Accept": "application/json"}
workers = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def small(gateway_with, up):
    return gateway_with("memory: 4MiB\nkeep: 5min", route("/text", up.url + "/generate", "grace: never"))


@pytest.fixture
def other():
    """Behind the route of new work."""
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def tiny(gateway_with, up, other):
    """With so many workers."""
    def start(number, memory="1MiB", keep="5min"):
        return gateway_with(f"memory: {memory}\nkeep: {keep}", route("/text", up.url + "/generate", "grace: never"),
                            route("/other", other.url + "/generate", "grace: never"),
                            route("/chat", up.url + "/v1/chat/completions", "grace: never"),
                            route("/v1/*", up.url, "attach_retries: true, grace: never"), args=("--workers", str(number)))
    return start


def memory(gateway):
    """By kind."""
    found = gateway.metrics()
    return {kind: found[f'lastword_memory_bytes{{kind="{kind}"}}'] for kind in ("journal", "body", "output")}


def journal_bytes(gateway):
    return memory(gateway)["journal"]


def wait_memory(gateway, **kinds):
    wait_until(lambda: (now := memory(gateway)) | kinds == now, f"memory of {kinds}")


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
    gateway = tiny(workers, "4MiB")
    viewer = begin(gateway, up)
    slow = stay_behind(gateway, viewer)
    feed(up, viewer, [1], LUMP)
    feed(up, viewer, range(2, FULL + 1))
    assert gateway.ask("/streams", method="POST", body=OTHER).status == 503
    slow.expect(LUMP, id=1)
    for n in range(2, FULL + 1):
        slow.expect(PIECE, id=n)
    wait_until(lambda: gateway.ask("/streams", method="POST", body=OTHER).status == 201, "new work to be taken")
    for n in range(FULL + 1, FULL + MANY + 1):
        feed(up, viewer, [n])
        slow.expect(PIECE, id=n)
    up.done().end()
    slow.expect_last_word("finished", events=FULL + MANY)
    viewer.expect_last_word("finished", events=FULL + MANY)


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
    wait_until(lambda: journal_bytes(gateway) <= 1 << 20, "the other worker to look")  # or it ends above the limit, and goes
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
    feed(up, large, range(2, FULL + 1))
    assert memory(small)["output"] == BEHIND
    up.event(LUMP)  # which would fit if nothing waited for the slow one
    large.expect(LUMP, id=FULL + 1)
    large.expect_last_word("overloaded")
    slow.expect_end("overloaded")  # and nothing is missing before it
    assert state_of(small, little)["state"] == "live"
    wait_memory(small, output=0)
    assert sum(memory(small).values()) <= 4 << 20


def test_E8_new_work_is_refused_while_memory_is_tight(small, up):
    large = begin(small, up)
    slow = stay_behind(small, large)
    feed(up, large, [1], LUMP)
    feed(up, large, range(2, FULL + 1))
    refused = small.ask("/streams", method="POST", body={"prompt": "hi"})
    assert refused.status == 503 and refused.header("Retry-After")
    browser = small.ask("/text?prompt=hi")
    assert browser.status == 200 and browser.body.startswith(b"retry: ") and b"event:" not in browser.body
    up.done().end()
    large.expect_last_word("finished")
    slow.expect_end("finished")


# What waits for a viewer.


def expect_nothing(gateway):
    """Everything has ended and nothing is kept."""
    wait_memory(gateway, journal=0, body=0, output=0)


@workers
def test_what_waits_for_a_viewer_counts_until_it_has_read_it(tiny, up, workers):
    gateway = tiny(workers, "8MiB", keep="0")
    viewer = begin(gateway, up)
    slow = stay_behind(gateway, viewer)
    feed(up, viewer, range(1, MANY + 1))
    waits = wait_until(lambda: memory(gateway)["output"], "something to wait for the slow one")
    assert AHEAD <= waits <= 4 * (AHEAD + len(PIECE)), "an event more than it may be, in two buffers that have doubled"
    wait_until(lambda: json.loads(gateway.ask_admin("/streams").body)["memory"]["output"] == memory(gateway)["output"],
               "the operator to be told the same")
    for n in range(1, MANY + 1):
        slow.expect(PIECE, id=n)
    wait_memory(gateway, output=0)
    up.done().end()
    viewer.expect_last_word("finished")
    slow.expect_last_word("finished")
    expect_nothing(gateway)


@workers
@pytest.mark.parametrize("leave", ["cut", "reset"])
def test_what_waits_for_a_viewer_goes_with_it(tiny, up, workers, leave):
    gateway = tiny(workers, "8MiB", keep="0")
    viewer = begin(gateway, up)
    slow = [stay_behind(gateway, viewer) for _ in range(8)]
    feed(up, viewer, [1], LUMP)
    wait_memory(gateway, output=8 * BEHIND)
    for n, it in enumerate(slow, 1):
        getattr(it, leave)()
        wait_memory(gateway, output=(8 - n) * BEHIND)
    up.done().end()
    viewer.expect_last_word("finished")
    expect_nothing(gateway)


@workers
def test_a_late_viewer_of_a_kept_stream_counts_too(tiny, up, workers):
    gateway = tiny(workers, "8MiB")
    viewer = begin(gateway, up)
    feed(up, viewer, [1], LUMP)
    up.done().end()
    viewer.expect_last_word("finished")
    late = stay_behind(gateway, viewer)
    wait_memory(gateway, output=BEHIND)
    late.expect_end("finished")
    wait_memory(gateway, output=0, body=0)
    assert journal_bytes(gateway) > len(LUMP)


def test_what_is_piped_counts_while_it_waits(tiny, up):
    gateway = tiny(1, keep="0")
    client = gateway.viewer().connect(buffer=4096).ask("/v1/files")
    up.expect_request()
    up.head("length", type="application/octet-stream", length=1 << 20).raw(b"z" * (1 << 20)).end()
    wait_until(lambda: memory(gateway)["output"] >= AHEAD, "something to wait for the client")
    assert memory(gateway)["output"] <= 4 * (AHEAD + (64 << 10)), "a read more than it may be"
    assert len(wait_end(client).body) == 1 << 20
    expect_nothing(gateway)


def test_what_waits_for_a_connection_to_an_upstream_counts(gateway_with):
    deaf = Deaf()
    gateway = gateway_with("", route("/v1/*", deaf.url, "connect: 5min, grace: 0"))
    client = gateway.viewer().ask("/v1/files", method="POST", body=b"z" * 50_000)
    wait_until(lambda: memory(gateway)["output"] >= 50_000, "the request to wait")
    client.cut()
    expect_nothing(gateway)
    deaf.close()


@workers
def test_E8_new_work_is_refused_while_what_waits_for_viewers_fills_the_memory(tiny, up, other, workers):
    gateway = tiny(workers, "4MiB")
    viewer = begin(gateway, up)
    slow = [stay_behind(gateway, viewer) for _ in range(12)]
    feed(up, viewer, [1], LUMP)
    wait_memory(gateway, output=12 * BEHIND)
    start_other(gateway, other)
    feed(up, viewer, range(2, 13))  # not a quarter of the memory, but with what waits over 95 %
    assert journal_bytes(gateway) < 1 << 20
    assert gateway.ask("/streams", method="POST", body=OTHER).status == 503
    refused = gateway.ask(TEXT)
    assert refused.status == 200 and refused.body.startswith(b"retry: ") and b"event:" not in refused.body
    assert json.loads(gateway.ask_admin("/streams").body)["full"]
    slow.pop().cut()
    wait_until(lambda: gateway.ask("/streams", method="POST", body=OTHER).status == 201, "new work to be taken")
    up.done().end()
    for it in [viewer, *slow]:
        it.expect_end("finished", events=12)
    assert gateway.metric("lastword_streams_ended_total", cause="overloaded") == 0


@workers
def test_E8_kept_streams_give_way_to_what_waits(tiny, up, workers):
    gateway = tiny(workers, "2MiB")
    kept = []
    for _ in range(6):  # nothing is written after them
        kept.append(begin(gateway, up))
        feed(up, kept[-1], [1], LUMP)
        feed(up, kept[-1], [2])
        up.done().end()
        kept[-1].expect_last_word("finished")
    assert journal_bytes(gateway) > 1_500_000
    slow = [stay_behind(gateway, kept[-1]) for _ in range(4)]
    wait_memory(gateway, output=4 * BEHIND)
    wait_until(lambda: sum(memory(gateway).values()) <= 2 << 20, "kept streams to give way")
    assert journal_bytes(gateway) > 0
    for it in slow:
        it.expect_end("finished", events=2)


def resident(gateway):
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * 4096


@workers
def test_a_thousand_viewers_that_take_nothing(tiny, up, workers):
    gateway = tiny(workers, "256MiB", keep="0")
    viewer = begin(gateway, up)
    feed(up, viewer, range(1, 201), "x" * 1000)
    before = resident(gateway)
    crowd = [stay_behind(gateway, viewer) for _ in range(1000)]
    wait_until(lambda: memory(gateway)["output"] >= 1000 * AHEAD // 2, "all to be behind")
    grown = resident(gateway) - before
    assert memory(gateway)["output"] <= 1000 * 2 * (AHEAD + 2000)
    if binary().parent.name == "build":  # a sanitizer needs memory of its own
        assert grown <= memory(gateway)["output"] + 1000 * (16 << 10), "what the budget does not know of, for each connection"
    feed(up, viewer, range(201, 211), "x" * 1000)
    for it in crowd:
        it.cut()
    wait_memory(gateway, output=0)
    up.done().end()
    viewer.expect_last_word("finished", events=210)
    expect_nothing(gateway)


# Bodies.


def body_of_a_question(length=500_000):
    return json.dumps({"messages": [{"role": "user", "content": "z" * length}]}).encode()


LATE = body_of_a_question(350_000)  # what is left of it when it is refused is read and thrown away, so that the answer arrives


def begin_body(gateway, body, half, target="/chat", framing=None, **headers):
    """A client whose request has not come whole."""
    client = gateway.viewer()
    framing = framing or f"Content-Length: {len(body)}"
    lines = [f"POST {target} HTTP/1.1", "Host: %s:%d" % gateway.address, "Content-Type: application/json", framing,
             *(f"{name}: {value}" for name, value in headers.items())]
    client.target = target
    client.begin("POST").send("\r\n".join([*lines, "", ""]).encode() + half)
    return client


@workers
def test_a_body_on_its_way_counts_until_its_answer_begins(tiny, up, workers):
    gateway, body = tiny(workers, "8MiB", keep="0"), body_of_a_question()
    client = begin_body(gateway, body, body[:300_000])
    wait_memory(gateway, body=300_000)
    client.send(body[300_000:]).expect_stream()
    assert up.expect_request().json["messages"] == json.loads(body)["messages"]
    wait_memory(gateway, body=0)
    up.head().chunk("a")
    client.expect("a")
    up.chunk(finish="stop").done().end()
    client.expect_last_word("finished")
    expect_nothing(gateway)


def test_a_body_that_makes_a_stream_counts_until_it_is_answered(tiny, up):
    gateway = tiny(1, "8MiB", keep="0")
    body = json.dumps({"prompt": "z" * 50_000, "route": "/chat"}).encode()
    client = begin_body(gateway, body, body[:40_000], "/streams")
    wait_memory(gateway, body=40_000)
    client.send(body[40_000:]).expect_status(201)
    up.expect_request()
    wait_memory(gateway, body=0)


@pytest.mark.parametrize("leave", ["cut", "reset"])
def test_a_body_goes_with_who_sends_it(tiny, leave):
    gateway, body = tiny(2), body_of_a_question()
    client = begin_body(gateway, body, body[:-1])
    wait_memory(gateway, body=len(body) - 1)
    getattr(client, leave)()
    expect_nothing(gateway)


def test_a_body_that_is_broken_or_too_long_goes(tiny):
    gateway = tiny(1, "8MiB")
    chunk = b"186a0\r\n" + b"z" * 100_000 + b"\r\n"
    for end, status in (b"nonsense\r\n", 400), (chunk * 10, 413):
        client = begin_body(gateway, None, chunk, framing="Transfer-Encoding: chunked")
        wait_memory(gateway, body=100_000)
        client.send(end).expect_error(status)
        expect_nothing(gateway)
        client.cut()


def test_a_retry_that_is_gathered_counts(tiny, up):
    gateway = tiny(2, "8MiB", keep="0")
    body = json.dumps({"stream": True, "model": "m", "messages": [{"role": "user", "content": "z" * 500_000}]}).encode()
    client = begin_body(gateway, body, body[:300_000], "/v1/chat/completions", **{"X-Stainless-Retry-Count": "1"})
    wait_memory(gateway, body=300_000)
    client.send(body[300_000:])
    assert up.expect_request().body == body
    up.head().send(chunk("b"))
    wait_body(client, chunk("b"))
    wait_memory(gateway, body=0)
    up.send(STOP + DONE).end()
    wait_end(client)
    expect_nothing(gateway)


@workers
def test_bodies_get_half_of_the_memory_and_cost_nobody_a_stream(tiny, up, other, workers):
    gateway, body = tiny(workers, keep="0"), body_of_a_question()
    viewer = begin(gateway, up)
    slow = begin_body(gateway, body, body[:300_000])
    wait_memory(gateway, body=300_000)
    for target in "/chat", "/streams":
        late = begin_body(gateway, LATE, LATE, target)
        assert late.expect_error(503).header("Retry-After") and json.loads(late.response.body)["error"]["code"] == "overloaded"
    start_other(gateway, other)  # a small one
    wait_memory(gateway, body=300_000)
    slow.send(body[300_000:-1])
    wait_memory(gateway, body=len(body) - 1)
    feed(up, viewer, range(1, MANY + 1))
    slow.cut()
    up.done().end()
    viewer.expect_last_word("finished", events=MANY)
    assert gateway.metric("lastword_streams_ended_total", cause="overloaded") == 0


@workers
def test_a_body_that_must_wait_for_its_end_is_refused_in_the_dialect(gateway_with, up, workers):
    gateway = gateway_with("memory: 1MiB", route("/v1/*", up.url, "request: {model: m}"), args=("--workers", str(workers)))
    body = body_of_a_question()
    slow = begin_body(gateway, body, body[:400_000], "/v1/chat/completions")
    wait_memory(gateway, body=400_000)
    late = begin_body(gateway, LATE, LATE, "/v1/chat/completions").expect_error(503)
    assert late.header("Retry-After")
    slow.send(body[400_000:])
    assert up.expect_request().json["model"] == "m"


def test_a_body_that_cannot_be_kept_goes_up_and_is_not_asked_again(gateway_with, up):
    down = Closed()
    gateway = gateway_with("memory: 1MiB", f"  - {{ path: /v1/*, upstream: ['{up.url}', '{down.url}'], retry_on: [500], grace: 0 }}",
                           route("/chat", down.url + "/v1/chat/completions"))
    body = body_of_a_question()
    slow = begin_body(gateway, body, body[:300_000])
    wait_memory(gateway, body=300_000)
    client = begin_body(gateway, body, body, "/v1/files")
    wait_memory(gateway, body=300_000)
    up.expect_request()
    up.head("length", status=500, type="application/json", length=2).raw(b"{}").end()
    assert wait_end(client).status == 500
    slow.cut()
    down.close()
