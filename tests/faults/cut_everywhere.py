#!/usr/bin/env python3
"""Cuts answers of model servers at every byte, in every way, and checks each time what the gateway makes of it.

    tests/faults/cut_everywhere.py [--every N] [--dialect NAME] [--side page|sdk] [--jobs N] [--break LIE]

Every byte of the wire (head, chunk sizes, text, terminator) x {FIN, RST, silence} x {chunked, Content-Length,
close-delimited}, and every byte of the body after which a chunked message properly ends, x the answers of every dialect
(answers.py). Between cut and verdict stands the gateway as a process; what must come out is generated with the answer
(transcripts.py), and what came out is read by the judge of the end-to-end tests.

An upstream that resets waits until the viewer has what was sent: a reset may destroy bytes that are still on their way, and
then any prefix of whole events would be right.

At the end the gateway's own count of causes must be the count of what was right, and no request may have come twice.

The routes are of both kinds: what a page must be told is in page_side.py, what an SDK must be sent in sdk_side.py.

--break tells a lie of one kind between gateway and judge (breaker.py, and sdk_side.py for what SDKs are sent). Then the script
must find wrong runs and exit with 1; a checker that cannot fail would prove nothing.
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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import page_side  # noqa: E402
import sdk_side  # noqa: E402
from answers import DIALECTS, TRANSCRIPTS  # noqa: E402
from breaker import LIES, Breaker  # noqa: E402
from gateway import Gateway  # noqa: E402
from judge import Response  # noqa: E402
from transcripts import FAULTS, FRAMINGS, Transcript, Wire  # noqa: E402

PATIENCE = 30          # s; a run that takes longer is wrong
SILENT_AT_ONCE = 500   # runs that mostly wait for a clock of the gateway
BUSY_AT_ONCE = 60
LATE = 1               # s between request and answer, of the clocks' two: this machine was too slow, and silence began too early
REPEATS = 20
SILENCE_THINNED = 5    # of a thinned plan, which is to be over soon, only every fifth of these
SIDES = {"page": page_side, "sdk": sdk_side}

CONFIG = """
listen: 127.0.0.1:0
admin: 127.0.0.1:0
workers: 1
keep: 10s
routes:
"""


@dataclass
class Run:
    number: int
    side: str
    transcript: Transcript
    wire: Wire
    fault: str
    k: int
    seen: asyncio.Event = field(default_factory=asyncio.Event)   # the viewer has all that was sent before the fault
    requests: int = 0
    asked: float = 0
    answered: float = 0
    repeats: int = 0
    wrong: str | None = None
    lie: str | None = None

    @cached_property
    def cut(self):
        return self.wire.cut(self.fault, self.k)

    @cached_property
    def reading(self):
        return SIDES[self.side].Reading(self)

    @property
    def cell(self):
        return self.side, self.transcript.name, self.wire.framing, self.fault

    @property
    def name(self):
        return f"run-{self.number}-{self.repeats}"

    @property
    def is_late(self):
        return self.fault == "silence" and self.repeats < REPEATS and (not self.requests or self.answered - self.asked > LATE)

    def again(self):
        self.repeats, self.requests, self.wrong, self.seen = self.repeats + 1, 0, None, asyncio.Event()
        self.forget()

    def forget(self):
        """What a hundred thousand of them need not keep."""
        del self.reading, self.cut

    def __str__(self):
        return f"{', '.join(self.cell)}, after byte {self.k} …{self.cut.sent[-40:]!r}"


def plan(side, transcript, every, faults):
    wires = [Wire(transcript, framing) for framing in FRAMINGS]
    for wire, fault in ((wire, fault) for wire in wires for fault in faults):
        places = sorted({*wire.places(fault)[::every], *wire.boundaries(transcript, fault)})
        for k in places if every == 1 or fault != "silence" else places[::SILENCE_THINNED]:
            yield side, transcript, wire, fault, k


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
            number, repeats = map(int, re.search(rb"run-(\d+)-(\d+)", self.request).groups())
            self.answer(self.runs[number], repeats)

    def answer(self, run, repeats):
        if repeats != run.repeats:
            return self.transport.close()   # of a run that was given up
        run.requests += 1
        run.answered = time.monotonic()
        self.transport.write(run.cut.sent)
        if run.fault in ("FIN", "early end"):
            self.transport.close()
        elif run.fault == "RST":
            asyncio.ensure_future(self.reset(run))

    async def reset(self, run):
        if not run.reading.shows_nothing:
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
        self.response = Response()
        run.asked = run.asked if run.requests else time.monotonic()
        self.transport.write(run.reading.ask(host))
        return self.done

    def data_received(self, data):
        try:
            self.response.feed(data)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the bytes is the finding
            self.finish(f"malformed HTTP: {error}")
            return self.transport.abort()
        if self.run.fault == "RST" and self.run.reading.has_all(self.response):
            self.run.seen.set()
        if self.response.end:
            self.finish(None)

    def connection_lost(self, error):
        self.is_open = False
        if not self.response.end:
            self.response.reset() if error else self.response.eof()
            self.finish(None)

    def finish(self, wrong):
        self.run.seen.set()
        if not self.done.done():
            self.done.set_result(wrong or self.run.reading.verdict(self.response))


async def worker(runs, address, count, perhaps):
    """One viewer after the other, from a list that other workers take from too."""
    loop, viewer, host = asyncio.get_running_loop(), Viewer(), "%s:%d" % address
    while runs:
        run = runs.pop()
        if not viewer.is_open:
            viewer = (await loop.create_connection(Viewer, *address))[1]
        try:
            run.wrong = await asyncio.wait_for(viewer.ask(run, host), PATIENCE)
            if not run.wrong and run.reading.asks_again(viewer.response):
                run.wrong = await asyncio.wait_for(viewer.ask(run, host), PATIENCE)
        except asyncio.TimeoutError:
            run.wrong = f"no end within {PATIENCE} s"
            run.seen.set()
            viewer.transport.abort()
            viewer = Viewer()
        if run.requests != 1:
            run.wrong = run.wrong or f"{run.requests} requests"
        label, is_counted = SIDES[run.side].label(run.transcript.dialect, run.fault), run.reading.is_counted
        if run.wrong and run.is_late:
            perhaps.update((label, cause) for cause in (run.reading.expected.cause, "first_event_timeout", "idle_timeout"))
            run.again()
            runs.insert(0, run)
            continue
        count[label, run.reading.expected.cause] += is_counted is True
        perhaps[label, run.reading.expected.cause] += is_counted is None
        run.forget()
    if viewer.is_open:
        viewer.transport.abort()


def config(url):
    return CONFIG + "\n".join(side.route(dialect, fault, url) for side in SIDES.values() for dialect in DIALECTS for fault in FAULTS[1:3])


async def play(runs, lie):
    """The runs with a gateway and an upstream of their own; what the gateway counted differently."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(runs), "127.0.0.1", 0, backlog=1024)
    url, count = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], Counter()
    perhaps = Counter()   # more that may be: resets that were faster than the head, runs that were late
    with tempfile.TemporaryDirectory() as directory:
        gateway = Gateway(config(url), directory).start()
        try:
            await play_through(gateway, runs, lie, count, perhaps)
            metrics = await loop.run_in_executor(None, gateway.metrics)
            await loop.run_in_executor(None, gateway.stop)
        finally:
            gateway.kill()
    server.close()
    return compare(count, perhaps, metrics)


async def play_through(gateway, runs, lie, count, perhaps):
    breaker = Breaker(lie, gateway.address) if lie in LIES else None
    address = await breaker.open() if breaker else gateway.address
    silent = [run for run in reversed(runs) if run.fault == "silence"]
    busy = [run for run in reversed(runs) if run.fault != "silence"]
    workers = [worker(silent, address, count, perhaps) for _ in range(SILENT_AT_ONCE)] + [worker(busy, address, count, perhaps) for _ in range(BUSY_AT_ONCE)]
    await asyncio.gather(*workers)
    if breaker:
        await breaker.close()


def compare(count, perhaps, metrics):
    """By route and cause: what was right against what the gateway counted."""
    counted = Counter()
    for name, value in metrics.items():
        if said := re.fullmatch(r'lastword_streams_ended_total\{route="([^"]*)",end="[^"]*",cause="([^"]*)"\}', name):
            counted[said[1], said[2]] = int(value)
    return [f"the gateway counted {counted[key]} x {key}, but right is {count[key]}"
            for key in count | counted if not 0 <= counted[key] - count[key] <= perhaps[key]]


def play_share(share):
    """In a process of its own: the machine has more than one core, and the judge is slower than the gateway."""
    plans, every, lie = share
    faults = [fault for fault in FAULTS if not lie or fault != "silence"]   # which costs a clock's time, and lies are found without
    whats = [what for side, transcript in plans for what in plan(side, transcript, every, faults)]
    runs = [Run(n, *what, lie=lie) for n, what in enumerate(whats)]
    miscounted = asyncio.run(play(runs, lie))
    wrong = {run.cell: f"{run}: {run.wrong}" for run in reversed(runs) if run.wrong}   # one of each kind
    return Counter(run.cell for run in runs), Counter(run.cell for run in runs if run.wrong), list(wrong.values()), miscounted


def shares(options):
    plans = [(side, transcript) for side in options.sides for transcript in TRANSCRIPTS if options.dialect in (None, transcript.dialect.name)]
    plans.sort(key=lambda plan: len(plan[1].body))
    return [(plans[n::options.jobs], options.every, options.lie) for n in range(options.jobs) if plans[n::options.jobs]]


def report(results, seconds):
    ran, wrong = sum((result[0] for result in results), Counter()), sum((result[1] for result in results), Counter())
    for side, name in dict.fromkeys(cell[:2] for cell in ran):
        cells = [cell for cell in ran if cell[:2] == (side, name)]
        print("%-12s %-28s %6d runs, %d wrong" % (side, name, sum(ran[cell] for cell in cells), sum(wrong[cell] for cell in cells)))
    for said in [said for result in results for said in result[2]][:200]:
        print("wrong:", said)
    miscounted = [said for result in results for said in result[3]]
    for said in miscounted:
        print("wrong:", said)
    print(f"{ran.total()} runs, {wrong.total()} wrong, {seconds:.0f} s")
    return wrong.total() + len(miscounted)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth byte, and all boundaries")
    options.add_argument("--dialect", choices=[dialect.name for dialect in DIALECTS], help="only that one")
    options.add_argument("--jobs", type=int, default=2, metavar="N", help="processes, each with a gateway of its own")
    options.add_argument("--side", choices=SIDES, help="only browser routes, or only passthrough routes")
    options.add_argument("--break", dest="lie", choices=[*LIES, *sdk_side.LIES], help="tell a lie between gateway and judge, to see it found")
    options = options.parse_args()
    lies_of = "page" if options.lie in LIES else "sdk" if options.lie else None
    options.sides = [options.side or lies_of] if options.side or lies_of else list(SIDES)
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        results = list(pool.map(play_share, shares(options)))
    return 1 if report(results, time.monotonic() - began) else 0


if __name__ == "__main__":
    sys.exit(main())
