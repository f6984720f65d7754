"""The last word of each way in which an answer can end. Named after the fault catalogue where it has a row."""

import json

import pytest

check = pytest.mark.check


def ask(house, path, prompt="hi"):
    """A viewer that watches, and an upstream that has the request before it."""
    up, viewer = house.at(path)
    viewer.ask(f"{path}?prompt={prompt}")
    up.expect_request()
    return up, viewer


# Dialect text.

@check
def test_a_good_answer_with_its_own_end_is_complete(house):
    up, viewer = house.at("/text")
    viewer.ask("/text?prompt=hello%20there")
    request = up.expect_request()
    assert (request.method, request.path, request.prompt) == ("GET", "/generate", "hello there")
    assert request.headers["accept-encoding"] == "identity"
    viewer.expect_stream()
    up.head().event("Hello")
    viewer.expect("Hello", id=1)
    up.event(" world")
    viewer.expect(" world", id=2)
    up.event("bye", name="close").end()
    viewer.expect_last_word("finished", end="complete", proof="marker", finish=None, events=2, bytes=11)


@check
def test_a_framed_answer_without_a_marker_is_complete_by_its_framing(house):
    up, viewer = ask(house, "/text")
    up.head().tokens("a", "b").end()
    viewer.expect_tokens("a", "b")
    viewer.expect_last_word("finished", proof="framing")


def test_a_content_length_that_is_fulfilled_is_a_framing(house):
    up, viewer = ask(house, "/text")
    up.answer("data: a\n\n", type="text/event-stream")
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="framing")


@check
def test_C14_a_close_delimited_answer_without_a_marker_is_unproven(house):
    up, viewer = ask(house, "/text")
    up.head("close").tokens("a").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("unproven", side="upstream")


def test_C14_a_close_delimited_answer_with_its_marker_is_complete(house):
    up, viewer = ask(house, "/text")
    up.head("close").tokens("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="marker")


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_C14_where_a_marker_is_required_its_absence_is_truncated(house, framing):
    up, viewer = ask(house, "/required")
    up.head(framing).tokens("a").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("truncated")


@pytest.mark.parametrize("framing, proof", [("chunked", "framing"), ("close", "none")])
def test_C14_an_operator_may_declare_that_no_marker_will_come(house, framing, proof):
    up, viewer = ask(house, "/none")
    up.head(framing).tokens("a").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof=proof)


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_an_answer_without_any_text_is_truncated(house, framing):
    up, viewer = ask(house, "/text")
    up.head(framing).send(": nothing\n\n").end()
    viewer.expect_last_word("truncated", events=0, bytes=0, crc32="00000000")


def test_a_marker_alone_proves_an_empty_answer(house):
    up, viewer = ask(house, "/text")
    up.head().done().end()
    viewer.expect_last_word("finished", proof="marker", events=0)


def test_half_an_event_at_a_clean_end_is_truncated_and_not_delivered(house):
    up, viewer = ask(house, "/text")
    up.head().event("a").send("data: half").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("truncated", events=1)


def test_a_half_written_comment_at_a_clean_end_is_no_event(house):
    up, viewer = ask(house, "/text")
    up.head().event("a").send(": pi").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="framing")


@check
def test_C12_a_cut_in_an_event_delivers_the_whole_ones_and_fails(house):
    up, viewer = ask(house, "/text")
    up.head().event("whole").send("data: ha")
    viewer.expect("whole", id=1)
    up.cut()
    viewer.expect_last_word("cut", side="upstream", events=1)


def test_C12_a_cut_inside_a_chunk_is_a_cut(house):
    up, viewer = ask(house, "/text")
    up.head().raw(b"20\r\ndata: a\n\ndata")
    viewer.expect("a", id=1)
    up.cut()
    viewer.expect_last_word("cut", events=1)


def test_C12_a_cut_inside_the_last_chunk_is_a_cut(house):
    up, viewer = ask(house, "/text")
    up.head().event("a").raw(b"0\r\n")
    viewer.expect("a", id=1)
    up.cut()
    viewer.expect_last_word("cut", events=1)


def test_C12_a_cut_before_the_head_is_a_cut(house):
    up, viewer = ask(house, "/text")
    up.raw(b"HTTP/1.1 200 OK\r\nContent-T").cut()
    viewer.expect_last_word("cut", events=0)


@check
def test_C13_a_reset_is_a_cut(house):
    up, viewer = ask(house, "/text")
    up.head().event("whole").send("data: ha")
    viewer.expect("whole", id=1)
    up.reset()
    viewer.expect_last_word("cut", events=1)


def test_C13_a_reset_of_a_close_delimited_answer_is_a_cut_not_an_end(house):
    up, viewer = ask(house, "/none")
    up.head("close").event("whole")
    viewer.expect("whole", id=1)
    up.reset()
    viewer.expect_last_word("cut")


@check
def test_C20_silence_between_events_is_idle_timeout(house):
    up, viewer = ask(house, "/quick")
    up.head().event("a")
    viewer.expect("a", id=1)
    up.stall()
    viewer.expect_last_word("idle_timeout", side="upstream", events=1)
    up.expect_gone()


def test_C20_comments_do_not_feed_the_clock(house):
    up, viewer = ask(house, "/quick")
    up.head().event("a")
    while not up.gone:
        up.send(": still alive\n\n")
    viewer.expect("a", id=1)
    viewer.expect_last_word("idle_timeout")


def test_C19_no_byte_at_all_is_first_event_timeout(house):
    up, viewer = ask(house, "/quick")
    up.stall()
    viewer.expect_last_word("first_event_timeout", events=0)
    up.expect_gone()


def test_an_answer_that_never_ends_is_total_timeout(house):
    up, viewer = ask(house, "/brief")
    up.head()
    while not up.gone:
        up.event("more")
    viewer.expect_end("total_timeout")


@check
def test_C1_nobody_listens_there_is_refused(house):
    viewer = house.viewer().watch("/refused?prompt=hi")
    viewer.expect_last_word("refused", side="upstream", events=0)


def test_C1_a_connection_that_does_not_come_about_is_connect_timeout(house):
    viewer = house.viewer().watch("/deaf?prompt=hi")
    viewer.expect_last_word("connect_timeout", side="upstream")


@check
def test_C6_a_status_is_said_with_its_number_and_never_its_html(house):
    up, viewer = ask(house, "/text")
    up.answer("<h1>Internal Server Error</h1>", status=500, type="text/html")
    viewer.expect_last_word("status", upstream_status=500)


@pytest.mark.parametrize("status", [301, 401, 404, 429, 503])
def test_C9_no_other_status_is_a_stream_and_none_is_followed(house, status):
    up, viewer = ask(house, "/text")
    up.answer("{}", status=status, headers=["Location: http://127.0.0.1:1/", "Retry-After: 7"])
    viewer.expect_last_word("status", upstream_status=status)
    assert up.requests == 1


@check
def test_C8_another_media_type_is_a_protocol_failure(house):
    up, viewer = ask(house, "/text")
    up.answer("<html>log in first</html>", type="text/html")
    viewer.expect_last_word("protocol", events=0)


@check
def test_C7_a_json_body_that_is_an_error_keeps_its_message(house):
    up, viewer = ask(house, "/chat")
    up.answer(json.dumps({"error": {"message": "no such model", "type": "invalid", "param": None, "code": None}}))
    verdict = viewer.expect_last_word("error")
    assert "no such model" in verdict["detail"]


def test_C7_any_other_json_body_is_a_protocol_failure(house):
    up, viewer = ask(house, "/chat")
    up.answer(json.dumps({"choices": [{"message": {"content": "whole answer"}}]}))
    viewer.expect_last_word("protocol")


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_C11_compressed_bytes_are_never_read_as_text(house, coding):
    up, viewer = ask(house, "/text")
    up.head(headers=[f"Content-Encoding: {coding}"]).event("x")
    viewer.expect_last_word("protocol", events=0)


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n",
    b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + 70000 * b"b" + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
], ids=range(9))
def test_C18_malformed_http_is_a_protocol_failure(house, raw):
    up, viewer = ask(house, "/text")
    up.raw(raw)
    viewer.expect_last_word("protocol", events=0)


def test_C10_informational_responses_are_skipped(house):
    up, viewer = ask(house, "/text")
    up.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").head().tokens("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")


def test_C15_a_length_that_is_too_large_is_a_cut(house):
    up, viewer = ask(house, "/text")
    up.head("length", length=100).event("a").cut()
    viewer.expect("a", id=1)
    viewer.expect_last_word("cut")


def test_C15_bytes_after_the_length_are_never_read(house):
    up, viewer = ask(house, "/text")
    up.head("length", length=9).send("data: a\n\ndata: b\n\n")
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", events=1)
    up.expect_gone()


@pytest.mark.parametrize("name, data", [("error", "out of memory"), ("failed", "out of memory"), ("error", None)])
def test_C30_an_error_event_is_an_error(house, name, data):
    up, viewer = ask(house, "/text")
    up.head().event("a").event(data, name=name).event("x", name="close").end()
    viewer.expect("a", id=1)
    verdict = viewer.expect_last_word("error", events=1)
    assert data is None or data in verdict["detail"]


def test_the_words_of_a_route_replace_the_defaults(house):
    up, viewer = ask(house, "/custom")
    up.head().tokens("[DONE]").event("x", name="close").event("<eos>").end()
    viewer.expect("[DONE]", id=1)
    viewer.expect_last_word("finished", proof="marker", events=1)
    up, viewer = ask(house, "/custom")
    up.head().event("x", name="fin").end()
    viewer.expect_last_word("finished", proof="marker", events=0)
    up, viewer = ask(house, "/custom")
    up.head().event(None, name="oops").end()
    viewer.expect_last_word("error")


@pytest.mark.parametrize("name, data", [("close", None), ("close", ""), ("end", "x"), ("done", None), (None, "[DONE]")])
def test_C29_each_terminator_with_and_without_data(house, name, data):
    up, viewer = ask(house, "/text")
    up.head("close").event("a").event(data, name=name).end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="marker", events=1)


@pytest.mark.parametrize("data", ["[DONE] ", " [DONE]", "[DONE]\n", "x[DONE]"])
def test_C29_only_the_exact_marker_ends(house, data):
    up, viewer = ask(house, "/text")
    up.head("close").event(data).end()
    viewer.expect(data, id=1)
    viewer.expect_last_word("unproven")


def test_C27_what_follows_the_marker_is_not_delivered(house):
    up, viewer = ask(house, "/text")
    up.head().send("data: a\n\ndata: [DONE]\n\ndata: b\n\nevent: error\ndata: x\n\n").cut()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="marker", events=1)


def test_C25_an_event_over_the_limit(house):
    up, viewer = ask(house, "/small")
    up.head().event("fits").send("data: " + 2048 * "x")
    viewer.expect("fits", id=1)
    viewer.expect_last_word("event_too_large", events=1)
    up.expect_gone()


def test_C36_a_stream_over_the_limit(house):
    up, viewer = ask(house, "/small")
    up.head().send(6 * ("data: " + 900 * "x" + "\n\n"))
    viewer.expect(900 * "x", id=1)
    viewer.expect_end("stream_too_large")


def test_C26_lines_without_events_are_no_events(house):
    up, viewer = ask(house, "/quick")
    up.head().send(20000 * "\n" + 1000 * ": c\n" + 1000 * "event: x\n\n" + 1000 * "nonsense\n")
    viewer.expect_last_word("first_event_timeout", events=0)


# Dialect openai-chat.

@check
def test_a_good_chat_is_complete_with_its_finish(house):
    up, viewer = house.at("/chat")
    viewer.ask("/chat?prompt=hi")
    request = up.expect_request()
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["content-type"] == "application/json"
    assert request.json == {"messages": [{"role": "user", "content": "hi"}], "stream": True, "model": "tiny"}
    up.head().chunk("", role="assistant").chunk("Hel").chunk("lo").chunk(finish="stop").done().end()
    viewer.expect_tokens("Hel", "lo")
    viewer.expect_last_word("finished", proof="marker", finish="stop", events=2)


@check
def test_C16_a_finish_without_done_is_complete(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk(finish="length").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="finish", finish="length")


def test_C16_a_finish_without_done_is_complete_when_the_connection_is_closed_too(house):
    up, viewer = ask(house, "/chat")
    up.head("close").chunk("a").chunk(finish="stop").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="finish", finish="stop")


@check
def test_C17_done_without_a_finish_is_truncated_at_once(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").done()
    viewer.expect("a", id=1)
    viewer.expect_last_word("truncated")


def test_C17_where_finish_is_optional_done_alone_proves(house):
    up, viewer = ask(house, "/chat-optional")
    up.head().chunk("a").done()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", proof="terminator", finish=None)


def test_a_chat_that_ends_without_finish_is_truncated(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("truncated")


def test_a_cut_after_the_finish_is_a_cut(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk(finish="stop")
    viewer.expect("a", id=1)
    up.wait_read()
    up.cut()
    viewer.expect_last_word("cut")


@check
def test_C30_an_error_followed_by_done_is_an_error(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").event(json.dumps({"error": {"message": "CUDA out of memory", "type": "x"}})).done().end()
    viewer.expect("a", id=1)
    verdict = viewer.expect_last_word("error", events=1)
    assert "CUDA out of memory" in verdict["detail"]


def test_C30_an_error_that_is_a_string(house):
    up, viewer = ask(house, "/chat")
    up.head().event(json.dumps({"error": "overloaded"})).end()
    assert "overloaded" in viewer.expect_last_word("error")["detail"]


@check
@pytest.mark.parametrize("reason", ["abort", "error"])
def test_C30_a_finish_that_is_a_failure_is_aborted(house, reason):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk(finish=reason).done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("aborted")


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "some_new_word"])
def test_every_other_word_of_the_model_is_a_finish(house, reason):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk(finish=reason).done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", finish=reason)


def test_text_in_the_chunk_of_the_finish_is_delivered(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk("b", finish="stop").done().end()
    viewer.expect_tokens("a", "b")
    viewer.expect_last_word("finished", finish="stop")


def test_every_choice_must_finish_and_the_page_gets_the_first(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk("other", index=1).chunk(finish="stop").done()
    viewer.expect("a", id=1)
    viewer.expect_last_word("truncated", events=1)
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").chunk("other", index=1).chunk(finish="stop").chunk(finish="stop", index=1).done()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", events=1)


def test_usage_and_roles_are_no_tokens(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk("", role="assistant").chunk("a").chunk(finish="stop")
    up.event(json.dumps({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})).done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", events=1)


def test_reasoning_has_ids_and_is_not_counted(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk(reasoning_content="hm").chunk("a").chunk(finish="stop").done().end()
    viewer.expect("hm", id=1, name="reasoning")
    viewer.expect("a", id=2)
    viewer.expect_last_word("finished", events=1, bytes=1)


def test_a_refusal_is_text(house):
    up, viewer = ask(house, "/chat")
    up.head().chunk(refusal="I cannot").chunk(finish="stop").done().end()
    viewer.expect("I cannot", id=1)
    viewer.expect_last_word("finished")


@pytest.mark.parametrize("frame", ["{", "{}x", '{"choices":[{"delta":{"content":"a"}]}', "nonsense"])
def test_C33_a_chunk_that_is_no_json_is_a_protocol_failure(house, frame):
    up, viewer = ask(house, "/chat")
    up.head().chunk("a").event(frame).chunk(finish="stop").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("protocol", events=1)


def test_C19_a_role_alone_is_no_first_event(house):
    up, viewer = ask(house, "/chat-quick")
    up.head().chunk("", role="assistant")
    viewer.expect_last_word("first_event_timeout", events=0)


def test_a_path_names_its_dialect(house):
    up, viewer = ask(house, "/chat-auto")
    assert up.request.method == "POST" and up.request.json["stream"] is True
    up.head().chunk("a").chunk(finish="stop").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished", finish="stop")


# Other ways to reach an upstream.

def test_a_unix_socket_is_an_upstream(house):
    up, viewer = ask(house, "/unix")
    assert up.request.target == "/generate?prompt=hi"
    up.head().tokens("a").done().end()
    viewer.expect("a", id=1)
    viewer.expect_last_word("finished")


def test_the_prompt_joins_the_upstream_s_own_query(house):
    up, viewer = ask(house, "/query", prompt="a%26b%3Dc%2Bd%20e%C3%A9")
    assert up.request.query == {"model": ["tiny"], "prompt": ["a&b=c+d e\u00e9"]}
    up.head().done().end()
    viewer.expect_last_word("finished")
