"""What a model server says in each dialect: the same short answer, frame by frame, and the ways in which it goes wrong.

A dialect is written down once, as frames; a fault is a function that sends some of them and then does what servers do:
it ends too early, says an error, hangs up, falls silent. The frames are those that official clients accept from official
servers, with all the members that a client may insist on; they share nothing with the gateway's own parsers.

1. A fault that a dialect cannot have (a terminator without a finish, where the finish is the terminator) is not in its
   list, and no cell of the table exists for it.
2. Faults in mid-answer come after the whole text, so that a client that keeps quiet shows an answer that looks whole.
"""

import json
import time
from dataclasses import dataclass, field

TOKENS = ["Grüße ", "from\n", "the sea", " 😀"]
TEXT = "".join(TOKENS)
COMPLAINT = "the graphics card has left"


@dataclass
class Dialect:
    """begin, words, finish and end together are a whole answer; end is the terminator, if there is one apart from finish."""
    name: str
    begin: list
    words: list
    finish: list
    end: list
    error: str                 # in-band, as the protocol's owner sends it
    refusal: dict              # the body beside a status that is no 200
    whole: dict                # the answer to a request that did not ask for a stream
    odd_error: str = ""        # as another server of this dialect sends it
    abort: list = field(default_factory=list)     # finish, with a reason that is a failure
    failed: list = field(default_factory=list)
    done: bool = True          # `[DONE]` behind an error is something that its servers do
    media: str = "text/event-stream"


def sse(data, name=None):
    return (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def typed(data):
    return sse(data, data["type"])


DONE = sse("[DONE]")
OPENAI_ERROR = {"error": {"message": COMPLAINT, "type": "server_error", "param": None, "code": "gone"}}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def openai_chat():
    def chunk(delta, finish=None):
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    message = {"role": "assistant", "content": TEXT, "refusal": None}
    return Dialect(
        "openai-chat",
        begin=[sse(chunk({"role": "assistant", "content": ""}))],
        words=[sse(chunk({"content": token})) for token in TOKENS],
        finish=[sse(chunk({}, "stop"))],
        end=[DONE],
        error=sse(OPENAI_ERROR),
        odd_error=sse({**chunk({"content": ""}, "error"), **OPENAI_ERROR}),
        abort=[sse(chunk({}, "abort"))],
        failed=[sse(chunk({}, "error"))],
        refusal=OPENAI_ERROR,
        whole={"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
               "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]})


def openai_completions():
    def chunk(text, finish=None):
        return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]}

    return Dialect(
        "openai-completions",
        begin=[],
        words=[sse(chunk(token)) for token in TOKENS],
        finish=[sse(chunk("", "stop"))],
        end=[DONE],
        error=sse(OPENAI_ERROR),
        odd_error=f"error: {json.dumps(OPENAI_ERROR['error'])}\n\n",
        abort=[sse(chunk("", "abort"))],
        failed=[sse(chunk("", "error"))],
        refusal=OPENAI_ERROR,
        whole={**chunk(TEXT, "stop"), "usage": USAGE})


def openai_responses():
    def response(status, output, **more):
        return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "background": False, "error": None,
                "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": "m",
                "output": output, "parallel_tool_calls": True, "previous_response_id": None, "store": False,
                "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
                "truncation": "disabled", "usage": None, "user": None, "metadata": {},
                "reasoning": {"effort": None, "summary": None}, **more}

    def item(status, *content):
        return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": list(content)}

    def said(text):
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    usage = {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 4,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7}
    completed = response("completed", [item("completed", said(TEXT))], usage=usage)
    events = [
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.in_progress", "response": response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": item("in_progress")},
        {"type": "response.content_part.added", **place, "part": said("")},
        *({"type": "response.output_text.delta", **place, "delta": token, "logprobs": []} for token in TOKENS),
        {"type": "response.output_text.done", **place, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": said(TEXT)},
        {"type": "response.output_item.done", "output_index": 0, "item": item("completed", said(TEXT))},
        {"type": "response.completed", "response": completed},
    ]
    frames = [typed({**event, "sequence_number": n}) for n, event in enumerate(events)]
    failure = {"code": "server_error", "message": COMPLAINT}
    return Dialect(
        "openai-responses",
        begin=frames[:4],
        words=frames[4:-1],
        finish=frames[-1:],
        end=[],
        error=typed({"type": "error", "sequence_number": 11, **OPENAI_ERROR}),
        odd_error=typed({"type": "error", "sequence_number": 11, **failure, "param": None}),
        failed=[typed({"type": "response.failed", "sequence_number": 11,
                       "response": response("failed", [item("incomplete", said(TEXT))], error=failure)})],
        refusal=OPENAI_ERROR,
        whole=completed)


def anthropic():
    def message(text, stop, output_tokens):
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": stop, "stop_sequence": None,
                "content": [{"type": "text", "text": text}] if text else [],
                "usage": {"input_tokens": 3, "output_tokens": output_tokens}}

    def finish(reason):
        return [typed({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
                       "usage": {"output_tokens": 4}})]

    error = {"type": "error", "error": {"type": "overloaded_error", "message": COMPLAINT}}
    return Dialect(
        "anthropic",
        begin=[typed({"type": "message_start", "message": message("", None, 1)}),
               typed({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
               typed({"type": "ping"})],
        words=[*(typed({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": token}})
                 for token in TOKENS), typed({"type": "content_block_stop", "index": 0})],
        finish=finish("end_turn"),
        end=[typed({"type": "message_stop"})],
        error=typed(error),
        odd_error=sse(error),
        abort=finish("abort"),
        failed=finish("error"),
        refusal={**error, "request_id": "req_1"},
        whole=message(TEXT, "end_turn", 4))


def gemini():
    def piece(text, **more):
        parts = [{"text": text}] if text else []
        return {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **more}], "modelVersion": "m",
                "responseId": "r1", "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}}

    def crlf(data):
        return f"data: {json.dumps(data)}\r\n\r\n"

    error = {"error": {"code": 503, "message": COMPLAINT, "status": "UNAVAILABLE"}}
    return Dialect(
        "gemini",
        begin=[],
        words=[crlf(piece(token)) for token in TOKENS],
        finish=[crlf(piece("", finishReason="STOP"))],
        end=[],
        error=crlf(error),
        odd_error=json.dumps(error) + "\r\n\r\n",
        refusal=error,
        done=False,
        whole=piece(TEXT, finishReason="STOP"))


def ollama(name, member):
    def line(text, **more):
        said = {"message": {"role": "assistant", "content": text}} if member == "message" else {"response": text}
        return json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", **said, "done": False, **more}) + "\n"

    def finish(reason):
        return line("", done=True, done_reason=reason, total_duration=1, load_duration=1, prompt_eval_count=3,
                    prompt_eval_duration=1, eval_count=4, eval_duration=1)

    return Dialect(
        name,
        begin=[],
        words=[line(token) for token in TOKENS],
        finish=[finish("stop")],
        end=[],
        error=json.dumps({"error": COMPLAINT}) + "\n",
        abort=[finish("abort")],
        failed=[finish("error")],
        refusal={"error": COMPLAINT},
        done=False,
        whole=json.loads(line(TEXT, done=True, done_reason="stop")),
        media="application/x-ndjson")


def ai_ui():
    return Dialect(
        "ai-ui",
        begin=[sse({"type": "start", "messageId": "m1"}), sse({"type": "start-step"}), sse({"type": "text-start", "id": "t1"})],
        words=[*(sse({"type": "text-delta", "id": "t1", "delta": token}) for token in TOKENS), sse({"type": "text-end", "id": "t1"}),
               sse({"type": "finish-step"})],
        finish=[sse({"type": "finish", "finishReason": "stop"})],
        end=[DONE],
        error=sse({"type": "error", "errorText": COMPLAINT}),
        abort=[sse({"type": "abort"})],
        failed=[sse({"type": "finish", "finishReason": "error"})],
        refusal={"error": COMPLAINT},
        whole={"text": TEXT})


DIALECTS = {dialect.name: dialect for dialect in (
    openai_chat(), openai_completions(), openai_responses(), anthropic(), gemini(), ollama("ollama-chat", "message"),
    ollama("ollama-generate", "response"), ai_ui())}

# What the server does. `up` has the verbs of tests/e2e/upstream.py.


def tell(up, dialect, *frames, headers=()):
    up.head(type=dialect.media, headers=headers)
    for frame in dialect.begin + dialect.words + [frame for group in frames for frame in group]:
        up.send(frame)
    return up


def good(up, d):
    tell(up, d, d.finish, d.end).end()


def slow(up, d):
    """Long enough between its tokens for a heartbeat of the gateway's."""
    up.head(type=d.media)
    for frame in d.begin + d.words[:1]:
        up.send(frame)
    time.sleep(0.3)
    for frame in d.words[1:] + d.finish + d.end:
        up.send(frame)
    up.end()


def eof(up, d):
    tell(up, d).end()


def half(up, d):
    frame = (d.finish + d.end)[0]
    tell(up, d, [frame[:len(frame) // 2]]).end()


def done(up, d):
    tell(up, d, d.end or [DONE]).end()


def fin(up, d):
    tell(up, d).cut()


def rst(up, d):
    tell(up, d).reset()


def fin_close(up, d):
    tell(up, d, headers=["Connection: close"]).cut()


def silence(up, d):
    """All at once, so that no clock can fall between two of its tokens."""
    up.head(type=d.media).send("".join(d.begin + d.words))
    up.wait_gone()


def error(up, d):
    tell(up, d, [d.error]).end()


def error_done(up, d):
    tell(up, d, [d.error, DONE]).end()


def error_odd(up, d):
    tell(up, d, [d.odd_error]).end()


def error_first(up, d):
    up.head(type=d.media).send(d.error).end()


def nothing(up, d):
    up.head(type=d.media).end()


def finish_abort(up, d):
    tell(up, d, d.abort, d.end).end()


def finish_error(up, d):
    tell(up, d, d.failed, d.end).end()


def status(code):
    def refuse(up, d):
        up.answer(json.dumps(d.refusal), status=code, headers=["retry-after-ms: 1"])
    return refuse


def json_whole(up, d):
    up.answer(json.dumps(d.whole))


def json_error(up, d):
    up.answer(json.dumps(d.refusal))


def html(up, d):
    up.answer("<html><body><h1>Please log in</h1></body></html>", type="text/html")


@dataclass
class Fault:
    """good and slow are none."""
    name: str
    what: str
    play: callable
    says: str = ""                     # a pattern: what the user reads of it, from lastword or from the server
    can: callable = lambda d: True     # a server of this dialect can do it
    late: bool = True                  # the client has been sent all of the text before it


WHOLE = ("good", "slow")

FAULTS = {fault.name: fault for fault in (
    Fault("good", "a whole answer", good),
    Fault("slow", "a whole answer with a pause in it, in which lastword sends heartbeats", slow),
    Fault("eof", "a clean end of the body without a finish", eof, "ended after"),
    Fault("half", "a clean end in the middle of an event", half, "in the middle of an event"),
    Fault("done", "the terminator without a finish", done, "end marker", lambda d: d.end or d.name == "openai-responses"),
    Fault("fin", "hangs up (FIN)", fin, "connection broke"),
    Fault("rst", "hangs up (RST)", rst, "connection broke"),
    Fault("close", "hangs up after `Connection: close`", fin_close, "connection broke"),
    Fault("silence", "says nothing more, and stays", silence, "sent nothing"),
    Fault("error", "an error inside the stream, as the protocol's owner sends it", error, COMPLAINT),
    Fault("error-done", "the same, then `[DONE]`", error_done, COMPLAINT, lambda d: d.done),
    Fault("odd", "an error inside the stream in the shape of another server", error_odd, COMPLAINT, lambda d: d.odd_error),
    Fault("first", "an error inside the stream before the first token", error_first, COMPLAINT, late=False),
    Fault("nothing", "an empty stream", nothing, "ended before", late=False),
    Fault("abort", "finish reason “abort”", finish_abort, "gave up", lambda d: d.abort),
    Fault("failed", "finish reason “error”; `response.failed`", finish_error, f"gave up|{COMPLAINT}", lambda d: d.failed),
    Fault("429", "status 429", status(429), COMPLAINT, late=False),
    Fault("500", "status 500", status(500), COMPLAINT, late=False),
    Fault("529", "status 529", status(529), COMPLAINT, late=False),
    Fault("json", "200 and a JSON answer instead of a stream", json_whole, "application/json", late=False),
    Fault("json-error", "200 and a JSON error", json_error, COMPLAINT, late=False),
    Fault("html", "200 and an HTML page", html, "text/html", late=False),
)}
