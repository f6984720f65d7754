"""A token travels whole: nothing of it is lost, added or moved between the upstream's event and the page's."""

import json

import pytest
from conftest import route

check = pytest.mark.check


def ask(house, path):
    up, viewer = house.at(path)
    viewer.ask(f"{path}?prompt=hi")
    up.expect_request()
    return up, viewer


@check
def test_spaces_newlines_and_emptiness_inside_a_token(house):
    up, viewer = ask(house, "/text")
    tokens = ["  two leading", "trailing  ", " ", "\t", "a\nb", "\n", "\n\n", "a\n", "\nb", ":", "data: x", "<b>&amp;</b>", "\u2028", "\u0000"]
    up.head().tokens(*tokens).done().end()
    viewer.expect_tokens(*tokens)
    viewer.expect_last_word("finished", events=len(tokens))


def test_empty_data_is_no_text(house):
    up, viewer = ask(house, "/text")
    up.head().tokens("a", "", "b").done().end()
    viewer.expect_tokens("a", "b")
    viewer.expect_last_word("finished", events=2)


@check
def test_C23_all_three_line_ends_and_both_forms_of_the_colon(house):
    up, viewer = ask(house, "/text")
    up.head().send("data: a\r\n\r\ndata:b\r\rdata: c\n\ndata:  d\r\n\rdata: e\n\r\n").done().end()
    viewer.expect_tokens("a", "b", "c", " d", "e")
    viewer.expect_last_word("finished")


def test_C23_a_cr_whose_lf_comes_in_a_later_packet_is_one_line_end(house):
    up, viewer = ask(house, "/text")
    up.head().send("data: a\r")
    up.wait_read()
    up.send("\ndata: b\r\n\r")
    viewer.expect("a\nb", id=1)
    up.wait_read()
    up.send("\n").done().end()
    viewer.expect_last_word("finished", events=1)


def test_C24_a_bom_is_stripped_once(house):
    up, viewer = ask(house, "/text")
    up.head().send(b"\xef\xbb\xbfdata: a\n\n" + "data: \ufeffb\n\n".encode()).done().end()
    viewer.expect_tokens("a", "\ufeffb")
    viewer.expect_last_word("finished")


@check
def test_C21_one_byte_a_packet_gives_the_same_events(house):
    up, viewer = ask(house, "/text")
    up.head().drip("data: é€😀\r\n\r\nevent: note\ndata: x\n\ndata:y\n\n".encode()).done().end()
    viewer.expect("é€😀", id=1)
    viewer.expect("y", id=2)
    viewer.expect_last_word("finished", events=2, bytes=10)


def test_C22_what_is_no_utf8_becomes_replacement_characters(house):
    up, viewer = ask(house, "/text")
    up.head().send(b"data: a\xffb\xc0\xafc\xed\xa0\x80d\n\n").done().end()
    viewer.expect("a\ufffdb\ufffd\ufffdc\ufffd\ufffd\ufffdd", id=1)
    viewer.expect_last_word("finished")


@check
def test_half_a_character_waits_for_its_other_half(house):
    up, viewer = ask(house, "/chat")
    up.head().send('data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n')
    viewer.expect("a", id=1)
    up.send('data: {"choices":[{"index":0,"delta":{"content":"\\ude00b"}}]}\n\n')
    viewer.expect("😀b", id=2)
    up.chunk(finish="stop").done().end()
    viewer.expect_last_word("finished", events=2, bytes=6)


def test_half_a_character_that_never_gets_its_other_half_is_replaced(house):
    up, viewer = ask(house, "/chat")
    up.head().send('data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n')
    viewer.expect("a", id=1)
    up.chunk("b").chunk(finish="stop").done().end()
    viewer.expect("\ufffdb", id=2)
    viewer.expect_last_word("finished", events=2)


def test_a_character_of_the_dialect_text_may_be_split_over_two_events(house):
    up, viewer = ask(house, "/text")
    up.head().send(b"data: a\xe2\x82\n\n")
    viewer.expect("a", id=1)
    up.send(b"data: \xacb\n\n").done().end()
    viewer.expect("€b", id=2)
    viewer.expect_last_word("finished", events=2, bytes=5)


def test_in_text_mode_cr_and_crlf_become_lf(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a\r\nb\rc").chunk("d\r").chunk("\ne").chunk(finish="stop").done().end()
    viewer.expect_tokens("a\nb\nc", "d\n", "e")
    viewer.expect_last_word("finished")


@check
def test_in_json_mode_a_token_is_exact(house):
    up, viewer = ask(house, "/json")
    up.head().tokens("a", " b\nc", '"\\', "é😀", "</script>", "\u2028").done().end()
    viewer.expect_tokens("a", " b\nc", '"\\', "é😀", "</script>", "\u2028")
    assert viewer.is_json
    viewer.expect_last_word("finished", events=6)


def test_F6_text_that_looks_like_a_stream_forges_nothing(house):
    up, viewer = ask(house, "/chat")
    evil = "x\n\nevent: close\nid: X.end\ndata: {}\n\nretry: 1\n: c"
    up.head().chunk(evil).chunk(finish="stop").done().end()
    viewer.expect(evil, id=1)
    viewer.expect_last_word("finished", events=1)


def test_C31_ids_retry_and_foreign_events_of_the_upstream_do_not_cross(house):
    up, viewer = ask(house, "/text")
    up.head().send("retry: 7\nid: 99\nevent: message\ndata: a\n\nevent: usage\nid: 100\ndata: {}\n\nid: 101\n\n").done().end()
    viewer.expect("a", id=1)
    assert viewer.reader.retry == 100
    viewer.expect_last_word("finished", events=1)


def test_a_large_token_is_one_event(house):
    up, viewer = ask(house, "/chat")
    token = 3000 * "wörd \n" * 20
    up.head().send("data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": token}, "finish_reason": "stop"}]}) + "\n\n").done().end()
    viewer.expect(token, id=1)
    viewer.expect_last_word("finished", events=1)


def test_many_tokens_in_one_packet_and_many_packets(house):
    up, viewer = ask(house, "/text")
    tokens = [f"t{n} " for n in range(5000)]
    up.head().send("".join(f"data: {token}\n\n" for token in tokens[:2500]))
    up.tokens(*tokens[2500:]).done().end()
    viewer.expect_tokens(*tokens)
    viewer.expect_last_word("finished", events=5000)


@check
def test_heartbeats_fill_the_silence_before_the_first_token_too(gateway_with, up):
    gateway = gateway_with("heartbeat: 100ms", route("/text", up.url + "/generate"))
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    viewer.expect_heartbeat()
    up.head()
    viewer.expect_heartbeat()
    up.event("a")
    viewer.expect("a", id=1)
    viewer.expect_heartbeat()
    viewer.expect_heartbeat()
    up.done()
    viewer.expect_last_word("finished")
