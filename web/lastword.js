/* lastword.js: one answer of a lastword gateway, in a browser or in Node. No page, no markup, no dependency.
 *
 *	const answer = ask("Why is the sea blue?", { onToken: (text) => show(text) });
 *	const end = await answer; // {end: "complete", cause: "finished", verified: true, text: "…", …}
 *
 * The obvious way is EventSource. It cannot send a body, hides the response's headers, and cannot tell an end from a
 * crash; so ask() and watch() read the body of a fetch with a parser of their own, written from the HTML Standard
 * (section 9.2.6). Pages that want EventSource all the same have source().
 *
 * What holds:
 * 1. The promise resolves exactly once and never rejects. It says the gateway's last word, or that there was none.
 *    Whoever iterates gets a LastwordError instead of a silent end, unless the answer is whole or was stopped.
 * 2. One answer is generated once: every repeated request carries the same Idempotency-Key or the stream's place.
 * 3. The last word's events, bytes and CRC-32 are compared with what arrived; `verified` is the result, and an answer
 *    that does not agree is never "complete".
 * 4. A stop that was asked for before the stream has an id is sent as soon as it has one.
 * 5. A handler that throws is reported as a listener's would be, and disturbs nothing. */

const BREAKS_MAX = 10; // connections lost in a row, without one new event between them
const BUSY_MAX = 30; // times that a gateway without room is asked again
const BACKOFF = [1, 1, 1, 2, 4, 8, 16]; // times `retry`: the first three lie within the gateway's grace
const RETRY_MS = 1000; // until the server says another time
const SILENCE_MS = 45_000; // three heartbeats: a connection that says less is dead, whatever the system thinks
const STOP_MS = 3000; // how long a stop waits for the gateway's last word
const DRAIN_MS = 1000; // how long a body may take to end behind its last word

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

/** Reads an event stream, split anywhere; calls `onEvent({name, data, id})` for each that the standard dispatches. */
export class EventReader {
	id = ""; // the last event id, which goes into Last-Event-ID
	retryMs = undefined;
	#onEvent;
	#decoder = new TextDecoder(); // drops one byte order mark, replaces what is not UTF-8
	#pieces = []; // of a line whose end has not come yet
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
		const lines = text.split(/\r\n|\r|\n/);
		const rest = lines.pop();
		if (lines.length) {
			lines[0] = this.#pieces.join("") + lines[0];
			this.#pieces = [];
		}
		if (rest) this.#pieces.push(rest);
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
		const event = { name: this.#name || "message", data: this.#data.join("\n"), id: this.id };
		const hasData = this.#data.length > 0;
		this.#name = "";
		this.#data = [];
		if (hasData) this.#onEvent(event);
	}
}

/** What has arrived, counted as the gateway counts it. Without a beginning it cannot tell. */
class Tally {
	#counts;
	#encoder = new TextEncoder();

	constructor(counts = { events: 0, bytes: 0, crc32: "00000000" }) {
		const known = counts.events !== undefined;
		this.#counts = known ? { events: counts.events, bytes: counts.bytes, crc: parseInt(counts.crc32, 16) } : null;
	}

	add(text) {
		if (!this.#counts) return;
		const bytes = this.#encoder.encode(text);
		this.#counts.events += 1;
		this.#counts.bytes += bytes.length;
		this.#counts.crc = crc32(bytes, this.#counts.crc);
	}

	get counts() {
		if (!this.#counts) return {};
		const { events, bytes, crc } = this.#counts;
		return { events, bytes, crc32: crc.toString(16).padStart(8, "0") };
	}

	/** The last word, and whether it agrees: null when one side has counted nothing, as in `forgotten`. */
	judge(last) {
		const ours = this.counts;
		const told = last.events !== undefined && ours.events !== undefined;
		const verified = told ? ["events", "bytes", "crc32"].every((name) => last[name] === ours[name]) : null;
		if (verified !== false || last.end === "failed") return { ...last, verified };
		return { ...last, ...failure("damaged", "What arrived is not what the gateway counted."), verified };
	}
}

/** Thrown where an answer is iterated and has no good end. */
export class LastwordError extends Error {
	constructor(end) {
		super(end.detail ?? `The answer has no good end: ${end.cause}.`);
		this.name = "LastwordError";
		this.end = end;
	}
}

/** One answer on its way: a promise of its end, an asynchronous iterator of its tokens. Made by ask() and watch(). */
export class Answer {
	#start; // {url, body, key}: how the stream is begun; null where it exists
	#streams; // the URL of the folder of streams
	#url = null; // the stream's own, as soon as the gateway has named it
	#headers;
	#told;
	#place = ""; // the last event id
	#tally;
	#json = false; // every data line is a JSON string
	#retryMs = RETRY_MS;
	#breaks = 0;
	#busy = 0;
	#state = "";
	#text = "";
	#last = null; // the gateway's last word
	#end = null;
	#stopping = false;
	#gone = false; // left
	#line = null; // the AbortController of the present connection
	#wake = null; // ends the present pause
	#stopTimer;
	#readers = new Set(); // iterators: {queue, wake}
	#done;

	constructor({ start = null, url = null, streams = null, headers = {}, from }, told) {
		this.#start = start;
		this.#url = url;
		this.#streams = streams;
		this.#headers = headers;
		this.#told = told;
		this.#place = from?.lastEventId ?? "";
		this.#tally = new Tally(from);
		// Not at once: no handler is called before the caller holds the answer.
		this.#done = Promise.resolve().then(() => this.#live());
	}

	/** The stream's id, a capability to read and to stop it; null until the gateway has named it. */
	get id() {
		return this.#url && this.#url.replace(/[?#].*/, "").replace(/.*\//, "");
	}

	/** The stream's URL, for watch(); null until the gateway has named it. */
	get url() {
		return this.#url;
	}

	/** The idempotency key under which it was asked: the same question and key find the same answer. */
	get key() {
		return this.#start?.key ?? null;
	}

	/** All tokens so far. */
	get text() {
		return this.#text;
	}

	/** connecting, waiting, generating, reconnecting, busy, stopping; then complete, stopped, failed or left. */
	get state() {
		return this.#state;
	}

	/** Where to go on, in another process too: watch({ url, from: place }). */
	get place() {
		return { lastEventId: this.#place, ...this.#tally.counts };
	}

	then(onEnd, onError) {
		return this.#done.then(onEnd, onError);
	}

	catch(onError) {
		return this.#done.catch(onError);
	}

	finally(onSettled) {
		return this.#done.finally(onSettled);
	}

	/** Asks the gateway to stop the answer, for all who read it. The end says what became of it: the answer may just have
	 * ended by itself. */
	stop() {
		if (this.#stopping || this.#end) return this;
		this.#stopping = true;
		this.#say("stopping");
		if (this.#url) this.#sendStop();
		this.#wake?.();
		this.#stopTimer = setTimeout(() => this.leave(), STOP_MS);
		return this;
	}

	/** Reads no more. Leaving is not stopping: others may read on; when nobody does, the gateway stops after its grace. */
	leave() {
		if (this.#end) return this;
		this.#gone = true;
		this.#line?.abort();
		this.#wake?.();
		return this;
	}

	/** The tokens; who comes late gets all that there is as the first one. Breaking out of the loop leaves. */
	async *[Symbol.asyncIterator]() {
		const reader = { queue: this.#text ? [this.#text] : [], wake: null };
		this.#readers.add(reader);
		try {
			while (reader.queue.length || !this.#end) {
				if (reader.queue.length) yield* reader.queue.splice(0);
				else await new Promise((wake) => (reader.wake = wake));
			}
		} finally {
			this.#readers.delete(reader);
			this.leave();
		}
		if (!isGood(this.#end)) throw new LastwordError(this.#end);
	}

	async #live() {
		const { signal } = this.#told;
		const leave = () => this.leave();
		if (signal?.aborted) leave();
		signal?.addEventListener("abort", leave);
		const end = await this.#run();
		signal?.removeEventListener("abort", leave);
		clearTimeout(this.#stopTimer);
		this.#end = { ...end, text: this.#text };
		for (const reader of this.#readers) reader.wake?.();
		this.#say(end.end);
		tell(isGood(end) ? this.#told.onEnd : this.#told.onFail, this.#end);
		return this.#end;
	}

	async #run() {
		if (!this.#gone) this.#say("connecting");
		while (!this.#gone) {
			const response = await this.#request();
			const refusal = response && (await this.#refusal(response));
			if (refusal) return refusal;
			if (response?.ok) await this.#read(response);
			if (this.#last) return this.#tally.judge(this.#last);
			const givenUp = !this.#gone && (await this.#pause(response));
			if (givenUp) return givenUp;
		}
		return { end: "left", cause: "left", verified: null };
	}

	/** The response, or null when there is no connection. */
	async #request() {
		this.#line = new AbortController();
		const common = { cache: "no-store", signal: this.#line.signal };
		const headers = { ...this.#headers, Accept: "text/event-stream" };
		if (this.#place) headers["Last-Event-ID"] = this.#place;
		const watchdog = setTimeout(() => this.#line.abort(), SILENCE_MS);
		try {
			if (this.#url) return await fetch(this.#url, { ...common, headers });
			Object.assign(headers, { "Content-Type": "application/json", "Idempotency-Key": this.#start.key });
			return await fetch(this.#start.url, { ...common, method: "POST", headers, body: this.#start.body });
		} catch {
			return null;
		} finally {
			clearTimeout(watchdog);
		}
	}

	/** The end that a response means which is no event stream; undefined when it is one, or when asking again may help: a
	 * 502 or 503 speaks of what stands between us and the gateway, and neither place nor key lets it cost twice. */
	async #refusal(response) {
		const { status } = response;
		if (status === 204) return this.#epilogue();
		if (status === 200 && response.headers.get("Content-Type")?.startsWith("text/event-stream")) return undefined;
		const text = await response.text().catch(() => "");
		if (this.#url ? status >= 500 : [502, 503, 504].includes(status)) return void this.#heedRetryAfter(response);
		const detail = parse(text)?.error?.message ?? `The gateway answered with status ${status}.`;
		return { ...failure("rejected", detail), status };
	}

	#heedRetryAfter(response) {
		const seconds = Number(response.headers.get("Retry-After") ?? NaN);
		if (seconds >= 0 && seconds <= 60) this.#retryMs = seconds * 1000;
	}

	/** The stream's last word was read already, before this answer was made: its state tells it again. */
	async #epilogue() {
		try {
			const headers = { ...this.#headers, Accept: "application/json" };
			const response = await fetch(this.#url, { headers, cache: "no-store" });
			const { end, cause, ...more } = (response.ok && parse(await response.text())) || {};
			if (end) return this.#tally.judge({ end, cause, ...more });
			return failure("forgotten", "That answer has ended, and is not kept here any more.");
		} catch {
			return failure("lost", "The gateway cannot be reached.");
		}
	}

	/** Reads one connection's body until it ends, breaks, falls silent, or has brought the last word. */
	async #read(response) {
		const line = this.#line;
		const events = new EventReader((event) => this.#take(event));
		const body = response.body.getReader();
		let watchdog;
		this.#meet(response);
		try {
			while (!this.#last) {
				watchdog = setTimeout(() => line.abort(), SILENCE_MS);
				const { done, value } = await body.read();
				clearTimeout(watchdog);
				if (done) return;
				events.feed(value);
				this.#note(events);
			}
			drain(body, line);
		} catch {
			// Broken off. Whoever called sees that there is no last word.
		} finally {
			clearTimeout(watchdog);
		}
	}

	#meet(response) {
		this.#json = response.headers.get("Lastword-Data") === "json";
		this.#know(response.headers.get("Lastword-Stream"));
	}

	/** What blocks without data say: the place, the time to wait, and the id where a proxy has dropped our headers. */
	#note(events) {
		if (events.id) this.#place = events.id;
		this.#retryMs = events.retryMs ?? this.#retryMs;
		if (!this.#url) this.#know(/^([\w-]{22})\.\d+$/.exec(events.id)?.[1]);
	}

	#know(id) {
		if (!this.#url && !id) return;
		this.#url ??= new URL(id, this.#streams).href;
		if (this.#stopping) this.#sendStop();
		else this.#say(this.#text ? "generating" : "waiting");
	}

	#take({ name, data, id }) {
		if (this.#last) return;
		if (id) this.#place = id;
		this.#breaks = 0;
		if (name === "message") this.#token(this.#decode(data));
		else if (name === "reasoning") this.#reason(this.#decode(data));
		else if (name === "progress") this.#say("waiting", parse(data) ?? {});
		else if (name === "close" || name === "failed") this.#last = lastWord(data);
	}

	#decode(data) {
		return this.#json ? String(parse(data) ?? "") : data;
	}

	#token(text) {
		this.#tally.add(text);
		this.#text += text;
		this.#say("generating");
		for (const reader of this.#readers) {
			reader.queue.push(text);
			reader.wake?.();
		}
		tell(this.#told.onToken, text);
	}

	#reason(text) {
		this.#say("generating");
		tell(this.#told.onReasoning, text);
	}

	/** A state is told when it changes, and each new place in the queue. A stop that was asked for is not talked over. */
	#say(state, more = {}) {
		const quiet = this.#stopping && !this.#end && state !== "stopping";
		if (quiet || (state === this.#state && more.queue === undefined)) return;
		this.#state = state;
		tell(this.#told.onState, state, more);
	}

	/** Waits before the next try; the end, when there shall be none. An answer without a stream is a gateway that has no
	 * room: it names a time and closes cleanly. */
	async #pause(response) {
		const isBusy = response !== null && !this.#url;
		const tries = isBusy ? ++this.#busy : ++this.#breaks;
		if (isBusy && tries > BUSY_MAX) return failure("busy", "The gateway has no room for a new answer.");
		if (!isBusy && tries > BREAKS_MAX) return failure("lost", "The connection to the gateway was lost.");
		const factor = isBusy ? 1 : BACKOFF[Math.min(tries, BACKOFF.length) - 1];
		this.#say(isBusy ? "busy" : "reconnecting");
		await this.#sleep(this.#stopping ? 100 : this.#retryMs * factor * (0.75 + Math.random() / 2));
		if (this.#stopping && !this.#url) this.#gone = true; // nothing to stop by; the gateway's grace will
		return null;
	}

	/** Ends early when there is something to do, or the network is back. */
	async #sleep(ms) {
		let timer;
		await new Promise((wake) => {
			this.#wake = wake;
			timer = setTimeout(wake, ms);
			globalThis.addEventListener?.("online", wake);
		});
		clearTimeout(timer);
		globalThis.removeEventListener?.("online", this.#wake);
		this.#wake = null;
	}

	#sendStop() {
		fetch(this.#url, { method: "DELETE", headers: this.#headers, keepalive: true }).catch(() => {});
	}
}

/** Starts an answer. `question`: the prompt, or {prompt | messages | body, url, streams, headers, idempotencyKey}. */
export function ask(question, handlers = {}) {
	const options = typeof question === "string" ? { prompt: question } : question;
	const { url = "sse-proxy", prompt, messages, headers, from, idempotencyKey: key = newKey() } = options;
	const body = options.body ?? (messages ? { messages } : { prompt });
	if (!options.body && !messages && typeof prompt !== "string") throw new TypeError("ask: nothing to ask");
	const start = { url: absolute(url), body: JSON.stringify(body), key };
	const streams = absolute(options.streams ?? new URL("streams/", start.url).href);
	if (from) return watch({ url: new URL(placeOf(from).lastEventId.split(".")[0], streams).href, headers, from }, handlers);
	return new Answer({ start, streams, headers }, handlers);
}

/** Reads a stream that exists. `stream`: its URL, or {url, from, headers}; `from` is an answer's `place`, or an event id. */
export function watch(stream, handlers = {}) {
	const { url, from, headers } = typeof stream === "string" || stream instanceof URL ? { url: stream } : stream;
	return new Answer({ url: absolute(url), headers, from: from && placeOf(from) }, handlers);
}

/** The same handlers on a native EventSource, which is closed at the last word; a connection that it gives up for good is
 * said as what it is. Its retries carry an idempotency key: before the first byte it has no place to come back to. */
export function source(url, { json = false, ...told } = {}) {
	const tally = new Tally();
	const address = withKey(absolute(url));
	const native = new EventSource(address);
	let errors = 0;
	let id = null;
	let text = "";
	let settle;
	const done = new Promise((resolve) => (settle = resolve));
	const decode = (data) => (json ? String(parse(data) ?? "") : data);
	const on = (name, act) =>
		native.addEventListener(name, (event) => {
			errors = 0;
			id = event.lastEventId.split(".")[0] || id;
			act(event.data);
		});
	const finish = (last) => {
		native.close();
		const end = { ...tally.judge(last), text };
		tell(told.onState, end.end, {});
		tell(isGood(end) ? told.onEnd : told.onFail, end);
		settle(end);
	};
	on("message", (data) => {
		const token = decode(data);
		tally.add(token);
		text += token;
		tell(told.onToken, token);
	});
	on("reasoning", (data) => tell(told.onReasoning, decode(data)));
	on("progress", (data) => tell(told.onState, "waiting", parse(data) ?? {}));
	for (const name of ["close", "failed"]) on(name, (data) => finish(lastWord(data)));
	native.addEventListener("open", () => tell(told.onState, text ? "generating" : "waiting", {}));
	native.addEventListener("error", (event) => {
		if (event.data !== undefined) return; // an event of that name, of no gateway of ours
		if (native.readyState === EventSource.CLOSED || ++errors > BUSY_MAX) finish(failure("lost", "The gateway cannot be reached."));
		else tell(told.onState, "reconnecting", {});
	});
	const close = () => native.readyState === EventSource.CLOSED || finish({ end: "left", cause: "left" });
	const stop = () => {
		if (!id) return close();
		const stream = new URL(`streams/${id}`, address);
		return void fetch(stream, { method: "DELETE", keepalive: true }).catch(() => {});
	};
	told.signal?.addEventListener("abort", close, { once: true });
	return { native, stop, close, then: (a, b) => done.then(a, b), get id() { return id; }, get text() { return text; } };
}

function isGood(end) {
	return end.end === "complete" || end.end === "stopped";
}

function failure(cause, detail) {
	return { end: "failed", cause, side: "client", detail, verified: null };
}

function lastWord(data) {
	const last = parse(data);
	return typeof last?.end === "string" ? last : failure("unreadable", "The gateway's last word cannot be read.");
}

function placeOf(from) {
	return typeof from === "string" ? { lastEventId: from } : from;
}

function absolute(url) {
	return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
}

function withKey(address) {
	const url = new URL(address);
	if (url.searchParams.has("prompt") && !url.searchParams.has("idempotency_key")) url.searchParams.set("idempotency_key", newKey());
	return url.href;
}

function tell(handler, ...what) {
	try {
		handler?.(...what);
	} catch (error) {
		setTimeout(() => {
			throw error;
		});
	}
}

/** Reads to the body's end, so that the connection can be used again. */
async function drain(body, line) {
	const timer = setTimeout(() => line.abort(), DRAIN_MS);
	try {
		while (!(await body.read()).done);
	} catch {
		// It has said its last word already.
	}
	clearTimeout(timer);
}

function parse(json) {
	try {
		return JSON.parse(json);
	} catch {
		return null;
	}
}

/** 128 random bits. crypto.randomUUID exists only on https and on loopback, and Node 18 has no global crypto. */
function newKey() {
	const bytes = new Uint8Array(16);
	if (globalThis.crypto) crypto.getRandomValues(bytes);
	else bytes.forEach((_, n) => (bytes[n] = Math.random() * 256));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
