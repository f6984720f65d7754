"""One answer through what a page lives through: no network, reloads, second tabs, a gateway that was restarted. The text
stands there whole and once, it is verified, and the model server was asked once."""

import re

import pytest
from browser import Page, expect
from conftest import COMMON
from gateway import Gateway

TOKENS = ["one ", "two\n", "three ", "fo\u00fcr "]


def configuration(up, port=0):
    return f"""{COMMON.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)}
routes:
  - {{ path: /sse-proxy, upstream: '{up.url}/generate', grace: 5s }}
"""


@pytest.fixture
def gateway(up, tmp_path):
    with Gateway(configuration(up), tmp_path) as gateway:
        yield gateway


@pytest.fixture
def mortal(up, tmp_path):
    """A gateway that may be killed; mortal(port) starts the next one, in the place of the first."""
    started = []

    def start(port=0):
        started.append(Gateway(configuration(up, port), tmp_path).start())
        return started[-1]

    yield start
    for gateway in started:
        gateway.kill()


@pytest.fixture
def person(browser):
    """A browser's profile: its tabs share cookies and the clipboard, not sessionStorage."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield context
    context.close()


def url(gateway, suffix=""):
    return "http://%s:%d/%s" % (*gateway.address, suffix)


def begin(up, page, *tokens):
    page.generate("hello")
    up.expect_request()
    up.head().tokens(*tokens)
    return page.expect_text("".join(tokens)).expect_running("Generating…")


def end(up, page, *tokens):
    up.event("done", "close").end()
    page.expect_complete("".join(tokens))
    expect(page.facts).to_have_text(re.compile(f"^{len(tokens)} tokens? · .*verified$"))
    assert up.requests == 1


def share(page):
    """The link that its button copies."""
    page.tab.click("#link")
    expect(page.tab.locator("#copied")).to_have_text("Link copied")
    link = page.tab.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/#stream=[\w-]{22}$", link)
    return link


def unplug(person, wire):
    person.set_offline(True)
    wire.cut()


def test_three_seconds_without_a_network(up, wire, person):
    page = Page(person, wire.url)
    begin(up, page, *TOKENS[:2])
    unplug(person, wire)
    page.expect_running("The connection broke; coming back…")
    up.tokens(TOKENS[2])
    page.tab.wait_for_timeout(3000)  # this time is what is tested
    page.expect_text("".join(TOKENS[:2]))
    person.set_offline(False)
    page.expect_text("".join(TOKENS[:3])).expect_running("Generating…")
    up.tokens(TOKENS[3])
    end(up, page, *TOKENS)


def test_no_network_before_the_first_token(up, wire, person):
    page = Page(person, wire.url).generate("hello")
    up.expect_request()
    page.expect_running("Waiting for the first token…")
    unplug(person, wire)
    page.expect_running("The connection broke; coming back…")
    person.set_offline(False)
    up.head().tokens(*TOKENS)
    end(up, page, *TOKENS)


def test_a_reload_in_mid_answer(up, gateway, person):
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS[:2])
    page.tab.reload()
    page.expect_text("".join(TOKENS[:2])).expect_running("Generating…")
    expect(page.tab.locator("#prompt")).to_have_value("hello")
    up.tokens(*TOKENS[2:])
    end(up, page, *TOKENS)


def test_a_reload_before_the_stream_has_a_name(up, wire, person):
    """The question has arrived, its answer's head has not: only the key can find it."""
    page = Page(person, wire.url)
    wire.cut()
    wire.deaf = True
    page.generate("hello")
    up.expect_request()
    page.expect_running("Connecting…")
    wire.deaf = False
    page.tab.reload()
    up.head().tokens(*TOKENS)
    end(up, page, *TOKENS)


def test_a_reload_after_the_end_shows_it_again(up, gateway, person):
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS)
    end(up, page, *TOKENS)
    page.tab.reload()
    page.expect_complete("".join(TOKENS))
    assert up.requests == 1


def test_a_second_tab_and_a_second_person_read_the_same_answer(up, gateway, person, browser):
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS[:2])
    link = share(page)
    readers = [Page(person, link), Page(browser, link), Page(browser, link.replace("#", "?"))]
    for reader in readers:
        reader.expect_text("".join(TOKENS[:2])).expect_running("Generating…")
        expect(reader.tab.locator("#shared")).to_be_visible()
    up.tokens(*TOKENS[2:])
    end(up, page, *TOKENS)
    for reader in readers:
        reader.expect_complete("".join(TOKENS))
        expect(reader.facts).to_have_text(re.compile("^4 tokens · .*verified$"))
    assert up.requests == 1
    for reader in readers:
        assert reader.complaints == []
        reader.tab.close()


def test_a_shared_answer_outlives_the_tab_that_asked(up, gateway, person):
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS[:2])
    reader = Page(person, share(page)).expect_text("".join(TOKENS[:2]))
    page.tab.close()
    up.tokens(*TOKENS[2:])
    end(up, reader, *TOKENS)


def test_a_stop_in_the_other_tab_is_told_in_both(up, gateway, person):
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS)
    other = Page(person, share(page)).expect_text("".join(TOKENS))
    other.stop()
    up.expect_gone(within=1)
    for tab in page, other:
        tab.expect_end("stopped", "Stopped.", "".join(TOKENS))
        expect(tab.facts).to_have_text(re.compile("verified$"))
    assert up.requests == 1


def test_generating_behind_a_shared_answer_leaves_its_address(up, gateway, person):
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS)
    other = Page(person, share(page)).expect_text("".join(TOKENS))
    end(up, page, *TOKENS)
    other.expect_complete("".join(TOKENS)).generate("again")
    up.expect_request()
    up.head().tokens("new").event("done", "close").end()
    other.expect_complete("new")
    expect(other.tab.locator("#shared")).to_be_hidden()
    assert other.tab.url == url(gateway)


def test_a_gateway_that_was_restarted_has_forgotten(up, person, mortal):
    gateway = mortal()
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS)
    gateway.kill()
    mortal(gateway.address[1])
    page.expect_end("failed", "This answer is not kept here any more.", "".join(TOKENS))
    assert up.requests == 1
    page.tab.reload()
    page.expect_end("idle", "", "")
    assert up.requests == 1


def test_a_reload_at_a_restarted_gateway_is_told_too(up, person, mortal):
    gateway = mortal()
    page = Page(person, url(gateway))
    begin(up, page, *TOKENS)
    page.tab.route("**/streams/*", lambda route: route.abort())  # the page does not learn of it before
    gateway.kill()
    page.expect_running("The connection broke; coming back…")
    mortal(gateway.address[1])
    page.tab.reload()
    page.tab.unroute("**/streams/*")  # not before: the old page would learn of it, and forget the answer
    page.expect_end("failed", "This answer is not kept here any more.", "")
    assert up.requests == 1


def test_another_language(up, gateway, browser):
    page = Page(browser, url(gateway), locale="zh-CN")
    expect(page.generate_button).to_have_text("生成")
    expect(page.tab.locator("html")).to_have_attribute("lang", "zh-CN")
    page.generate("你好")
    up.expect_request()
    up.head().tokens("你", "好").event("done", "close").end()
    expect(page.status).to_have_text("[生成完成]")
    expect(page.facts).to_have_text(re.compile("^2 个词元 · 6 字节 · .*已核对$"))
    page.tab.close()


def test_each_paragraph_has_its_own_direction(up, gateway, person):
    page = Page(person, url(gateway))
    begin(up, page, "שלום עולם")
    blocks = page.answer.locator("div")
    assert blocks.first.evaluate("e => getComputedStyle(e).direction") == "rtl"
    end(up, page, "שלום עולם")


def test_states_are_announced_and_tokens_are_not(up, gateway, person):
    page = Page(person, url(gateway))
    page.tab.evaluate("""() => { window.heard = [];
        new MutationObserver(() => heard.push(document.getElementById("status").textContent))
            .observe(document.getElementById("status"), {childList: true, characterData: true, subtree: true}); }""")
    begin(up, page, *TOKENS)
    expect(page.answer).to_have_attribute("aria-busy", "true")
    end(up, page, *TOKENS)
    assert page.tab.locator("[role=status], [aria-live]").evaluate_all("all => all.map(e => e.id)") == ["status", "copied"]
    assert [words for words in page.tab.evaluate("heard") if words] == [
        "Connecting…", "Waiting for the first token…", "Generating…", "[Generation Complete]"]


def test_a_megabyte_keeps_every_character_in_few_blocks(up, gateway, person):
    page = Page(person, url(gateway))
    tokens = [f"{n} is a piece of a very long answer, with a line at its end.\n" * 20 for n in range(800)]
    page.generate("hello")
    up.expect_request()
    up.head().tokens(*tokens)
    end(up, page, *tokens)
    assert 100 < page.answer.locator("div").count() < 400
