"""Answers of model servers, built piece by piece, and what must become of each when it breaks off after any byte.

Nothing here parses: a transcript knows at which byte each of its events is whole, because it was put together from them, and
expect() reads the verdict off the table of ends (ARCHITECTURE.md, "Ends"). So a mistake in the gateway's parser cannot hide
behind the same mistake in the test.
"""

import json
from dataclasses import dataclass

FRAMINGS = ("chunked", "length", "close")
FAULTS = ("FIN", "RST", "silence")


@dataclass
class Piece:
    raw: bytes
    kind: str                # text, end, finish, comment, or other (an event that carries nothing)
    token: str | None = None
    tail: int = 0            # bytes at its end that the event does not need: the LF of a last CRLF


@dataclass
class Expected:
    cause: str
    proof: str | None
    tokens: list

    @property
    def word(self):
        return "close" if self.cause == "finished" else "failed"


class Transcript:
    def __init__(self, name, route, pieces):
        self.name, self.route, self.pieces = name, route, pieces
        self.is_chat = route == "/chat"
        self.body = b"".join(piece.raw for piece in pieces)
        ends, at = [], 0
        for piece in pieces:
            at += len(piece.raw)
            ends.append(at)
        self.ends = ends
        self.whole_at = [end - piece.tail for end, piece in zip(ends, pieces)]


def text(token, raw=None, tail=0):
    raw = raw or "".join(f"data: {line}\n" for line in token.split("\n")) + "\n"
    return Piece(raw.encode(), "text", token, tail)


def chunk(delta, finish=None, **more):
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}], **more}, ensure_ascii=False)}\n\n"


TEXT = [
    Piece(b": hello\n\n", "comment"),
    text("Grüße"),
    text(" two\nlines"),
    text("crlf", "data: crlf\r\n\r\n", tail=1),
    Piece(b"event: note\nid: 7\ndata: {}\n\n", "other"),
    text(" 😀", "data:  😀\r\r"),
]
CLOSE = [Piece(b"event: close\ndata: bye\n\n", "end")]
CHAT = [
    Piece(chunk({"role": "assistant", "content": ""}).encode(), "other"),
    text("Grüße", chunk({"content": "Grüße"})),
    text("a\n\nb", chunk({"content": "a\n\nb"})),
    text(" 😀", r'data: {"choices":[{"index":0,"delta":{"content":" \ud83d\ude00"},"finish_reason":null}]}' + "\n\n"),
    Piece(chunk({}, "stop").encode(), "finish"),
    Piece(b'data: {"choices":[],"usage":{"completion_tokens":3}}\n\n', "other"),
]
DONE = [Piece(b"data: [DONE]\n\n", "end")]

TRANSCRIPTS = [
    Transcript("text", "/text", TEXT),
    Transcript("text, event: close", "/text", TEXT + CLOSE),
    Transcript("openai-chat", "/chat", CHAT + DONE),
    Transcript("openai-chat, no [DONE]", "/chat", CHAT),
]


class Wire:
    """A transcript as an HTTP response. readable[k]: how many bytes of the body k bytes of the wire hold."""

    def __init__(self, transcript, framing):
        body = transcript.body
        fields = {"chunked": b"Transfer-Encoding: chunked\r\n", "length": b"Content-Length: %d\r\n" % len(body), "close": b""}
        self.framing = framing
        self.raw = bytearray(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + fields[framing] + b"Connection: close\r\n\r\n")
        self.head = len(self.raw)
        self.readable = [0] * (self.head + 1)
        if framing == "chunked":
            self._add_chunks(body)
        else:
            self._add(body, counts=True)

    def _add(self, data, counts=False):
        for byte in data:
            self.raw.append(byte)
            self.readable.append(self.readable[-1] + counts)

    def _add_chunks(self, body):
        """Chunks whose edges have nothing to do with those of events."""
        at, sizes = 0, [1, 7, 30, 64, 3, 120]
        while at < len(body):
            piece = body[at:at + sizes[0]]
            self._add(b"%x\r\n" % len(piece))
            self._add(piece, counts=True)
            self._add(b"\r\n")
            at += len(piece)
            sizes = sizes[1:] + sizes[:1]
        self._add(b"0\r\n\r\n")

    def boundaries(self, transcript):
        """The cuts where something changes, and their neighbours."""
        places = {0, self.head, len(self.raw), len(self.raw) - 2}
        places |= {self.readable.index(end) for end in (*transcript.ends, *transcript.whole_at)}
        return {k + d for k in places for d in (-1, 0, 1) if 0 <= k + d <= len(self.raw)}


def expect(transcript, wire, fault, k):
    """What a viewer must be told when the upstream sends k bytes of the wire and then does this."""
    got = wire.readable[k]
    whole = [piece for piece, at in zip(transcript.pieces, transcript.whole_at) if at <= got]
    tokens = [piece.token for piece in whole if piece.kind == "text"]
    kinds = {piece.kind for piece in whole}
    if "end" in kinds:
        return Expected("finished", "marker", tokens)
    if wire.framing != "close" and k == len(wire.raw):
        return Expected("finished", "finish" if transcript.is_chat else "framing", tokens)
    if fault == "silence":
        return Expected("idle_timeout" if kinds & {"text", "finish"} else "first_event_timeout", None, tokens)
    if fault == "RST" or wire.framing != "close" or k < wire.head:
        return Expected("cut", None, tokens)
    if transcript.is_chat:
        return Expected("finished", "finish", tokens) if "finish" in kinds else Expected("truncated", None, tokens)
    if has_half_event(transcript, got) or not tokens:
        return Expected("truncated", None, tokens)
    return Expected("unproven", None, tokens)


def has_half_event(transcript, got):
    begun = [n for n, end in enumerate(transcript.ends) if end - len(transcript.pieces[n].raw) < got < transcript.whole_at[n]]
    return any(transcript.pieces[n].kind != "comment" for n in begun)
