"""Several workers are one gateway: whichever of them a connection comes to, it reads, stops and counts the same
streams.

The kernel decides on which worker a connection lands, and nothing tells. But a stream that is started without a key is
at home where its connection landed, and its id names that home. So a connection that is to be on a given worker starts
a stream nobody wants, on a route of its own, and looks.
"""

import json
import select
import signal
import threading

import pytest
from conftest import route
from judge import CLEAN
from upstream import Upstream, wait_until

WORKERS = 2
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
QUESTION = {"messages": [{"role": "user", "content": "hi"}]}
check = pytest.mark.check


def home_of(id):
    return (DIGITS.index(id[20]) & 3) << 6 | DIGITS.index(id[21])


class Crew:
    """A gateway with several workers, and connections to each of them."""

    def __init__(self, gateway, scout, workers):
        self.gateway, self.scout, self.workers = gateway, scout, workers
        self.viewers = []

    def on(self, worker):
        """A viewer whose connection is that worker's."""
        for _ in range(200):
            viewer = self.gateway.viewer()
            id = self.make(viewer, route="/scout", prompt="where")
            viewer.ask(f"/streams/{id}", method="DELETE").expect_status(204)
            viewer.wait(lambda: viewer.response.end == CLEAN, "the end of the answer")
            if home_of(id) == worker:
                self.viewers.append(viewer)
                return viewer
            viewer.cut()
        raise AssertionError(f"the kernel gave worker {worker} none of 200 connections")

    def make(self, viewer, **body):
        """POST /streams by that viewer's connection."""
        viewer.ask("/streams", method="POST", body=body).expect_status(201)
        viewer.wait(lambda: viewer.response.end == CLEAN, "the end of the answer")
        return json.loads(viewer.response.body)["id"]

    def back(self, viewer, first, *before):
        """Comes back as that viewer, or another one, to which these tokens are known."""
        viewer.before = list(before)
        return viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": f"{first.id}.{len(before)}"})

    def begin(self, up, worker=0, path="/text"):
        """A stream at home there, with one event, and its first viewer."""
        viewer = self.on(worker).watch(f"{path}?prompt=hi")
        up.expect_request()
        up.head().event("a")
        viewer.expect("a", id=1)
        assert home_of(viewer.id) == worker
        return viewer

    def state(self, viewer):
        return json.loads(self.gateway.ask(f"/streams/{viewer.id}", headers={"Accept": "application/json"}).body)

    def count(self, family, **labels):
        return self.gateway.metric(f"lastword_{family}", **labels)


@pytest.fixture
def crew_with(gateway_with, up):
    scout = Upstream()

    def start(options="", of_route="", workers=WORKERS):
        routes = [route("/text", up.url + "/generate", of_route), route("/scout", scout.url + "/generate"),
                  route("/v1/*", up.url + "/v1")]
        return Crew(gateway_with(options, *routes, args=("--workers", str(workers))), scout, workers)

    yield start
    scout.close()


@check
def test_D10_viewers_on_every_worker_read_the_same(crew_with, up):
    crew = crew_with(workers=3)
    first = crew.begin(up)
    others = [crew.on(worker).watch(f"/streams/{first.id}") for worker in (0, 1, 2, 1, 2)]
    up.tokens("b", " c", "\n").done().end()
    for viewer in [first, *others]:
        viewer.expect_end("finished", events=4)
        assert viewer.response.body.split(b"\n\n", 1)[1] == first.response.body.split(b"\n\n", 1)[1]
    assert up.requests == 1
    assert crew.count("joined_foreign_total") == 4


@check
def test_frames_are_read_on_every_worker_in_both_forms(crew_with, up):
    crew = crew_with()
    client = crew.on(0)
    client.ask("/v1/chat/completions", method="POST", body={"stream": True, **QUESTION})
    up.expect_request()
    up.head().chunk("a")
    client.wait(lambda: client.response.header("Lastword-Stream"), "the head")
    id = client.response.header("Lastword-Stream")
    page, frames = crew.on(1).watch(f"/streams/{id}"), crew.on(1).ask(f"/streams/{id}?as=upstream")
    page.expect("a", id=1)
    up.chunk(" b").chunk(finish="stop").done().end()
    page.expect(" b", id=2)
    page.expect_last_word("finished", proof="marker", events=2)
    for viewer in (client, frames):
        viewer.wait(lambda: viewer.response.end == CLEAN, "the end")
    assert frames.response.body == client.response.body != b""
    crew.on(1).ask(f"/streams/{id}?as=text").expect_error(400)
    late = crew.on(1).ask("/text?prompt=hi", headers={"Last-Event-ID": f"{id}.1"})
    late.before = ["a"]
    late.expect(" b", id=2)
    late.expect_last_word("finished")
    browsers = crew.begin(up)
    crew.on(1).ask(f"/streams/{browsers.id}?as=upstream").expect_error(406)


@check
@pytest.mark.parametrize("by", ["header", "query"])
def test_D5_a_viewer_comes_back_to_another_worker_live_and_kept(crew_with, up, by):
    crew = crew_with(of_route="grace: 5min")
    first, other = crew.begin(up), crew.on(1)
    first.cut()
    other.ask(f"/text?prompt=hi&last_event_id={first.id}.1" if by == "query" else "/text?prompt=hi",
              headers={"Last-Event-ID": f"{first.id}.1"} if by == "header" else {})
    up.event("b")
    other.before = ["a"]
    other.expect("b", id=2)
    up.done().end()
    other.expect_last_word("finished")
    late = crew.back(crew.on(1), first)
    late.expect("a", id=1)
    late.expect("b", id=2)
    late.expect_last_word("finished")
    assert up.requests == 1
    assert crew.count("resumes_total", result="live") == crew.count("resumes_total", result="kept") == 1
    gone = crew.on(1).ask("/text?prompt=hi", headers={"Last-Event-ID": f"{first.id}.end"})
    gone.expect_status(204)


def test_D5_while_the_stream_is_written_readers_come_and_go_everywhere(crew_with, up):
    crew = crew_with(of_route="grace: 5min")
    first = crew.begin(up)
    last = 400
    tokens = ["a", *(f"{n} " for n in range(2, last + 1))]

    def write():
        for token in tokens[1:]:
            up.event(token)
        up.done().end()

    writer = threading.Thread(target=write)
    reader = crew.gateway.viewer().watch(f"/streams/{first.id}")
    writer.start()
    while reader.response.end is None:  # comes back again and again, each time on whichever worker the kernel likes
        reader.wait(lambda: reader.reader.events or reader.response.end, "an event")
        if reader.response.end is None:
            reader.resume()
    writer.join()
    assert reader.expect_end("finished", events=last)
    first.expect_end("finished", events=last)
    assert up.requests == 1


def test_D14_a_thousand_resumes_of_one_stream_are_answered_everywhere(crew_with, up):
    crew = crew_with()
    first = crew.begin(up)
    up.event("b")
    first.expect("b", id=2)
    herd = [crew.back(crew.gateway.viewer(), first, "a") for _ in range(300)]
    for viewer in herd:
        viewer.expect("b", id=2)
    assert crew.state(first)["viewers"] == 301 == crew.count("viewers")
    assert crew.count("joined_foreign_total") > 0
    for viewer in herd[::2]:
        viewer.cut()
    wait_until(lambda: crew.state(first)["viewers"] == 151, "the viewers that left")
    up.event("c").done().end()
    for viewer in [first, *herd[1::2]]:
        viewer.expect("c", id=3)
        viewer.expect_last_word("finished")
    assert up.requests == 1
    wait_until(lambda: crew.count("viewers") == 0, "everyone to leave")


@check
def test_a_stream_is_stopped_and_told_of_from_another_worker(crew_with, up):
    crew = crew_with()
    first = crew.begin(up)
    reader, teller = crew.on(1).watch(f"/streams/{first.id}"), crew.on(1)
    reader.expect("a", id=1)
    teller.ask(f"/streams/{first.id}", headers={"Accept": "application/json"}).expect_status(200)
    teller.wait(lambda: teller.response.end, "the state")
    state = json.loads(teller.response.body)
    assert (state["state"], state["events"], state["viewers"]) == ("live", 1, 2)
    teller.ask(f"/streams/{first.id}", method="HEAD").expect_status(200)
    for _ in range(2):
        teller.ask(f"/streams/{first.id}", method="DELETE").expect_status(204)
        teller.wait(lambda: teller.response.end, "the end")
    up.expect_gone()
    for viewer in (first, reader):
        viewer.expect_last_word("stopped")


@check
def test_what_no_worker_knows_is_forgotten_on_all_of_them(crew_with, up):
    crew = crew_with()
    first = crew.begin(up)
    for home in (0, 1, WORKERS, 200):  # of workers that are there, and that are not
        unknown = first.id[:20] + DIGITS[home >> 6] + DIGITS[home & 63]
        if unknown == first.id:
            unknown = "A" * 20 + unknown[20:]
        for worker in range(WORKERS):
            viewer = crew.on(worker)
            viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": f"{unknown}.1"}).expect_last_word("forgotten")
            for how in ({"method": "DELETE"}, {"headers": {"Accept": "application/json"}}, {}):
                viewer.ask(f"/streams/{unknown}", **how).expect_error(404)
    beyond = crew.on(1).ask("/text?prompt=hi", headers={"Last-Event-ID": f"{first.id}.7"})
    beyond.expect_last_word("forgotten")
    assert up.requests == 1


@check
def test_D9_one_key_on_every_worker_at_once_is_one_stream(crew_with, up):
    crew = crew_with(of_route="grace: 5min")
    posts = [crew.on(n % WORKERS) for n in range(8)]
    for round in range(5):
        for viewer in posts:
            viewer.ask("/streams", method="POST", body={"prompt": "hi"}, headers={"Idempotency-Key": f"k{round}"})
        for viewer in posts:
            viewer.wait(lambda: viewer.response.end == CLEAN, "the answer")
        assert sorted(viewer.response.status for viewer in posts) == [200] * 7 + [201]
        assert len({json.loads(viewer.response.body)["id"] for viewer in posts}) == 1
        up.expect_request()
    assert up.requests == 5 == crew.count("streams_started_total", route="/text")
    for viewer in posts[:2]:
        viewer.ask("/streams", method="POST", body={"prompt": "other"}, headers={"Idempotency-Key": "k0"})
        viewer.expect_error(422)


def test_D9_one_key_on_every_worker_at_once_is_read_by_all(crew_with, up):
    crew = crew_with()
    readers = [crew.on(n % WORKERS) for n in range(6)]
    for viewer in readers:
        viewer.ask("/text?prompt=hi&idempotency_key=one")
    up.expect_request()
    up.head().tokens("a", "b").done().end()
    for viewer in readers:
        viewer.expect_tokens("a", "b")
        viewer.expect_last_word("finished")
    assert up.requests == 1 and len({viewer.id for viewer in readers}) == 1
    assert crew.count("attached_total", by="key") == 5


def test_what_cannot_be_asked_is_said_where_the_key_is_at_home(crew_with, up):
    crew = crew_with()
    for worker in range(WORKERS):
        for key in range(4):
            viewer = crew.on(worker)
            viewer.ask("/text", method="POST", body=QUESTION, headers={"Idempotency-Key": f"k{key}"}).expect_error(422)
    assert up.requests == 0


@check
def test_leaving_is_counted_over_all_workers(crew_with, up):
    crew = crew_with(of_route="grace: 0")
    first = crew.begin(up)
    other = crew.on(1).watch(f"/streams/{first.id}")
    other.expect("a", id=1)
    first.cut()
    wait_until(lambda: crew.state(first)["viewers"] == 1, "the home to see it")
    up.event("b")
    other.expect("b", id=2)  # with grace 0 the last viewer's leaving would have cancelled it
    third = crew.on(0).watch(f"/streams/{first.id}")
    third.expect("a", id=1)
    other.cut()
    wait_until(lambda: crew.state(first)["viewers"] == 1, "the home to hear of it")
    up.event("c")
    third.expect("b", id=2)
    third.expect("c", id=3)
    third.cut()
    up.expect_gone()
    wait_until(lambda: crew.state(first)["cause"] == "abandoned", "the verdict")


def test_a_return_to_another_worker_cancels_the_cancelling(crew_with, up):
    crew = crew_with("heartbeat: 700ms\nfirst_viewer: 2s", "grace: 2s")
    maker, viewer = crew.on(0), crew.on(1)
    id = crew.make(maker, route="/text", prompt="hi")
    assert home_of(id) == 0
    up.expect_request()
    viewer.watch(f"/streams/{id}")  # the first viewer, in time
    viewer.cut()                    # the last one
    wait_until(lambda: crew.state(viewer)["viewers"] == 0, "the home to hear of it")
    viewer = crew.on(1).watch(f"/streams/{id}")
    for _ in range(4):
        viewer.expect_heartbeat()   # 2.8 s: longer than either clock
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")


def test_a_client_that_leaves_while_it_is_asked_for_leaves_nothing_behind(crew_with, up):
    crew = crew_with(of_route="grace: 5min")
    first = crew.begin(up)
    for n in range(200):
        hasty = crew.gateway.viewer()
        if n % 4 == 0:
            hasty.ask("/text", method="POST", body={"prompt": "hi"}, headers={"Idempotency-Key": f"k{n % 3}"})
        else:
            accept = ("*/*", "application/json", "text/event-stream")[n % 3]
            hasty.ask(f"/streams/{first.id}", headers={"Accept": accept})
        hasty.cut()
    wait_until(lambda: crew.state(first)["viewers"] == 1 == crew.count("viewers"), "everyone to be gone")
    up.exchanges[0].event("b").done().end()
    first.expect("b", id=2)
    first.expect_last_word("finished")
    assert up.requests <= 4


@check
def test_E1_a_drain_waits_for_readers_on_every_worker(crew_with, up):
    crew = crew_with("drain: 10min", "grace: 5min")
    first, other = crew.begin(up), crew.on(1)
    other.watch(f"/streams/{first.id}").expect("a", id=1)
    crew.gateway.signal(signal.SIGTERM)
    wait_until(lambda: crew.gateway.ask_admin("/readyz").status == 503, "readiness to be withdrawn")
    for _ in range(8):
        refused = crew.gateway.ask("/streams", method="POST", body={"prompt": "hi"})
        assert refused.status == 503
    first.cut()
    back = [crew.back(crew.gateway.viewer(), first, "a") for _ in range(8)]
    for viewer in back:
        viewer.expect_stream()
    up.event("b").done().end()
    for viewer in [other, *back]:
        viewer.expect("b", id=2)
        viewer.expect_last_word("finished")
    assert crew.gateway.wait() == 0
    assert up.requests == 1


@pytest.mark.parametrize("home", range(WORKERS))
def test_E1_a_drain_waits_for_a_stream_of_one_worker_alone(crew_with, up, home):
    crew = crew_with("drain: 10min\nheartbeat: 100ms")
    viewer = crew.begin(up, home)
    crew.gateway.signal(signal.SIGTERM)
    for _ in range(4):  # the other one has been idle for long
        viewer.expect_heartbeat()
    up.event("b").done().end()
    viewer.expect("b", id=2)
    viewer.expect_last_word("finished")
    assert crew.gateway.wait() == 0


@pytest.mark.parametrize("home", range(WORKERS))
@pytest.mark.parametrize("signals", [1, 2])
def test_E1_what_outlives_the_drain_is_told_so_on_every_worker(crew_with, up, signals, home):
    crew = crew_with("drain: 300ms" if signals == 1 else "drain: 10min")
    first = crew.begin(up, home)
    others = [crew.on(worker).watch(f"/streams/{first.id}") for worker in (1, 0, 1)]
    crew.gateway.signal(signal.SIGTERM)
    if signals == 2:
        wait_until(lambda: crew.gateway.ask_admin("/readyz").status == 503, "readiness to be withdrawn")
        crew.gateway.signal(signal.SIGTERM)
    for viewer in [first, *others]:
        viewer.expect_end("shutdown", events=1)
    assert crew.gateway.wait() == 0


def test_E2_a_reload_reaches_every_worker(crew_with, up, tmp_path):
    crew = crew_with()
    old, new = crew.begin(up, 1), Upstream()
    file = next(tmp_path.rglob("lastword.yaml"))
    file.write_text(file.read_text().replace(up.url, new.url))
    crew.gateway.signal(signal.SIGHUP)
    wait_until(lambda: "is in force" in crew.gateway.stderr, "the reload")
    for worker in range(WORKERS):
        viewer = crew.on(worker).watch("/text?prompt=new")
        new.expect_request()
        new.head().event("n").done().end()
        viewer.expect("n", id=1)
        viewer.expect_last_word("finished")
    up.event("b").done().end()
    old.expect("b", id=2)
    old.expect_last_word("finished")
    assert (up.requests, new.requests) == (1, 2)
    new.close()


@check
def test_what_is_counted_and_listed_is_of_all_workers(crew_with, up):
    crew = crew_with()
    viewers = [crew.begin(up, worker) for worker in (0, 1, 0)]
    told = json.loads(crew.gateway.ask_admin("/streams").body)
    assert [stream["id"] for stream in told["streams"]] == [viewer.id[:6] for viewer in reversed(viewers)]
    assert (told["live"], told["viewers"], told["more"]) == (3, 3, 0)
    assert (crew.count("streams_live"), crew.count("viewers")) == (3, 3)
    assert crew.count("streams_started_total", route="/text") == 3
    for exchange in up.exchanges:
        exchange.done().end()
    for viewer in viewers:
        viewer.expect_last_word("finished")
    wait_until(lambda: crew.count("streams_ended_total", route="/text", cause="finished") == 3, "the ends")
    assert crew.count("streams_live") == 0 and crew.count("events_total") == 3


def has_answer(viewer):
    return bool(select.select([viewer.socket], [], [], 0)[0])


def test_limits_hold_for_all_workers_together(crew_with, up):
    crew = crew_with("limits: {streams: 3, connections: 12}")
    viewers = [crew.begin(up, worker) for worker in (0, 1, 0)]
    for _ in range(4):
        assert crew.gateway.ask("/streams", method="POST", body={"prompt": "hi"}).status == 503
    many = [crew.gateway.viewer().ask("/nowhere") for _ in range(20)]  # more than may be there
    waiting = list(many)
    while waiting:  # whoever was let in makes room for the next by leaving
        lucky = wait_until(lambda: [viewer for viewer in waiting if has_answer(viewer)], "somebody to be let in")
        inside = len(viewers) + sum(has_answer(viewer) for viewer in waiting)
        assert inside <= 12
        for viewer in lucky:
            viewer.expect_error(404)
            viewer.cut()
            waiting.remove(viewer)
    for exchange in up.exchanges:
        exchange.done().end()
    for viewer in viewers:
        viewer.expect_last_word("finished")


PIECE = "x" * 60_000
LUMP = "y" * 200_000  # a viewer that does not read is still at it when everyone else has it


def fill(crew, up, worker, pieces):
    viewer = crew.on(worker).watch("/text?prompt=hi")
    up.expect_request()
    up.head()
    for n in range(1, pieces + 1):
        up.event(PIECE)
        viewer.expect(PIECE, id=n)
    return viewer


def journal_bytes(crew):
    return crew.count("memory_bytes", kind="journal")


def test_E8_what_another_worker_keeps_gives_way(crew_with, up):
    crew = crew_with("memory: 1MiB\nkeep: 5min", "grace: never")
    kept = []
    for _ in range(3):
        kept.append(fill(crew, up, 1, 5))
        up.done().end()
        kept[-1].expect_last_word("finished")
    live = fill(crew, up, 0, 14)
    wait_until(lambda: journal_bytes(crew) <= 1 << 20, "the other worker to give")
    live.cut()
    gone = crew.on(1).ask(f"/streams/{kept[0].id}", headers={"Last-Event-ID": f"{kept[0].id}.5"})
    gone.expect_last_word("forgotten")
    assert crew.count("streams_ended_total", cause="overloaded") == 0


@check
def test_a_viewer_of_another_worker_keeps_what_it_has_not_taken(crew_with, up):
    crew = crew_with("memory: 1MiB", "grace: never")
    viewer = fill(crew, up, 1, 1)
    foreign = crew.on(0).ask("/text?prompt=hi", headers={"Last-Event-ID": f"{viewer.id}.1"})
    for n in range(2, 41):  # more than twice the memory
        up.event(PIECE)
        viewer.expect(PIECE, id=n)
        foreign.expect(PIECE, id=n)
    crew.on(0).ask("/text?prompt=hi", headers={"Last-Event-ID": f"{viewer.id}.1"}).expect_last_word("forgotten")
    assert crew.count("joined_foreign_total") == 1
    up.done().end()
    viewer.expect_last_word("finished", events=40)
    foreign.before = [PIECE]
    foreign.expect_last_word("finished", events=40)


def stay_behind(crew, viewer):
    """A second viewer of that stream, which takes nothing for now."""
    return crew.gateway.viewer().connect(buffer=4096).ask(f"/streams/{viewer.id}").expect_stream()


def test_E8_what_viewers_of_another_worker_have_taken_gives_way(crew_with, up):
    crew = crew_with("memory: 1280KiB", "grace: never")  # 256 KiB are taken by what waits for the slow one
    read = fill(crew, up, 1, 9)
    little = crew.begin(up, 0)
    slow = stay_behind(crew, little)
    up.event(LUMP)
    little.expect(LUMP, id=2)
    for n in range(3, 11):
        up.event(PIECE)
        little.expect(PIECE, id=n)
    wait_until(lambda: journal_bytes(crew) <= 1 << 20, "the other worker to give")
    crew.gateway.viewer().ask("/text?prompt=hi", headers={"Last-Event-ID": f"{read.id}.0"}).expect_last_word("forgotten")
    up.done().end()
    for viewer in (little, slow):
        viewer.expect_end("finished", events=10)
    assert crew.count("streams_ended_total", cause="overloaded") == 0


def test_E8_the_largest_live_stream_is_found_on_any_worker(crew_with, up):
    crew = crew_with("memory: 1760KiB", "grace: never")  # twice 256 KiB are taken by what waits for the slow ones
    large = crew.begin(up, 1)
    large_exchange = up.exchanges[-1]
    slow = [stay_behind(crew, large)]  # or else what was taken would give way
    for n, piece in enumerate([LUMP, *[PIECE] * 8], 2):
        up.event(piece)
        large.expect(piece, id=n)
    little = crew.begin(up, 0)
    slow.append(stay_behind(crew, little))
    for n, piece in enumerate([LUMP, *[PIECE] * 4], 2):
        up.event(piece)
        little.expect(piece, id=n)
    up.event(LUMP)  # one too many, for the worker of the little one
    large.expect_last_word("overloaded")
    large_exchange.expect_gone()
    little.expect(LUMP, id=7)
    slow[0].expect_end("overloaded", events=10)
    up.done().end()
    little.expect_last_word("finished")
    slow[1].expect_end("finished", events=7)
    wait_until(lambda: journal_bytes(crew) <= 1 << 20, "the memory to come back")
