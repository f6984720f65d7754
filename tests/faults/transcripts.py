"""Answers of model servers, built piece by piece, and how each must be judged when it breaks off after any byte.

Nothing here parses: a transcript knows at which byte each of its events is whole, because it was put together from them, and
judge_end() reads the verdict off the table of ends (ARCHITECTURE.md, "Ends"). So a mistake in the gateway's parser cannot hide
behind the same mistake in the test. The answers themselves are in answers.py.
"""

from dataclasses import dataclass, field

FRAMINGS = ("chunked", "length", "close")
FAULTS = ("FIN", "RST", "silence", "early end")   # the last: the framing is ended properly, the answer is not
FAILING = ("error", "abort", "aborted")


@dataclass
class Piece:
    """One event, or one comment, as a server writes it."""
    raw: bytes
    text: str = ""                # of choice 0, as a page gets it
    reasoning: str = ""
    unseen: bool = False          # meaning that a page is not shown: a fragment of a tool call, the text of another choice
    choice: int | None = None     # whose it is; None: nobody's
    finish: str | None = None     # the finish of that choice
    whole: bool = False           # the finish of every choice, with or without a word
    end: bool = False             # the terminator
    error: str | None = None      # an in-band error: its message …
    told: dict = field(default_factory=dict)   # … its type and code, where it says them …
    raises: bool = False          # … and whether the dialect's official clients raise on it as it is
    is_comment: bool = False
    tail: int = 0                 # bytes at its end that the event does not need: the LF of a last CRLF

    @property
    def fails(self):
        return self.finish in FAILING

    @property
    def means(self):
        return bool(self.says or self.finish or self.whole or self.error)

    @property
    def says(self):
        return bool(self.text or self.reasoning or self.unseen)

    @property
    def shown(self):
        """The events of a page that come of it."""
        return [(name, data) for name, data in (("reasoning", self.reasoning), ("message", self.text)) if data]


@dataclass
class Dialect:
    name: str
    ndjson: bool = False
    finishes: bool = True         # has finish reasons
    terminates: bool = True       # has a terminator


@dataclass
class Transcript:
    name: str
    dialect: Dialect
    pieces: list
    choices: int = 1              # that the request asks for
    ends: list = field(init=False)

    def __post_init__(self):
        self.body = b"".join(piece.raw for piece in self.pieces)
        self.ends, at = [], 0
        for piece in self.pieces:
            at += len(piece.raw)
            self.ends.append(at)

    def whole_at(self, framed_end):
        """At which byte each piece is whole. An NDJSON line at the end of a framed body needs no LF; elsewhere nothing is
        whole without one."""
        return [end - self._spare(piece, framed_end) for end, piece in zip(self.ends, self.pieces)]

    def _spare(self, piece, framed_end):
        if not self.dialect.ndjson:
            return piece.tail
        return int(framed_end) - (not piece.raw.endswith(b"\n"))

    @property
    def media_type(self):
        return "application/x-ndjson" if self.dialect.ndjson else "text/event-stream; charset=utf-8"


@dataclass
class Cut:
    """What is sent before the fault, how many bytes of the body that is, and how the body is left: open, framed (ended by its
    framing), closed (ended by a close that proves nothing) or broken."""
    sent: bytes
    got: int
    left: str


class Wire:
    """A transcript as an HTTP response."""

    def __init__(self, transcript, framing):
        self.framing, self.body = framing, transcript.body
        fields = {"chunked": "Transfer-Encoding: chunked\r\n", "length": f"Content-Length: {len(self.body)}\r\n", "close": ""}
        self.head = f"HTTP/1.1 200 OK\r\nContent-Type: {transcript.media_type}\r\n{fields[framing]}Connection: close\r\n\r\n".encode()
        self.raw = self.head + (chunked(self.body) if framing == "chunked" else self.body)
        self.got = self._count_body()

    def _count_body(self):
        """For each k, how many bytes of the body k bytes of the wire hold."""
        got = [0] * (len(self.head) + 1)
        if self.framing == "chunked":
            for chunk in chunks_of(self.body):
                got += [got[-1]] * (len(b"%x\r\n" % len(chunk)))
                got += [got[-1] + n for n in range(1, len(chunk) + 1)]
                got += [got[-1]] * 2
            return got + [got[-1]] * len(b"0\r\n\r\n")
        return got + list(range(1, len(self.body) + 1))

    def cut(self, fault, k):
        """After k bytes; an early end is after k bytes of the body."""
        if fault == "early end":
            return Cut(self.head + chunked(self.body[:k]), k, "framed")
        if self.framing != "close" and k == len(self.raw):
            return Cut(self.raw, self.got[k], "framed")
        closed = fault == "FIN" and self.framing == "close" and k >= len(self.head)
        return Cut(self.raw[:k], self.got[k], "open" if fault == "silence" else "closed" if closed else "broken")

    def places(self, fault):
        if fault == "early end":
            return range(len(self.body)) if self.framing == "chunked" else range(0)
        return range(len(self.raw) + 1)

    def boundaries(self, transcript, fault):
        """The cuts where something changes, and their neighbours."""
        ends = {*transcript.ends, *transcript.whole_at(False), *transcript.whole_at(True)}
        if fault != "early end":
            index = {got: k for k, got in reversed(list(enumerate(self.got)))}
            ends = {index[end] for end in ends if end in index} | {0, len(self.head), len(self.raw), len(self.raw) - 2}
        return {k + d for k in ends for d in (-1, 0, 1)} & set(self.places(fault))


def chunks_of(body):
    """Chunks whose edges have nothing to do with those of events."""
    at, sizes = 0, [1, 7, 30, 64, 3, 120]
    while at < len(body):
        yield body[at:at + sizes[0]]
        at += sizes[0]
        sizes = sizes[1:] + sizes[:1]


def chunked(body):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks_of(body)) + b"0\r\n\r\n"


@dataclass
class Judgement:
    cause: str
    proof: str | None
    finish: str | None
    pieces: list                  # the whole ones, up to the one that decides
    by_piece: bool                # the last of them decided; else the end of the body, or a clock

    @property
    def word(self):
        return "close" if self.cause == "finished" else "failed"

    @property
    def shown(self):
        return [event for piece in self.pieces for event in piece.shown]

    @property
    def means(self):
        return any(piece.means for piece in self.pieces)


class Evidence:
    """What the pieces prove so far."""

    def __init__(self, dialect, choices):
        self.dialect, self.asked = dialect, choices
        self.seen, self.finished, self.whole, self.word = set(), set(), False, None

    @property
    def is_finished(self):
        return self.whole or len(self.finished) >= max(self.asked, max(self.seen, default=0) + 1)

    def add(self, piece):
        """The cause and the proof, if this piece decides."""
        if piece.choice is not None:
            self.seen.add(piece.choice)
        if piece.finish and not piece.error:
            self.finished.add(piece.choice)
            self.word = piece.finish if piece.choice == 0 or piece.fails else self.word
        self.whole |= piece.whole
        if piece.error:
            return "error", None
        if piece.fails:
            return "aborted", None
        if piece.end and (self.is_finished or not self.dialect.finishes):
            return "finished", "marker"
        return ("truncated", None) if piece.end else None


def judge_end(transcript, cut, choices):
    """The first line of the table that applies. choices: that the request asked for."""
    dialect, evidence, pieces = transcript.dialect, Evidence(transcript.dialect, choices), []
    whole_at = transcript.whole_at(cut.left == "framed")
    for piece, at in zip(transcript.pieces, whole_at):
        if at > cut.got:
            break
        pieces.append(piece)
        if decided := evidence.add(piece):
            return Judgement(*decided, evidence.word, pieces, True)
    cause, proof = judge_body(dialect, evidence, cut, pieces, has_half_event(transcript, cut.got, whole_at))
    return Judgement(cause, proof, evidence.word, pieces, False)


def judge_body(dialect, evidence, cut, pieces, has_half):
    if cut.left == "open":
        return ("idle_timeout" if any(piece.means for piece in pieces) else "first_event_timeout"), None
    if cut.left == "broken":
        return "cut", None
    if dialect.finishes and dialect.terminates and evidence.is_finished:
        return "finished", "finish"
    has_text = any(piece.text for piece in pieces)
    if has_half or not (evidence.is_finished if dialect.finishes else has_text):
        return "truncated", None
    if cut.left == "framed":
        return "finished", "finish" if dialect.finishes else "framing"
    return "unproven", None


def has_half_event(transcript, got, whole_at):
    begun = [piece for piece, end, at in zip(transcript.pieces, transcript.ends, whole_at) if end - len(piece.raw) < got < at]
    return any(not piece.is_comment for piece in begun)
