"""One gateway for most tests, with a route for each question; a scripted upstream behind each route.

A test asks for `house` and takes what it needs: `up, viewer = house.at("/text")`. Tests that need a gateway of their own
(drain, kill, other options) ask for `gateway_with`.
"""

import os
import tempfile
from pathlib import Path

import pytest
from gateway import Gateway
from upstream import Closed, Deaf, Upstream
from wire import Wire

# Every dialogue holds for any number of workers; LASTWORD_WORKERS=2 runs them with two.
COMMON = f"""
listen: 127.0.0.1:0
admin: 127.0.0.1:0
workers: {os.environ.get("LASTWORD_WORKERS", 1)}
retry: 100ms
"""

# Small, so that tests need not wait; large enough for a loaded machine where nothing should happen.
CLOCKS = "grace: 300ms"

# path: (options of the route, path of the upstream)
ROUTES = {
    "/sse-proxy": ("", "/generate"),
    "/text": ("", "/generate"),
    "/unix": ("", "/generate"),
    "/query": ("", "/generate?model=tiny"),
    "/required": ("end_marker: required", "/generate"),
    "/none": ("end_marker: none", "/generate"),
    "/custom": ("end_events: [fin], end_data: ['<eos>'], error_events: [oops]", "/generate"),
    "/json": ("data: json", "/generate"),
    "/quick": ("idle: 1s, first_event: 1s", "/generate"),
    "/brief": ("total: 500ms", "/generate"),
    "/small": ("event: 1KiB, stream: 4KiB", "/generate"),
    "/tolerant": ("half_close: true", "/generate"),
    "/stuck": ("write_timeout: 500ms, grace: 5min", "/generate"),
    "/never": ("grace: never", "/generate"),
    "/at-once": ("grace: 0", "/generate"),
    "/patient": ("grace: 5min", "/generate"),
    "/v1/*": ("connect: 1s, grace: 0", "/v1"),
    "/trusted/*": ("auth: client, grace: 0", ""),
    "/chat": ("dialect: openai-chat, request: {model: tiny}", "/v1/chat/completions"),
    "/chat-optional": ("dialect: openai-chat, finish: optional", "/v1/chat/completions"),
    "/chat-auto": ("", "/v1/chat/completions"),
    "/chat-quick": ("dialect: openai-chat, idle: 1s, first_event: 1s", "/v1/chat/completions"),
}


class House:
    """A gateway and the upstreams behind its routes."""

    def __init__(self, directory):
        self.scratch = tempfile.TemporaryDirectory(prefix="lw")  # pytest's own path is too long for a Unix socket
        self.ups = {path: Upstream(Path(self.scratch.name) / "up" if path == "/unix" else None) for path in ROUTES}
        self.closed, self.deaf = Closed(), Deaf()
        self.gateway = Gateway(self.config(), directory).start()
        self.viewers = []

    def config(self):
        lines = [COMMON, "drain: 0", "allow_origins: ['https://friend.example']", "routes:"]
        for path, (options, target) in ROUTES.items():
            lines.append(route(path, self.ups[path].url + target, options))
        lines.append(route("/refused", self.closed.url + "/generate"))
        lines.append(route("/deaf", self.deaf.url + "/generate", "connect: 300ms"))
        return "\n".join(lines)

    def at(self, path):
        """The upstream behind a route, and a viewer that has asked nothing yet."""
        return self.ups[path], self.viewer()

    def viewer(self):
        viewer = self.gateway.viewer()
        self.viewers.append(viewer)
        return viewer

    def tidy(self):
        """After a test: every connection goes, so that the next one begins alone."""
        for viewer in self.viewers:
            viewer.cut()
        for up in self.ups.values():
            up.forget()
        self.viewers = []
        assert self.gateway.process.poll() is None, f"the gateway died\n{self.gateway.stderr}"

    def close(self):
        self.tidy()
        try:
            self.gateway.stop()
        finally:
            for up in [*self.ups.values(), self.closed, self.deaf]:
                up.close()


def route(path, upstream, options=""):
    """One row of `routes:`; the options win over the clocks that all routes have here."""
    if "grace" not in options:
        options = ", ".join(filter(None, [options, CLOCKS]))
    return f"  - {{ path: {path}, upstream: '{upstream}', {options} }}"


@pytest.fixture(scope="session")
def shared_house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.close()


@pytest.fixture
def house(shared_house):
    yield shared_house
    shared_house.tidy()


@pytest.fixture
def up():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def browser():
    from browser import chromium  # what it imports is large, and few tests want it

    with chromium() as browser:
        yield browser


@pytest.fixture
def wire(gateway):
    """Between a viewer and the gateway that the test has."""
    wire = Wire(gateway.address)
    yield wire
    wire.close()


@pytest.fixture
def gateway_with(tmp_path):
    """gateway_with("heartbeat: 200ms", route("/text", up.url + "/generate")): a gateway of this test's own. It is drained at
    the end, and must exit with 0, unless the test ended it itself."""
    started = []

    def start(options, *routes, args=()):
        gateway = Gateway("\n".join([COMMON, options, "routes:", *routes]), tmp_path, *args).start()
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.stop()
