"""A gateway that a test plays itself, word by word: for what a true one cannot be made to say.

It serves the files of web/, under any prefix; every other request waits for the test: `gate.expect("POST", "/sse-proxy").opens().send(…)`.
The answers are written with the verbs of the scripted upstream.
"""

import json
import queue
import socket
import threading
import zlib
from pathlib import Path

from upstream import DEADLINE, Exchange

WEB = Path(__file__).resolve().parents[2] / "web"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
ID = "AAAAAAAAAAAAAAAAAAAAAA"


class Answering(Exchange):
    """One request of the page, and the verbs of a browser stream. Every connection serves once."""

    def opens(self, id=ID, place=0, retry=20, data="text"):
        headers = [f"Lastword-Stream: {id}", f"Lastword-Data: {data}", "Connection: close"]
        return self.head(headers=headers).send(f"retry: {retry}\nid: {id}.{place}\n\n")

    def token(self, n, text, id=ID):
        lines = "".join(f"data: {line}\n" for line in text.split("\n"))
        return self.send(f"id: {id}.{n}\n{lines}\n")

    def last_word(self, tokens, name="close", id=ID, **members):
        text = "".join(tokens).encode()
        word = {"end": "complete", "cause": "finished", "finish": "stop", "proof": "marker", "events": len(tokens),
                "bytes": len(text), "crc32": f"{zlib.crc32(text):08x}", **members}
        return self.send(f"event: {name}\nid: {id}.end\ndata: {json.dumps(word)}\n\n").end()

    def whole(self, *tokens):
        self.opens()
        for n, text in enumerate(tokens, 1):
            self.token(n, text)
        return self.last_word(tokens)

    def refuses(self, status, body, type="application/json"):
        return self.answer(body, status, type, ["Connection: close"])


class Gate:
    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/" % self.socket.getsockname()[1]
        self.waiting = queue.Queue()
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def expect(self, method, path):
        exchange = self.waiting.get(timeout=DEADLINE)
        assert (exchange.request.method, exchange.request.target) == (method, path)
        return exchange

    def close(self):
        self.socket.close()
        for connection in self.connections:
            connection.close()

    def _accept(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            exchange = Answering(connection)
        except (AssertionError, OSError):  # a browser opens connections that it may never use
            return
        file = WEB / (exchange.request.target.rpartition("/")[2] or "index.html")
        if file.parent == WEB and file.is_file():
            exchange.answer(file.read_text(), type=TYPES[file.suffix], headers=["Connection: close"]).cut()
        else:
            self.waiting.put(exchange)
