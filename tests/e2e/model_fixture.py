"""lastword-model under test: a process of its own with the small model that `make model` fetches."""

import http.client
import json
import os
import re
import select
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"
DEADLINE = 60

# The small model's end-of-generation tokens: with these forbidden an answer only ends when it is made to.
ENDLESS = {"temperature": 0, "max_tokens": 100000, "logit_bias": {"0": -100, "2": -100}}


def binary():
    """The one beside the gateway that is tested."""
    path = Path(os.environ.get("LASTWORD", ROOT / "build/lastword")).resolve().parent / "lastword-model"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make`")
    return path


def wait_until(what, deadline=DEADLINE):
    """Asks until the answer is true, and returns it."""
    latest = time.monotonic() + deadline
    while not (answer := what()):
        assert time.monotonic() < latest, f"{what} did not come true"
        select.select([], [], [], 0.01)
    return answer


def message(text):
    return [{"role": "user", "content": text}]


class Stream:
    """A streamed answer, block by block."""

    def __init__(self, connection):
        self.connection = connection
        self.response = connection.getresponse()
        self.status = self.response.status
        self.type = self.response.getheader("Content-Type")

    def block(self):
        """The lines of the next block; None at the end of the body."""
        lines = []
        while True:
            line = self.response.readline()
            if not line:
                assert not lines, f"half a block at the end: {lines}"
                return None
            if line == b"\n":
                return lines
            assert line.endswith(b"\n"), f"half a line at the end: {line}"
            lines.append(line[:-1].decode())

    def blocks(self):
        while (block := self.block()) is not None:
            yield block

    def queue(self):
        """The next block, which tells a place."""
        block = self.block()
        said = re.fullmatch(r": queue (\d+)", "\n".join(block))
        assert said, block
        return int(said[1])

    def text(self):
        """The text of the next chunk that has some."""
        for block in self.blocks():
            if block[0].startswith("data: {"):
                delta = json.loads(block[0][6:])["choices"][0]["delta"]
                if delta.get("content"):
                    return delta["content"]
        raise AssertionError("the stream ended")

    def cut(self):
        self.response.close()
        self.connection.close()


class ModelServer:
    def __init__(self, *args, file=MODEL, listen=("--listen", "127.0.0.1:0"), pass_fds=()):
        command = [str(binary()), "--model", str(file), *listen, "--threads", "1", *args]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, pass_fds=pass_fds)
        self.line = self.process.stdout.readline()
        said = re.fullmatch(r"lastword-model: listening on http://([^ ]+):(\d+)\n", self.line)
        self.address = (said[1], int(said[2])) if said else None
        self.streams = []

    def stderr(self):
        self.log.seek(0)
        return self.log.read()

    def connect(self):
        return http.client.HTTPConnection(*self.address, timeout=DEADLINE)

    def ask(self, method, path, body=None):
        """Status, headers, body; JSON is parsed."""
        connection = self.connect()
        connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body))
        response = connection.getresponse()
        text = response.read()
        connection.close()
        is_json = response.getheader("Content-Type") == "application/json"
        return response.status, response.headers, json.loads(text) if is_json else text

    def chat(self, text, **members):
        status, _, answer = self.ask("POST", "/v1/chat/completions", {"messages": message(text), **members})
        assert status == 200, answer
        return answer["choices"][0]["message"]["content"], answer["choices"][0]["finish_reason"], answer["usage"]

    def stream(self, text, **members):
        connection = self.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": message(text), "stream": True, **members}))
        stream = Stream(connection)
        self.streams.append(stream)
        return stream

    def generate(self, prompt):
        connection = self.connect()
        connection.request("GET", "/generate?prompt=" + prompt)
        stream = Stream(connection)
        self.streams.append(stream)
        return stream

    def health(self):
        return self.ask("GET", "/health")[2]

    def is_idle(self):
        return self.health() == {"status": "ok", "slots": self.health()["slots"], "busy": 0, "queued": 0}

    def tidy(self):
        for stream in self.streams:
            stream.cut()
        self.streams = []
        wait_until(self.is_idle)

    def stop(self):
        """By SIGTERM; it must end well, and a sanitizer must have had nothing to say."""
        for stream in self.streams:
            stream.cut()
        self.process.terminate()
        status = self.process.wait(DEADLINE)
        said = self.stderr()
        assert status == 0, said
        assert "Sanitizer" not in said and "runtime error" not in said, said


def listening_socket():
    """A Unix socket with no path, as the gateway hands one over."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen(16)
    return listener
