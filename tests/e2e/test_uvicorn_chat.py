"""Real servers that speak openai-chat to SDKs: uvicorn with FastAPI's StreamingResponse, which writes what the app writes, and
with sse-starlette, which writes CRLF, ids, retry times and pings of its own.

What is right is what the server itself sends to somebody who asks it directly.
"""

import json
import re

import pytest
from conftest import route
from judge import CLEAN
from test_uvicorn import Uvicorn
from upstream import wait_until
from viewer import fetch

APP = '''
import asyncio, json
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from sse_starlette.sse import EventSourceResponse, ServerSentEvent

app = FastAPI()
left = []
going = asyncio.Event()

def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}, ensure_ascii=False)

async def chunks(what):
    if what == "raise at once":
        raise RuntimeError("the model fell over")
    yield chunk({"role": "assistant", "content": ""})
    if what == "raise before a token":
        raise RuntimeError("the model fell over")
    for word in ["Hello", " dear", " world\\u2026\\n"]:
        yield chunk({"content": word})
    if what == "raise":
        raise RuntimeError("the model fell over")
    if what == "return":
        return
    if what == "only [DONE]":
        yield "[DONE]"
        return
    if what == "hang":
        try:
            await asyncio.Event().wait()
        finally:
            left.append(what)
    if what == "wait":
        await going.wait()
    if what == "error":
        yield json.dumps({"error": {"message": "no memory", "type": "server_error", "param": None, "code": 500}})
        yield "[DONE]"
        return
    yield chunk({}, "stop")
    if what != "no [DONE]":
        yield "[DONE]"

async def question(request):
    return (await request.json())["messages"][0]["content"]

async def as_frames(what):
    async for data in chunks(what):
        yield f"data: {data}\\n\\n"

async def as_events(what):
    n = 0
    async for data in chunks(what):
        n += 1
        yield ServerSentEvent(data, id=str(n), retry=3000 if n == 1 else None)

@app.post("/streaming/chat/completions")
async def streaming(request: Request):
    return StreamingResponse(as_frames(await question(request)), media_type="text/event-stream")

@app.post("/sse/chat/completions")
async def sse(request: Request):
    return EventSourceResponse(as_events(await question(request)))

@app.post("/pinging/chat/completions")
async def pinging(request: Request):
    return EventSourceResponse(as_events(await question(request)), ping=0.05)

@app.get("/pinging")
async def pinging_text(prompt: str):
    async def events():
        yield ServerSentEvent("Hello", id="a.1", retry=1, event="message")
        if prompt == "wait":
            await going.wait()
        yield ServerSentEvent("two\\nlines", comment="a comment")
        yield ServerSentEvent("bye", event="close")
    return EventSourceResponse(events(), ping=0.05)

@app.post("/go")
async def go():
    going.set()

@app.post("/stay")
async def stay():
    going.clear()

@app.get("/left")
async def who_left():
    return left
'''

WAYS = ["streaming", "sse"]
PING = re.compile(rb": ping - [^\r\n]+\r\n\r\n")
TEXT = ["Hello", " dear", " world…\n"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Uvicorn(tmp_path_factory.mktemp("chat"), APP)
    yield server
    server.close()


@pytest.fixture
def gateway(gateway_with, server):
    return gateway_with("", *[route(f"/{way}/*", f"{server.url}/{way}", "grace: 0") for way in [*WAYS, "pinging"]],
                        route("/page/pinging", server.url + "/pinging"),
                        route("/page/impatient", server.url + "/pinging", "idle: 300ms"))


def question(what):
    return {"model": "m", "stream": True, "messages": [{"role": "user", "content": what}]}


def ask(viewer, way, what):
    return viewer.ask(f"/{way}/chat/completions", method="POST", body=question(what))


def direct(server, way, what):
    """What the server sends to somebody who asks it without the gateway."""
    return fetch(server.address, f"/{way}/chat/completions", method="POST", body=question(what))


def whole(viewer):
    """The body of a stream whose head is 200 and whose framing ended well."""
    viewer.wait(lambda: viewer.response.end, "the end of the answer")
    assert (viewer.response.status, viewer.response.end) == (200, CLEAN), viewer.story()
    return bytes(viewer.response.body)


def texts(body):
    """What the deltas say, read line by line."""
    frames = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for frame in frames for choice in frame.get("choices", [])]
    return [delta["content"] for delta in deltas if delta.get("content")]


def expect_failure(viewer, before, cause):
    """What the server sent, then one error frame and nothing more."""
    body = whole(viewer)
    assert body.startswith(before), viewer.story()
    frame = body.removeprefix(before)
    assert re.fullmatch(rb"data: \{[^\n]*\}\n\n", frame), viewer.story()
    said = json.loads(frame[6:])
    assert said["error"]["message"] and said["lastword"] == {"end": "failed", "cause": cause}, viewer.story()
    assert "choices" not in said
    return said


@pytest.mark.parametrize("way", WAYS)
def test_a_good_answer_is_the_servers_bytes(gateway, server, way):
    sent = direct(server, way, "hi")
    viewer = ask(gateway.viewer(), way, "hi")
    assert whole(viewer) == bytes(sent.body)
    assert viewer.response.header("Content-Type") == sent.header("Content-Type")
    assert texts(bytes(sent.body)) == TEXT
    assert sent.body.endswith(b"[DONE]\r\n\r\n" if way == "sse" else b"[DONE]\n\n")


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_terminator_is_supplied(gateway, server, way):
    sent = direct(server, way, "no [DONE]")
    assert b"[DONE]" not in sent.body
    assert whole(ask(gateway.viewer(), way, "no [DONE]")) == bytes(sent.body) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("way", WAYS)
def test_a_generator_that_raises_in_the_middle_is_a_cut(gateway, server, way):
    sent = direct(server, way, "raise")
    assert texts(bytes(sent.body)) == TEXT and sent.end != CLEAN
    expect_failure(ask(gateway.viewer(), way, "raise"), bytes(sent.body), "cut")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["raise at once", "raise before a token"])
def test_a_generator_that_raises_before_a_token_is_an_http_error(gateway, way, what):
    error = ask(gateway.viewer(), way, what).expect_error(502)
    assert json.loads(error.body)["lastword"]["cause"] == "cut"


@pytest.mark.parametrize("way", WAYS)
def test_a_generator_that_returns_without_a_finish_is_truncated(gateway, server, way):
    sent = direct(server, way, "return")
    assert sent.end == CLEAN
    expect_failure(ask(gateway.viewer(), way, "return"), bytes(sent.body), "truncated")


@pytest.mark.parametrize("way", WAYS)
def test_a_terminator_without_a_finish_is_not_forwarded(gateway, server, way):
    expect_failure(ask(gateway.viewer(), way, "only [DONE]"), bytes(direct(server, way, "return").body), "truncated")


@pytest.mark.parametrize("way", WAYS)
def test_an_error_in_the_stream_goes_on_as_it_is_and_no_terminator_after_it(gateway, server, way):
    sent = bytes(direct(server, way, "error").body)
    done = b"data: [DONE]\n\n" if way == "streaming" else b"id: 6\r\ndata: [DONE]\r\n\r\n"
    assert sent.endswith(done)
    assert whole(ask(gateway.viewer(), way, "error")) == sent.removesuffix(done)


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_server_is_an_error_frame_and_the_next_question_works(gateway, server, way):
    begun = bytes(direct(server, way, "return").body)
    viewer = ask(gateway.viewer(), way, "hang")
    viewer.wait(lambda: bytes(viewer.response.body) == begun, "the text")
    server.kill()
    expect_failure(viewer, begun, "cut")
    server.start()
    assert texts(whole(ask(gateway.viewer(), way, "hi"))) == TEXT


@pytest.mark.parametrize("way", WAYS)
def test_leaving_ends_the_generator(gateway, server, way):
    count = lambda: len(json.loads(fetch(server.address, "/left").body))
    before = count()
    viewer = ask(gateway.viewer(), way, "hang")
    viewer.wait(lambda: texts(bytes(viewer.response.body)) == TEXT, "the text")
    viewer.cut()
    wait_until(lambda: count() == before + 1, "the generator to be cancelled")


def test_pings_go_to_an_sdk_between_whole_frames(gateway, server):
    fetch(server.address, "/stay", method="POST")
    viewer = ask(gateway.viewer(), "pinging", "wait")
    viewer.wait(lambda: PING.search(bytes(viewer.response.body)), "a ping")
    fetch(server.address, "/go", method="POST")
    assert PING.sub(b"", whole(viewer)) == bytes(direct(server, "sse", "hi").body)


def test_a_page_gets_neither_pings_nor_the_servers_ids(gateway, server):
    fetch(server.address, "/stay", method="POST")
    clock = ask(gateway.viewer(), "pinging", "wait")
    viewer = gateway.viewer().watch("/page/pinging?prompt=wait")
    viewer.expect("Hello", id=1)
    clock.wait(lambda: len(PING.findall(bytes(clock.response.body))) == 3, "pings of another answer")
    fetch(server.address, "/go", method="POST")
    viewer.expect("two\nlines", id=2)
    viewer.expect_last_word("finished", proof="marker", events=2)
    assert viewer.reader.comments == 0 and b"ping" not in viewer.response.body
    whole(clock)


def test_pings_are_no_answer(gateway, server):
    fetch(server.address, "/stay", method="POST")
    viewer = gateway.viewer().watch("/page/impatient?prompt=wait")
    viewer.expect("Hello")
    viewer.expect_last_word("idle_timeout", events=1)
