"""A passthrough route with `attach_retries`: what an SDK repeats by itself is not generated, and paid, twice."""

import pytest
from conftest import route
from judge import CLEAN
from test_passthrough import CHAT, DONE, JSON, ROLE, STOP, body_of, chunk, wait_body, wait_end

RETRY = {"X-Stainless-Retry-Count": "1"}


@pytest.fixture
def gate(gateway_with, up):
    return gateway_with("", route("/v1/*", up.url, "attach_retries: true, auth: client, grace: 10s"))


def post(gate, body=CHAT, **headers):
    return gate.viewer().ask("/v1/chat/completions", method="POST", body=body,
                             headers=JSON | {"Authorization": "Bearer a"} | {k.replace("_", "-"): v for k, v in headers.items()})


def test_a_retry_reads_the_stream_that_it_repeats(gate, up):
    first = post(gate)
    up.expect_request()
    up.head().send(ROLE + chunk("a"))
    wait_body(first, ROLE + chunk("a"))
    first.cut()
    again = post(gate, **RETRY)
    wait_body(again, ROLE + chunk("a"))
    up.send(chunk("b") + STOP + DONE).end()
    assert (wait_end(again).end, body_of(again)) == (CLEAN, ROLE + chunk("a") + chunk("b") + STOP + DONE)
    late = post(gate, **RETRY)
    assert (wait_end(late).end, body_of(late)) == (CLEAN, body_of(again))
    assert up.requests == 1


def test_who_left_before_the_answer_began_is_waited_for(gate, up):
    first = post(gate)
    up.expect_request()
    first.cut()
    again = post(gate, **RETRY)
    up.head().send(chunk("a"))
    wait_body(again, chunk("a"))
    up.send(STOP + DONE).end()
    assert wait_end(again).status == 200
    assert up.requests == 1


@pytest.mark.parametrize("what", [
    {},
    RETRY | {"Authorization": "Bearer b"},
    RETRY | {"body": CHAT + b" "},
    RETRY | {"X-Stainless-Retry-Count": "0"},
])
def test_what_is_no_retry_of_it_is_asked_anew(gate, up, what):
    post(gate)
    up.expect_request()
    up.head().send(chunk("a"))
    other = post(gate, **what)
    up.expect_request()
    up.head().send(chunk("b"))
    wait_body(other, chunk("b"))
    assert up.requests == 2


def test_what_failed_is_asked_anew(gate, up):
    first = post(gate)
    up.expect_request()
    up.head().send(chunk("a")).cut()
    wait_end(first)
    again = post(gate, **RETRY)
    up.expect_request()
    up.head().send(chunk("b") + STOP + DONE).end()
    assert (wait_end(again).end, body_of(again)) == (CLEAN, chunk("b") + STOP + DONE)


def test_nobody_comes_back(gateway_with, up):
    gate = gateway_with("", route("/v1/*", up.url, "attach_retries: true, grace: 300ms"))
    first = post(gate)
    up.expect_request()
    first.cut()
    up.expect_gone()


def test_an_error_of_the_upstream_is_nobodys_when_its_client_has_left(gate, up):
    first = post(gate)
    up.expect_request()
    first.cut()
    again = post(gate, **RETRY)
    up.answer("{}", status=500)
    up.expect_request()
    up.head().send(chunk("a") + STOP + DONE).end()
    assert (wait_end(again).status, body_of(again)) == (200, chunk("a") + STOP + DONE)
