"""A wire between a browser and the gateway, which the test can cut: Chromium's own "offline" refuses new requests and leaves
those that run alone."""

import socket
import struct
import threading


class Wire:
    def __init__(self, far):
        self.far = far
        self.deaf = False   # what the gateway says does not arrive; set before the connection begins
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/" % self.socket.getsockname()[1]
        self.pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Every connection that there is, by a reset towards the browser."""
        for near, far in self.pairs:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for end in near, far:
                shut(end)
                end.close()
        self.pairs = []

    def close(self):
        shut(self.socket)
        self.socket.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                near = self.socket.accept()[0]
                far = socket.create_connection(self.far)
            except OSError:
                return
            self.pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, self.deaf), daemon=True).start()

    def _carry(self, source, drain, swallow):
        try:
            while data := source.recv(65536):
                if not swallow:
                    drain.sendall(data)
        except OSError:
            pass
        shut(drain)


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass   # the other side was faster
