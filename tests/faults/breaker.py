"""Gateways that lie, made from the true one: a proxy behind it that rewrites last words, consistently, counts included.

- always-failed   a good end is told as a failure
- always-close    a failure is told as a good end
- half-event      before a failure the page is given an event that was never whole
- nothing         no lie: shows that it is not the proxy that is found
"""

import asyncio
import json

from judge import Response, counts_of

LIES = ("always-failed", "always-close", "half-event", "nothing")


class Breaker:
    def __init__(self, lie, gateway):
        self.tell = {"always-failed": as_failed, "always-close": as_close, "half-event": with_half_event,
                     "nothing": lambda word, stream: word}[lie]
        self.gateway = gateway
        self.serving = set()

    async def open(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0, backlog=1024)
        return self.server.sockets[0].getsockname()

    async def close(self):
        self.server.close()
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    async def accept(self, *viewer):
        task = asyncio.current_task()
        self.serving.add(task)
        try:
            await self.serve(*viewer)
        except (OSError, asyncio.CancelledError):
            pass   # hung up, or closed with all the others
        finally:
            self.serving.discard(task)

    async def serve(self, viewer_in, viewer_out):
        """Until either side hangs up."""
        gateway_in, gateway_out = await asyncio.open_connection(*self.gateway)
        ways = [asyncio.ensure_future(copy(viewer_in, gateway_out)), asyncio.ensure_future(self.rewrite(gateway_in, viewer_out))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            gateway_out.close()
            viewer_out.close()

    async def rewrite(self, source, sink):
        """Responses, one after the other; blocks of the event stream go on as soon as they are whole."""
        rest = b""
        while True:
            response, sent, head = Response(), 0, False
            response.feed(rest)
            while True:
                if response.status and not head:
                    sink.write(head_of(response))
                    head = True
                whole = len(response.body) and response.body.rfind(b"\n\n") + 2
                if whole > sent:
                    write_chunk(sink, self.lie(bytes(response.body[sent:whole]), bytes(response.body[:whole])))
                    sent = whole
                if response.end:
                    break
                data = await source.read(65536)
                if not data:
                    return
                response.feed(data)
            sink.write(b"0\r\n\r\n")
            rest = bytes(response.rest)

    def lie(self, blocks, stream):
        place = max(blocks.rfind(b"event: close\n"), blocks.rfind(b"event: failed\n"))
        if place < 0 or (place > 0 and blocks[place - 2:place] != b"\n\n"):
            return blocks
        return blocks[:place] + self.tell(blocks[place:].decode(), stream.decode()).encode()


async def copy(source, sink):
    while data := await source.read(65536):
        sink.write(data)


def head_of(response):
    kept = [f"{name}: {value}" for name, values in response.headers.items() for value in values]
    return "\r\n".join([f"HTTP/1.1 {response.status} Said", *kept, "", ""]).encode()


def write_chunk(sink, data):
    sink.write(b"%x\r\n%s\r\n" % (len(data), data))


def fields_of(word):
    return json.loads(word.split("data: ", 1)[1])


def with_fields(word, **changes):
    return word.split("data: ", 1)[0] + "data: " + json.dumps(fields_of(word) | changes) + "\n\n"


def as_failed(word, stream):
    if word.startswith("event: failed"):
        return word
    word = word.replace("event: close", "event: failed")
    return with_fields(word, end="failed", cause="cut", proof=None, side="upstream", detail="The connection broke.")


def as_close(word, stream):
    if word.startswith("event: close"):
        return word
    return with_fields(word.replace("event: failed", "event: close"), end="complete", cause="finished", proof="marker")


def with_half_event(word, stream):
    if word.startswith("event: close"):
        return word
    tokens = ["\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
              for block in stream.split("\n\n") if "data: " in block and "event: " not in block]
    name = word.split("id: ", 1)[1].split(".", 1)[0]
    half = f"id: {name}.{len(tokens) + 1}\ndata: ha\n\n"
    return half + with_fields(word, **counts_of([*tokens, "ha"]))
