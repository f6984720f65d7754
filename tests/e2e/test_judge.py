"""The judge judged: it must accept what keeps the promise, and name each way of breaking it."""

import json

import pytest
from judge import CLEAN, CUT, RESET, EventReader, Malformed, Response, judge

pytestmark = pytest.mark.check

ID = "AAAAAAAAAAAAAAAAAAAAAA"
WORD = {"end": "complete", "cause": "finished", "finish": "stop", "proof": "marker", "events": 2, "bytes": 14, "crc32": "b961ed77"}
GOOD = (f"retry: 1000\nid: {ID}.0\n\n"
        f"id: {ID}.1\ndata: Hello\n\n"
        ":\n"
        f"id: {ID}.2\ndata: two\ndata: lines\n\n"
        f"event: close\nid: {ID}.end\ndata: {json.dumps(WORD)}\n\n")


def read(stream):
    reader = EventReader()
    reader.feed(stream)
    return [(event.name, event.data, event.id) for event in reader.events]


def test_a_good_stream_is_good():
    verdict = judge(GOOD.encode())
    assert verdict.wrong == []
    assert (verdict.word, verdict.stream, verdict.start, verdict.tokens) == ("close", ID, 0, ["Hello", "two\nlines"])


@pytest.mark.parametrize("old, new", [
    ("event: close", "event: failed"),
    ('"complete"', '"failed"'),
    ('"finished"', '"cut"'),
    ('"marker"', "null"),
    ('"events": 2', '"events": 3'),
    ('"bytes": 14', '"bytes": 13'),
    ("b961ed77", "b961ed78"),
    ("Hello", "Hullo"),
    (f"{ID}.2", f"{ID}.3"),
    (f"{ID}.end", f"{ID}.3"),
    ("retry: 1000\n", ""),
    (f"id: {ID}.0\n", ""),
    (f"id: {ID}.0\n\n", f"id: {ID}.0\ndata: early\n\n"),
    ("Hello\n", "Hello\r\n"),
    (":\n", ": still here\n"),
    (f"id: {ID}.1\n", f"event: error\nid: {ID}.1\n"),
    (f"id: {ID}.1\ndata: Hello\n\n", ""),
], ids=lambda text: repr(text)[:24])
def test_each_lie_is_seen(old, new):
    assert old in GOOD
    assert judge(GOOD.replace(old, new, 1).encode()).wrong


def test_no_last_word_two_last_words_and_what_follows_are_seen():
    at = GOOD.index("event: close")
    assert "0 last words" in judge(GOOD[:at].encode()).wrong
    assert "2 last words" in judge((GOOD + GOOD[at:]).encode()).wrong
    assert judge((GOOD + f"id: {ID}.3\ndata: more\n\n").encode()).wrong
    assert judge((GOOD + "data: mo").encode()).wrong
    assert judge((GOOD + "\n").encode()).wrong


def test_every_proper_prefix_of_a_good_stream_is_wrong():
    raw = GOOD.encode()
    assert all(judge(raw[:at]).wrong for at in range(len(raw)))


def test_a_resumed_stream_is_judged_with_what_came_before():
    stream = GOOD.replace(f"{ID}.0", f"{ID}.1").replace(f"id: {ID}.1\ndata: Hello\n\n", "").encode()
    assert judge(stream, before=["Hello"]).wrong == []
    assert judge(stream).wrong
    assert judge(stream, before=["Hullo"]).wrong


def test_json_mode_counts_the_decoded_token():
    stream = GOOD.replace("data: Hello", 'data: "Hello"').replace("data: two\ndata: lines", r'data: "two\nlines"').encode()
    assert judge(stream, json_mode=True).wrong == []
    assert judge(stream).wrong


@pytest.mark.parametrize("stream, events", [
    (b"data: a\n\n", [("message", "a", "")]),
    (b"data:a\n\n", [("message", "a", "")]),
    (b"data:  a \n\n", [("message", " a ", "")]),
    (b"data\n\n", [("message", "", "")]),
    (b"data: a\ndata\ndata: b\n\n", [("message", "a\n\nb", "")]),
    (b"\xef\xbb\xbfdata: a\r\n\r\ndata: b\r\rdata: c\n\n", [("message", x, "") for x in "abc"]),
    (b"event: x\n\ndata: a\n\n", [("message", "a", "")]),
    (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), ("message", "b", "")]),
    (b"id: 1\n\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "")]),
    (b"id: 1\nid: 2\x003\ndata: a\n\n", [("message", "a", "1")]),
    (b": c\ndata: a\nfoo: b\n\ndata: half\n", [("message", "a", "")]),
    (b"data: \xf0\x9f\x98\xff\n\n", [("message", "\ufffd\ufffd", "")]),
    (b"data: a\xe2\x80\xa8b\n\n", [("message", "a\u2028b", "")]),
])
def test_the_reader_follows_the_standard_however_the_bytes_are_split(stream, events):
    assert read(stream) == events
    for at in range(len(stream)):
        reader = EventReader()
        reader.feed(stream[:at])
        reader.feed(stream[at:])
        assert [(event.name, event.data, event.id) for event in reader.events] == events
    reader = EventReader()
    for byte in stream:
        reader.feed(bytes([byte]))
    assert [(event.name, event.data, event.id) for event in reader.events] == events


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def test_a_clean_end_a_cut_and_a_reset_are_told_apart():
    for at in range(len(CHUNKED)):
        cut, reset = Response(), Response()
        for response in (cut, reset):
            response.feed(CHUNKED[:at])
            assert response.end is None
        cut.eof()
        reset.reset()
        assert (cut.end, reset.end) == (CUT, RESET)
    whole = Response()
    for byte in CHUNKED:
        whole.feed(bytes([byte]))
    assert (whole.status, bytes(whole.body), whole.end, bytes(whole.rest)) == (200, b"abcde", CLEAN, b"")


def test_lengths_closes_and_bodies_that_are_not_there():
    def end(raw, method="GET"):
        response = Response(method)
        response.feed(raw)
        response.eof()
        return response.end, bytes(response.body)

    assert end(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc") == (CLEAN, b"abc")
    assert end(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc") == (CUT, b"abc")
    assert end(b"HTTP/1.0 200 OK\r\n\r\nabc") == (CLEAN, b"abc")
    assert end(b"HTTP/1.1 204 No\r\n\r\n") == (CLEAN, b"")
    assert end(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD") == (CLEAN, b"")
    assert end(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na") == (CLEAN, b"a")


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    b"HTTP/1.1 200 OK\r\nBad Name: 3\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
])
def test_a_malformed_response_is_not_forgiven(raw):
    with pytest.raises(Malformed):
        Response().feed(raw)
