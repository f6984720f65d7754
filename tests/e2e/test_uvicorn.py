"""Real servers behind the gateway: uvicorn with FastAPI's StreamingResponse and with sse-starlette, in processes of their own.

What a scripted upstream cannot show: the bytes that such servers really write when an answer ends, when its generator
raises, and when the process is killed.
"""

import signal
import socket
import subprocess
import sys

import pytest
from conftest import route
from upstream import wait_until

APP = '''
import asyncio, sys
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sse_starlette.sse import EventSourceResponse

app = FastAPI()

async def hang():
    await asyncio.Event().wait()

async def frames(prompt):
    for word in ["Hello", " dear", " world\\u2026"]:
        yield f"data: {word}\\n\\n"
    if prompt == "raise":
        raise RuntimeError("the model fell over")
    if prompt == "hang":
        await hang()
    if prompt == "close":
        yield "event: close\\ndata: bye\\n\\n"

async def events(prompt):
    for word in ["Hello", " dear", "two\\nlines"]:
        yield {"data": word}
    if prompt == "raise":
        raise RuntimeError("the model fell over")
    if prompt == "hang":
        await hang()
    yield {"event": "close", "data": "bye"}

@app.get("/streaming")
async def streaming(prompt: str):
    return StreamingResponse(frames(prompt), media_type="text/event-stream")

@app.get("/sse")
async def sse(prompt: str):
    return EventSourceResponse(events(prompt))
'''


class Uvicorn:
    """An app on a socket that is listening before the process exists, so that nobody has to wait for it."""

    def __init__(self, directory, app=APP):
        (directory / "app.py").write_text(app)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(128)
        self.address = self.socket.getsockname()
        self.url = "http://%s:%d" % self.address
        self.directory = directory
        self.start()

    def start(self):
        command = [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(self.socket.fileno()), "--log-level", "critical"]
        self.process = subprocess.Popen(command, cwd=self.directory, pass_fds=[self.socket.fileno()])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.socket.close()
        self.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Uvicorn(tmp_path_factory.mktemp("uvicorn"))
    yield server
    server.close()


@pytest.fixture
def gateway(gateway_with, server):
    return gateway_with("", route("/streaming", server.url + "/streaming"), route("/sse", server.url + "/sse"))


WORDS = {"/streaming": ["Hello", " dear", " world…"], "/sse": ["Hello", " dear", "two\nlines"]}


@pytest.mark.parametrize("path, prompt, proof", [("/streaming", "hi", "framing"), ("/streaming", "close", "marker"), ("/sse", "hi", "marker")])
def test_a_good_end(gateway, path, prompt, proof):
    viewer = gateway.viewer().watch(f"{path}?prompt={prompt}")
    viewer.expect_tokens(*WORDS[path])
    viewer.expect_last_word("finished", proof=proof, events=3)


@pytest.mark.parametrize("path", WORDS)
def test_an_exception_in_the_middle_is_a_cut(gateway, path):
    viewer = gateway.viewer().watch(f"{path}?prompt=raise")
    viewer.expect_tokens(*WORDS[path])
    viewer.expect_last_word("cut", events=3)


def test_a_request_that_the_app_refuses_is_a_status(gateway_with, server):
    gateway = gateway_with("", route("/wrong", server.url + "/no-such-path"))
    gateway.viewer().watch("/wrong?prompt=hi").expect_last_word("status", upstream_status=404)


@pytest.mark.parametrize("path", WORDS)
def test_a_killed_server_is_a_cut_and_the_next_question_works(gateway, server, path):
    viewer = gateway.viewer().watch(f"{path}?prompt=hang")
    viewer.expect_tokens(*WORDS[path])
    server.kill()
    viewer.expect_last_word("cut", events=3)
    server.start()
    viewer = gateway.viewer().watch(f"{path}?prompt=close")
    viewer.expect_tokens(*WORDS[path])
    viewer.expect_last_word("finished", proof="marker")


def test_fifty_answers_of_a_real_server_at_once(gateway):
    viewers = [gateway.viewer().ask("/sse?prompt=hi") for _ in range(50)]
    for viewer in viewers:
        assert viewer.expect_end("finished", proof="marker").tokens == WORDS["/sse"]
    wait_until(lambda: gateway.metric("lastword_streams_live") == 0, "no stream to be live")
