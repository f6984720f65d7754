#!/usr/bin/env python3
"""Viewers that come back, a hundred thousand times, each answered as a model of the gateway predicts.

    tests/faults/resume_model.py [--resumes N] [--workers N] [--seed N] [--break gap|twice|word|forgotten]

Streams with 1, 2 and 100 viewers. At random and by a printed seed, upstreams append, end, fail and break off, viewers join
(by address, by idempotency key), leave by FIN and by RST in mid-event, come back to the place that they had or to an earlier
one, by header and by query, and stop streams; some streams nobody waits for are abandoned. Beside the gateway stands an
oracle (resume_oracle.py). What must hold:

- a place that is kept goes on behind it: the same events (id, name, data) and the same last word that everyone else got
- `forgotten` is said only of places that were never sent and of streams that were dropped, and once said it is said for ever
- ID.end is 204, a malformed place 400
- the upstreams counted as many requests as streams were started, and the gateway as many resumes of each kind as there were
- with several workers: at least 30 % of those who read came to a worker that is not the stream's home

What is dropped when cannot be told from outside, so there are five gateways: one that keeps everything; two (`keep: 0`, and a
short `keep`) whose streams may be either until they are seen to be gone; and two with little memory. In one the oldest streams
go first, none of the youngest, and what is gone stays gone. In the other, live streams grow far beyond it: their beginnings go
in the same way, whoever is present reads all of it, and none of them is ended for it.

--break lets viewers see what a wrong gateway would send. Then this must exit with 1.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from gateway import Gateway  # noqa: E402
from resume_oracle import PATIENCE, Link, Oracle, Upstream, Wrong, demand  # noqa: E402

UNKNOWN = "AAAAAAAAAAAAAAAAAAAAAA"
CONFIG = """
listen: 127.0.0.1:0
admin: 127.0.0.1:0
workers: {workers}
keep: {keep}
memory: {memory}
routes:
  - {{ path: /chat, upstream: '{url}/v1/chat/completions', grace: never }}
  - {{ path: /brief, upstream: '{url}/v1/chat/completions', grace: 0 }}
"""
MIB = 1 << 20
CAUSES = {"done": "finished", "cut": "cut", "fail": "error", "stop": "stopped", "abandon": "abandoned"}
FOREIGN = "lastword_joined_foreign_total"
BLOCK = re.compile(rb"\n\n(id: [^.]*\.\d+\n(?:event: reasoning\n)?(?:data: .*\n)+\n)")
LIES = {
    "gap": lambda body: BLOCK.sub(b"\n\n", body, count=1),
    "twice": lambda body: BLOCK.sub(rb"\n\n\1\1", body, count=1),
    "word": lambda body: body.replace(b"event: close", b"event: failed"),
    "forgotten": lambda body: re.sub(
        rb"\n\nid: ([^.]*).*", rb'\n\nevent: failed\nid: \1.end\ndata: {"end":"failed","cause":"forgotten"}\n\n', body, flags=re.S),
}


class House:
    """A gateway, the upstreams behind it, and what was asked of both."""

    def __init__(self, name, keep, memory, options):
        self.name, self.keep, self.memory, self.workers, self.lie = name, keep, memory, options.workers, LIES.get(options.lie)
        self.starts = self.requests = 0
        self.waiting = {}          # number of a stream: future of its upstream
        self.count = Counter()     # answers to resumes, by what was predicted
        self.went_on = 0           # resumes with events behind the place
        self.readers = 0           # viewers that joined a stream, but for those that started it …
        self.attached = 0          # … and those of them that came by a key
        self.ways = Counter()      # in which streams ended

    @property
    def resumes(self):
        return self.count.total()

    async def open(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Upstream(self.arrive), "127.0.0.1", 0, backlog=1024)
        url = "http://127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        self.scratch = tempfile.TemporaryDirectory()
        config = CONFIG.format(url=url, workers=self.workers, keep=self.keep, memory=self.memory)
        self.gateway = Gateway(config, self.scratch.name).start()
        self.host = "%s:%d" % self.gateway.address

    async def close(self):
        self.server.close()
        await asyncio.get_running_loop().run_in_executor(None, self.gateway.stop)
        self.scratch.cleanup()

    def kill(self):
        self.server.close()
        self.gateway.kill()
        self.scratch.cleanup()

    def arrive(self, number, upstream):
        self.requests += 1
        if number in self.waiting and not self.waiting[number].done():
            self.waiting[number].set_result(upstream)

    async def ask(self, oracle, target, start=0, method="GET", headers=(), body=b""):
        """A new connection, as browsers make one to come back."""
        loop = asyncio.get_running_loop()
        link = (await loop.create_connection(lambda: Link(oracle, start, self.lie), *self.gateway.address))[1]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *headers, f"Content-Length: {len(body)}" if body else "", ""]
        link.transport.write("\r\n".join([line for line in lines if line] + ["", ""]).encode() + body)
        return link

    async def ask_status(self, target, **how):
        link = await self.ask(Oracle(0), target, **how)
        await link.until(lambda: link.response.end, "the answer")
        link.leave(False)
        return link.response.status, bytes(link.response.body)


class Stream:
    """One stream and its viewers; what happens is drawn by its own generator."""

    def __init__(self, house, number, seed, viewers, path="/chat"):
        self.house, self.oracle, self.rng, self.path = house, Oracle(number), random.Random(seed), path
        self.key = f"key-{number}" if self.rng.random() < 0.3 else None
        self.wanted = viewers
        self.viewers = []

    # What happens.

    async def live(self, rounds, late):
        await self.begin()
        for _ in range(rounds):
            await self.turn()
        movers = [v for v in self.viewers if late and self.rng.random() < 0.3]
        moves = [asyncio.ensure_future(self.move(v, random.Random(self.rng.random()))) for v in movers]
        await self.end(self.rng.choices(["done", "cut", "fail", "stop"], [6, 2, 1, 2])[0], moves)
        await self.come_late(late)

    async def begin(self):
        await self.start()
        await self.append()
        await asyncio.gather(*[self.join() for _ in range(self.wanted - len(self.viewers))])

    async def start(self):
        house, number = self.house, self.oracle.number
        house.starts += 1
        house.waiting[number] = asyncio.get_running_loop().create_future()
        keyed = [f"Idempotency-Key: {self.key}"] if self.key else []
        if self.path == "/chat" and self.rng.random() < 0.3:
            body = json.dumps({"prompt": f"stream-{number}"}).encode()
            headers = ["Content-Type: application/json", *keyed]
            status, said = await house.ask_status("/streams", method="POST", headers=headers, body=body)
            demand(status == 201, f"POST /streams is {status} {said!r}")
            self.oracle.id = json.loads(said)["id"]
        else:
            first = await house.ask(self.oracle, self.target, headers=keyed)
            await first.until(lambda: first.has_begun, "the first block")
            self.oracle.id = first.reader.blocks[0].id.partition(".")[0]
            self.viewers.append(first)
        self.upstream = await asyncio.wait_for(house.waiting[number], PATIENCE)
        del house.waiting[number]

    @cached_property
    def bytes(self):
        """Asked when it has ended."""
        return sum(len(data.encode()) for _, data in self.oracle.events)

    @property
    def target(self):
        return f"{self.path}?prompt=stream-{self.oracle.number}"

    async def append(self):
        self.send(self.rng.randint(1, 4))
        await self.all_seen()

    def send(self, n, size=20):
        self.send_events([self.draw_event(size) for _ in range(n)])

    def send_events(self, events):
        self.oracle.events += events
        if events:
            self.upstream.events(events)

    def draw_event(self, size):
        letters = self.rng.choices("ab é😀\n:", k=self.rng.randint(1, size))
        return self.rng.choices(["message", "reasoning"], [5, 1])[0], "".join(letters) + str(len(self.oracle.events))

    async def all_seen(self):
        """Everything that was sent is in the journal: a viewer that is there has it, or the stream's state counts it."""
        if self.viewers:
            return await self.viewers[0].until_place(len(self.oracle.events))
        self.send_events([("message", ".")])   # reasoning is not counted
        deadline = time.monotonic() + PATIENCE
        while (await self.state())["events"] < len(self.oracle.tokens):
            demand(time.monotonic() < deadline, "the journal does not grow")
        self.oracle.seen = len(self.oracle.events)

    async def state(self):
        status, body = await self.house.ask_status(f"/streams/{self.oracle.id}", headers=["Accept: application/json"])
        return json.loads(body) if status == 200 else None

    async def join(self):
        if self.key and self.rng.random() < 0.5:
            link = await self.attach()
        else:
            link = await self.house.ask(self.oracle, f"/streams/{self.oracle.id}")
            self.house.readers += 1
        await link.until(lambda: link.has_begun, "the first block")
        self.check_place(link, 0)
        await link.until_place(self.oracle.seen)
        self.viewers.append(link)

    async def turn(self):
        """Some leave and come back, while the upstream goes on."""
        movers = [v for v in self.viewers if self.rng.random() < 0.8] or self.viewers[:1]
        moves = [asyncio.ensure_future(self.move(v, random.Random(self.rng.random()))) for v in movers]
        self.send(self.rng.randint(1, 4))
        await asyncio.gather(*moves)
        self.send(self.rng.randint(0, 2))
        if self.rng.random() < 0.15:
            await self.ask_oddly()

    async def move(self, link, rng):
        if rng.random() < 0.5 and link.place < self.oracle.seen:
            await link.until_place(rng.randint(link.place, self.oracle.seen))
        link.leave(by_reset=rng.random() < 0.5)
        place = min(link.place, self.oracle.seen)
        if rng.random() < 0.3 or (place == self.oracle.seen and rng.random() < 0.9):
            place = rng.randint(max(0, place - 5), max(0, place - 1))
        back = await self.come_back(place, rng)
        await back.until_place(self.oracle.seen)
        self.went_on(back)
        self.viewers[self.viewers.index(link)] = back

    async def come_back(self, place, rng):
        """The place is kept: it goes on."""
        last = f"{self.oracle.id}.{place}"
        target = rng.choice([self.target, f"/streams/{self.oracle.id}"])
        if rng.random() < 0.7:
            link = await self.house.ask(self.oracle, target, place, headers=[f"Last-Event-ID: {last}"])
        else:
            link = await self.house.ask(self.oracle, target + ("&" if "?" in target else "?") + f"last_event_id={last}", place)
        self.house.count["goes on"] += 1
        self.house.readers += 1
        await link.until(lambda: link.has_begun, "the first block")
        self.check_place(link, place)
        return link

    def went_on(self, link):
        self.house.went_on += link.place > link.start

    def check_place(self, link, place):
        demand(link.response.status == 200 and link.reader.blocks, f"resumed {self.oracle.id}.{place}: {link.story()}")
        first = link.reader.blocks[0].id
        demand(first == f"{self.oracle.id}.{place}", f"resumed {self.oracle.id}.{place}, answered from {first}")
        demand(link.response.header("Lastword-Stream") == self.oracle.id, f"head {link.response.headers}")

    async def ask_oddly(self):
        """Places from which nothing goes on."""
        id, beyond = self.oracle.id, len(self.oracle.events) + self.rng.randint(1, 9)
        place, right = self.rng.choice([
            (f"{id}.{beyond}", "forgotten"), (f"{UNKNOWN}.3", "forgotten"), (f"{id}.end", 204), (f"{id}.01", 400)])
        if right == "forgotten":
            return await self.come_in_vain(place)
        status, _ = await self.house.ask_status(self.target, headers=[f"Last-Event-ID: {place}"])
        demand(status == right, f"{place} is answered {status} instead of {right}")
        self.house.count[right] += 1

    async def come_in_vain(self, place):
        status, body = await self.house.ask_status(self.target, headers=[f"Last-Event-ID: {place}"])
        demand(is_forgotten(status, body), f"{place} is not forgotten: {status} {body!r}")
        self.house.count["forgotten"] += 1

    async def end(self, how, moves=()):
        """moves: viewers that are on their way back while it ends."""
        self.house.ways[how] += 1
        await getattr(self, "end_" + how)()
        await asyncio.gather(*moves)
        if how == "stop" and self.viewers:
            await self.cut_short()
        await asyncio.gather(*[viewer.until_end() for viewer in self.viewers])
        for viewer in self.viewers:
            viewer.leave(False)
        self.viewers = []
        self.oracle.seen = len(self.oracle.events)

    async def end_done(self):
        self.oracle.end("finished", finish="stop", proof="marker")
        self.upstream.done()

    async def end_cut(self):
        self.oracle.end("cut")
        self.upstream.cut()

    async def end_fail(self):
        self.oracle.end("error")
        self.upstream.fail()

    async def end_stop(self):
        if not self.viewers:
            await self.all_seen()
        self.oracle.end("stopped")
        status, _ = await self.house.ask_status(f"/streams/{self.oracle.id}", method="DELETE")
        demand(status == 204, f"DELETE is {status}")
        await asyncio.wait_for(self.upstream.gone, PATIENCE)

    async def cut_short(self):
        """Of what was still on its way, the journal has as much as the first viewer that was stopped has read. For all others it
        must be the same."""
        first = self.viewers[0]
        await first.until(lambda: first.word, "the last word")
        del self.oracle.events[first.place:]

    async def end_abandon(self):
        await self.all_seen()
        self.oracle.end("abandoned")
        for viewer in self.viewers:
            viewer.leave(self.rng.random() < 0.5)
        self.viewers = []
        await asyncio.wait_for(self.upstream.gone, PATIENCE)

    async def come_late(self, times):
        """Resumes of a stream that has ended and is kept."""
        for _ in range(times):
            place = self.rng.randint(0, max(0, len(self.oracle.events) - 1))
            link = await self.come_back(place, self.rng)
            await link.until_end()
            self.went_on(link)
            link.leave(False)
        if self.key and times:
            link = await self.attach()
            await link.until_end()
            link.leave(False)

    async def attach(self):
        """By the key with which the work was asked for."""
        self.house.attached += 1
        self.house.readers += 1
        return await self.house.ask(self.oracle, self.target + f"&idempotency_key={self.key}")

    async def wait_dropped(self):
        deadline = time.monotonic() + PATIENCE
        while await self.state():
            demand(time.monotonic() < deadline, "kept for longer than `keep`")


def is_forgotten(status, body):
    return status == 200 and b"event: failed\n" in body and b'"cause":"forgotten"' in body and b"event: close" not in body


# The five houses.

async def crowd(house, resumes, seed):
    """Everything is kept. A third of the resumes each for streams of one viewer, of two, and of a hundred."""
    for viewers, at_once, rounds in ((1, 24, 12), (2, 16, 12), (100, 2, 8)):
        due = house.resumes + resumes // 3

        async def play(number, rng):
            while house.resumes < due:
                number += at_once
                if viewers < 3 and rng.random() < 0.1:
                    stream = Stream(house, number, rng.random(), viewers, "/brief")
                    await abandoned(stream)
                else:
                    await Stream(house, number, rng.random(), viewers).live(rounds, late=3 * min(viewers, 5))

        base = 1_000_000 * viewers
        await asyncio.gather(*(play(base + n, random.Random(f"{seed} {viewers} {n}")) for n in range(at_once)))


async def abandoned(stream):
    """Nobody is waited for: whoever comes back must be there before the last one leaves."""
    await stream.begin()
    for _ in range(3):
        await stream.append()
        old = stream.viewers[0]
        new = await stream.come_back(stream.rng.randint(0, stream.oracle.seen - 1), stream.rng)
        await new.until_place(stream.oracle.seen)
        stream.went_on(new)
        stream.viewers[0] = new
        old.leave(by_reset=stream.rng.random() < 0.5)
    await stream.end("abandon")
    await stream.come_late(3)


async def short(house, resumes, seed):
    """Streams are dropped at their end, or soon after: seen to be gone, they stay gone."""
    async def play(number, rng):
        while house.resumes < resumes:
            number += 16
            stream = Stream(house, number, rng.random(), 2)
            await stream.live(12, late=0)
            await stream.wait_dropped()
            await stream.come_in_vain(f"{stream.oracle.id}.{rng.randint(0, stream.oracle.seen)}")

    await asyncio.gather(*(play(n, random.Random(f"{seed} {n}")) for n in range(16)))


async def tight(house, resumes, seed):
    """Little memory: kept streams go, oldest first on each worker, but never the youngest."""
    rng, sealed, gone, number = random.Random(seed), [], {}, 0
    while house.resumes < resumes:
        number += 1
        stream = Stream(house, number, rng.random(), 1)
        await stream.begin()
        stream.send(8, size=4000)
        await stream.end("done")
        sealed.append(stream)
        for _ in range(4):
            age = min(int(rng.expovariate(1 / 12)), len(sealed) - 1)
            await look_back(house, sealed, len(sealed) - 1 - age, gone, rng)


async def look_back(house, sealed, index, gone, rng):
    stream = sealed[index]
    oracle, home = stream.oracle, home_of(stream.oracle.id)
    place = rng.randint(0, len(oracle.events) - 1)
    link = await house.ask(oracle, stream.target, place, headers=[f"Last-Event-ID: {oracle.id}.{place}"])
    await link.until(lambda: link.response.end, "the end")
    body = bytes(link.response.body)
    link.leave(False)
    if is_forgotten(link.response.status, body):
        rivals = sum(each.bytes for n, each in enumerate(sealed) if n >= index or home_of(each.oracle.id) != home)
        demand(rivals > house.memory // 4, f"forgotten, but only {rivals} bytes were younger, or of other workers")
        gone[home] = max(gone.get(home, -1), index)
        house.count["forgotten"] += 1
        return
    demand(index > gone.get(home, -1), "it was forgotten, or a younger one was, and now it is there")
    oracle.check_end(place, body)
    house.count["goes on"] += 1
    house.readers += 1
    house.went_on += 1


async def flood(house, resumes, seed):
    """Little memory, and live streams that are longer. Those who follow read all of it, those who come back what is left."""
    rng, number = random.Random(seed), 0
    while house.resumes < resumes:
        number += 1
        stream = Stream(house, number, rng.random(), rng.randint(1, 3))
        await stream.begin()
        gone = -1
        for _ in range(40):
            stream.send(8, size=16_000)
            await asyncio.gather(*[viewer.until_place(len(stream.oracle.events)) for viewer in stream.viewers])
            if rng.random() < 0.3:
                await stream.turn()
            else:
                gone = await look_upstream(house, stream, gone, rng)
        await stream.end("done")
        for _ in range(5):
            gone = await look_upstream(house, stream, gone, rng, lives=False)


async def look_upstream(house, stream, gone, rng, lives=True):
    """gone: the last place that was forgotten. Half the memory is left to the only live stream, whatever lies beside it and
    waits for its viewers. When it has ended and is kept, all of it may go for what waits."""
    oracle = stream.oracle
    place = max(0, len(oracle.events) - 1 - int(rng.expovariate(1 / 50)))
    link = await house.ask(oracle, stream.target, place, headers=[f"Last-Event-ID: {oracle.id}.{place}"])
    await link.until(lambda: link.has_begun, "the first block")
    if not link.is_of_no_stream:
        demand(place > gone, f"{place} was forgotten, or a later place, and now it is there")
        stream.check_place(link, place)
        await link.until_place(oracle.seen)
        house.count["goes on"] += 1
        house.readers += 1
        stream.went_on(link)
    else:
        await link.until(lambda: link.response.end, "the end")
        demand(is_forgotten(link.response.status, bytes(link.response.body)), f"neither there nor forgotten: {link.story()}")
        left = sum(len(data.encode()) for _, data in oracle.events[place:])
        demand(left > house.memory // 2 or not lives, f"place {place} is forgotten, but only {left} bytes are behind it")
        house.count["forgotten"] += 1
        gone = max(gone, place)
    link.leave(False)
    return gone


def home_of(id):
    """The last 8 of an id's 132 bits name the worker that is its home."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return (letters.index(id[-2]) * 64 + letters.index(id[-1])) % 256


async def open_and_play(house, play, resumes, seed):
    await house.open()
    try:
        await play(house, resumes, seed)
        house.metrics = await asyncio.get_running_loop().run_in_executor(None, house.gateway.metrics)
        await house.close()
    except BaseException:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)   # one wrong answer is enough
        house.kill()
        raise
    return check_counts(house, house.metrics)


def check_counts(house, metrics):
    said = {result: int(metrics[f'lastword_resumes_total{{result="{result}"}}']) for result in ("live", "kept", "forgotten", "ended")}
    ended, wrong = Counter(), []
    for name, value in metrics.items():
        if name.startswith("lastword_streams_ended_total{"):
            ended[re.search('cause="([^"]*)"', name)[1]] += int(value)
    for what, counted, right in (
            ("requests of the upstreams", house.requests, house.starts),
            ("resumes that went on", said["live"] + said["kept"], house.count["goes on"]),
            ("resumes that were forgotten", said["forgotten"], house.count["forgotten"]),
            ("resumes of an end", said["ended"], house.count[204]),
            ("attached by a key", int(metrics['lastword_attached_total{by="key"}']), house.attached),
            *[(f"streams that ended {cause}", ended[cause], house.ways[how]) for how, cause in CAUSES.items()]):
        if counted != right:
            wrong.append(f"{house.name}: {what}: counted {counted}, but right is {right}")
    return wrong


def check_all(houses, options):
    """What must hold of all resumes together."""
    resumes, went_on = sum(house.resumes for house in houses), sum(house.went_on for house in houses)
    readers, foreign = sum(house.readers for house in houses), sum(int(house.metrics.get(FOREIGN, 0)) for house in houses)
    print(f"{went_on} of {resumes} went on with events; {foreign} of {readers} who joined came to another worker than the stream's")
    if went_on < 0.9 * resumes:
        yield "fewer than 90 % of the resumes went on with events"
    if options.workers > 1 and foreign < 0.3 * readers:
        yield "fewer than 30 % came to another worker"


async def play_all(options):
    houses = [
        (House("crowd", "1h", 1024 * MIB, options), crowd, options.resumes * 79 // 100),
        (House("keep: 0", "0", 256 * MIB, options), short, options.resumes * 4 // 100),
        (House("keep: 300ms", "300ms", 256 * MIB, options), short, options.resumes * 4 // 100),
        (House("memory", "1h", MIB, options), tight, options.resumes * 10 // 100),
        (House("memory, live", "1h", 2 * MIB, options), flood, options.resumes * 3 // 100),
    ]
    wrong = []
    for house, play, resumes in houses:
        wrong += await open_and_play(house, play, resumes, f"{options.seed} {house.name}")
        print("%-12s %6d streams, %6d resumes: %s" % (house.name, house.starts, house.resumes, dict(house.count)), flush=True)
    houses = [house for house, *_ in houses]
    return houses, wrong + list(check_all(houses, options))


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--resumes", type=int, default=100_000, metavar="N")
    options.add_argument("--workers", type=int, default=2, metavar="N")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), metavar="N")
    options.add_argument("--break", dest="lie", choices=LIES, help="change what viewers read, to see it found")
    options = options.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    try:
        houses, wrong = asyncio.run(play_all(options))
    except Wrong as error:
        houses, wrong = [], [str(error)]
    for said in wrong:
        print("wrong:", said)
    print(f"{sum(house.resumes for house in houses)} resumes, {len(wrong)} wrong, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
