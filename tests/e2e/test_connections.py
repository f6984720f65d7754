"""What a viewer's connection is used for: HTTP/1.0, keep-alive, pipelining, Expect, half a request."""

import select

import pytest
from judge import CLEAN, judge

check = pytest.mark.check


@check
def test_A18_an_http_1_0_client_gets_a_body_that_ends_by_close(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi", version="HTTP/1.0")
    up.expect_request()
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    assert viewer.response.framing == "close"


@check
def test_a_second_question_on_the_same_connection(house):
    up, viewer = house.at("/text")
    for n in range(3):
        viewer.watch(f"/text?prompt={n}")
        assert up.expect_request().prompt == str(n)
        up.head().event("a").done().end()
        viewer.expect("a", id=1)
        viewer.expect_last_word("finished")


def test_many_small_exchanges_on_one_connection(house):
    viewer = house.viewer()
    for _ in range(50):
        viewer.ask("/nowhere").expect_error(404)
        viewer.ask("/lastword.js").expect_status(200)
        viewer.wait(lambda: viewer.response.end, "the end")


@check
def test_A16_a_pipelined_request_waits_for_the_stream_before_it(house):
    up, viewer = house.at("/text")
    host = "Host: %s:%d" % house.gateway.address
    viewer.target = "two pipelined"
    viewer.connect().begin().send("".join(f"GET /text?prompt={n} HTTP/1.1\r\n{host}\r\n\r\n" for n in (1, 2)).encode())
    viewer.expect_stream()
    assert up.expect_request().prompt == "1"
    up.head().event("a")
    viewer.expect("a", id=1)
    assert up.requests == 1
    up.done().end()
    viewer.expect_last_word("finished")
    viewer.begin()
    assert up.expect_request().prompt == "2"
    up.head().event("b").done().end()
    viewer.expect("b", id=1)
    viewer.expect_last_word("finished")


def test_A16_after_an_invalid_request_nothing_is_read(house):
    up, viewer = house.at("/text")
    viewer.connect().begin().send(b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\nGET /text?prompt=hi HTTP/1.1\r\nHost: localhost\r\n\r\n")
    viewer.expect_error(400)
    viewer.expect_hang_up()
    assert not viewer.response.rest
    assert up.requests == 0


def test_A17_expect_100_continue(house):
    up, viewer = house.at("/text")
    body = b'{"prompt": "hi"}'
    head = ("POST /text HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n")
    viewer.connect().begin().send(head.encode())
    viewer.wait(lambda: viewer.response.interim, "100 Continue")
    assert viewer.response.interim == [100]
    viewer.send(body).expect_stream()
    assert up.expect_request().prompt == "hi"


def test_A17_the_final_status_comes_instead_where_it_is_known(house):
    viewer = house.viewer().connect().begin()
    viewer.send(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
    viewer.expect_error(404)
    assert viewer.response.interim == []
    viewer = house.viewer().ask("/text?prompt=hi", headers={"Expect": "the-unexpected"})
    viewer.expect_error(417)


def test_a_request_that_comes_byte_by_byte(house):
    up, viewer = house.at("/text")
    viewer.connect().begin()
    for byte in b"POST /text HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"prompt":"hi"}':
        viewer.send(bytes([byte]))
    viewer.expect_stream()
    assert up.expect_request().prompt == "hi"


def trickle(viewer, *statuses):
    """A byte a second until an answer comes, whatever it is."""
    waited = 0
    while not select.select([viewer.socket], [], [], 1)[0]:
        waited += 1
        assert waited < 30, "nobody minds"
        viewer.send(b"a")
    assert viewer.wait_status() in statuses, viewer.story()
    viewer.expect_hang_up()


def test_A14_a_head_that_trickles_in_is_cut_off(house):
    viewer = house.viewer().connect().begin().send(b"GET /text?prompt=hi HTTP/1.1\r\nHost: localhost\r\nX: ")
    trickle(viewer, 408)
    assert house.ups["/text"].requests == 0


def test_A15_a_body_that_trickles_in_is_cut_off(house):
    viewer = house.viewer().connect().begin()
    viewer.send(b"POST /text HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{")
    trickle(viewer, 408)
    assert house.ups["/text"].requests == 0


def test_A28_connections_that_send_nothing_are_closed_and_nobody_else_is(house):
    up, watching = house.at("/patient")
    watching.watch("/patient?prompt=hi")
    up.expect_request()
    silent = [house.viewer().connect().begin() for _ in range(100)]
    for viewer in silent:
        select.select([viewer.socket], [], [], 30)
        viewer.expect_hang_up()
    up.head().event("a").done().end()
    watching.expect("a", id=1)
    watching.expect_last_word("finished")


def test_half_a_request_and_a_hang_up_do_no_harm(house):
    request = b"POST /text HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"prompt":"hi"}'
    for at in range(0, len(request), 5):
        viewer = house.viewer().connect().begin().send(request[:at])
        viewer.cut() if at % 2 else viewer.reset()
    assert house.gateway.ask("/nowhere").status == 404
    assert house.ups["/text"].requests == 0


def test_a_client_that_asks_for_a_close_gets_its_whole_stream_first(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hi", headers={"Connection": "close"})
    up.expect_request()
    up.head().event("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    viewer.expect_hang_up()


def test_the_upstream_s_connection_is_used_again_after_a_good_answer(house):
    up, viewer = house.at("/text")
    viewer.watch("/text?prompt=1")
    up.expect_request()
    up.head().event("a").event("x", name="close").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")
    viewer.watch("/text?prompt=2")
    first = up.exchange
    assert up.expect_request().prompt == "2"
    assert up.exchange is first
    up.head().event("b").done().end()
    viewer.expect("b", id=1)
    viewer.expect_last_word("finished")
    assert up.requests == 2


def test_every_answer_satisfies_the_judge_with_fifty_at_once(house):
    up, _ = house.at("/text")
    viewers = [house.viewer().ask(f"/text?prompt={n}") for n in range(50)]
    exchanges = {}
    for _ in viewers:
        request = up.expect_request()
        exchanges[int(request.prompt)] = up.exchange
    for exchange in exchanges.values():
        exchange.head()
    for token in range(20):
        for n, exchange in exchanges.items():
            exchange.event(f"{n}:{token}")
    for exchange in exchanges.values():
        exchange.done().end()
    for n, viewer in enumerate(viewers):
        verdict = viewer.expect_end("finished", events=20)
        assert verdict.tokens == [f"{n}:{token}" for token in range(20)]
        assert viewer.response.end == CLEAN and not judge(bytes(viewer.response.body)).wrong
