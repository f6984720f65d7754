"""llama.cpp's own server under test: a process of its own with the small model, built by `make llama-server` from the source
that libllama comes from; and a tap, which keeps what it sent while somebody else reads it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
os.environ.setdefault("E2E_DEADLINE", "60")  # a model thinks longer than a script

from gateway import ROOT  # noqa: E402
from judge import Response  # noqa: E402
from model_fixture import MODEL  # noqa: E402
from upstream import wait_until  # noqa: E402
from viewer import fetch  # noqa: E402

PROGRAM = ROOT / "build/servers/llama-server"


class LlamaServer:
    def __init__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.port = 0
        self.start()

    def start(self):
        """On the port of the last time, so that a route finds it again."""
        self.log.truncate(0)
        self.log.seek(0)
        command = [PROGRAM, "--model", MODEL, "--host", "127.0.0.1", "--port", str(self.port), "--ctx-size", "4096", "--parallel", "2",
                   "--threads", "1", "--threads-http", "8", "--cache-ram", "0", "--no-warmup", "--offline",
                   "--chat-template", "chatml"]   # without the model's system prompt, which confuses it
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        self.port = int(wait_until(self.said_port, "llama-server to listen", within=60)[1])
        self.address = ("127.0.0.1", self.port)
        self.url = "http://127.0.0.1:%d" % self.port
        wait_until(lambda: fetch(self.address, "/health").status == 200, "the model to be loaded", within=60)

    def said_port(self):
        assert self.process.poll() is None, self.said()
        return re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.said())

    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def busy(self):
        """Slots that compute."""
        return sum(slot["is_processing"] for slot in json.loads(fetch(self.address, "/slots").body))


class Tap:
    """Between a gateway and a server: carries both ways, and keeps what the server sent."""

    def __init__(self, far):
        self.far, self.answers = far, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.socket.accept()[0]
            except OSError:
                return
            far, sent = socket.create_connection(self.far), bytearray()
            self.answers.append(sent)
            threading.Thread(target=carry, args=(near, far, bytearray()), daemon=True).start()
            threading.Thread(target=carry, args=(far, near, sent), daemon=True).start()

    def response(self):
        """The answer to the only request."""
        assert len(self.answers) == 1
        response = Response("POST")
        response.feed(bytes(self.answers[0]))
        return response

    def close(self):
        self.socket.close()


def carry(source, drain, kept):
    try:
        while piece := source.recv(65536):
            kept += piece
            drain.sendall(piece)
    except OSError:
        pass
    for end in source, drain:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass   # the other side was faster
