/* The parser and the sum, without a gateway. */
import assert from "node:assert/strict";
import test from "node:test";
import { EventReader, crc32 } from "../lastword.js";

const STREAM =
	"\ufeff: comment\nretry: 250\nid: x.0\n\nid: x.1\ndata: ü\rdata:  😀\r\n\r\nevent: close\rid: x.end\rdata: {}\r\rdata\n\nevent: none\n\n" +
	"id: a\0b\ndata:no space\nunknown: y\n\ndata: half";
const EVENTS = [
	{ name: "message", data: "ü\n 😀", id: "x.1" },
	{ name: "close", data: "{}", id: "x.end" },
	{ name: "message", data: "", id: "x.end" },
	{ name: "message", data: "no space", id: "x.end" },
];

function read(...pieces) {
	const events = [];
	const reader = new EventReader((event) => events.push(event));
	for (const piece of pieces) reader.feed(piece);
	assert.equal(reader.retryMs, 250);
	return events;
}

test("a stream is read whole", () => {
	assert.deepEqual(read(new TextEncoder().encode(STREAM)), EVENTS);
});

test("a stream is read byte by byte", () => {
	assert.deepEqual(read(...Array.from(new TextEncoder().encode(STREAM), (byte) => Uint8Array.of(byte))), EVENTS);
});

test("a stream is read split at every place", () => {
	const bytes = new TextEncoder().encode(STREAM);
	for (let n = 0; n <= bytes.length; n++) assert.deepEqual(read(bytes.subarray(0, n), bytes.subarray(n)), EVENTS, `split at ${n}`);
});

test("the sum is that of IEEE, and goes on", () => {
	const bytes = new TextEncoder().encode("123456789");
	assert.equal(crc32(bytes), 0xcbf43926);
	assert.equal(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4))), 0xcbf43926);
	assert.equal(crc32(new Uint8Array()), 0);
});
