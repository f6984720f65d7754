"""The page in a true browser, before a true gateway: what a person sees of each end."""

import json
import re

import pytest
from browser import Page, expect
from conftest import COMMON, route
from gateway import Gateway
from pretend import WEB
from upstream import Upstream

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)"> &lt;b&gt; </div>'


@pytest.fixture(scope="module")
def one_upstream():
    up = Upstream()
    yield up
    up.close()


@pytest.fixture(scope="module")
def gateway(one_upstream, tmp_path_factory):
    """One for most tests: a stranger's default, but that it does not wait long for who has left."""
    routes = route("/sse-proxy", one_upstream.url + "/generate")
    with Gateway(f"{COMMON}\nroutes:\n{routes}", tmp_path_factory.mktemp("page")) as gateway:
        yield gateway


@pytest.fixture
def up(one_upstream):
    yield one_upstream
    one_upstream.forget()


@pytest.fixture
def page(browser, up, gateway):
    """At its end nothing may have complained: no script failed, nothing was blocked, no dialog was opened."""
    page = Page(browser, url(gateway))
    yield page
    page.tab.close()
    assert page.complaints == []


@pytest.fixture
def chat(gateway_with):
    up = Upstream()
    yield up, gateway_with("", route("/sse-proxy", up.url + "/v1/chat/completions", "dialect: openai-chat"))
    up.close()


@pytest.fixture
def mortal(gateway_with):
    """A gateway that may end."""
    up = Upstream()
    yield up, gateway_with("drain: 0", route("/sse-proxy", up.url + "/generate"))
    up.close()


def url(gateway):
    return "http://%s:%d/" % gateway.address


def begin(up, page, *tokens, prompt="hello"):
    """The page asks, the upstream begins to answer, and the page shows it."""
    page.generate(prompt)
    up.expect_request()
    up.head().tokens(*tokens)
    return page.expect_text("".join(tokens)).expect_running()


def test_it_begins_idle(page):
    page.expect_end("idle", "", "")


def test_a_whole_answer(up, page):
    begin(up, page, "Hel", "lo,\n", "  world")
    up.event("done", "close").end()
    page.expect_complete("Hello,\n  world")
    expect(page.facts).to_have_text(re.compile(r"^3 tokens · 14 bytes · .*first after \d+ ms · verified$"))


def test_the_prompt_arrives_as_it_was_typed(up, page):
    prompt = 'Why?\n<b>ünïcode</b> & "quotes" 😀 %00 +'
    page.generate(prompt)
    assert up.expect_request().prompt == prompt
    up.head().tokens("a").end()
    page.expect_complete("a")


def test_one_answer_after_the_other(up, page):
    for text in "first", "second":
        page.generate()
        up.expect_request()
        up.head(headers=["Connection: close"]).tokens(text).event("done", "close").end()
        page.expect_complete(text)


def test_the_keyboard_generates_and_stops(up, page):
    page.tab.fill("#prompt", "hello")
    page.tab.press("#prompt", "Control+Enter")
    up.expect_request()
    up.head().tokens("a")
    page.expect_text("a").expect_running()
    page.tab.keyboard.press("Escape")
    page.expect_end("stopped", "Stopped.", "a")
    up.expect_gone()


def test_a_model_server_that_dies_in_mid_answer(up, page):
    begin(up, page, "half an ")
    up.cut()
    page.expect_end("failed", "The connection to the model server broke in the middle of the answer.", "half an ")


def test_a_model_server_that_is_reset_in_mid_answer(up, page):
    begin(up, page, "half an ")
    up.reset()
    page.expect_end("failed", "The connection to the model server broke in the middle of the answer.", "half an ")


def test_an_error_inside_the_answer(up, page):
    begin(up, page, "half an ")
    up.event("out of memory", "error")
    page.expect_end("failed", "The model server reported an error inside its answer.", "half an ")


def test_a_status_before_the_answer(up, page):
    page.generate()
    up.expect_request()
    up.answer("<h1>gone</h1>", status=500, type="text/html")
    page.expect_end("failed", "The model server answered with an error instead of an answer.", "")


def test_half_an_event_is_not_shown(up, page):
    begin(up, page, "whole ")
    up.send("data: half").end()
    page.expect_end("failed", "The answer stopped before its end.", "whole ")


def test_no_answer_at_all(up, page):
    page.generate()
    up.expect_request()
    up.head().end()
    page.expect_end("failed", "The answer stopped before its end.", "")


def test_a_body_that_is_merely_closed_proves_nothing(up, page):
    page.generate()
    up.expect_request()
    up.head("close").tokens("maybe whole").end()
    page.expect_end("failed", re.compile("^Nothing proves that this answer is whole"), "maybe whole")


def test_markup_in_a_token_is_text(up, page):
    begin(up, page, HOSTILE)
    up.event("done", "close").end()
    page.expect_complete(HOSTILE)
    assert page.tab.locator("#answer script, #answer img, #answer b").count() == 0


def test_markup_in_an_error_is_text(browser, chat):
    """The upstream's own words reach the small print, as text."""
    up, gateway = chat
    page = Page(browser, url(gateway)).generate()
    up.expect_request()
    up.head().event(json.dumps({"error": {"message": HOSTILE, "type": "server_error", "param": None, "code": None}})).end()
    page.expect_end("failed", "The model server reported an error inside its answer.", "")
    assert page.tab.locator("#facts *").count() == 0
    assert page.complaints == []
    page.tab.close()


@pytest.mark.parametrize("finish, state, status", [
    ("stop", "whole", "[Generation Complete]"),
    ("length", "short", "The model cut its answer short: it reached its length limit."),
    ("content_filter", "short", "The model cut its answer short: its content filter stepped in."),
])
def test_what_the_model_says_of_its_finish(browser, chat, finish, state, status):
    up, gateway = chat
    page = Page(browser, url(gateway)).generate("hello")
    assert up.expect_request().json["messages"] == [{"role": "user", "content": "hello"}]
    up.head().chunk("an answer").chunk(finish=finish).done().end()
    page.expect_end(state, status, "an answer")
    page.tab.close()


def test_stop_before_the_first_token(up, page):
    page.generate()
    up.expect_request()
    page.expect_running().stop()
    page.expect_end("stopped", "Stopped.", "")
    up.expect_gone()


def test_stop_in_the_middle(up, page):
    begin(up, page, "one ", "two ").stop()
    page.expect_end("stopped", "Stopped.", "one two ")
    expect(page.facts).to_have_text(re.compile("^2 tokens · 8 bytes"))
    up.expect_gone()


def test_a_second_tab_has_a_stream_of_its_own(browser, gateway, up, page):
    begin(up, page, "first")
    first = up.exchange
    other = Page(browser, url(gateway))
    begin(up, other, "second")
    up.event("done", "close").end()
    other.expect_complete("second")
    page.expect_running().expect_text("first")
    first.event("done", "close").end()
    page.expect_complete("first")
    other.tab.close()


def test_closing_the_tab_cancels_the_upstream(browser, gateway, up):
    page = Page(browser, url(gateway))
    begin(up, page, "a")
    page.tab.close()
    up.expect_gone()


def test_a_gateway_that_is_killed_is_lost(browser, mortal):
    up, gateway = mortal
    page = Page(browser, url(gateway))
    begin(up, page, "a")
    gateway.kill()
    expect(page.status).to_have_text("The connection broke; coming back…")
    page.expect_end("failed", "The connection to the gateway was lost. What became of the answer is unknown.", "a")
    page.tab.close()


def test_a_gateway_that_drains_says_so(browser, mortal):
    up, gateway = mortal
    page = Page(browser, url(gateway))
    begin(up, page, "a")
    gateway.stop()
    page.expect_end("failed", "The gateway was shut down before the answer was whole.", "a")
    page.tab.close()


SECRET = "canary+of/alice==0123456789"


@pytest.fixture
def locked(gateway_with, tmp_path):
    """A gateway that asks for a key."""
    up = Upstream()
    (tmp_path / "alice").write_text(SECRET)
    keys = f"keys: [{{ name: alice, key: 'file:{tmp_path}/alice', streams: 1 }}]"
    yield up, gateway_with(keys, route("/sse-proxy", up.url + "/generate", "grace: 5min"))
    up.close()


def give_key(page, key, sentence):
    door = page.tab.locator("#door")
    expect(door).to_be_visible()
    expect(page.tab.locator("#door-sentence")).to_have_text(re.compile(sentence))
    expect(page.tab.locator("#key")).to_be_focused()
    page.tab.keyboard.type(key)
    page.tab.keyboard.press("Enter")


def test_a_gateway_that_asks_for_a_key(browser, locked):
    up, gateway = locked
    page = Page(browser, url(gateway)).generate()
    page.expect_end("idle", "Waiting for a key.", "")
    give_key(page, SECRET[:-1], "^This gateway asks for a key")
    give_key(page, "no cookie can hold this", "^The gateway does not accept that key")
    give_key(page, f" {SECRET} ", "^The gateway does not accept that key")
    assert up.expect_request().prompt == "hello"
    up.head().tokens("a")
    page.expect_text("a").expect_running()
    expect(page.tab.locator("#door")).to_be_hidden()
    cookies = {cookie["name"]: cookie for cookie in page.tab.context.cookies()}
    kept = cookies["lastword_key"]
    assert (kept["value"], kept["sameSite"], kept["path"], kept["expires"], kept["secure"]) == (SECRET, "Strict", "/", -1, False)
    assert SECRET not in page.tab.url and SECRET not in page.tab.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    page.tab.reload()
    page.expect_text("a").expect_running()
    up.event("done", "close").end()
    page.expect_complete("a")
    begin(up, page, "b")  # the key is kept
    up.event("done", "close").end()
    page.expect_complete("b")
    assert [text for text in page.complaints if "401" not in text] == []
    page.tab.close()


def test_a_key_that_is_at_its_limit(browser, locked):
    up, gateway = locked
    gateway.viewer().watch("/sse-proxy?prompt=hi", headers={"x-api-key": SECRET})
    up.expect_request()
    page = Page(browser, url(gateway)).generate()
    give_key(page, SECRET, "asks for a key")
    page.expect_end("failed", "The limit for starting answers is reached. Try again later.", "")
    expect(page.facts).to_have_text("This key has 1 under way, as many as it may have at once.")
    assert up.requests == 1
    page.tab.close()


@pytest.mark.parametrize("file, type", [("", "text/html"), ("page.css", "text/css")]
                         + [(name, "text/javascript") for name in ("page.js", "text.js", "words.js", "lastword.js")])
def test_its_files_are_served_strictly(gateway, file, type):
    answer = gateway.ask("/" + file)
    assert (answer.status, answer.header("Content-Type")) == (200, f"{type}; charset=utf-8")
    assert bytes(answer.body) == (WEB / (file or "index.html")).read_bytes()
    policy = answer.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    again = gateway.ask("/" + file, headers={"If-None-Match": answer.header("ETag")})
    assert (again.status, bytes(again.body)) == (304, b"")
