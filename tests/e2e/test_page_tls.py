"""Chromium over TLS: the page, and a native EventSource. What it trusts is not the question here (test_tls.py has that), so
it takes any certificate."""

import pytest
import trustme
from browser import Page
from conftest import COMMON, route
from gateway import Gateway

# A page that knows EventSource only: what it has `seen`, and a promise of all of it when it is over.
NATIVE = """() => { window.end = new Promise((end) => {
    const source = new EventSource("sse-proxy?prompt=native"), seen = window.seen = [];
    const over = (name) => { source.close(); end([...seen, name]); };
    source.onmessage = (event) => seen.push(event.data);
    source.addEventListener("close", () => over("close"));
    source.addEventListener("failed", () => over("failed"));
}); }"""


@pytest.fixture
def gateway(up, tmp_path):
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    tls = f"tls: {{ cert: '{tmp_path}/both.pem', key: '{tmp_path}/both.pem' }}"
    with Gateway("\n".join([COMMON, tls, "routes:", route("/sse-proxy", up.url + "/generate", "grace: 5s")]), tmp_path) as gateway:
        yield gateway


@pytest.fixture
def page(browser, wire):
    page = Page(browser, wire.url.replace("http:", "https:"), ignore_https_errors=True)
    yield page
    page.tab.close()


def begin(up, page, *tokens):
    page.generate("hello")
    assert up.expect_request().headers["x-forwarded-proto"] == "https"
    up.head().tokens(*tokens)
    return page.expect_text("".join(tokens)).expect_running("Generating…")


def test_a_whole_answer_and_a_secure_cookie(up, page):
    begin(up, page, "one ", "two")
    up.done().end()
    page.expect_complete("one two")
    assert [cookie["secure"] for cookie in page.tab.context.cookies() if cookie["name"] == "lastword_page"] == [True]
    assert page.complaints == []


def test_a_failure_is_said(up, page):
    begin(up, page, "one ")
    up.cut()
    page.expect_end("failed", "The connection to the model server broke in the middle of the answer.", "one ")


def test_a_connection_that_breaks_is_resumed(up, page, wire):
    begin(up, page, "one ", "two ")
    wire.cut()
    up.tokens("three").done().end()
    page.expect_complete("one two three")
    assert up.requests == 1


@pytest.mark.parametrize("word", ["close", "failed"])
def test_a_native_eventsource_reads_the_last_word(up, page, word):
    page.tab.evaluate(NATIVE)
    assert up.expect_request().prompt == "native"
    up.head().tokens("a", "b")
    if word == "close":
        up.done().end()
    else:
        up.cut()
    assert page.tab.evaluate("() => window.end") == ["a", "b", word]


def test_a_native_eventsource_comes_back_after_a_break(up, page, wire):
    page.tab.evaluate(NATIVE)
    up.expect_request()
    up.head().tokens("a")
    page.tab.wait_for_function("() => window.seen.length == 1")
    wire.cut()
    up.tokens("b").done().end()
    assert page.tab.evaluate("() => window.end") == ["a", "b", "close"]
    assert up.requests == 1
