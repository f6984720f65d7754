#!/usr/bin/env python3
"""Cuts answers of a model server at every byte, in every way, and checks the last word each time.

    tests/faults/cut_everywhere.py [--every N] [--break always-failed|always-close|half-event]

Every byte of the wire (head, chunk sizes, text, terminator) x {FIN, RST, silence} x {chunked, Content-Length,
close-delimited} x transcripts. Between cut and verdict stands the gateway as a process; what must come out is generated
with the transcript (transcripts.py), and what came out is read by the judge of the end-to-end tests.

An upstream that resets waits until the viewer has what was sent: a reset may destroy bytes that are still on their way, and
then any prefix of whole events would be right.

--break puts a proxy between gateway and judge that tells a lie of one kind. Then the script must find wrong runs and
exit with 1; a checker that cannot fail would prove nothing.
"""

import argparse
import asyncio
import re
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from breaker import LIES, Breaker  # noqa: E402
from gateway import Gateway  # noqa: E402
from judge import CLEAN, LAST_WORDS, EventReader, Response, judge, tokens_of  # noqa: E402
from transcripts import FAULTS, FRAMINGS, TRANSCRIPTS, Expected, Transcript, Wire, expect  # noqa: E402

PATIENCE = 20          # s; a run that takes longer is wrong
SILENT_AT_ONCE = 400   # runs that mostly wait for a clock of the gateway
BUSY_AT_ONCE = 60

CONFIG = """
listen: 127.0.0.1:0
admin: none
workers: 1
keep: 0
routes:
  - {{ path: /text, upstream: '{url}/generate' }}
  - {{ path: /chat, upstream: '{url}/v1/chat/completions' }}
  - {{ path: /text/silence, upstream: '{url}/generate', idle: 1s, first_event: 1s }}
  - {{ path: /chat/silence, upstream: '{url}/v1/chat/completions', idle: 1s, first_event: 1s }}
"""


@dataclass
class Run:
    number: int
    transcript: Transcript
    wire: Wire
    fault: str
    cut: int
    expected: Expected
    seen: asyncio.Event = field(default_factory=asyncio.Event)   # the viewer has all that was sent before the fault
    wrong: str | None = None

    @property
    def cell(self):
        return self.transcript.name, self.wire.framing, self.fault

    @property
    def target(self):
        return self.transcript.route + ("/silence" if self.fault == "silence" else "") + f"?prompt={self.number}"


def plan(every):
    runs = []
    for transcript in TRANSCRIPTS:
        for framing in FRAMINGS:
            wire = Wire(transcript, framing)
            places = sorted(set(range(0, len(wire.raw) + 1, every)) | wire.boundaries(transcript))
            for fault in FAULTS:
                runs += [Run(len(runs) + n, transcript, wire, fault, k, expect(transcript, wire, fault, k)) for n, k in enumerate(places)]
    return runs


class Upstream(asyncio.Protocol):
    """Reads the whole request (closing over unread bytes would be a reset), sends its part of the wire, and does the fault."""

    def __init__(self, runs):
        self.runs, self.request = runs, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.request += data
        head, blank, body = self.request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if blank and len(body) >= (int(length[1]) if length else 0):
            number = re.search(rb"prompt=(\d+)" if head.startswith(b"GET") else rb'"content": *"(\d+)"', self.request)
            self.answer(self.runs[int(number[1])])

    def answer(self, run):
        self.transport.write(bytes(run.wire.raw[:run.cut]))
        if run.fault == "FIN":
            self.transport.close()
        elif run.fault == "RST":
            asyncio.ensure_future(self.reset(run))

    async def reset(self, run):
        await run.seen.wait()
        if self.transport.is_closing():
            return  # the gateway had heard enough
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def eof_received(self):
        return False


class Viewer(asyncio.Protocol):
    """A connection to the gateway that is kept from run to run."""

    def __init__(self):
        self.is_open = False

    def connection_made(self, transport):
        self.transport, self.is_open = transport, True

    def ask(self, run, host):
        self.run, self.done = run, asyncio.get_running_loop().create_future()
        self.response, self.reader, self.read = Response(), EventReader(), 0
        self.transport.write(f"GET {run.target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return self.done

    def data_received(self, data):
        try:
            self.response.feed(data)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the bytes is the finding
            self.finish(f"malformed HTTP: {error}")
            return self.transport.abort()
        self.reader.feed(bytes(self.response.body[self.read:]))
        self.read = len(self.response.body)
        self.tell_upstream()
        if self.response.end:
            self.finish(None)

    def tell_upstream(self):
        expected, events = self.run.expected, self.reader.events
        ended = events and events[-1].name in LAST_WORDS
        if ended or (self.reader.blocks and expected.cause == "cut" and len(tokens_of(events)) >= len(expected.tokens)):
            self.run.seen.set()

    def connection_lost(self, error):
        self.is_open = False
        if not self.response.end:
            self.response.reset() if error else self.response.eof()
            self.finish(None)

    def finish(self, wrong):
        self.run.seen.set()
        if not self.done.done():
            self.done.set_result(wrong or verdict_of(self.run, self.response))


def verdict_of(run, response):
    """None, or a sentence."""
    if (response.status, response.end) != (200, CLEAN):
        return f"status {response.status}, ended {response.end}"
    verdict, expected = judge(bytes(response.body)), run.expected
    if verdict.wrong:
        return "; ".join(verdict.wrong)
    said = (verdict.word, verdict["cause"], verdict["proof"], verdict.tokens)
    if said != (expected.word, expected.cause, expected.proof, expected.tokens):
        return f"said {said}, but right is {(expected.word, expected.cause, expected.proof, expected.tokens)}"
    if expected.word == "close" and verdict["finish"] != ("stop" if run.transcript.is_chat else None):
        return f"finish {verdict['finish']!r}"
    return None


async def worker(runs, address):
    """One viewer after the other, from a list that other workers take from too."""
    loop, viewer, host = asyncio.get_running_loop(), Viewer(), "%s:%d" % address
    while runs:
        run = runs.pop()
        if not viewer.is_open:
            viewer = (await loop.create_connection(Viewer, *address))[1]
        try:
            run.wrong = await asyncio.wait_for(viewer.ask(run, host), PATIENCE)
        except asyncio.TimeoutError:
            run.wrong = f"no end within {PATIENCE} s"
            run.seen.set()
            viewer.transport.abort()
            viewer = Viewer()
    if viewer.is_open:
        viewer.transport.abort()


async def play(runs, lie):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(runs), "127.0.0.1", 0, backlog=1024)
    url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        gateway = Gateway(CONFIG.format(url=url), directory).start()
        try:
            await play_through(gateway, runs, lie)
            await loop.run_in_executor(None, gateway.stop)
        finally:
            gateway.kill()
    server.close()


async def play_through(gateway, runs, lie):
    breaker = Breaker(lie, gateway.address) if lie else None
    address = await breaker.open() if breaker else gateway.address
    silent = [run for run in reversed(runs) if run.fault == "silence"]
    busy = [run for run in reversed(runs) if run.fault != "silence"]
    workers = [worker(silent, address) for _ in range(SILENT_AT_ONCE)] + [worker(busy, address) for _ in range(BUSY_AT_ONCE)]
    await asyncio.gather(*workers)
    if breaker:
        await breaker.close()


def report(runs, seconds):
    ran, wrong = Counter(run.cell for run in runs), Counter(run.cell for run in runs if run.wrong)
    for cell in ran:
        print("%-24s %-8s %-8s %6d runs, %d wrong" % (*cell, ran[cell], wrong[cell]))
    for run in [run for run in runs if run.wrong][:10]:
        print(f"wrong: {', '.join(run.cell)}, after byte {run.cut} …{bytes(run.wire.raw[:run.cut])[-24:]!r}: {run.wrong}")
    print(f"{len(runs)} runs, {sum(wrong.values())} wrong, {seconds:.0f} s")
    return sum(wrong.values())


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth byte, and all boundaries")
    options.add_argument("--break", dest="lie", choices=LIES, help="tell a lie between gateway and judge, to see it found")
    options = options.parse_args()
    runs = plan(options.every)
    began = time.monotonic()
    asyncio.run(play(runs, options.lie))
    return 1 if report(runs, time.monotonic() - began) else 0


if __name__ == "__main__":
    sys.exit(main())
