"""One answer and more of each kind of model server, as its documentation and its source have it: text with everything that
is hard to split, reasoning, tool calls, several choices, usage, pings; and each kind's own ways to fail."""

import json

from transcripts import Dialect, Piece, Transcript

PAIR = "\\ud83d\\ude00"   # 😀 as JSON may escape it


def J(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(data, name=None, **what):
    """One event of an event stream. data: text, or what is to be JSON."""
    data = data if isinstance(data, str) else J(data)
    raw = (f"event: {name}\n" if name else "") + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n"
    return Piece(raw.encode(), **what)


def typed(type, members=None, **what):
    """An event whose name stands in its data too."""
    return sse({"type": type} | (members or {}), type, **what)


def line(value, **what):
    return Piece((J(value) + "\n").encode(), **what)


def comment(raw=": ping\n\n"):
    return Piece(raw.encode(), is_comment=True)


def in_crlf(piece):
    raw = piece.raw.replace(b"\n", b"\r\n")
    return Piece(**{**vars(piece), "raw": raw, "tail": 1})


def without_lf(piece):
    return Piece(**{**vars(piece), "raw": piece.raw.removesuffix(b"\n")})


# text

TEXT = Dialect("text", finishes=False)
TEXT_PIECES = [
    comment(": hello\n\n"),
    sse("Grüße", text="Grüße"),
    sse(" two\nlines", text=" two\nlines"),
    Piece(b"data: crlf\r\n\r\n", text="crlf", tail=1),
    Piece(b"event: note\nid: 7\ndata: {}\n\n"),
    Piece("data:  😀\r\r".encode(), text=" 😀"),
]
TEXT_ANSWERS = [
    Transcript("text", TEXT, TEXT_PIECES),
    Transcript("text, event: close", TEXT, [*TEXT_PIECES, Piece(b"event: close\ndata: bye\n\n", end=True)]),
    Transcript("text, event: error", TEXT, [*TEXT_PIECES[:2], Piece(b"event: error\ndata: no memory\n\n", error="no memory", raises=True)]),
]

# openai-chat

CHAT = Dialect("openai-chat")
DONE = sse("[DONE]", end=True)


def chunk(delta, index=0, end=None, **what):
    choice = {"index": index, "delta": delta, "finish_reason": end}
    return sse({"id": "c1", "choices": [choice]}, choice=index, finish=end, **what)


CHAT_PIECES = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Hm, é"}, reasoning="Hm, é"),
    chunk({"content": "Grüße"}, text="Grüße"),
    comment(": OPENROUTER PROCESSING\n\n"),
    chunk({"content": "a\n\nb"}, text="a\n\nb"),
    sse('{"choices":[{"index":0,"delta":{"content":" %s"},"finish_reason":null}]}' % PAIR, text=" 😀", choice=0),
    chunk({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"a\":"}}]}, unseen=True),
    chunk({"content": "."}, end="tool_calls", text="."),
    sse({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}),
]
DRESSED = [
    Piece(b"retry: 500\r\n\r\n", tail=1),
    Piece(b'id: 1\r\nevent: chunk\r\ndata: {"choices":[{"index":0,"delta":{\r\ndata: "content":"a"}}]}\r\n\r\n', text="a", choice=0, tail=1),
    in_crlf(comment()),
    in_crlf(chunk({"content": "é"}, end="stop", text="é")),
    in_crlf(DONE),
]
TWO_CHOICES = [
    chunk({"content": "a"}, text="a"), chunk({"content": "x"}, 1, unseen=True), chunk({}, 1, end="length"),
    chunk({"content": "b"}, text="b"), chunk({}, end="stop"), DONE,
]
NO_MEMORY = {"message": "no memory", "type": "server_error", "param": None, "code": 500}
TOLD = {"type": "server_error", "code": 500}
CHAT_ERROR = sse({"error": NO_MEMORY}, error="no memory", told=TOLD, raises=True)
CHAT_ANSWERS = [
    Transcript("openai-chat", CHAT, [*CHAT_PIECES, DONE]),
    Transcript("openai-chat, no [DONE]", CHAT, CHAT_PIECES),
    Transcript("openai-chat, CRLF", CHAT, DRESSED),
    Transcript("openai-chat, n=2", CHAT, TWO_CHOICES, choices=2),
    Transcript("openai-chat, error", CHAT, [CHAT_PIECES[2], CHAT_ERROR, DONE]),
    Transcript("openai-chat, error text", CHAT, [CHAT_PIECES[2], sse({"error": "no memory"}, error="no memory")]),
    Transcript("openai-chat, error first", CHAT, [CHAT_PIECES[0], CHAT_ERROR, DONE]),
    Transcript("openai-chat, text and error", CHAT, [CHAT_PIECES[2], sse(
        {"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "error"}], "error": NO_MEMORY},
        text="b", choice=0, finish="error", error="no memory", told=TOLD)]),
    Transcript("openai-chat, abort", CHAT, [CHAT_PIECES[2], chunk({"content": "b"}, end="abort", text="b"), DONE]),
    Transcript("openai-chat, only [DONE]", CHAT, [*CHAT_PIECES[:5], DONE]),
]

# openai-completions

COMPLETIONS = Dialect("openai-completions")


def completion(text, end=None):
    return sse({"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": end}]},
               text=text, choice=0, finish=end)


COMPLETION_ANSWERS = [
    Transcript("openai-completions", COMPLETIONS, [
        completion("Grüße"), completion("\n"), completion(" 😀"), completion("", "length"), DONE]),
    Transcript("openai-completions, error", COMPLETIONS, [
        completion("Grüße"), sse({"object": "error", "message": "no memory", "code": 500}, error="no memory", told={"code": 500}), DONE]),
]

# openai-responses

RESPONSES = Dialect("openai-responses")


def response(n, type, members=None, **what):
    return typed("response." + type, {"sequence_number": n} | (members or {}), **what)


RESPONSE_PIECES = [
    response(0, "created", {"response": {"id": "r", "status": "in_progress"}}),
    response(1, "output_item.added", {"output_index": 0, "item": {"type": "message"}}),
    response(2, "reasoning_text.delta", {"delta": "Hm"}, reasoning="Hm"),
    response(3, "output_text.delta", {"output_index": 0, "delta": "Grüße"}, text="Grüße"),
    response(4, "output_text.delta", {"output_index": 0, "delta": " 😀\n"}, text=" 😀\n"),
    response(5, "function_call_arguments.delta", {"delta": "{\"a\":"}, unseen=True),
    response(6, "output_text.done", {"text": "Grüße 😀\n"}),
]
RESPONSE_ANSWERS = [
    Transcript("openai-responses", RESPONSES, [*RESPONSE_PIECES, response(
        7, "completed", {"response": {"id": "r", "status": "completed", "usage": {"output_tokens": 3}}}, whole=True, choice=0,
        finish="completed", end=True)]),
    Transcript("openai-responses, incomplete", RESPONSES, [RESPONSE_PIECES[3], response(
        4, "incomplete", {"response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}},
        whole=True, choice=0, finish="max_output_tokens", end=True)]),
    Transcript("openai-responses, failed", RESPONSES, [RESPONSE_PIECES[3], response(
        4, "failed", {"response": {"status": "failed", "error": {"code": "server_error", "message": "no memory"}}},
        error="no memory", told={"code": "server_error"})]),
    Transcript("openai-responses, error", RESPONSES, [RESPONSE_PIECES[3], typed(
        "error", {"sequence_number": 4, "code": "server_error", "message": "no memory", "param": None},
        error="no memory", told={"code": "server_error"})]),
]

# anthropic

ANTHROPIC = Dialect("anthropic")
ANTHROPIC_PIECES = [
    typed("message_start", {"message": {"id": "m", "usage": {"input_tokens": 9}}}),
    typed("ping"),
    typed("content_block_start", {"index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
    typed("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}}, reasoning="Hm"),
    typed("content_block_stop", {"index": 0}),
    typed("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}}),
    typed("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": "Grüße 😀"}}, text="Grüße 😀"),
    typed("content_block_stop", {"index": 1}),
    typed("content_block_start", {"index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}, unseen=True),
    typed("content_block_delta", {"index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":"}}, unseen=True),
    typed("content_block_stop", {"index": 2}),
    typed("message_delta", {"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}}, choice=0, finish="tool_use"),
]
OVERLOADED = typed("error", {"error": {"type": "overloaded_error", "message": "no memory"}}, error="no memory",
                   told={"type": "overloaded_error"}, raises=True)
ANTHROPIC_ANSWERS = [
    Transcript("anthropic", ANTHROPIC, [*ANTHROPIC_PIECES, typed("message_stop", end=True)]),
    Transcript("anthropic, no message_stop", ANTHROPIC, [*ANTHROPIC_PIECES[:8], ANTHROPIC_PIECES[-1]]),
    Transcript("anthropic, error", ANTHROPIC, [*ANTHROPIC_PIECES[:4], OVERLOADED]),
    Transcript("anthropic, error first", ANTHROPIC, [OVERLOADED]),
]

# gemini

GEMINI = Dialect("gemini", terminates=False)


def candidate(*parts, end=None, **what):
    candidate = {"content": {"role": "model", "parts": list(parts)}} | ({"finishReason": end} if end else {})
    return in_crlf(sse({"candidates": [candidate]}, choice=0, finish=end, **what))


GEMINI_ANSWERS = [
    Transcript("gemini", GEMINI, [
        in_crlf(sse({"usageMetadata": {"promptTokenCount": 9}})),
        candidate({"text": "Hm", "thought": True}, reasoning="Hm"),
        comment(": ping\n\n"),
        candidate({"text": "Grüße"}, {"text": " 😀"}, text="Grüße 😀"),
        candidate({"functionCall": {"name": "f", "args": {}}}, unseen=True),
        candidate({"text": "."}, end="STOP", text=".")]),
    Transcript("gemini, STOP on each", GEMINI, [candidate({"text": text}, end="STOP", text=text) for text in "abc"]),
    Transcript("gemini, error", GEMINI, [
        candidate({"text": "a"}, text="a"),
        in_crlf(sse({"error": {"code": 503, "message": "no memory", "status": "UNAVAILABLE"}}, error="no memory", raises=True))]),
]

# ollama

OLLAMA_CHAT, OLLAMA_GENERATE = Dialect("ollama-chat", ndjson=True), Dialect("ollama-generate", ndjson=True)


def said(content="", more=None, **what):
    return line({"message": {"role": "assistant", "content": content} | (more or {}), "done": False}, text=content, **what)


OLLAMA_PIECES = [
    said(more={"thinking": "Hm"}, reasoning="Hm"), said("Grüße"), said("\n"), said(" 😀"),
    said(more={"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}, unseen=True),
]
OLLAMA_DONE = line({"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 3},
                   whole=True, choice=0, finish="stop", end=True)
OLLAMA_ERROR = line({"error": "no memory"}, error="no memory", raises=True)
OLLAMA_ANSWERS = [
    Transcript("ollama-chat", OLLAMA_CHAT, [*OLLAMA_PIECES, OLLAMA_DONE]),
    Transcript("ollama-chat, no last LF", OLLAMA_CHAT, [OLLAMA_PIECES[1], without_lf(OLLAMA_DONE)]),
    Transcript("ollama-chat, error", OLLAMA_CHAT, [OLLAMA_PIECES[1], OLLAMA_ERROR]),
    Transcript("ollama-generate", OLLAMA_GENERATE, [
        line({"response": "Grüße", "done": False}, text="Grüße"), line({"response": " 😀", "done": False}, text=" 😀"),
        line({"response": "!", "done": True}, text="!", whole=True, end=True)]),
    Transcript("ollama-generate, error", OLLAMA_GENERATE, [
        line({"response": "Grüße", "done": False}, text="Grüße"), OLLAMA_ERROR]),
]

# llamacpp

LLAMACPP = Dialect("llamacpp")
LLAMACPP_ANSWERS = [
    Transcript("llamacpp", LLAMACPP, [
        sse({"content": "", "stop": False, "prompt_progress": {"total": 9, "processed": 4}}),
        sse({"content": "Grüße", "tokens": [1], "stop": False}, text="Grüße"), comment(":\n\n"),
        sse({"content": " 😀", "stop": False, "stop_type": "none"}, text=" 😀"),
        sse({"content": ".", "stop": True, "stop_type": "limit"}, text=".", whole=True, choice=0, finish="limit", end=True)]),
    Transcript("llamacpp, error", LLAMACPP, [
        sse({"content": "a", "stop": False}, text="a"),
        sse({"error": {"code": 500, "message": "no memory", "type": "server_error"}}, error="no memory", raises=True)]),
    Transcript("llamacpp, error: field", LLAMACPP, [
        sse({"content": "a", "stop": False}, text="a"),
        Piece(b'error: {"code":500,"message":"no memory","type":"server_error"}\n\n', error="no memory", told=TOLD), DONE]),
]

# tgi

TGI = Dialect("tgi")


def token(text, special=False, answer=None, details=None, **what):
    frame = {"index": 1, "token": {"id": 1, "text": text, "special": special}, "generated_text": answer, "details": details}
    return sse(frame, text="" if special else text, **what)


TGI_ANSWERS = [
    Transcript("tgi", TGI, [
        token("<s>", special=True), token("Grüße"), token("\n"),
        token(" 😀", answer="Grüße\n 😀", details={"finish_reason": "length"}, whole=True, choice=0, finish="length", end=True)]),
    Transcript("tgi, no details", TGI, [token("a"), token("</s>", special=True, answer="a", whole=True, end=True)]),
    Transcript("tgi, error", TGI, [token("a"), sse({"error": "no memory", "error_type": "generation"}, error="no memory", raises=True)]),
]

# sglang-generate

SGLANG = Dialect("sglang-generate")


def grown(so_far, new, end=None):
    reason = {"type": end} if end else None
    return sse({"text": so_far + new, "meta_info": {"finish_reason": reason}}, text=new, choice=0, finish=end)


SGLANG_ANSWERS = [
    Transcript("sglang-generate", SGLANG, [grown("", "Grüße"), grown("Grüße", " 😀"), grown("Grüße 😀", ".", "stop"), DONE]),
    Transcript("sglang-generate, error", SGLANG, [grown("", "a"), sse({"error": {"message": "no memory"}}, error="no memory", raises=True), DONE]),
    Transcript("sglang-generate, abort", SGLANG, [grown("", "a"), grown("a", "b", "abort"), DONE]),
]

# ai-ui

AI_UI = Dialect("ai-ui")


def part(type, members=None, **what):
    return sse({"type": type} | (members or {}), **what)


AI_UI_ANSWERS = [
    Transcript("ai-ui", AI_UI, [
        part("start", {"messageId": "m"}), part("reasoning-start", {"id": "r"}),
        part("reasoning-delta", {"id": "r", "delta": "Hm"}, reasoning="Hm"), part("text-start", {"id": "t"}),
        part("text-delta", {"id": "t", "delta": "Grüße"}, text="Grüße"), part("text-delta", {"id": "t", "delta": " 😀"}, text=" 😀"),
        part("tool-input-delta", {"toolCallId": "c", "inputTextDelta": "{"}, unseen=True), part("text-end", {"id": "t"}),
        part("finish", {"finishReason": "stop"}, whole=True, choice=0, finish="stop"), DONE]),
    Transcript("ai-ui, no word", AI_UI, [part("text-delta", {"id": "t", "delta": "a"}, text="a"), part("finish", whole=True), DONE]),
    Transcript("ai-ui, error", AI_UI, [part("text-delta", {"id": "t", "delta": "a"}, text="a"),
                                       part("error", {"errorText": "no memory"}, error="no memory", raises=True), DONE]),
    Transcript("ai-ui, abort", AI_UI, [part("text-delta", {"id": "t", "delta": "a"}, text="a"), part("abort", finish="abort", choice=0), DONE]),
]

# Recorded: what transformers serve 5.24 (no terminator, no finish_reason before the last chunk) and llama.cpp's own server
# b11434 (Responses without sequence numbers) really write. Ids are theirs.

SERVE = '{"id":"ea9d09f7","choices":[{"delta":%s,"index":0%s}],"created":1795804570,"model":"m","object":"chat.completion.chunk","system_fingerprint":""%s}'
LLAMA_RESPONSE = {"id": "resp_N9mU1omI", "object": "response"}
LLAMA_TEXT = {"type": "output_text", "annotations": [], "logprobs": [], "text": "L'É"}
LLAMA_ITEM = {"type": "message", "status": "completed", "id": "msg_ymGP", "content": [LLAMA_TEXT], "role": "assistant"}
LLAMA_USAGE = {"input_tokens": 37, "output_tokens": 3, "total_tokens": 40, "input_tokens_details": {"cached_tokens": 36}}
RECORDED = [
    Transcript("openai-chat, transformers serve", CHAT, [
        sse(SERVE % ('{"role":"assistant"}', "", ""), choice=0),
        sse(SERVE % ('{"content":"pop"}', "", ""), text="pop", choice=0),
        sse(SERVE % ('{"content":" Awareness"}', "", ""), text=" Awareness", choice=0),
        sse(SERVE % ("{}", ',"finish_reason":"length"', ',"usage":{"completion_tokens":2,"prompt_tokens":31,"total_tokens":33}'),
            choice=0, finish="length")]),
    Transcript("openai-responses, llama-server", RESPONSES, [
        typed("response.created", {"response": LLAMA_RESPONSE | {"status": "in_progress"}}),
        typed("response.in_progress", {"response": LLAMA_RESPONSE | {"status": "in_progress"}}),
        typed("response.output_item.added", {"item": LLAMA_ITEM | {"content": [], "status": "in_progress"}}),
        typed("response.content_part.added", {"item_id": "msg_ymGP", "part": {"type": "output_text", "text": ""}}),
        typed("response.output_text.delta", {"item_id": "msg_ymGP", "delta": "L'"}, text="L'"),
        typed("response.output_text.delta", {"item_id": "msg_ymGP", "delta": "É"}, text="É"),
        typed("response.output_text.done", {"item_id": "msg_ymGP", "text": "L'É"}),
        typed("response.content_part.done", {"item_id": "msg_ymGP", "part": LLAMA_TEXT}),
        typed("response.output_item.done", {"item": LLAMA_ITEM}),
        typed("response.completed", {"response": LLAMA_RESPONSE | {
            "created_at": 1795803903, "status": "completed", "model": "m", "output": [LLAMA_ITEM], "usage": LLAMA_USAGE}},
            whole=True, choice=0, finish="completed", end=True)]),
    Transcript("anthropic, llama-server", ANTHROPIC, [
        typed("message_start", {"message": {
            "id": "chatcmpl-Uluxs", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": None,
            "stop_sequence": None, "usage": {"cache_read_input_tokens": 36, "input_tokens": 1, "output_tokens": 0}}}),
        typed("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        typed("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "L'"}}, text="L'"),
        typed("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "É"}}, text="É"),
        typed("content_block_stop", {"index": 0}),
        typed("message_delta", {"delta": {"stop_reason": "max_tokens", "stop_sequence": None}, "usage": {"output_tokens": 3}},
              choice=0, finish="max_tokens"),
        typed("message_stop", end=True)]),
]

TRANSCRIPTS = [*TEXT_ANSWERS, *CHAT_ANSWERS, *COMPLETION_ANSWERS, *RESPONSE_ANSWERS, *ANTHROPIC_ANSWERS, *GEMINI_ANSWERS,
               *OLLAMA_ANSWERS, *LLAMACPP_ANSWERS, *TGI_ANSWERS, *SGLANG_ANSWERS, *AI_UI_ANSWERS,
               *RECORDED]
DIALECTS = list({t.dialect.name: t.dialect for t in TRANSCRIPTS}.values())
