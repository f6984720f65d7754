"""The page's own client against a gateway that the test plays: what a true gateway does only in trouble."""

import re
from pathlib import Path

import pytest
from browser import Page, expect
from pretend import ID, WEB, Gate

STREAM = f"/streams/{ID}"
CAUSES = re.findall(r'^CAUSE\(\w+, "(\w+)", (\w+),', (WEB.parent / "src/base/cause.def").read_text(), re.M)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def page(browser, gate):
    page = Page(browser, gate.url)
    yield page
    page.tab.close()


def test_a_prompt_travels_as_json_under_a_key(gate, page):
    page.generate('say "ü"\nplease')
    asked = gate.expect("POST", "/sse-proxy")
    assert asked.request.json == {"prompt": 'say "ü"\nplease'}
    assert asked.request.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]{32}", asked.request.headers["idempotency-key"])
    page.expect_running()
    asked.whole("Hel", "lo")
    page.expect_complete("Hello")
    expect(page.facts).to_have_text(re.compile("^2 tokens · 5 bytes · .* · verified$"))


def test_two_answers_have_two_keys(gate, page):
    keys = set()
    for _ in range(2):
        page.generate()
        asked = gate.expect("POST", "/sse-proxy")
        keys.add(asked.request.headers["idempotency-key"])
        asked.whole("a")
        page.expect_complete("a")
    assert len(keys) == 2


def test_tokens_travel_whole(gate, page):
    tokens = ["  two", " spaces ", "\n\n", "a\nb", "", "ü€😀", "\t", "end\n"]
    page.generate()
    gate.expect("POST", "/sse-proxy").whole(*tokens)
    page.expect_complete("".join(tokens))


def test_every_byte_may_come_alone(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens()
    for byte in "id: x.1\r\ndata: ü\rdata:  😀\r\n\r\n".encode():
        asked.send(bytes([byte]))
        asked.wait_read()
    asked.last_word(["ü\n 😀"])
    page.expect_complete("ü\n 😀")


def test_json_data_is_decoded(gate, page):
    page.generate()
    gate.expect("POST", "/sse-proxy").opens(data="json").send('data: "a\\r\\nb"\n\n').last_word(["a\r\nb"])
    page.expect_complete("a\r\nb")


def test_a_long_answer_keeps_every_character(gate, page):
    tokens = [f"line {n} of a long answer\n" for n in range(4000)]
    page.generate()
    gate.expect("POST", "/sse-proxy").whole(*tokens)
    page.expect_complete("".join(tokens))
    assert page.answer.locator("div").count() > 10


@pytest.mark.parametrize("finish, sentence", [("length", "length limit"), ("content_filter", "content filter")])
def test_a_model_that_cut_itself_short_is_not_complete(gate, page, finish, sentence):
    page.generate()
    gate.expect("POST", "/sse-proxy").opens().token(1, "half").last_word(["half"], finish=finish)
    page.expect_end("short", re.compile(sentence), "half")


@pytest.mark.parametrize("cause", [name for name, end in CAUSES if end == "FAILED"])
def test_each_cause_has_a_sentence(gate, page, cause):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().token(1, "half")
    asked.last_word(["half"], "failed", end="failed", cause=cause, finish=None, proof=None, side="upstream", detail="The small print.")
    page.expect_end("failed", re.compile(r"^[A-Z].*\.$"), "half")
    assert cause not in page.status.inner_text() or "_" not in cause
    assert not page.status.inner_text().startswith("The answer failed:")
    expect(page.facts).to_have_text("The small print.")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_knows_exactly_the_causes_of_the_table(language):
    words = (WEB / "words.js").read_text()
    table = re.search(rf"const {language} = \{{.*?\n\tcauses: \{{\n(.*?)\n\t\}},", words, re.S)[1]
    known = re.findall(r"^\t\t(\w+):", table, re.M)
    assert known[: len(CAUSES)] == [name for name, _ in CAUSES]
    assert set(known[len(CAUSES):]) == {"lost", "busy", "rejected", "unreadable", "damaged", "left"}


@pytest.mark.parametrize("wrong", [{"events": 3}, {"bytes": 5}, {"crc32": "00000000"}])
def test_a_last_word_that_disagrees_is_no_completion(gate, page, wrong):
    page.generate()
    gate.expect("POST", "/sse-proxy").opens().token(1, "ab").token(2, "cd").last_word(["ab", "cd"], **wrong)
    page.expect_end("failed", re.compile("lost on the way"), "abcd")
    expect(page.facts).to_have_text(re.compile("^The gateway counted"))


def test_a_last_word_that_is_no_json_is_no_completion(gate, page):
    page.generate()
    gate.expect("POST", "/sse-proxy").opens().send("event: close\ndata: whole!\n\n").end()
    page.expect_end("failed", "The gateway's last word cannot be read.")


def test_nothing_counts_after_the_last_word(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens()
    asked.send('event: close\ndata: {"end":"complete","cause":"finished","events":0,"bytes":0,"crc32":"00000000"}\n\ndata: more\n\n').end()
    page.expect_complete("")


@pytest.mark.parametrize("how", ["end", "cut"])
def test_a_broken_connection_comes_back_to_its_place(gate, page, how):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().token(1, "a").token(2, "b")
    page.expect_text("ab")  # a fetch that breaks forgets what it has not handed over yet
    getattr(asked, how)()
    again = gate.expect("GET", STREAM)
    assert again.request.headers["last-event-id"] == f"{ID}.2"
    again.opens(place=2).token(3, "c").last_word(["a", "b", "c"])
    page.expect_complete("abc")


def test_half_an_event_is_not_shown_twice(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().token(1, "a").send(f"id: {ID}.2\ndata: b\n")
    page.expect_text("a")
    asked.cut()
    again = gate.expect("GET", STREAM)
    assert again.request.headers["last-event-id"] == f"{ID}.1"
    again.opens(place=1).token(2, "b").last_word(["a", "b"])
    page.expect_complete("ab")


def test_a_break_before_the_head_asks_again_under_the_same_key(gate, page):
    page.generate()
    first = gate.expect("POST", "/sse-proxy")
    first.cut()
    second = gate.expect("POST", "/sse-proxy")
    assert second.request.headers["idempotency-key"] == first.request.headers["idempotency-key"]
    second.whole("once")
    page.expect_complete("once")


def test_a_proxy_in_between_that_says_502_is_asked_again(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().token(1, "a")
    page.expect_text("a")
    asked.cut()
    gate.expect("GET", STREAM).refuses(502, "<h1>Bad Gateway</h1>", "text/html")
    gate.expect("GET", STREAM).opens(place=1).last_word(["a"])
    page.expect_complete("a")


def test_a_gateway_that_stays_away_is_lost(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().token(1, "a")
    page.expect_text("a")
    asked.cut()
    for _ in range(10):
        gate.expect("GET", STREAM).cut()
    page.expect_end("failed", "The connection to the gateway was lost. What became of the answer is unknown.", "a")


def test_a_busy_gateway_is_asked_again(gate, page):
    page.generate()
    first = gate.expect("POST", "/sse-proxy").head(headers=["Connection: close"]).send("retry: 20\n\n").end()
    expect(page.status).to_have_text("The gateway is busy; trying again…")
    second = gate.expect("POST", "/sse-proxy")
    assert second.request.headers["idempotency-key"] == first.request.headers["idempotency-key"]
    second.opens()
    page.expect_running()
    second.token(1, "a").last_word(["a"])
    page.expect_complete("a")


def test_a_refusal_is_said_in_the_gateways_words(gate, page):
    page.generate()
    gate.expect("POST", "/sse-proxy").refuses(422, '{"error":{"message":"<b>No</b> such prompt.","type":"x","param":null,"code":null}}')
    page.expect_end("failed", "<b>No</b> such prompt.", "")


@pytest.mark.parametrize("body, status", [("<h1>no</h1>", 500), ("<h1>log in</h1>", 200)])
def test_an_answer_that_is_no_stream_is_said(gate, page, body, status):
    page.generate()
    gate.expect("POST", "/sse-proxy").refuses(status, body, "text/html")
    page.expect_end("failed", re.compile(str(status)), "")


def test_reasoning_stands_apart_and_is_not_counted(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens()
    asked.send(f"event: reasoning\nid: {ID}.1\ndata: hmm <b>\n\n").token(2, "so").last_word(["so"])
    page.expect_complete("so")
    expect(page.tab.locator("#reasoning-text")).to_have_text("hmm <b>")
    page.tab.click("summary")
    expect(page.tab.locator("#reasoning-text")).to_be_visible()


def test_the_queue_is_told(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().send('event: progress\ndata: {"queue":3}\n\n')
    page.expect_running("Waiting, 3 ahead of you…")
    asked.send('event: progress\ndata: {"queue":0}\n\n')
    page.expect_running("Waiting for the first token…")
    asked.token(1, "a").last_word(["a"])
    page.expect_complete("a")


def test_a_stop_before_the_head_is_sent_when_the_stream_has_an_id(gate, page):
    page.generate().stop()
    expect(page.status).to_have_text("Stopping…")
    asked = gate.expect("POST", "/sse-proxy").opens()
    gate.expect("DELETE", STREAM).head("length", 204, None, 0, ["Connection: close"])
    asked.last_word([], end="stopped", cause="stopped", finish=None, proof=None)
    page.expect_end("stopped", "Stopped.", "")


def test_a_stop_that_nobody_confirms_ends_too(gate, page):
    page.generate()
    gate.expect("POST", "/sse-proxy").opens().token(1, "a")
    page.expect_text("a").stop()
    gate.expect("DELETE", STREAM)
    page.expect_end("stopped", "Stopped watching. The gateway did not confirm that the answer was stopped.", "a")


def test_an_answer_that_ends_while_it_is_stopped_is_complete(gate, page):
    page.generate()
    asked = gate.expect("POST", "/sse-proxy").opens().token(1, "a")
    page.expect_text("a").stop()
    gate.expect("DELETE", STREAM)
    asked.last_word(["a"])
    page.expect_complete("a")


def test_under_a_prefix_everything_stays_there(browser, gate):
    page = Page(browser, gate.url + "deep/down/").generate()
    asked = gate.expect("POST", "/deep/down/sse-proxy").opens().token(1, "a")
    page.expect_text("a")
    asked.cut()
    asked = gate.expect("GET", "/deep/down" + STREAM).opens(place=1)
    page.expect_running().stop()
    gate.expect("DELETE", "/deep/down" + STREAM)
    asked.last_word(["a"], end="stopped", cause="stopped")
    page.expect_end("stopped", "Stopped.", "a")
    page.tab.close()


def test_an_empty_prompt_asks_nothing(gate, page):
    page.generate("  \n")
    page.expect_end("idle", "Type a prompt first.")
    page.generate("now")
    gate.expect("POST", "/sse-proxy").whole("a")
    page.expect_complete("a")
