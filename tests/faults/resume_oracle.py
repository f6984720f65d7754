"""What the gateway owes each reader, held beside it: the model of the resume test, and the two ends that it watches.

- Oracle     one stream as it must be told: events in order, the last word, and whether it is still kept
- Upstream   the model server's side of it, which also counts the requests that came
- Link       one connection of a viewer; every event is held against the oracle as it comes
"""

import asyncio
import json
import re
import socket
import struct
from dataclasses import dataclass, field

from judge import CLEAN, LAST_WORDS, EventReader, Response, counts_of, judge

PATIENCE = 30   # s; what has not come then does not come


class Wrong(Exception):
    """The gateway did what the model excludes."""


def demand(holds, what):
    if not holds:
        raise Wrong(what)


@dataclass
class Oracle:
    number: int
    id: str = ""
    events: list = field(default_factory=list)   # (name, data), all that the upstream has sent
    seen: int = 0                                # so many of them are known to be in the journal: someone has read them
    word: dict | None = None                     # what the last word must say

    @property
    def tokens(self):
        return [data for name, data in self.events if name == "message"]

    def end(self, cause, **fields):
        end = {"finished": "complete", "stopped": "stopped"}.get(cause, "failed")
        self.word = {"end": end, "cause": cause, "finish": None, "proof": None} | fields

    def check_event(self, place, event):
        demand(place <= len(self.events), f"event {place} of {len(self.events)}: {event}")
        right = (f"{self.id}.{place}", *self.events[place - 1])
        demand((event.id, event.name, event.data) == right, f"{event}, but right is {right}")
        self.seen = max(self.seen, place)

    def check_end(self, start, body):
        """A whole answer, from the place `start` to the last word."""
        before = [data for name, data in self.events[:start] if name == "message"]
        verdict = judge(body, before=before)
        demand(not verdict.wrong, "; ".join(verdict.wrong))
        demand(verdict.start == start, f"went on from {verdict.start} instead of {start}")
        right = self.word | counts_of(self.tokens)
        said = {name: verdict[name] for name in right}
        demand(said == right, f"the last word {said}, but right is {right}")
        places = [event for event in verdict.events if event.name not in LAST_WORDS]
        demand(len(places) == len(self.events) - start, f"{len(places)} events from {start}, but {len(self.events)} were sent")


class Upstream(asyncio.Protocol):
    """One answer of a model server that speaks openai-chat. `arrived` is told the number in its prompt."""

    def __init__(self, arrived):
        self.arrived, self.request = arrived, b""

    def connection_made(self, transport):
        self.transport, self.gone = transport, asyncio.get_running_loop().create_future()

    def connection_lost(self, error):
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data):
        self.request += data
        head, blank, body = self.request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if blank and len(body) >= int(length[1]):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
                                 b"Connection: close\r\n\r\n")
            self.arrived(int(re.search(rb"stream-(\d+)", body)[1]), self)

    def say(self, *chunks):
        body = b"".join(b"data: %s\n\n" % (chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()) for chunk in chunks)
        self.transport.write(b"%x\r\n%s\r\n" % (len(body), body))

    def events(self, events):
        self.say(*[{"choices": [{"index": 0, "delta": {"content" if name == "message" else "reasoning_content": data}}]}
                   for name, data in events])

    def done(self):
        self.say({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, b"[DONE]")
        self.transport.write(b"0\r\n\r\n")
        self.transport.close()

    def fail(self):
        self.say({"error": {"message": "no memory"}})
        self.transport.close()

    def cut(self):
        self.transport.close()


class Link(asyncio.Protocol):
    """lie: makes of a body what a wrong gateway would have sent, to see that it is noticed."""

    def __init__(self, oracle, start, lie=None):
        self.oracle, self.start, self.lie = oracle, start, lie if oracle.id else None
        self.response, self.reader = Response(), EventReader()
        self.read = self.taken = 0
        self.word = self.wrong = None
        self.wanted = None       # (condition, future)

    def connection_made(self, transport):
        self.transport = transport

    @property
    def place(self):
        return self.start + self.taken - (self.word is not None)

    @property
    def is_of_no_stream(self):
        """Forgotten: what it says is no stream's end."""
        return not self.response.header("Lastword-Stream")

    @property
    def has_begun(self):
        return bool(self.reader.blocks) or self.response.end

    def data_received(self, data):
        try:
            self.response.feed(data)
            if self.response.status == 200:
                self.read_body()
                self.take()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the bytes is the finding
            self.wrong = self.wrong or error
        self.look()

    def read_body(self):
        if self.lie:
            self.reader, self.read = EventReader(), 0
        self.reader.feed(self.body[self.read:])
        self.read = len(self.response.body)

    @property
    def body(self):
        body = bytes(self.response.body)
        return self.lie(body) if self.lie else body

    def take(self):
        for event in self.reader.events[self.taken:]:
            self.taken += 1
            if event.name in LAST_WORDS:
                self.word = event
                demand(self.oracle.word or not self.oracle.id or self.is_of_no_stream, f"a last word of a stream that has not ended: {event}")
            elif self.oracle.id:
                self.oracle.check_event(self.start + self.taken, event)

    def connection_lost(self, error):
        if not self.response.end:
            self.response.reset() if error else self.response.eof()
        self.look()

    def look(self):
        if self.wanted and (self.wrong or self.wanted[0]() or self.response.end):
            self.wanted[1].done() or self.wanted[1].set_result(None)
            self.wanted = None

    async def until(self, holds, what):
        if not (self.wrong or holds() or self.response.end):
            future = asyncio.get_running_loop().create_future()
            self.wanted = (holds, future)
            try:
                await asyncio.wait_for(future, PATIENCE)
            except asyncio.TimeoutError:
                raise Wrong(f"waited {PATIENCE} s for {what}: {self.story()}") from None
        if self.wrong:
            raise self.wrong if isinstance(self.wrong, Wrong) else Wrong(f"{self.wrong!r}: {self.story()}")
        demand(holds(), f"the answer ended before {what}: {self.story()}")

    async def until_place(self, place):
        await self.until(lambda: self.place >= place, f"event {place}")

    async def until_end(self):
        """The whole answer, judged."""
        await self.until(lambda: self.response.end, "the end")
        demand((self.response.status, self.response.end) == (200, CLEAN), f"the end: {self.story()}")
        self.oracle.check_end(self.start, self.body)

    def leave(self, by_reset):
        if by_reset and not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()

    def story(self):
        body = bytes(self.response.body)[-300:]
        return f"from {self.start}, {self.response.status} {self.response.end}, {self.taken} events … {body!r}"
