"""A passthrough route: what an SDK must be sent of an answer that breaks off, byte by byte, and whether it was.

Whole frames as they came; then the terminator that is missing, if the finish proves the answer whole, or one error frame that
the dialect's official clients raise on; then a clean end, and nothing more. Before the first event with meaning there is no
head yet, and a failure is an HTTP error. Whoever comes back to the stream by its id reads the same answer, as the upstream's
frames or in a page's form.
"""

import json
import re

import page_side
from judge import CLEAN
from transcripts import judge_end

STATUS = {"first_event_timeout": 504}                         # of an HTTP error; 502 for every other cause
RETRYABLE = ("error", "refused", "tls", "status")             # an SDK may ask again; after the other causes it must not
CHAT_DONE = b"data: [DONE]\n\n"
# Where a server streams whatever its request says; elsewhere the request asks for a stream.
PATHS = {"tgi": "generate_stream", "gemini": "v1beta/models/m:streamGenerateContent?alt=sse"}
TERMINATORS = {
    "openai-chat": CHAT_DONE, "openai-completions": CHAT_DONE, "sglang-generate": CHAT_DONE, "ai-ui": CHAT_DONE,
    "anthropic": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
}


ERROR = re.compile(rb'(?:event: error\n)?(?:data: )?\{[^\n]*"lastword[^\n]*\n+\Z')   # ours, where the shape has a place that says so
LIES = {   # of a gateway that fails its SDKs
    "done-after-error": lambda body: body + CHAT_DONE if ERROR.search(body) else body,
    "no-error": lambda body: ERROR.sub(b"", body),
    "half-frame": lambda body: ERROR.sub(rb"data: {\g<0>", body),
}


def label(dialect, fault):
    return f"/sdk{'-silence' if fault == 'silence' else ''}/{dialect.name}/*"


def route(dialect, fault, url):
    clocks = "idle: 2s, first_event: 2s, " if fault == "silence" else ""
    return f"  - {{ path: '{label(dialect, fault)}', {clocks}dialect: {dialect.name}, upstream: '{url}' }}"


class Reading:
    """One answer, and then the same stream again by its id: as the upstream's frames, or in a page's form."""

    def __init__(self, run):
        self.run, self.expected = run, judge_end(run.transcript, run.cut, run.transcript.choices)
        self.good = self.expected.pieces[:-1] if self.expected.by_piece and self.expected.word == "failed" else self.expected.pieces
        self.has_head = any(piece.means for piece in self.good) or self.expected.word == "close"
        self.body = None   # what the client was sent, once it has all of it
        self.lie = LIES.get(run.lie, lambda body: body)

    @property
    def is_counted(self):
        """There is a stream as soon as the head is there; a reset may throw it away (None)."""
        has_head = len(self.run.cut.sent) >= len(self.run.wire.head)
        return None if has_head and self.run.fault == "RST" and self.shows_nothing else has_head

    @property
    def shows_nothing(self):
        """Of what was sent before the reset."""
        return not self.has_head and not self.expected.by_piece

    def ask(self, host):
        if self.body is not None:
            return self.ask_again(host)
        body = json.dumps({"model": "m", "stream": True, "n": self.run.transcript.choices, "prompt": self.run.name}).encode()
        dialect = self.run.transcript.dialect
        path = label(dialect, self.run.fault).replace("*", PATHS.get(dialect.name, "answer"))
        return (f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def ask_again(self, host):
        return f"GET /streams/{self.stream}{'?as=upstream' if self.as_upstream else ''} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    @property
    def as_upstream(self):
        return self.run.number % 2 == 0

    def has_all(self, response):
        """But for comments, which wait for the next event."""
        awaited = len(self.frames()) - sum(len(piece.raw) for piece in self.good[self.last_event + 1:])
        return bool(response.end) or (not self.expected.by_piece and len(response.body) >= awaited)

    @property
    def last_event(self):
        return max((n for n, piece in enumerate(self.good) if not piece.is_comment), default=-1)

    def frames(self):
        """What goes through unchanged."""
        return self.run.transcript.body[:sum(len(piece.raw) for piece in self.good)][:self.run.cut.got]

    def asks_again(self, response):
        """Asks for the same stream once more, if there is one."""
        if self.body is not None or response.status != 200 or self.run.lie:
            return False
        self.body, self.stream = bytes(response.body), response.header("Lastword-Stream")
        return True

    def verdict(self, response):
        """None, or a sentence."""
        if response.end != CLEAN:
            return f"status {response.status}, ended {response.end}"
        if self.body is not None:
            return self.verdict_again(response)
        return self.wrong_stream(response) if self.has_head else self.wrong_error(response)

    def verdict_again(self, response):
        if not self.as_upstream:
            wrong = page_side.wrong_for_a_page(self.expected, response)
            return wrong and f"in a page's form: {wrong}"
        if (response.status, bytes(response.body)) != (200, self.body):
            return f"as upstream: {response.status} {bytes(response.body)!r}, but the client had read {self.body!r}"
        return None

    def wrong_error(self, response):
        cause = self.expected.cause
        status, kind, retry = response.status, response.header("Content-Type"), response.header("x-should-retry")
        if status != STATUS.get(cause, 502) or kind != "application/json":
            return f"status {status} {kind} for {cause}"
        if self.is_counted is not None and retry != (None if cause in RETRYABLE or not self.is_counted else "false"):
            return f"x-should-retry {retry!r} for {cause}"
        try:
            value = json.loads(response.body)
        except ValueError:
            return f"no JSON: {bytes(response.body)!r}"
        return wrong_words(self.run.transcript.dialect, value, self.expected, status, None)

    def wrong_stream(self, response):
        kind, stream = response.header("Content-Type"), response.header("Lastword-Stream") or ""
        if response.status != 200 or kind != self.run.transcript.media_type or response.framing != "chunked":
            return f"status {response.status} {kind}, {response.framing}, {bytes(response.body)!r}"
        if response.header("Connection") == "close" or not re.fullmatch("[A-Za-z0-9_-]{22}", stream):
            return f"head {response.headers}"
        body, frames = self.lie(bytes(response.body)), self.frames()
        if not body.startswith(frames):
            return f"sent {body!r}, but the upstream's frames are {frames!r}"
        rest = body[len(frames):]
        return self.wrong_rest(rest.removeprefix(b"\n") if self.lacks_lf else rest)

    @property
    def lacks_lf(self):
        """Of the last frame that goes through the last LF had not come when the upstream broke off. Behind a CR it may go with or
        without it; behind an NDJSON line it must, if something follows."""
        if self.run.transcript.dialect.ndjson:
            return self.expected.word == "failed" and self.frames()[-1:] == b"}"
        return bool(self.good) and self.good[-1].tail > 0 and self.frames().endswith(b"\r")

    def wrong_rest(self, rest):
        expected, dialect = self.expected, self.run.transcript.dialect
        if expected.word == "close":
            supplied = b"" if expected.by_piece else TERMINATORS.get(dialect.name, b"")
            return None if rest == supplied else f"ended with {rest!r}, but right is {supplied!r}"
        last = expected.pieces[-1] if expected.by_piece else None
        if last and last.raises:
            is_short = self.run.cut.got < end_of(self.run.transcript, last)
            forms = (last.raw, last.raw[:-1]) if is_short else (last.raw,)   # its last LF had not come
            return None if rest in forms else f"ended with {rest!r}, but right is {last.raw!r}"
        if last and last.says:
            copy, blank, rest = rest.partition(b"\n\n")
            if without_ends(json_of(copy + blank)) != without_ends(json_of(last.raw)):
                return f"the text of the last frame is {copy!r}, of {last.raw!r}"
        return wrong_frame(dialect, rest, expected, sequence_of(self.good))


def end_of(transcript, piece):
    return transcript.ends[transcript.pieces.index(piece)]


def json_of(frame):
    try:
        return json.loads(b"".join(line.removeprefix(b"data:") for line in frame.splitlines() if not line.startswith((b"event:", b"id:"))))
    except ValueError:
        return None


def without_ends(value):
    """A frame's JSON without what ends or fails the answer."""
    if isinstance(value, list):
        return [without_ends(each) for each in value]
    if isinstance(value, dict):
        ends = ("finish_reason", "finishReason", "stop_reason", "done_reason", "error")
        return {name: without_ends(each) for name, each in value.items() if name not in ends and each is not None}
    return value


def sequence_of(pieces):
    numbers = [int(said[1]) for piece in pieces if (said := re.search(rb'"sequence_number":(\d+)', piece.raw))]
    return max(numbers, default=-1)


NAMED = ("anthropic", "openai-responses", "text")   # their error frames have a name


def wrong_frame(dialect, frame, expected, sequence):
    begin = b"" if dialect.ndjson else b"event: error\ndata: " if dialect.name in NAMED else b"data: "
    end = b"\n" if dialect.ndjson else b"\n\n"
    line = frame.removeprefix(begin).removesuffix(end)
    if begin + line + end != frame or b"\n" in line or b"\r" in line:
        return f"one error frame was due, but it ended with {frame!r}"
    try:
        value = json.loads(line)
    except ValueError:
        return f"no JSON in {frame!r}"
    return wrong_words(dialect, value, expected, 200, sequence)


def wrong_words(dialect, value, expected, status, sequence):
    """An error in the dialect's words. status: of the HTTP error, or 200 for a frame; sequence: None for an HTTP error."""
    said = expected.pieces[-1].error if expected.cause == "error" else None
    told = expected.pieces[-1].told if expected.cause == "error" else {}
    message = message_of(dialect.name, value)
    if not isinstance(message, str) or not message or "<" in message or (said and message != said):
        return f"message {message!r} in {value}"
    right = SHAPES[dialect.name](message, expected.cause, told, sequence)
    return None if matches(value, right) else f"an error {value}, but right is {right}"


def message_of(name, value):
    try:
        error = value["errorText"] if name == "ai-ui" else value["error"]
        return error["message"] if isinstance(error, dict) else error
    except (KeyError, TypeError):
        return None


class OneOf(tuple):
    """Any of these will do."""


def matches(value, right):
    if isinstance(right, OneOf):
        return any(matches(value, each) for each in right)
    if isinstance(right, dict):
        return isinstance(value, dict) and set(value) == set(right) and all(matches(value[name], right[name]) for name in right)
    return type(value) is type(right) and value == right


def code_of(cause, told):
    """The upstream's own, as it was or as text."""
    return OneOf((told["code"], str(told["code"]))) if "code" in told else f"lastword_{cause}"


def openai_object(message, cause, told):
    return {"message": message, "type": told.get("type", "upstream_error"), "param": None, "code": code_of(cause, told)}


def openai(message, cause, told, sequence):
    return {"error": openai_object(message, cause, told), "lastword": {"end": "failed", "cause": cause}}


def responses(message, cause, told, sequence):
    if sequence is None:
        return openai(message, cause, told, sequence)
    return {"type": "error", "sequence_number": sequence + 1, "code": code_of(cause, told), "message": message, "param": None,
            "error": openai_object(message, cause, told)}


def number_of(cause, told):
    return told.get("code", STATUS.get(cause, 504 if cause.endswith("timeout") else 502))


def gemini(message, cause, told, sequence):
    status = told.get("type", "DEADLINE_EXCEEDED" if cause.endswith("timeout") else "UNAVAILABLE")
    return {"error": {"code": number_of(cause, told), "message": message, "status": status}}


def llamacpp(message, cause, told, sequence):
    return {"error": {"code": number_of(cause, told), "message": message, "type": told.get("type", "server_error")}}


def tgi(message, cause, told, sequence):
    return {"error": message, "error_type": told.get("type", "incomplete_generation_stream")}


def anthropic(message, cause, told, sequence):
    return {"type": "error", "error": {"type": told.get("type", "api_error"), "message": message}}


def plain(message, cause, told, sequence):
    return {"error": message}


SHAPES = {
    "text": openai, "openai-chat": openai, "openai-completions": openai, "openai-responses": responses, "anthropic": anthropic,
    "gemini": gemini, "ollama-chat": plain, "ollama-generate": plain, "llamacpp": llamacpp, "tgi": tgi,
    "sglang-generate": lambda message, *_: {"error": {"message": message}},
    "ai-ui": lambda message, *_: {"type": "error", "errorText": message},
}
