"""Coming back: nothing lost, nothing doubled, nothing paid for twice, and never a false word."""

import pytest
from conftest import route
from judge import CLEAN
from upstream import wait_until

check = pytest.mark.check

UNKNOWN = "AAAAAAAAAAAAAAAAAAAAAA"


def begin(house, path="/text", **how):
    up, viewer = house.at(path)
    viewer.ask(f"{path}?prompt=hi", **how)
    up.expect_request()
    up.head()
    viewer.expect_stream()
    return up, viewer


@check
@pytest.mark.parametrize("by", ["header", "query"])
def test_D5_a_viewer_comes_back_to_a_live_stream(house, by):
    up, viewer = begin(house, "/patient")
    up.event("a")
    viewer.expect("a", id=1)
    viewer.cut()
    up.event("b")
    viewer.resume(by=by)
    viewer.expect("b", id=2)
    up.event("c").done().end()
    viewer.expect("c", id=3)
    viewer.expect_last_word("finished", events=3)
    assert up.requests == 1


@check
def test_D6_a_viewer_comes_back_to_a_stream_that_has_ended(house):
    up, viewer = begin(house)
    up.event("a")
    viewer.expect("a", id=1)
    other = house.viewer().watch(f"/streams/{viewer.id}")
    viewer.cut()
    up.tokens("b", "c").done().end()
    other.expect_end("finished", events=3)
    viewer.resume()
    viewer.expect("b", id=2)
    viewer.expect("c", id=3)
    viewer.expect_last_word("finished", events=3)
    assert up.requests == 1


def test_D6_only_the_last_word_was_missed(house):
    up, viewer = begin(house)
    up.event("a").done().end()
    viewer.expect("a", id=1)
    viewer.resume(last=f"{viewer.id}.1")
    viewer.expect_last_word("finished", events=1)


def test_a_failure_is_kept_as_a_success_is(house):
    up, viewer = begin(house)
    up.event("a").cut()
    viewer.expect("a", id=1)
    viewer.expect_last_word("cut")
    viewer.resume(last=f"{viewer.id}.0")
    viewer.before = []
    viewer.expect("a", id=1)
    viewer.expect_last_word("cut", events=1)


@check
@pytest.mark.parametrize("by", ["header", "query"])
def test_D7_an_eventsource_that_saw_the_last_word_is_stopped_by_204(house, by):
    up, viewer = begin(house)
    up.event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    end, viewer = viewer.place, house.viewer()
    if by == "header":
        viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": end})
    else:
        viewer.ask(f"/text?prompt=hi&last_event_id={end}")
    viewer.expect_status(204)
    assert up.requests == 1


def test_D7_the_204_needs_no_memory(house):
    viewer = house.viewer().ask("/text?prompt=hi", headers={"Last-Event-ID": f"{UNKNOWN}.end"})
    viewer.expect_status(204)
    assert house.ups["/text"].requests == 0


@check
@pytest.mark.parametrize("last", [f"{UNKNOWN}.3", f"{UNKNOWN}.0", "never-one-of-ours"])
def test_D4_an_unknown_stream_is_forgotten_and_never_started_again(house, last):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": last})
    viewer.expect_stream()
    assert viewer.reader.blocks[0].id == last
    assert viewer.response.header("Lastword-Stream") is None
    viewer.wait(lambda: viewer.response.end, "the end")
    word = viewer.reader.events[-1]
    assert (word.name, len(viewer.reader.events)) == ("failed", 1)
    assert '"forgotten"' in word.data
    assert up.requests == 0


def test_D4_the_answer_for_a_forgotten_stream_satisfies_the_judge(house):
    viewer = house.viewer().ask("/text?prompt=hi", headers={"Last-Event-ID": f"{UNKNOWN}.7"})
    viewer.expect_last_word("forgotten", side="gateway", end="failed")
    assert viewer.place == f"{UNKNOWN}.end"


@check
def test_D3_a_place_that_was_never_reached_is_forgotten_and_not_waited_for(house):
    up, viewer = begin(house)
    up.event("a")
    viewer.expect("a", id=1)
    other = house.viewer().ask("/text?prompt=hi", headers={"Last-Event-ID": f"{viewer.id}.2"})
    other.expect_last_word("forgotten")
    up.done()
    viewer.expect_last_word("finished")


@check
@pytest.mark.parametrize("last", [f"{UNKNOWN}.01", f"{UNKNOWN}.12345678901", 257 * "a", "a\x01b", "a\x7fb"], ids=range(5))
def test_D1_a_malformed_id_is_refused(house, last):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi", headers={"Last-Event-ID": last})
    viewer.expect_error(400)
    assert up.requests == 0


def test_D1_a_malformed_id_in_the_query_is_refused(house):
    for last in (f"{UNKNOWN}.01", "a%0Ab", "a%00b", 257 * "a"):
        house.viewer().ask(f"/text?prompt=hi&last_event_id={last}").expect_error(400)
    assert house.ups["/text"].requests == 0


@check
def test_D16_the_header_wins_over_the_query(house):
    up, viewer = begin(house)
    up.tokens("a", "b", "c")
    viewer.expect_tokens("a", "b", "c")
    other = house.viewer().ask(f"/text?prompt=hi&last_event_id={viewer.id}.0", headers={"Last-Event-ID": f"{viewer.id}.2"})
    other.expect("c", id=3)
    up.done()
    other.before = ["a", "b"]
    other.expect_last_word("finished")


def test_D8_an_event_that_was_cut_in_the_middle_is_sent_again_whole(house):
    up, viewer = begin(house, "/patient")
    up.tokens("a", "b")
    viewer.expect_tokens("a", "b")
    viewer.resume(last=f"{viewer.id}.1")
    viewer.before = ["a"]
    viewer.expect("b", id=2)
    up.done()
    viewer.expect_last_word("finished", events=2)


@check
def test_D9_an_idempotency_key_attaches_to_the_running_stream(house):
    up, viewer = begin(house, headers={"Idempotency-Key": "key-1"})
    up.event("a")
    viewer.expect("a", id=1)
    other = house.viewer().watch("/text?prompt=hi&idempotency_key=key-1")
    other.expect("a", id=1)
    assert other.id == viewer.id
    posted = house.viewer().watch("/text", method="POST", body={"prompt": "hi"}, headers={"Idempotency-Key": "key-1"})
    posted.expect("a", id=1)
    up.done()
    for each in (viewer, other, posted):
        each.expect_last_word("finished", events=1)
    assert up.requests == 1


@check
def test_D9_the_same_key_with_another_prompt_is_refused(house):
    up, viewer = begin(house, headers={"Idempotency-Key": "key-2"})
    house.viewer().ask("/text?prompt=other", headers={"Idempotency-Key": "key-2"}).expect_error(422)
    assert up.requests == 1


def test_D9_a_key_belongs_to_its_route(house):
    up, viewer = begin(house, headers={"Idempotency-Key": "key-3"})
    up2, other = begin(house, "/sse-proxy", headers={"Idempotency-Key": "key-3"})
    assert other.id != viewer.id


def test_D9_a_stream_that_failed_before_its_first_event_gives_its_key_back(house):
    up, viewer = begin(house, headers={"Idempotency-Key": "key-4"})
    up.cut()
    viewer.expect_last_word("cut", events=0)
    up, other = begin(house, headers={"Idempotency-Key": "key-4"})
    up.event("a").done().end()
    other.expect("a", id=1)
    other.expect_last_word("finished")


def test_D9_a_stream_that_failed_later_keeps_its_key(house):
    up, viewer = begin(house, headers={"Idempotency-Key": "key-5"})
    up.event("a").cut()
    viewer.expect("a", id=1)
    viewer.expect_last_word("cut", events=1)
    other = house.viewer().watch("/text?prompt=hi", headers={"Idempotency-Key": "key-5"})
    other.expect("a", id=1)
    other.expect_last_word("cut", events=1)
    assert other.id == viewer.id


@pytest.mark.parametrize("key", ["", 257 * "k", "a\tb", "é"], ids=range(4))
def test_D9_a_key_is_printable_ascii(house, key):
    house.viewer().ask("/text", method="POST", body={"prompt": "hi"}, headers={"Idempotency-Key": key}).expect_error(400)


@check
def test_D10_two_viewers_get_the_same_bytes(house):
    up, first = begin(house)
    up.event("a")
    first.expect("a", id=1)
    second = house.viewer().watch(f"/streams/{first.id}")
    up.event("b\nc").done().end()
    first.expect("b\nc", id=2)
    first.expect_last_word("finished")
    second.expect_end("finished", events=2)
    assert first.response.body == second.response.body


def test_D10_forty_viewers_that_join_at_different_places_get_the_same_bytes(house):
    up, first = begin(house, "/patient")
    viewers = [first]
    for n in range(1, 41):
        up.event(f"token {n}")
        first.expect(f"token {n}", id=n)
        viewers.append(house.viewer().watch(f"/streams/{first.id}"))
    up.done().end()
    for viewer in viewers:
        viewer.expect_end("finished", events=40)
        assert viewer.response.body == first.response.body
    assert up.requests == 1


def test_D10_every_place_can_be_resumed_from(house):
    up, viewer = begin(house)
    tokens = [f"token {n}" for n in range(20)]
    up.tokens(*tokens).done().end()
    viewer.expect_tokens(*tokens)
    viewer.expect_last_word("finished")
    for n in range(len(tokens) + 1):
        late = house.viewer().ask(f"/streams/{viewer.id}", headers={"Last-Event-ID": f"{viewer.id}.{n}"})
        late.expect_tokens(*tokens[n:])
        late.before = tokens[:n]
        late.expect_last_word("finished")


def test_D14_a_storm_of_resumes_asks_the_upstream_nothing(house):
    up, viewer = begin(house, "/patient")
    up.tokens("a", "b")
    viewer.expect_tokens("a", "b")
    storm = [house.viewer().ask("/patient?prompt=hi", headers={"Last-Event-ID": f"{viewer.id}.1"}) for _ in range(200)]
    for each in storm:
        each.expect("b", id=2)
    up.done().end()
    for each in storm:
        each.before = ["a"]
        each.expect_last_word("finished")
    assert up.requests == 1


def test_D4_a_stream_is_kept_no_longer_than_keep(gateway_with, up):
    gateway = gateway_with("keep: 0", route("/text", up.url + "/generate"))
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    again = gateway.viewer().ask("/text?prompt=hi", headers={"Last-Event-ID": f"{viewer.id}.0"})
    again.expect_last_word("forgotten")
    assert up.requests == 1


def test_D12_a_reader_that_never_reads_costs_nobody_anything(house):
    up, quick = begin(house, "/patient")
    slow = house.viewer().ask(f"/streams/{quick.id}")
    token = 2000 * "x"
    for n in range(1, 2001):
        up.event(token)
        if n % 50 == 0:
            while quick.taken < n:
                quick.expect(token, id=quick.taken + 1)
    up.done().end()
    quick.expect_last_word("finished", events=2000)
    slow.expect_end("finished", events=2000)
    assert slow.response.end == CLEAN


def test_D12_a_viewer_that_takes_nothing_is_cut_and_can_come_back(house):
    up, quick = begin(house, "/stuck")
    stuck = house.viewer().connect(buffer=4096).ask(f"/streams/{quick.id}")
    tokens = [f"{n} " + 1000 * "x" for n in range(3000)]
    for n, token in enumerate(tokens):
        up.event(token)
        quick.expect(token, id=n + 1)
    wait_until(lambda: house.gateway.metric("lastword_viewers") == 1, "the stuck viewer to be given up")
    stuck.expect_broken()
    stuck.resume()
    up.done().end()
    stuck.expect_end("finished", events=3000)
    quick.expect_last_word("finished", events=3000)


def test_A29_the_list_of_hop_by_hop_headers_cannot_remove_a_place(house):
    up, viewer = begin(house, "/patient")
    up.tokens("a", "b")
    viewer.expect_tokens("a", "b")
    other = house.viewer().ask("/patient?prompt=hi", headers={"Last-Event-ID": f"{viewer.id}.1", "Connection": "last-event-id, host"})
    other.expect("b", id=2)
    assert up.requests == 1


def test_the_place_of_another_stream_is_refused(house):
    up, viewer = begin(house)
    house.viewer().ask(f"/streams/{viewer.id}?last_event_id={UNKNOWN}.1").expect_error(400)
