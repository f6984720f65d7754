#!/usr/bin/env python3
"""Reads the configuration again and again while streams begin, and drains in the middle of many.

    tests/faults/reload_under_load.py [--reloads 200] [--rate 200] [--drained 1000] [--workers 2]

Reloads: two files take turns whose route differs visibly (upstream and `data:`), each tenth one is broken. Every stream
must be wholly under one good configuration, its `Lastword-Data` true to what its upstream sent, and none may be refused or
broken. Drain: SIGTERM among live streams of which a third ends within `drain`, while every tenth viewer leaves and comes
back again and again: each viewer reads exactly one last word, `close` where the upstream finished and failed/shutdown
elsewhere, and the process ends with 0 within `drain` and a second.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from gateway import Gateway  # noqa: E402
from judge import CLEAN, EventReader, Response, judge, tokens_of  # noqa: E402

PATIENCE = 30  # s for one stream
TICK = 0.05    # s between two reloads
DRAIN = 5      # s
RESTLESS = 10  # every tenth viewer leaves and comes back …
STAY = 0.2     # … after so many seconds, …
SETTLED = 0.5  # … until so much of the drain is over: who is away when the process ends has missed it
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(text):
    return b"%x\r\n%s\r\n" % (len(text), text)


class Server:
    """A model server that says its own name in every token; `finish` decides who ends."""

    def __init__(self, name, tokens, pause, finish=None):
        self.name, self.tokens, self.pause, self.finish, self.requests = name, tokens, pause, finish, 0

    async def open(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                writer.write(HEAD)
                for n in range(self.tokens):
                    writer.write(chunk(b"data: %s%d\n\n" % (self.name, n)))
                    await asyncio.sleep(self.pause)
                if self.finish and not await self.finish(head):
                    await reader.read()
                writer.write(chunk(b"event: close\ndata: x\n\n") + b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def read(address, target, place=None, leaves=False):
    """One connection of a viewer, to its end, or until its stream has begun: the raw bytes."""
    reader, writer = await asyncio.open_connection(*address)
    back = f"Last-Event-ID: {place}\r\n" if place else ""
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{back}\r\n".encode())
    data = b""
    try:
        while not data.endswith(b"0\r\n\r\n") and not (leaves and b"\nid: " in data):
            piece = await asyncio.wait_for(reader.read(65536), PATIENCE)
            if not piece:
                break
            data += piece
        if leaves and not data.endswith(b"0\r\n\r\n"):
            await asyncio.sleep(STAY)
    finally:
        writer.close()
    return data


class Viewer:
    """Comes back as long as it is restless; then reads on to the last word."""

    def __init__(self):
        self.before, self.place, self.returns, self.data = [], None, 0, b""

    async def watch(self, address, target, is_restless=lambda: False):
        while leaves := is_restless():
            self.data = await read(address, target, self.place, leaves)
            if self.data.endswith(b"0\r\n\r\n"):
                return self
            self.remember()
            self.returns += 1
        self.data = await read(address, target, self.place)
        return self

    def remember(self):
        response, events = Response(), EventReader()
        response.feed(self.data)
        events.feed(bytes(response.body))
        self.before += tokens_of(events.events)
        self.place = events.last_event_id or self.place

    def verdict(self):
        response = Response()
        response.feed(self.data)
        if response.end != CLEAN or response.status != 200:
            return response, None
        return response, judge(bytes(response.body), response.header("Lastword-Data") == "json", self.before)


def config(server, form, workers, options=""):
    return (f"listen: 127.0.0.1:0\nadmin: none\nworkers: {workers}\nretry: 100ms\n{options}"
            f"routes:\n- {{ path: /text, upstream: 'http://127.0.0.1:{server.port}/generate', data: {form}, grace: never }}\n")


async def reloads(count, rate, workers):
    servers = [await Server(b"a", 5, 0.02).open(), await Server(b"b", 5, 0.02).open()]
    files = [config(servers[0], "text", workers), config(servers[1], "json", workers)]
    told = Counter()
    with tempfile.TemporaryDirectory(prefix="lw") as scratch:
        gateway = Gateway(files[0], scratch).start()
        file, fresh, viewers, begun = Path(scratch) / "lastword.yaml", Path(scratch) / "fresh.yaml", [], time.monotonic()
        for n in range(count):
            fresh.write_text("routes: [" if n % 10 == 9 else files[(n + 1) % 2])
            fresh.rename(file)
            gateway.process.send_signal(signal.SIGHUP)
            while len(viewers) < rate * TICK * (n + 1):
                viewers.append(asyncio.create_task(Viewer().watch(gateway.address, "/text?prompt=hi")))
            await asyncio.sleep(begun + TICK * (n + 1) - time.monotonic())
        took = time.monotonic() - begun
        for viewer in await asyncio.gather(*viewers):
            told[check_reloaded(viewer)] += 1
        gateway.stop()
        told_reloads = gateway.stderr.count("is in force for new work"), gateway.stderr.count("nothing was changed")
    print(f"reloads: {count} signals ({told_reloads[0]} taken, {told_reloads[1]} refused), {len(viewers)} streams in "
          f"{took:.1f} s ({len(viewers) / took:.0f}/s), {workers} workers: {dict(told)}")
    started = sum(server.requests for server in servers)
    wrong = len(viewers) - told["text from a"] - told["json from b"]
    if started != len(viewers):
        print(f"wrong: {started} requests upstream")
        wrong += 1
    if not told["text from a"] or not told["json from b"] or not all(told_reloads):
        print("wrong: one of the files was never seen in force")
        wrong += 1
    return wrong


def check_reloaded(viewer):
    response, verdict = viewer.verdict()
    if not verdict or verdict.wrong:
        return f"broken: {verdict.wrong if verdict else viewer.data[:80]!r}"
    form = response.header("Lastword-Data")
    for name, wanted in (("a", "text"), ("b", "json")):
        if verdict.tokens == [f"{name}{n}" for n in range(5)] and form == wanted and verdict.word == "close":
            return f"{form} from {name}"
    return f"mixed: {form} {verdict.tokens}"


async def drain(count, workers):
    asked = Counter()
    release = asyncio.Event()

    async def finish(head):
        number = int(head.split(b"prompt=")[1].split(b" ")[0].split(b"&")[0])
        asked["all"] += 1
        if number % 3:
            return False
        await release.wait()
        await asyncio.sleep(number / count * DRAIN / 2)
        return True

    def is_restless():
        return not release.is_set() or time.monotonic() < begun + DRAIN * SETTLED

    server = await Server(b"t", 1, 0, finish).open()
    with tempfile.TemporaryDirectory(prefix="lw") as scratch:
        gateway = Gateway(config(server, "text", workers, f"drain: {DRAIN}s\n"), scratch).start()
        viewers = [asyncio.create_task(Viewer().watch(gateway.address, f"/text?prompt={n}", *[is_restless] * (n % RESTLESS == 0)))
                   for n in range(count)]
        while asked["all"] < count:
            await asyncio.sleep(0.01)
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        end = asyncio.create_task(asyncio.to_thread(lambda: (gateway.process.wait(), time.monotonic())))
        release.set()
        told, returns, wrong = Counter(), 0, 0
        for n, viewer in enumerate(await asyncio.gather(*viewers)):
            word = last_word(viewer)
            told[word] += 1
            returns += viewer.returns
            wrong += word != ("close finished" if n % 3 == 0 else "failed shutdown")
        status, ended = await end
    print(f"drain: {count} live streams, {len(viewers[::RESTLESS])} viewers that came back {returns} times, {workers} workers: "
          f"{dict(told)}; exit {status} after {ended - begun:.2f} s (drain {DRAIN} s)")
    return wrong + (status != 0) + (ended - begun > DRAIN + 1)


def last_word(viewer):
    _, verdict = viewer.verdict()
    if not verdict or verdict.wrong:
        return f"broken: {verdict.wrong if verdict else viewer.data[-80:]!r}"
    return f"{verdict.word} {verdict['cause']}"


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--reloads", type=int, default=200)
    arguments.add_argument("--rate", type=int, default=200, help="new streams a second")
    arguments.add_argument("--drained", type=int, default=1000)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    wrong = await reloads(options.reloads, options.rate, options.workers) + await drain(options.drained, options.workers)
    print(f"{wrong} wrong")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
