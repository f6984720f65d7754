/* lastword.js: one answer of a lastword gateway, as a browser receives it. No page, no markup: see page.js.
 *
 * The obvious way is EventSource. It cannot send a body, hides the response's headers, and cannot tell an end from a
 * crash; so this reads the body of a fetch with its own parser, written from the HTML Standard (section 9.2.6).
 *
 * What holds:
 * 1. `done` resolves exactly once and never rejects. It says the gateway's last word, or that there was none.
 * 2. One answer is generated once: every repeated request carries the same Idempotency-Key or the stream's id.
 * 3. The last word's events, bytes and CRC-32 are compared with what arrived; `intact` is the result.
 * 4. A stop that was asked for before the stream has an id is sent as soon as it has one. */

const BREAKS_MAX = 5; // connections lost in a row, without one new event between them
const BUSY_MAX = 30; // times that a gateway without room is asked again
const RETRY_MS = 1000; // until the server says another time
const STOP_MS = 3000; // how long a stop waits for the gateway's last word
const UNREADABLE = { end: "failed", cause: "unreadable" }; // a last word that is not JSON

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
	for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
	return n;
});

/** The IEEE CRC-32 of bytes that follow those whose CRC-32 is `before`. */
export function crc32(bytes, before = 0) {
	let crc = ~before;
	for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff];
	return ~crc >>> 0;
}

/** Reads an event stream, split anywhere; calls `onEvent({name, data})` for each event that the standard dispatches. */
export class EventReader {
	id = ""; // the last event id, which goes into Last-Event-ID
	retryMs = undefined;
	#onEvent;
	#decoder = new TextDecoder(); // drops one byte order mark, replaces what is not UTF-8
	#rest = ""; // a line whose end has not come yet
	#afterCr = false; // a line feed that comes next belongs to the same line end
	#name = "";
	#data = [];
	#nextId = "";

	constructor(onEvent) {
		this.#onEvent = onEvent;
	}

	feed(bytes) {
		let text = this.#decoder.decode(bytes, { stream: true });
		if (!text) return;
		if (this.#afterCr && text[0] === "\n") text = text.slice(1);
		this.#afterCr = text ? text.endsWith("\r") : false;
		const lines = (this.#rest + text).split(/\r\n|\r|\n/);
		this.#rest = lines.pop();
		for (const line of lines) this.#take(line);
	}

	#take(line) {
		if (line === "") return this.#dispatch();
		const colon = line.indexOf(":");
		if (colon === 0) return; // a comment
		const field = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
		if (field === "data") this.#data.push(value);
		else if (field === "event") this.#name = value;
		else if (field === "id" && !value.includes("\0")) this.#nextId = value;
		else if (field === "retry" && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
	}

	#dispatch() {
		this.id = this.#nextId;
		const event = { name: this.#name || "message", data: this.#data.join("\n") };
		const hasData = this.#data.length > 0;
		this.#name = "";
		this.#data = [];
		if (hasData) this.#onEvent(event);
	}
}

/** One answer. `told` may have text(string), reasoning(string), progress({queue}) and waiting("busy"|"broken"|null).
 * `done` resolves to {end, cause, …}: the last word's members and `intact` (false: something of the answer is missing
 * or doubled), or one of our own ends without a last word: "lost", "busy", "rejected" (with `status` and `detail`),
 * "left". */
export class Answer {
	#prompt;
	#url;
	#streams;
	#told;
	#key = newKey();
	#id = null; // the stream's, as soon as the gateway has named it
	#place = ""; // the last event id
	#json = false; // every data line is a JSON string
	#retryMs = RETRY_MS;
	#breaks = 0;
	#busy = 0;
	#got = { events: 0, bytes: 0, crc32: 0 };
	#last = null;
	#stopping = false;
	#abort = new AbortController();
	#wake = null; // ends the present pause

	constructor(prompt, { url = "sse-proxy", streams = "streams/", told = {} } = {}) {
		this.#prompt = prompt;
		this.#url = url;
		this.#streams = streams;
		this.#told = told;
		this.done = this.#run();
	}

	/** Asks the gateway to stop. `done` then says what became of it: the answer may just have ended by itself. */
	stop() {
		if (this.#stopping) return;
		this.#stopping = true;
		if (this.#id) this.#sendStop();
		this.#wake?.();
		setTimeout(() => this.#abort.abort(), STOP_MS);
	}

	async #run() {
		while (!this.#last) {
			const response = await this.#request();
			if (response && isRefusal(response, this.#id)) return rejection(response);
			if (response?.ok) await this.#read(response);
			if (this.#last) break;
			if (this.#stopping && (!this.#id || this.#abort.signal.aborted)) return { end: "left" };
			const givenUp = await this.#pause(response);
			if (givenUp) return { end: givenUp };
		}
		return { ...this.#last, intact: this.#isIntact() };
	}

	/** The response, or null when there is no connection. */
	async #request() {
		const common = { cache: "no-store", signal: this.#abort.signal };
		const headers = { Accept: "text/event-stream" };
		if (this.#place) headers["Last-Event-ID"] = this.#place;
		try {
			if (this.#id) return await fetch(this.#streams + this.#id, { ...common, headers });
			Object.assign(headers, { "Content-Type": "application/json", "Idempotency-Key": this.#key });
			const body = JSON.stringify({ prompt: this.#prompt });
			return await fetch(this.#url, { ...common, method: "POST", headers, body });
		} catch {
			return null;
		}
	}

	/** Reads one connection's body until it ends, breaks, or has brought the last word. */
	async #read(response) {
		this.#meet(response);
		const events = new EventReader((event) => this.#take(event));
		const body = response.body.getReader();
		try {
			for (;;) {
				const { done, value } = await body.read();
				if (done) return;
				events.feed(value);
				if (events.id) this.#place = events.id;
				this.#retryMs = events.retryMs ?? this.#retryMs;
				if (this.#last) return void drain(body);
			}
		} catch {
			// Broken off. Whoever called sees that there is no last word.
		}
	}

	#meet(response) {
		this.#told.waiting?.(null);
		this.#json = response.headers.get("Lastword-Data") === "json";
		const id = response.headers.get("Lastword-Stream");
		if (!id || this.#id) return;
		this.#id = id;
		if (this.#stopping) this.#sendStop();
	}

	#take({ name, data }) {
		if (this.#last) return;
		this.#breaks = 0;
		if (name === "message") this.#count(this.#text(data));
		else if (name === "reasoning") this.#told.reasoning?.(this.#text(data));
		else if (name === "progress") this.#told.progress?.(parse(data) ?? {});
		else if (name === "close" || name === "failed") this.#last = parse(data) ?? UNREADABLE;
	}

	#text(data) {
		return this.#json ? String(parse(data) ?? "") : data;
	}

	#count(text) {
		const bytes = new TextEncoder().encode(text);
		this.#got.events += 1;
		this.#got.bytes += bytes.length;
		this.#got.crc32 = crc32(bytes, this.#got.crc32);
		this.#told.text?.(text);
	}

	/** A last word without counts (`forgotten`) proves nothing and denies nothing. */
	#isIntact() {
		const { events, bytes, crc32 } = this.#last;
		if (events === undefined) return true;
		const hex = this.#got.crc32.toString(16).padStart(8, "0");
		return events === this.#got.events && bytes === this.#got.bytes && crc32 === hex;
	}

	/** Waits before the next try; says how to end when there shall be none. An answer without a stream is a gateway that
	 * has no room: it names a time and closes cleanly. */
	async #pause(response) {
		const isBusy = response !== null && !this.#id;
		if (isBusy && ++this.#busy > BUSY_MAX) return "busy";
		if (!isBusy && ++this.#breaks > BREAKS_MAX) return "lost";
		this.#told.waiting?.(isBusy ? "busy" : "broken");
		const ms = this.#stopping ? 100 : this.#retryMs;
		await new Promise((wake) => {
			this.#wake = wake;
			setTimeout(wake, ms);
		});
		return this.#stopping && !this.#id ? "left" : null;
	}

	#sendStop() {
		fetch(this.#streams + this.#id, { method: "DELETE", keepalive: true }).catch(() => {});
	}
}

/** Reads to the body's end, so that the connection can be used again. */
async function drain(body) {
	try {
		while (!(await body.read()).done);
	} catch {
		// It has said its last word already.
	}
}

/** Where a stream exists, a 502 or 503 speaks of what stands between us and the gateway: worth another try. */
function isRefusal(response, id) {
	if (response.status !== 200) return !(id && response.status >= 500);
	return !response.headers.get("Content-Type")?.startsWith("text/event-stream");
}

async function rejection(response) {
	const text = await response.text().catch(() => "");
	return { end: "rejected", status: response.status, detail: parse(text)?.error?.message };
}

function parse(json) {
	try {
		return JSON.parse(json);
	} catch {
		return null;
	}
}

/** 128 random bits. crypto.randomUUID exists only on https and on loopback. */
function newKey() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
