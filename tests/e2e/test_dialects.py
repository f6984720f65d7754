"""Browser routes onto every dialect: what is asked there, what the page reads of it, and how each end is judged. The servers'
words are those of their own documentation; the judge knows nothing of the gateway's readers."""

import json

import pytest
from conftest import route
from upstream import Upstream

J = json.dumps


def sse(*frames):
    """Event streams: (name, data) or data."""
    out = []
    for frame in frames:
        name, data = frame if isinstance(frame, tuple) else (None, frame)
        out.append((f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else J(data)}\n\n")
    return out


def typed(*events):
    return sse(*[(event["type"], event) for event in events])


def lines(*objects):
    return [J(o) + "\n" for o in objects]


# name: (path, the members that must be asked, frames of the text "Hel" + "lo" without an end, frames of the end, an error, finish)
DIALECTS = {
    "openai-chat": (
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "stream": True},
        sse({"choices": [{"index": 0, "delta": {"content": "Hel"}}]}, {"choices": [{"index": 0, "delta": {"content": "lo"}}]}),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"),
        sse({"error": {"message": "no memory", "type": "server_error"}}), "stop"),
    "openai-completions": (
        "/v1/completions", {"prompt": "hi", "stream": True},
        sse({"choices": [{"index": 0, "text": "Hel"}]}, {"choices": [{"index": 0, "text": "lo"}]}),
        sse({"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}, "[DONE]"),
        sse({"error": {"message": "no memory"}}), "length"),
    "openai-responses": (
        "/v1/responses", {"stream": True},
        typed({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "status": "in_progress"}},
              {"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "content_index": 0, "delta": "Hel"},
              {"type": "response.output_text.delta", "sequence_number": 2, "output_index": 0, "content_index": 0, "delta": "lo"}),
        typed({"type": "response.completed", "sequence_number": 3, "response": {"id": "r", "status": "completed"}}),
        typed({"type": "error", "sequence_number": 3, "code": "server_error", "message": "no memory", "param": None}), "completed"),
    "anthropic": (
        "/v1/messages", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4096, "stream": True},
        typed({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, {"type": "ping"},
              {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
              {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}),
        typed({"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}, {"type": "message_stop"}),
        typed({"type": "error", "error": {"type": "overloaded_error", "message": "no memory"}}), "end_turn"),
    "gemini": (
        "/v1beta/models/tiny:streamGenerateContent", {},
        sse({"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]}, {"candidates": [{"content": {"parts": [{"text": "lo"}]}}]}),
        sse({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}),
        sse({"error": {"code": 503, "message": "no memory", "status": "UNAVAILABLE"}}), "STOP"),
    "ollama-chat": (
        "/api/chat", {"messages": [{"role": "user", "content": "hi"}]},
        lines({"message": {"role": "assistant", "content": "Hel"}, "done": False}, {"message": {"role": "assistant", "content": "lo"}, "done": False}),
        lines({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}),
        lines({"error": "no memory"}), "stop"),
    "ollama-generate": (
        "/api/generate", {"prompt": "hi"},
        lines({"response": "Hel", "done": False}, {"response": "lo", "done": False}),
        lines({"response": "", "done": True, "done_reason": "stop"}),
        lines({"error": "no memory"}), "stop"),
    "llamacpp": (
        "/completion", {"prompt": "hi", "stream": True},
        sse({"content": "Hel", "stop": False}, {"content": "lo", "stop": False}),
        sse({"content": "", "stop": True, "stop_type": "eos"}),
        sse({"error": {"code": 500, "message": "no memory", "type": "server_error"}}), "eos"),
    "tgi": (
        "/generate_stream", {"inputs": "hi"},
        sse({"index": 1, "token": {"id": 1, "text": "Hel", "special": False}, "generated_text": None},
            {"index": 2, "token": {"id": 2, "text": "lo", "special": False}, "generated_text": None}),
        sse({"index": 3, "token": {"id": 3, "text": "</s>", "special": True}, "generated_text": "Hello", "details": {"finish_reason": "eos_token"}}),
        sse({"error": "no memory", "error_type": "generation"}), "eos_token"),
    "sglang-generate": (
        "/generate", {"text": "hi", "stream": True},
        sse({"text": "Hel", "meta_info": {"finish_reason": None}}, {"text": "Hello", "meta_info": {"finish_reason": None}}),
        sse({"text": "Hello", "meta_info": {"finish_reason": {"type": "stop"}}}, "[DONE]"),
        sse({"error": {"message": "no memory"}}), "stop"),
    "ai-ui": (
        "/api/ui", {"messages": None},
        sse({"type": "start"}, {"type": "text-start", "id": "t"}, {"type": "text-delta", "id": "t", "delta": "Hel"},
            {"type": "text-delta", "id": "t", "delta": "lo"}),
        sse({"type": "text-end", "id": "t"}, {"type": "finish", "finishReason": "stop"}, "[DONE]"),
        sse({"type": "error", "errorText": "no memory"}), "stop"),
}
# Their official terminator is the end of a framed body.
BY_FRAMING = {"gemini"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A gateway with a route for each dialect, onto one upstream each."""
    from gateway import Gateway

    ups = {name: Upstream() for name in DIALECTS}
    text = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nretry: 100ms\nroutes:\n" + "\n".join(
        route(f"/{name}", ups[name].url + path, f"dialect: {name}, grace: 300ms") for name, (path, *_) in DIALECTS.items())
    gateway = Gateway(text, tmp_path_factory.mktemp("dialects")).start()
    yield gateway, ups
    gateway.stop()
    for up in ups.values():
        up.close()


@pytest.fixture(params=DIALECTS)
def dialect(request, place):
    gateway, ups = place
    viewers = []

    def begin():
        viewer = gateway.viewer()
        viewers.append(viewer)
        viewer.watch(f"/{request.param}?prompt=hi")
        asked = ups[request.param].expect_request()
        ups[request.param].head(type="application/x-ndjson" if request.param.startswith("ollama") else "text/event-stream")
        return viewer, ups[request.param], asked

    begin.name = request.param
    begin.path, begin.asked, begin.text, begin.good, begin.error, begin.finish = DIALECTS[request.param]
    yield begin
    for viewer in viewers:
        viewer.cut()
    ups[request.param].forget()


def play(up, frames):
    for frame in frames:
        up.send(frame)


def read_text(viewer):
    viewer.expect(id=1, data="Hel")
    viewer.expect(id=2, data="lo")


def test_a_prompt_becomes_the_dialects_own_request(dialect):
    viewer, up, asked = dialect()
    assert asked.method == "POST" and asked.path == dialect.path
    for name, value in dialect.asked.items():
        assert name in asked.json and (value is None or asked.json[name] == value)
    assert "hi" in json.dumps(asked.json)
    if dialect.name == "gemini":
        assert asked.query["alt"] == ["sse"]
    if dialect.name == "anthropic":
        assert asked.headers["anthropic-version"] == "2023-06-01"


def test_a_good_answer_is_whole(dialect):
    viewer, up, _ = dialect()
    play(up, dialect.text)
    read_text(viewer)
    play(up, dialect.good)
    up.end()
    viewer.expect_last_word("finished", finish=dialect.finish)


def test_C14_a_clean_end_without_a_finish_is_truncated(dialect):
    viewer, up, _ = dialect()
    play(up, dialect.text)
    read_text(viewer)
    up.end()
    viewer.expect_last_word("truncated")


def test_C12_a_cut_is_a_cut(dialect):
    viewer, up, _ = dialect()
    play(up, dialect.text)
    read_text(viewer)
    up.cut()
    viewer.expect_last_word("cut")


def test_C30_an_error_inside_keeps_its_words(dialect):
    viewer, up, _ = dialect()
    play(up, dialect.text)
    read_text(viewer)
    play(up, dialect.error)
    word = viewer.expect_last_word("error")
    assert "no memory" in word["detail"]


def test_C33_what_cannot_be_read_is_protocol(dialect):
    viewer, up, _ = dialect()
    play(up, dialect.text)
    read_text(viewer)
    play(up, ["{]\n"] if dialect.name.startswith("ollama") else ["data: {]\n\n"])
    viewer.expect_last_word("protocol")


@pytest.mark.parametrize("options, header", [
    ("dialect: anthropic", "x-api-key"),
    ("dialect: gemini", "x-goog-api-key"),
    ("dialect: openai-responses", "authorization"),
    ("dialect: anthropic, auth_header: x-other", "x-other"),
])
def test_a_credential_goes_where_the_dialects_servers_read_it(gateway_with, up, monkeypatch, options, header):
    monkeypatch.setenv("LASTWORD_TEST_SECRET", "s3cret")
    gateway = gateway_with("", route("/text", up.url + "/x", options + ", auth: 'env:LASTWORD_TEST_SECRET', grace: 300ms"))
    gateway.viewer().watch("/text?prompt=hi")
    headers = up.expect_request().headers
    assert headers[header] == ("Bearer s3cret" if header == "authorization" else "s3cret")
    assert sum("s3cret" in value for value in headers.values()) == 1


def test_the_callers_members_go_up_and_the_routes_win(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/v1/messages", "request: {model: tiny, top_k: 5}, grace: 300ms"))
    gateway.viewer().watch("/text", method="POST", headers={"Content-Type": "application/json"},
                           body={"prompt": "hi", "temperature": 0.5, "top_k": 9, "stream": False})
    asked = up.expect_request().json
    assert (asked["temperature"], asked["top_k"], asked["model"], asked["stream"]) == (0.5, 5, "tiny", True)


def test_messages_that_a_dialect_cannot_say_are_422(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/completion", "grace: 300ms"))
    answer = gateway.ask("/text", method="POST", headers={"Content-Type": "application/json"},
                         body={"messages": [{"role": "user", "content": "hi"}]})
    assert answer.status == 422


@pytest.mark.parametrize("path, body", [
    ("/v1/models/t:streamGenerateContent", {"contents": [{"role": "user", "parts": [{"inlineData": {"data": "aa"}}]}]}),
    ("/v1/responses", {"input": [{"type": "message", "role": "user", "content": "hi"}], "store": False, "stream": True}),
    ("/generate_stream", {"inputs": "hi", "parameters": {"details": True}}),
    ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}], "stream": True}),
])
def test_a_body_in_the_dialects_own_words_goes_up_as_it_is(gateway_with, up, path, body):
    gateway = gateway_with("", route("/text", up.url + path, "grace: 300ms"))
    answer = gateway.ask("/streams", method="POST", headers={"Content-Type": "application/json"}, body={**body, "stream": False} if "stream" in body else body)
    assert answer.status == 201
    assert up.expect_request().json == body


def test_the_callers_limit_wins_where_the_body_is_the_dialects_own(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/v1/messages", "grace: 300ms"))
    gateway.ask("/streams", method="POST", headers={"Content-Type": "application/json"}, body={"max_tokens": 9, "prompt": "hi"})
    asked = up.expect_request().json
    assert (asked["max_tokens"], asked["messages"], asked["stream"]) == (9, [{"role": "user", "content": "hi"}], True)


def test_a_body_that_asks_nothing_is_400(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/v1/messages", "grace: 300ms"))
    answer = gateway.ask("/streams", method="POST", headers={"Content-Type": "application/json"}, body={"model": "x"})
    assert (answer.status, up.requests) == (400, 0)
