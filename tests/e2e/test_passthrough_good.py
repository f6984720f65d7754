"""Passthrough: a good answer arrives byte for byte, in every dialect, however the server writes and slices it.

The answers are those of the fault scripts, dressed in what servers add: ids, retry times, names, comments, fields that nobody
knows, data over several lines, and every kind of line end. Slices are drawn by a seed that a failure prints."""

import json
import random
import re
import sys
from pathlib import Path

import pytest
from conftest import COMMON
from gateway import Gateway
from judge import CLEAN
from upstream import Upstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

from answers import DIALECTS, TRANSCRIPTS  # noqa: E402
from sdk_side import TERMINATORS  # noqa: E402

GOOD = [t for t in TRANSCRIPTS if not any(piece.error or piece.fails for piece in t.pieces) and t.name != "openai-chat, only [DONE]"]
EVENTS = [t for t in GOOD if not t.dialect.ndjson]
ENDS = {"LF": ["\n"], "CRLF": ["\r\n"], "CR": ["\r"], "mixed": ["\n", "\r\n", "\r"]}   # of an event
HEARTBEAT = {"gemini": b"\n"}   # `:` and LF elsewhere; none between NDJSON lines


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    up = Upstream()
    routes = [f"  - {{ path: '/{d.name}/*', dialect: {d.name}, upstream: '{up.url}' }}" for d in DIALECTS]
    gateway = Gateway("\n".join([COMMON, "heartbeat: 30ms", "routes:", *routes]), tmp_path_factory.mktemp("good")).start()
    yield gateway, up
    gateway.stop()
    up.close()


@pytest.fixture
def client(house):
    """client(transcript): an SDK that has asked, and the upstream that was asked."""
    gateway, up = house
    viewers = []

    def ask(transcript):
        body = json.dumps({"model": "m", "n": transcript.choices, "stream": True, "messages": [{"role": "user", "content": "é"}]}).encode()
        viewer = gateway.viewer()
        viewers.append(viewer)
        viewer.ask(f"/{transcript.dialect.name}/answer?x=1", method="POST", body=body, headers={"Content-Type": "application/json"})
        request = up.expect_request()
        assert request.body == body
        return viewer, up

    yield ask
    for viewer in viewers:
        viewer.cut()
    up.forget()


def wait_end(viewer):
    viewer.wait(lambda: viewer.response.end, "the end")
    assert (viewer.response.status, viewer.response.end, viewer.response.framing) == (200, CLEAN, "chunked"), viewer.story()
    return bytes(viewer.response.body)


def without_heartbeats(body, frames, beat):
    """The frames in order, with nothing between them but heartbeats; what is left behind the last one."""
    for frame in frames:
        while not body.startswith(frame):
            assert body.startswith(beat), f"{body!r}, where {frame!r} was due"
            body = body[len(beat):]
        body = body[len(frame):]
    while body.startswith(beat):
        body = body[len(beat):]
    return body


def dressed(piece, rng, ends, is_text):
    """The same event as another server writes it."""
    lines = piece.raw.decode().splitlines()[:-1]
    if not piece.is_comment and any(line.startswith("data:") for line in lines):
        extra = [f"id: {rng.randrange(99)}", "retry: 700", ": a comment", "x-served-by: pod 7", "nonsense"]
        lines = rng.sample(extra, rng.randrange(3)) + [each for line in lines for each in ([line] if is_text else split(line, rng))]
    end = rng.choice(ends)
    return "".join(line + end for line in [*lines, ""]).encode()


def split(line, rng):
    """JSON may go on in the next data line, between two of its tokens."""
    begin = 'data: {"'
    return ["data: {", 'data:"' + line[len(begin):]] if line.startswith(begin) and rng.random() < 0.5 else [line]


def send_sliced(up, body, rng):
    """Slices that have nothing to do with events; some are read before the next is sent."""
    while body:
        n = rng.choice([1, 2, 5, 40, 300])
        up.send(body[:n])
        body = body[n:]
        if rng.random() < 0.3:
            up.wait_read()


def draw():
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("transcript", GOOD, ids=lambda t: t.name)
def test_a_good_answer_arrives_byte_for_byte(client, transcript, framing):
    viewer, up = client(transcript)
    up.head(framing, type=transcript.media_type, length=len(transcript.body), headers=["x-request-id: r1"])
    send_sliced(up, transcript.body, draw())
    up.end()
    frames, beat = [piece.raw for piece in transcript.pieces], HEARTBEAT.get(transcript.dialect.name, b":\n")
    rest = without_heartbeats(wait_end(viewer), frames, beat)
    has_end = any(piece.end for piece in transcript.pieces)
    assert rest == (b"" if has_end else TERMINATORS.get(transcript.dialect.name, b""))
    assert viewer.response.header("Content-Type") == transcript.media_type
    assert viewer.response.header("x-request-id") == "r1"
    assert re.fullmatch("[A-Za-z0-9_-]{22}", viewer.response.header("Lastword-Stream"))


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("transcript", EVENTS, ids=lambda t: t.name)
def test_whatever_a_server_dresses_its_events_in_arrives(client, transcript, ends):
    rng = draw()
    frames = [dressed(piece, rng, ENDS[ends], transcript.dialect.name == "text") for piece in transcript.pieces]
    viewer, up = client(transcript)
    up.head(type=transcript.media_type)
    send_sliced(up, b"".join(frames), rng)
    up.end()
    rest = without_heartbeats(wait_end(viewer), frames, HEARTBEAT.get(transcript.dialect.name, b":\n"))
    has_end = any(piece.end for piece in transcript.pieces)
    assert rest == (b"" if has_end else TERMINATORS.get(transcript.dialect.name, b""))


@pytest.mark.parametrize("transcript", EVENTS, ids=lambda t: t.name)
def test_heartbeats_stand_between_whole_frames_only(client, transcript):
    beat = HEARTBEAT.get(transcript.dialect.name, b":\n")
    first = next(n for n, piece in enumerate(transcript.pieces) if piece.means)
    frames = [piece.raw for piece in transcript.pieces]
    begun, last = b"".join(frames[:first + 1]), frames[-1]
    viewer, up = client(transcript)
    up.head(type=transcript.media_type).send(begun)
    viewer.wait(lambda: bytes(viewer.response.body).endswith(beat + beat), "heartbeats")
    up.send(b"".join(frames[first + 1:-1]) + last[:len(last) // 2])
    before = len(viewer.response.body)
    viewer.wait(lambda: len(viewer.response.body) > before + len(b"".join(frames[first + 1:-1])) + len(beat), "another one")
    up.send(last[len(last) // 2:]).end()
    without_heartbeats(wait_end(viewer), frames, beat)


def test_no_heartbeat_stands_between_the_lines_of_ndjson(client):
    lines = next(t for t in GOOD if t.dialect.ndjson)
    other = next(t for t in EVENTS if t.dialect.name == "openai-chat")
    viewer, up = client(lines)
    up.head(type=lines.media_type).send(lines.pieces[0].raw)
    viewer.wait(lambda: viewer.response.body, "the first line")
    answer = up.exchange
    clock, up = client(other)
    up.head(type=other.media_type).send(other.pieces[1].raw)
    clock.wait(lambda: bytes(clock.response.body).endswith(b":\n:\n:\n"), "heartbeats of another answer")
    answer.send(lines.body[len(lines.pieces[0].raw):]).end()
    assert wait_end(viewer) == lines.body
