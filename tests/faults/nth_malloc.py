#!/usr/bin/env python3
"""Lets each allocation of a gateway fail once, in a process of its own each time, while it does all that it can do.

    tests/faults/nth_malloc.py [--every 1] [--many 1] [--only N] [--workers 1] [--tls]

The scenario: a stream that two viewers read, one of whom goes and comes back; a stream with an idempotency key, its
state, its stop; a passthrough stream, told again in both forms, and a piped answer; requests that are wrong; the page and
the operator's listener; a crowd of connections; a witness stream from the first moment to the last; then SIGTERM, with a
stream that will not end. All of it by a caller whose limit of streams is reached, so that a place that is not given back
is missed. --tls is another one: two streams from an upstream over TLS, with all that OpenSSL asks for.

A scenario is played whole, which counts the allocations since the gateway listened; then once for each n, in which the
nth fails, or with --many K the nth and the K-1 behind it.

Whatever fails, always: the process lives until it is told to go, and goes with 0; nothing hangs; every answer is what it
would have been, or a refusal, or a visible break; a last word is the only one, and `close` is said of all that the
upstream said. When one allocation fails, at most one stream or one request is worse for it. As many blocks of memory are
held at the end as when nothing fails.
"""

import argparse
import asyncio
import json
import logging
import mmap
import os
import re
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import trustme  # noqa: E402
from gateway import ROOT, SANITIZER, binary  # noqa: E402
from judge import CLEAN, CUT, LAST_WORDS, EventReader, Malformed, Response, judge, tokens_of  # noqa: E402

PATIENCE = 10   # s for one answer: longer is a hang
OF_OPENSSL = 2  # blocks that OpenSSL 3.0 itself may lose where its first look-up of an algorithm fails (ossl_method_construct)
CROWD = 48      # connections that only begin a request
LISTENING = re.compile(r"lastword: listening on http://([^ ]+):(\d+) \(admin http://([^ ]+):(\d+)\)\n")
CONFIG = """
listen: 127.0.0.1:0
admin: 127.0.0.1:0
workers: {workers}
drain: 100ms
retry: 100ms
keys: [{{ name: alice, key: env:NTH_MALLOC_KEY, streams: 2 }}]
routes:
  - {{ path: /tls, upstream: 'https://127.0.0.1:{tls_port}/text', ca: '{ca}', grace: 5s }}
  - {{ path: /text, upstream: 'http://127.0.0.1:{port}/text', grace: 5s }}
  - {{ path: /v1/*, upstream: 'http://127.0.0.1:{port}/v1', grace: 5s }}
"""
KEY = "a-key-of-alice-as-long-as-it-must-be"
TOKENS = [f"token {n} " for n in range(8)]
JSON = {"Content-Type": "application/json"}
FRAMES = "".join(f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n" for choice in [
    *({"index": 0, "delta": {"content": token}, "finish_reason": None} for token in TOKENS),
    {"index": 0, "delta": {}, "finish_reason": "stop"}]) + "data: [DONE]\n\n"
MODELS = json.dumps({"object": "list", "data": [{"id": f"model-{n}" * 8} for n in range(64)]})


def linked_in():
    """A sanitized gateway has failing_malloc.c in it."""
    return binary().parent / "faults/lastword"


def program():
    return linked_in() if linked_in().exists() else binary()


class Memory:
    """What tests/faults/failing_malloc.c maps."""
    FIELDS = ("armed", "first", "many", "tells", "asked", "failed", "blocks")

    def __init__(self, path):
        path.write_bytes(bytes(8 * len(self.FIELDS)))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def __getitem__(self, name):
        return struct.unpack_from("=q", self.map, 8 * self.FIELDS.index(name))[0]

    def __setitem__(self, name, value):
        struct.pack_into("=q", self.map, 8 * self.FIELDS.index(name), value)


class Server:
    """A model server. A prompt that names a gate is answered in part, and the rest when the gate opens."""

    def __init__(self, lie=None):
        self.lie = lie

    async def open(self):
        self.gates, self.serving = {}, set()
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0, backlog=1024)
        self.port = self.server.sockets[0].getsockname()[1]
        self.authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        self.secured = await asyncio.start_server(self.accept, "127.0.0.1", 0, ssl=context)
        self.tls_port = self.secured.sockets[0].getsockname()[1]
        return self

    async def begin(self):
        """Nothing stays from the run before."""
        for task in list(self.serving):
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)
        self.gates = {}

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.Event())

    async def accept(self, reader, writer):
        task = asyncio.current_task()
        self.serving.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                await self.answer(head.split(b" ")[1].decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.serving.discard(task)
            writer.close()

    async def answer(self, target, writer):
        if target.startswith("/v1/models"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(MODELS), MODELS.encode()))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            await (self.chat(writer) if target.startswith("/v1/chat") else self.text(target, writer))
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def chat(self, writer):
        for frame in FRAMES.split("\n\n")[:-1]:
            writer.write(chunk(frame + "\n\n"))

    async def text(self, target, writer):
        for n, token in enumerate(TOKENS):
            if n == 2:
                await writer.drain()
                await self.gate(re.search(r"prompt=(\w+)", target)[1]).wait()
            if n != 5 or self.lie != "token":
                writer.write(chunk(f"data: {token}\n\n"))
        writer.write(chunk("data: [DONE]\n\n"))


def chunk(text):
    return b"%x\r\n%s\r\n" % (len(text.encode()), text.encode())


class Asking:
    """One request on a connection of its own; whatever happens to it is kept."""

    def __init__(self, run, about, target, method="GET", headers=None, body=None, admin=False, raw=None):
        self.run, self.about, self.target, self.method = run, about, target, method
        self.address = run.admin if admin else run.address
        self.response, self.events, self.read, self.before = Response(method), EventReader(), 0, []
        self.hung, self.malformed, self.writer, self.is_over = False, None, None, False
        body = b"" if body is None else json.dumps(body).encode()
        key = {} if admin else {"Authorization": f"Bearer {KEY}"}
        fields = {"Host": "%s:%d" % self.address, **key, **(headers or {}), **({"Content-Length": str(len(body))} if body else {})}
        self.request = raw or "\r\n".join([f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode() + body
        run.asked.append(self)

    async def begin(self):
        try:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
            self.writer.write(self.request)
        except OSError:
            self.response.reset()
        return self

    async def until(self, there):
        """False: the answer ended first."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.response.end and not there():
                    await self.receive()
        except TimeoutError:
            self.hung = True
        return there()

    async def receive(self):
        try:
            data = await self.reader.read(65536)
        except ConnectionError:
            return self.response.reset()
        if not data:
            return self.response.eof()
        try:
            self.response.feed(data)
        except Malformed as e:
            self.malformed = str(e)
            return self.response.reset()
        if self.response.header("Content-Type") == "text/event-stream":
            self.events.feed(bytes(self.response.body[self.read:]))
            self.read = len(self.response.body)

    async def tokens(self, count):
        return await self.until(lambda: len(tokens_of(self.events.events)) >= count)

    async def end(self):
        await self.until(lambda: False)
        self.leave()
        return self

    def leave(self):
        self.is_over = True
        if self.writer:
            self.writer.close()

    @property
    def id(self):
        return self.events.last_event_id.partition(".")[0]

    def json(self, *names):
        """The members of a whole JSON answer; empty without one."""
        try:
            body = json.loads(self.response.body)
            return [body[name] for name in names]
        except (ValueError, KeyError, TypeError):
            return []


class Wrong(Exception):
    pass


# What an answer may be. Each says whether it was the one that is given when nothing fails, and raises Wrong where it
# must not be.

def is_refusal(asked):
    response = asked.response
    if response.status < 400 or response.end != CLEAN:
        return False
    if asked.method != "HEAD" and not asked.json("error"):
        raise Wrong(f"a refusal without a reason: {response.status} {bytes(response.body)!r}")
    return True


def is_broken(asked):
    return asked.response.end not in (None, CLEAN)


def check_stream(asked, end, cause):
    """A browser stream whose upstream says TOKENS, and which should end so."""
    if is_broken(asked):
        if any(event.name in LAST_WORDS for event in asked.events.events):
            return False
    elif is_refusal(asked) or says_come_again(asked):
        return False
    verdict = judge(bytes(asked.response.body), before=asked.before)
    tokens = asked.before + tokens_of(asked.events.events)
    if tokens != TOKENS[:len(tokens)]:
        raise Wrong(f"tokens {tokens}")
    if is_broken(asked):
        return False
    if verdict.wrong:
        raise Wrong("; ".join(verdict.wrong))
    if verdict["end"] == "complete" and tokens != TOKENS:
        raise Wrong(f"close, complete, of {len(tokens)} tokens")
    return (verdict.word, verdict["cause"]) == (end, cause)


def says_come_again(asked):
    """New work is refused on a browser route: a time to come again, and no stream."""
    return asked.response.status == 200 and re.fullmatch(rb"retry: \d+\n\n", bytes(asked.response.body)) is not None


def check_frames(asked):
    body = bytes(asked.response.body).decode()
    if asked.response.end == CLEAN and asked.response.status == 200:
        if body == FRAMES:
            return True
        if 'data: {"error"' not in body:
            raise Wrong(f"a clean end of {body!r}")
    return False if is_broken(asked) or 'data: {"error"' in body else is_refusal(asked) and False


def check_exact(status, body=None):
    def check(asked):
        if is_broken(asked) or (asked.response.status != status and is_refusal(asked)):
            return False
        if asked.response.status != status or (body is not None and bytes(asked.response.body).decode() != body):
            raise Wrong(f"{asked.response.status} {bytes(asked.response.body)[:200]!r}")
        return True
    return check


def check_again(asked, viewer):
    """The same key: the same stream, unless that failed before it had a token; then the work may be asked for anew."""
    failed = viewer.events.events and viewer.events.events[-1].name == "failed" and not tokens_of(viewer.events.events)
    if asked.response.status == 201 and (failed or not viewer.events.events):
        return False
    return check_exact(200)(asked)


class Run:
    """One gateway, from its beginning to its end."""

    def __init__(self, server, memory, scratch, options):
        self.server, self.memory, self.asked, self.checks = server, memory, [], []
        self.scenario = self.over_tls if options.tls else self.all_it_can
        self.config = scratch / "lastword.yaml"
        server.authority.cert_pem.write_to_path(str(scratch / "ca.pem"))
        self.config.write_text(CONFIG.format(port=server.port, tls_port=server.tls_port, ca=scratch / "ca.pem", workers=options.workers))
        self.stderr = scratch / "stderr"

    async def play(self, first=0, many=1, tells=0):
        await self.server.begin()
        for name, value in (("armed", 0), ("first", first), ("many", many), ("tells", tells), ("asked", 0), ("failed", 0), ("blocks", 0)):
            self.memory[name] = value
        await self.start()
        self.memory["armed"] = 1
        try:
            await self.scenario()
            self.status = await self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            for asked in self.asked:
                asked.leave()
        return self

    async def start(self):
        environment = os.environ | {"FAILING_MALLOC": str(self.config.parent / "orders"), "NTH_MALLOC_KEY": KEY}
        if not linked_in().exists():
            environment["LD_PRELOAD"] = str(ROOT / "build/faults/failing_malloc.so")
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen([program(), "--config", self.config], env=environment, stdout=subprocess.PIPE,
                                            stderr=stderr)
        said = LISTENING.fullmatch((await asyncio.to_thread(self.process.stdout.readline)).decode())
        self.address, self.admin = (said[1], int(said[2])), (said[3], int(said[4]))

    async def stop(self):
        self.process.terminate()
        for asked in self.asked:
            if not asked.is_over:
                await asked.end()
        try:
            return await asyncio.to_thread(self.process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            return "nothing: it is still there"

    def ask(self, about, target, check=None, **how):
        """about: the stream that it concerns; what befalls one stream is one misfortune."""
        asked = Asking(self, about, target, **how)
        self.checks.append((asked, check))
        return asked.begin()

    async def whole(self, about, target, check=None, **how):
        return await (await self.ask(about, target, check, **how)).end()

    def watch(self, about, target, end="close", cause="finished", **how):
        return self.ask(about, target, lambda asked: check_stream(asked, end, cause), **how)

    async def over_tls(self):
        """What OpenSSL asks for, too: two streams, the second on the connection of the first."""
        witness = await self.watch("witness", "/text?prompt=witness")
        await witness.tokens(2)
        for name in ("first", "second"):
            self.server.gate(name).set()
            secured = await self.watch("secured", f"/tls?prompt={name}")   # what was read of the CA may be wrong for both
            await secured.end()
        self.server.gate("witness").set()
        await witness.end()

    async def all_it_can(self):
        witness = await self.watch("witness", "/text?prompt=witness")
        await witness.tokens(2)
        await self.stream_with_two_viewers()
        await self.stream_with_a_key()
        await self.passthrough()
        await self.small_things()
        await self.crowd()
        self.server.gate("witness").set()
        await witness.end()
        last = await self.watch("last", "/text?prompt=last", "failed", "shutdown")
        await last.tokens(2)

    async def stream_with_two_viewers(self):
        leaver = await self.ask("first", "/text?prompt=first", lambda asked: True)
        if not await leaver.tokens(2):
            self.server.gate("first").set()
            await self.only_witness_lives()
            return
        leaver.leave()
        place, before = leaver.events.last_event_id, tokens_of(leaver.events.events)
        back = await self.watch("first", "/text?prompt=first", headers={"Last-Event-ID": place})
        back.before = before
        other = await self.watch("first", f"/streams/{leaver.id}")
        await other.tokens(2)
        self.server.gate("first").set()
        await back.end()
        await other.end()
        await self.whole("first", "/text?prompt=first", check_exact(204, ""), headers={"Last-Event-ID": f"{leaver.id}.end"})

    async def only_witness_lives(self):
        """A stream without its viewer goes on, and takes a place until it has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            told = await Asking(self, "", "/metrics", admin=True).begin()
            if b"\nlastword_streams_live 1\n" in (await told.end()).response.body:
                return

    async def stream_with_a_key(self):
        ask = {"method": "POST", "headers": JSON | {"Idempotency-Key": "k"}, "body": {"prompt": "keyed", "route": "/text"}}
        made = await self.whole("keyed", "/streams", check_exact(201), **ask)
        if not (url := made.json("url")):
            self.server.gate("keyed").set()   # it may run all the same
            await self.only_witness_lives()
            return
        again = await self.whole("keyed", "/streams", None, **ask)
        viewer = await self.watch("keyed", f"/{url[0].lstrip('/')}", "close", "stopped")
        await viewer.tokens(2)
        await self.whole("keyed", f"/{url[0].lstrip('/')}", check_exact(200), headers={"Accept": "application/json"})
        stopped = await self.whole("keyed", f"/{url[0].lstrip('/')}", check_exact(204), method="DELETE")
        if stopped.response.status != 204:
            self.server.gate("keyed").set()   # it goes on, and must be seen to its end
        await viewer.end()
        if again.response.status == 201:   # the first one failed: this is another
            for anew in again.json("url"):
                await self.whole("keyed", f"/{anew.lstrip('/')}", check_exact(204), method="DELETE")
            await self.only_witness_lives()
        self.checks.append((again, lambda asked: check_again(asked, viewer)))

    async def passthrough(self):
        chat = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        asked = await self.whole("chat", "/v1/chat/completions", check_frames, method="POST", headers=JSON, body=chat)
        if asked.response.header("Lastword-Stream"):
            id = asked.response.header("Lastword-Stream")
            await self.whole("chat", f"/streams/{id}?as=upstream", check_frames)
            await self.watch("chat", f"/streams/{id}")
            await self.asked[-1].end()
        await self.whole("models", "/v1/models", check_exact(200, MODELS))

    async def small_things(self):
        await self.whole("page", "/", check_exact(200))
        await self.whole("script", "/lastword.js", check_exact(200))
        await self.whole("bad", "", check_exact(400), raw=b"GET /\x01 HTTP/1.1\r\n\r\n")
        await self.whole("nowhere", "/nowhere", check_exact(404))
        await self.whole("no json", "/streams", check_exact(400), method="POST", headers=JSON, body="{")
        await self.whole("unknown", "/streams/AAAAAAAAAAAAAAAAAAAAAA", check_exact(404))
        for target in ("/", "/streams", "/metrics", "/healthz", "/readyz"):
            await self.whole(f"admin {target}", target, check_exact(200), admin=True)

    async def crowd(self):
        """More descriptors than there were: what is kept by descriptor grows."""
        for n in range(CROWD):
            await self.ask(f"idle {n}", "", lambda asked: True, raw=b"GET ")
        await self.whole("behind the crowd", "/nowhere", check_exact(404))
        for asked in self.asked[-1 - CROWD:-1]:
            asked.leave()

    def faults(self, many, blocks):
        """Sentences, each of which is wrong."""
        wrong, worse = [], set()
        said = self.stderr.read_text(errors="replace")
        if self.status != 0:
            wrong.append(f"the process ended with {self.status}: {said[-1500:]}")
        elif SANITIZER.search(said):
            wrong.append(said[-5000:])
        for asked, check in self.checks:
            try:
                if asked.hung:
                    raise Wrong("it hangs")
                if asked.malformed:
                    raise Wrong(f"no HTTP: {asked.malformed}")
                if check and not check(asked):
                    worse.add(asked.about)
            except Wrong as e:
                wrong.append(f"{asked.method} {asked.target} ({asked.about}): {e}")
        if many == 1 and len(worse) > 1:
            wrong.append(f"one allocation was the misfortune of {sorted(worse)}")
        lost = OF_OPENSSL if "failing malloc:\n/" in said and "libcrypto" in said.partition("failing malloc:\n")[2].partition("\n")[0] else 0
        if not wrong and blocks is not None and self.memory["blocks"] > blocks + lost:
            wrong.append(f"{self.memory['blocks'] - blocks} blocks of memory were never given back")
        return wrong, worse


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--every", type=int, default=1, help="only every so many n")
    arguments.add_argument("--from", dest="start", type=int, default=1)
    arguments.add_argument("--many", type=int, default=1, help="so many allocations fail in a row")
    arguments.add_argument("--only", type=int, help="this n alone, and where it was asked for")
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--tls", action="store_true", help="the scenario with an upstream over TLS")
    arguments.add_argument("--break", dest="lie", choices=["leak", "token"], help="breaks what is judged: shows that it would be found")
    options = arguments.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)   # that an upstream writes to a gateway that has left is wanted
    server, begun = await Server(options.lie).open(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lw") as scratch:
        scratch = Path(scratch)
        memory = Memory(scratch / "orders")
        # The first ones also fill caches (of the linker, of files).
        whole = [await Run(server, memory, scratch, options).play() for _ in range(3)]
        wrong, worse = whole[-1].faults(1, None)
        if wrong or worse:
            sys.exit(f"wrong while nothing fails: {wrong} {sorted(worse)}")
        blocks, all = None if linked_in().exists() else memory["blocks"], memory["asked"]
        if options.lie == "leak":
            blocks -= 1
        print(f"{all} allocations while nothing fails, {'leaks are for the sanitizer' if blocks is None else f'{blocks} blocks'} at the end",
              flush=True)
        runs = failures = refused = 0
        numbers = [options.only] if options.only else range(options.start, all + 1, options.every)
        for n in numbers:
            run = await Run(server, memory, scratch, options).play(n, options.many, 1)
            runs += 1
            wrong, worse = run.faults(options.many, blocks)
            refused += bool(worse)
            failures += bool(wrong)
            if wrong or options.only:
                print(f"\rwrong: n {n}: " + "\n  ".join(wrong), sorted(worse), *places(run.stderr, options.many), sep="\n  ", flush=True)
            if sys.stderr.isatty():
                print(f"\r{n} of {all}, {failures} wrong", end="", file=sys.stderr, flush=True)
        print(f"{refused} runs in which something was refused, broken or failed")
        print(f"{runs} runs, {failures} wrong, {time.monotonic() - begun:.0f} s")
    return failures > 0


def places(stderr, many):
    """Where the first allocation that failed was asked for, in our own code."""
    said = stderr.read_text(errors="replace")
    addresses = re.findall(r"lastword\(\+(0x[0-9a-f]+)\)", said.partition("failing malloc:")[2].partition("failing malloc:")[0])
    if not addresses:
        return [said[-300:]]
    found = subprocess.run(["addr2line", "-f", "-s", "-i", "-e", program(), *addresses], capture_output=True, text=True).stdout.split("\n")
    return [f"{name} {place}" for name, place in zip(found[::2], found[1::2])]


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
