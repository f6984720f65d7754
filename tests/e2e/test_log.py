"""The log from the outside: whatever becomes of stderr, streams and the end of the process stay as they are."""

import os
import subprocess

import pytest
from gateway import Gateway, binary

pytestmark = pytest.mark.check

LINES = 20  # exchanges that log; the first already finds no room


class GatewayWithStderr(Gateway):
    """A gateway whose stderr is ours to break."""

    def __init__(self, url, stderr, **how):
        self.command = [binary(), "--listen", "127.0.0.1:0", "--admin", "none", "--upstream", url]
        self.stderr, self.process, self._descriptor, self._how = "", None, stderr, how

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=self._descriptor, bufsize=0, **self._how
        )
        line = self._first_line()
        assert line.startswith("lastword: listening on http://127.0.0.1:"), line
        self.address = ("127.0.0.1", int(line.split()[3].rpartition(":")[2]))
        return self

    def wait(self, within=30):
        return self.process.wait(within)


def expect_streams(gateway, up):
    """Several whole streams, each the same as with a healthy log."""
    for _ in range(LINES):
        viewer = gateway.viewer().watch("/sse-proxy?prompt=hi")
        up.expect_request()
        up.head().event("a").event("b").done().end()
        viewer.expect("a", id=1)
        viewer.expect("b", id=2)
        viewer.expect_last_word("finished")


def full_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    return reader, writer


def test_E14_a_blocked_log_blocks_no_stream(up):
    reader, writer = full_pipe()
    with GatewayWithStderr(up.url + "/generate", writer) as gateway:
        expect_streams(gateway, up)
        gateway.stop()
    os.close(reader)
    os.close(writer)


def test_E14_a_vanished_reader_of_the_log_kills_nothing(up):
    reader, writer = os.pipe()
    os.close(reader)
    with GatewayWithStderr(up.url + "/generate", writer) as gateway:
        expect_streams(gateway, up)
        gateway.stop()
    os.close(writer)


def test_E14_a_full_disk_kills_nothing(up):
    with open("/dev/full", "wb") as full, GatewayWithStderr(up.url + "/generate", full) as gateway:
        expect_streams(gateway, up)


def test_E15_a_closed_stderr_never_becomes_a_socket(up):
    """The log's lines would otherwise go to whoever got descriptor 2."""

    def close_them():
        os.close(0)
        os.close(2)

    with GatewayWithStderr(up.url + "/generate", None, preexec_fn=close_them) as gateway:
        for descriptor in (0, 2):
            assert os.readlink(f"/proc/{gateway.process.pid}/fd/{descriptor}") == "/dev/null"
        expect_streams(gateway, up)
