"""An independent reader of what a viewer gets, and a judge of it.

Written from the WHATWG HTML Standard 9.2 (server-sent events), RFC 9112 (HTTP/1.1 messages) and the promise of the browser
stream (ARCHITECTURE.md): it shares no line and no idea of parsing with the gateway, so that a wrong idea there is not
confirmed here. Everything takes bytes as they come, split anywhere, and can be fed by a blocking socket, by asyncio or
by a test that holds a whole transcript.

- Response   one HTTP/1.x response; tells a clean end from a cut and from a reset
- EventReader   bytes of an event stream -> events; half a block at the end is discarded
- judge()    the promise: exactly one last word, nothing after it, ids without a gap, counts and CRC that agree
"""

import codecs
import json
import re
import zlib
from dataclasses import dataclass, field

CLEAN, CUT, RESET = "clean", "cut", "reset"


class Malformed(Exception):
    """The bytes are not what RFC 9112 calls a response."""


class Response:
    """One response, fed by feed(), eof() and reset(). `end` is None while it runs, then CLEAN, CUT or RESET.

    Over a close-delimited body (HTTP/1.0) an end by FIN is CLEAN: it cannot show a break.
    """

    def __init__(self, method="GET"):
        self.method = method
        self.status = None
        self.version = ""
        self.headers = {}
        self.interim = []
        self.body = bytearray()
        self.framing = None
        self.end = None
        self.rest = bytearray()
        self._step = self._head
        self._left = 0

    def feed(self, data):
        self.rest += data
        while self.end is None and self._step():
            pass

    def eof(self):
        if self.end is None:
            self.end = CLEAN if self._step == self._until_close else CUT

    def reset(self):
        if self.end is None:
            self.end = RESET

    def header(self, name):
        """The value of a header that may stand once; None without it."""
        values = self.headers.get(name.lower(), [])
        if len(values) > 1:
            raise Malformed(f"{name} stands {len(values)} times: {values}")
        return values[0] if values else None

    def _head(self):
        at = self.rest.find(b"\r\n\r\n")
        if at < 0:
            return False
        lines = bytes(self.rest[:at]).decode("latin-1").split("\r\n")
        del self.rest[:at + 4]
        line = re.fullmatch(r"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([^\x00-\x08\x0a-\x1f\x7f]*)", lines[0])
        if not line:
            raise Malformed(f"status line {lines[0]!r}")
        self.version, self.status = line[1], int(line[2])
        self.headers = {}
        for text in lines[1:]:
            pair = re.fullmatch(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00\r\n]*?)[ \t]*", text)
            if not pair:
                raise Malformed(f"header line {text!r}")
            self.headers.setdefault(pair[1].lower(), []).append(pair[2])
        if 100 <= self.status < 200:
            self.interim.append(self.status)
            self.status = None
            return True
        return self._choose_framing()

    def _choose_framing(self):
        coding, length = self.header("Transfer-Encoding"), self.header("Content-Length")
        if self.method == "HEAD" or self.status in (204, 304):
            self.framing, self.end = "none", CLEAN
            return False
        if coding is not None:
            if length is not None or coding.lower() != "chunked" or self.version != "HTTP/1.1":
                raise Malformed(f"Transfer-Encoding {coding!r}, Content-Length {length!r}, {self.version}")
            self.framing, self._step = "chunked", self._chunk_size
        elif length is not None:
            if not re.fullmatch(r"[0-9]{1,18}", length):
                raise Malformed(f"Content-Length {length!r}")
            self.framing, self._left, self._step = "length", int(length), self._counted
        else:
            self.framing, self._step = "close", self._until_close
        return True

    def _counted(self):
        take = bytes(self.rest[:self._left])
        del self.rest[:len(take)]
        self.body += take
        self._left -= len(take)
        if self._left == 0:
            self.end = CLEAN
        return False

    def _until_close(self):
        self.body += self.rest
        self.rest.clear()
        return False

    def _chunk_size(self):
        line = self._line()
        if line is None:
            return False
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", line):
            raise Malformed(f"chunk size {line!r}")
        self._left = int(line, 16)
        self._step = self._chunk_bytes if self._left else self._trailer
        return True

    def _chunk_bytes(self):
        take = bytes(self.rest[:self._left])
        del self.rest[:len(take)]
        self.body += take
        self._left -= len(take)
        if self._left:
            return False
        self._step = self._chunk_end
        return True

    def _chunk_end(self):
        line = self._line()
        if line is None:
            return False
        if line:
            raise Malformed(f"{line!r} where a chunk ends")
        self._step = self._chunk_size
        return True

    def _trailer(self):
        line = self._line()
        if line == b"":
            self.end = CLEAN
        return line is not None

    def _line(self):
        at = self.rest.find(b"\r\n")
        if at < 0:
            return None
        line = bytes(self.rest[:at])
        del self.rest[:at + 2]
        return line


@dataclass
class Event:
    name: str
    data: str
    id: str


@dataclass
class Block:
    """What stood between two blank lines: the event that it dispatched, if any, and the id that it left behind."""
    event: Event | None
    id: str
    retry: int | None


class EventReader:
    """HTML Standard 9.2.5 and 9.2.6, to the letter."""

    def __init__(self):
        self.events = []
        self.blocks = []
        self.comments = 0
        self.retry = None
        self.last_event_id = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at_start = True
        self._after_cr = False
        self._data, self._name, self._id, self._retry = [], "", "", None

    def feed(self, chunk):
        text = self._decoder.decode(chunk)
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        self._text += text
        start = 0
        for end in re.finditer("\r\n|\n|\r", self._text):
            self._take(self._text[start:end.start()])
            start = end.end()
        if start == len(self._text) and self._text.endswith("\r"):
            self._after_cr = True
        self._text = self._text[start:]

    @property
    def has_leftover(self):
        """Bytes after the last blank line: what a browser throws away at the end of the body."""
        return bool(self._text or self._data or self._name or self._id != self.last_event_id or self._retry is not None)

    def _take(self, line):
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            self.comments += 1
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name, value):
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = self._retry = int(value)

    def _dispatch(self):
        self.last_event_id = self._id
        event = None
        if self._data:
            event = Event(self._name or "message", "\n".join(self._data), self._id)
            self.events.append(event)
        self.blocks.append(Block(event, self._id, self._retry))
        self._data, self._name, self._retry = [], "", None


# The closed list of causes, and the end that each belongs to.
FAILURES = set("""refused tls status protocol error aborted cut truncated unproven connect_timeout first_event_timeout
idle_timeout total_timeout event_too_large stream_too_large abandoned forgotten overloaded quota shutdown owner_lost
internal""".split())
ENDS = {"finished": "complete", "stopped": "stopped"} | {cause: "failed" for cause in FAILURES}
PROOFS = {"marker", "terminator", "finish", "framing", "none"}
COUNTS = ("events", "bytes", "crc32")
LAST_WORDS = ("close", "failed")


def plain(event, json_mode):
    """The token that an unnamed event carries, as a page sees it."""
    return json.loads(event.data) if json_mode else event.data


def tokens_of(events, json_mode=False):
    return [plain(event, json_mode) for event in events if event.name == "message"]


def counts_of(tokens):
    raw = [token.encode("utf-8", "surrogatepass") for token in tokens]
    crc = 0
    for piece in raw:
        crc = zlib.crc32(piece, crc)
    return {"events": len(raw), "bytes": sum(map(len, raw)), "crc32": f"{crc:08x}"}


@dataclass
class Verdict:
    word: str | None = None
    fields: dict = field(default_factory=dict)
    tokens: list = field(default_factory=list)
    events: list = field(default_factory=list)
    stream: str = ""
    start: int = 0
    wrong: list = field(default_factory=list)

    def __getitem__(self, name):
        return self.fields.get(name)


def judge(stream, json_mode=False, before=()):
    """Reads the whole body of a browser stream that has ended cleanly. `before`: the tokens that earlier connections of
    the same viewer took. `wrong` of the verdict says, in sentences, every way in which the promise was broken."""
    reader = EventReader()
    reader.feed(stream)
    v = Verdict(events=reader.events)
    look_at_bytes(v, stream, reader)
    look_at_first_block(v, reader)
    look_at_ids(v, reader)
    look_at_last_word(v, reader)
    try:
        v.tokens = tokens_of(reader.events, json_mode)
    except (ValueError, TypeError) as e:
        v.wrong.append(f"a data line is no JSON string: {e}")
    if v.word:
        look_at_counts(v, list(before) + v.tokens)
    return v


def look_at_bytes(v, stream, reader):
    if b"\r" in stream:
        v.wrong.append("a CR in the stream")
    if stream.startswith(b"\xef\xbb\xbf"):
        v.wrong.append("a BOM")
    try:
        stream.decode("utf-8")
    except UnicodeDecodeError as e:
        v.wrong.append(f"not UTF-8: {e}")
    if reader.has_leftover:
        v.wrong.append("half a block at the end")
    if re.search(rb"(^|\n):[^\n]", stream):
        v.wrong.append("a comment that is more than a colon")


def look_at_first_block(v, reader):
    first = reader.blocks[0] if reader.blocks else None
    if not first or first.event or first.retry is None:
        v.wrong.append("the first block is not a silent one with retry and id")
    place = re.fullmatch(r"([A-Za-z0-9_-]{22})\.(0|[1-9][0-9]{0,9})", first.id if first else "")
    if place:
        v.stream, v.start = place[1], int(place[2])
    else:
        v.wrong.append(f"the first block's id is {first.id if first else None!r}")


def look_at_ids(v, reader):
    place = v.start
    for event in reader.events:
        if event.name == "progress":
            if event.id != f"{v.stream}.{place}":
                v.wrong.append(f"progress carries the id {event.id!r}")
        elif event.name in ("message", "reasoning"):
            place += 1
            if event.id != f"{v.stream}.{place}":
                v.wrong.append(f"id {event.id!r} where {place} was due")
        elif event.name not in LAST_WORDS:
            v.wrong.append(f"an event named {event.name!r}")


def look_at_last_word(v, reader):
    words = [event for event in reader.events if event.name in LAST_WORDS]
    if len(words) != 1:
        v.wrong.append(f"{len(words)} last words")
    if not words:
        return
    word = words[0]
    v.word = word.name
    if word is not reader.events[-1] or reader.blocks[-1].event is not word:
        v.wrong.append("something after the last word")
    if word.id != f"{v.stream}.end":
        v.wrong.append(f"the last word's id is {word.id!r}")
    try:
        v.fields = json.loads(word.data)
    except ValueError:
        v.wrong.append(f"the last word's data is no JSON: {word.data!r}")
        return
    look_at_fields(v)


def look_at_fields(v):
    f = v.fields
    if ENDS.get(f.get("cause")) != f.get("end"):
        v.wrong.append(f"end {f.get('end')!r} with cause {f.get('cause')!r}")
    if (v.word == "failed") != (f.get("end") == "failed"):
        v.wrong.append(f"the word {v.word} for the end {f.get('end')!r}")
    if (f.get("proof") in PROOFS) != (f.get("end") == "complete"):
        v.wrong.append(f"proof {f.get('proof')!r} with end {f.get('end')!r}")
    if f.get("cause") != "forgotten" and not {"finish", "proof", *COUNTS} <= set(f):
        v.wrong.append(f"fields are missing: {sorted(f)}")
    if v.word == "failed" and not (f.get("side") in ("upstream", "gateway", "viewer") and f.get("detail")):
        v.wrong.append(f"a failure without side and detail: {f}")
    if "<" in str(f.get("detail")):
        v.wrong.append(f"HTML in the detail: {f['detail']!r}")
    if f.get("cause") == "status" and not isinstance(f.get("upstream_status"), int):
        v.wrong.append("cause status without upstream_status")


def look_at_counts(v, tokens):
    said = {name: v.fields.get(name) for name in COUNTS}
    if v.fields.get("cause") == "forgotten":
        if any(value is not None for value in said.values()):
            v.wrong.append(f"counts for a forgotten stream: {said}")
    elif said != counts_of(tokens):
        v.wrong.append(f"the last word counts {said}, the events are {counts_of(tokens)}")
