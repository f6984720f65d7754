"""A model server that does what the path says: /DIALECT/FAULT/… . It counts the requests of each.

One thread for a connection, which is kept between requests as real servers keep it; the bytes and the ways to break off
are those of the dialogues (tests/e2e/upstream.py).
"""

import socket
import sys
import threading
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from speech import DIALECTS, FAULTS  # noqa: E402
from upstream import Exchange  # noqa: E402


class Line(Exchange):
    """A connection on which nobody is in a hurry."""

    def wait_gone(self):
        """Silent until the other side has left."""
        self.kept = False
        self.socket.settimeout(None)
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
        self.socket.close()

    def wait_request(self):
        """False if the other side leaves, or this side closes, instead."""
        self.socket.settimeout(None)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


class ModelServer:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = self.listener.getsockname()
        self.url = "http://%s:%d" % self.address
        self.requests = Counter()    # by (dialect, fault)
        self.lines = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for line in self.lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            self.lines.append(sock)
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock):
        line = Line(sock, reads=False)
        line.kept = True
        while line.kept and line.wait_request():
            line.read_request()
            dialect, fault = line.request.path.split("/")[1:3]
            self.requests[dialect, fault] += 1
            FAULTS[fault].play(line, DIALECTS[dialect])
        sock.close()
