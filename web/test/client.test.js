/* The client before a true gateway, with a wire between them that the test cuts. */
import assert from "node:assert/strict";
import test from "node:test";
import { LastwordError, ask, watch } from "../lastword.js";
import { listener, open } from "./world.js";

test("a whole answer is complete and verified", async (t) => {
	const { up, url } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "ü & ?" }, heard.handlers);
	const asked = await up.request();
	assert.equal(asked.url.searchParams.get("prompt"), "ü & ?");
	asked.tokens("Hel", "lo,\n  ", "wörld 😀").end();
	const end = await answer;
	assert.deepEqual([end.end, end.cause, end.verified, end.events, end.text], ["complete", "finished", true, 3, "Hello,\n  wörld 😀"]);
	assert.deepEqual(heard.tokens, ["Hel", "lo,\n  ", "wörld 😀"]);
	assert.deepEqual(heard.states, ["connecting", "waiting", "generating", "complete"]);
	assert.deepEqual([heard.ends, heard.fails], [[end], []]);
	assert.match(answer.id, /^[\w-]{22}$/);
	assert.equal(answer.url, new URL(`streams/${answer.id}`, url).href);
});

test("an answer can be iterated, from late on too", async (t) => {
	const { up, url } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	const asked = (await up.request()).tokens("a", "b");
	await heard.tokensAre(2);
	const got = [];
	for await (const token of answer) {
		got.push(token);
		if (got.length === 1) asked.tokens("c").end();
	}
	assert.deepEqual(got, ["ab", "c"]);
});

test("an iterated answer without a good end throws its end", async (t) => {
	const { up, url } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	const asked = (await up.request()).tokens("half");
	await heard.tokensAre(1);
	asked.cut();
	const got = [];
	const failure = await (async () => {
		for await (const token of answer) got.push(token);
	})().catch((error) => error);
	assert.ok(failure instanceof LastwordError);
	assert.deepEqual([failure.end.cause, failure.end.verified, got], ["cut", true, ["half"]]);
	assert.deepEqual([heard.ends.length, heard.fails.length], [0, 1]);
});

test("breaking out of the loop leaves, and the model server is cancelled when nobody is left", async (t) => {
	const { up, url } = await open(t);
	const answer = ask({ url: new URL("/json", url), prompt: "x" });
	const asked = (await up.request()).tokens("a", "b");
	for await (const token of answer) if (token) break;
	assert.equal((await answer).end, "left");
	await asked.gone;
});

test("a connection cut in mid-answer comes back to its place", async (t) => {
	const { up, url, wire } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	const asked = (await up.request()).tokens("one ", "two ");
	await heard.tokensAre(2);
	for (const token of ["three ", "four ", "five"]) {
		wire.cut();
		await heard.stateIs("reconnecting");
		asked.tokens(token);
		await heard.stateIs("generating");
	}
	asked.end();
	const end = await answer;
	assert.deepEqual([end.end, end.verified, end.text, end.events], ["complete", true, "one two three four five", 5]);
	assert.equal(up.requests, 1);
});

test("a connection that is lost before its first byte does not pay twice", async (t) => {
	const { up, url, wire } = await open(t);
	wire.deafen();
	const answer = ask({ url, prompt: "x" });
	(await up.request()).tokens("once").end();
	const end = await answer;
	assert.deepEqual([end.end, end.text, up.requests], ["complete", "once", 1]);
	assert.equal(wire.connections, 2);
});

test("connections that are refused are tried again", async (t) => {
	const { up, url, wire } = await open(t);
	wire.refuse(3);
	const answer = ask({ url, prompt: "x" });
	(await up.request()).tokens("a").end();
	assert.equal((await answer).end, "complete");
	assert.ok(wire.connections >= 4);
});

test("a gateway that stays away is lost", async (t) => {
	const { up, url, kill } = await open(t, "");
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	(await up.request()).tokens("a");
	await heard.tokensAre(1);
	await kill();
	const end = await answer;
	assert.deepEqual([end.end, end.cause, end.verified, end.text], ["failed", "lost", null, "a"]);
});

test("a gateway that was restarted has forgotten, and nothing is generated twice", async (t) => {
	const world = await open(t);
	const heard = listener();
	const answer = ask({ url: world.url, prompt: "x" }, heard.handlers);
	(await world.up.request()).tokens("a");
	await heard.tokensAre(1);
	await world.kill();
	await world.start(world.gatewayPort);
	const end = await answer;
	assert.deepEqual([end.end, end.cause, end.verified, end.text], ["failed", "forgotten", null, "a"]);
	assert.equal(world.up.requests, 1);
});

test("stop in mid-answer", async (t) => {
	const { up, url } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	const asked = (await up.request()).tokens("a");
	await heard.tokensAre(1);
	const end = await answer.stop();
	assert.deepEqual([end.end, end.cause, end.verified], ["stopped", "stopped", true]);
	assert.deepEqual(heard.states.slice(-2), ["stopping", "stopped"]);
	assert.equal(heard.ends.length, 1);
	await asked.gone;
});

test("stop before the stream has an id", async (t) => {
	const { up, url } = await open(t);
	const answer = ask({ url, prompt: "x" });
	await null;
	answer.stop();
	const end = await answer;
	assert.equal(end.end, "stopped");
	if (up.requests) await (await up.request()).gone;
});

test("a stop while the connection is away is sent again", async (t) => {
	const { up, url, wire } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	const asked = (await up.request()).tokens("a");
	await heard.tokensAre(1);
	wire.refuse(3);
	wire.cut();
	await heard.stateIs("reconnecting");
	assert.equal((await answer.stop()).end, "stopped");
	await asked.gone;
});

test("two watch one answer, and a stop of one is told to both", async (t) => {
	const { up, url } = await open(t);
	const heard = listener();
	const first = ask({ url, prompt: "x" }, heard.handlers);
	(await up.request()).tokens("a", "b");
	await heard.tokensAre(2);
	const second = watch(first.url, heard.handlers);
	await heard.tokensAre(4);
	second.stop();
	for (const answer of [first, second]) {
		const end = await answer;
		assert.deepEqual([end.end, end.verified, end.text], ["stopped", true, "ab"]);
	}
	assert.equal(up.requests, 1);
});

test("an answer goes on elsewhere from its place, and is verified as a whole", async (t) => {
	const { up, url } = await open(t);
	const heard = listener();
	const first = ask({ url, prompt: "x" }, heard.handlers);
	const asked = (await up.request()).tokens("a", "b");
	await heard.tokensAre(2);
	const place = JSON.parse(JSON.stringify(first.place));
	first.leave();
	const second = ask({ url, prompt: "x", from: place });
	asked.tokens("c").end();
	const end = await second;
	assert.deepEqual([end.end, end.verified, end.text, end.events], ["complete", true, "c", 3]);
	const third = await watch({ url: first.url, from: `${first.id}.1` });
	assert.deepEqual([third.end, third.verified, third.text], ["complete", null, "bc"]);
});

test("counts that do not agree are never complete", async (t) => {
	const { up, url } = await open(t);
	const answer = ask({ url, prompt: "x" });
	(await up.request()).tokens("a", "b").end();
	await answer;
	const from = { lastEventId: `${answer.id}.1`, events: 1, bytes: 1, crc32: "00000000" };
	const end = await watch({ url: answer.url, from });
	assert.deepEqual([end.end, end.cause, end.verified], ["failed", "damaged", false]);
});

test("204 means that it is over; the state says how", async (t) => {
	const world = await open(t);
	const answer = ask({ url: world.url, prompt: "x" });
	(await world.up.request()).tokens("a").end();
	await answer;
	const { url, place } = answer;
	const again = await watch({ url, from: place });
	assert.deepEqual([again.end, again.cause, again.verified, again.text], ["complete", "finished", true, ""]);
	await world.kill();
	await world.start(world.gatewayPort);
	const gone = await watch({ url, from: place });
	assert.deepEqual([gone.end, gone.cause], ["failed", "forgotten"]);
});

test("an unknown stream is forgotten", async (t) => {
	const { url } = await open(t);
	const end = await watch(new URL("streams/AAAAAAAAAAAAAAAAAAAAAA", url));
	assert.deepEqual([end.end, end.cause], ["failed", "forgotten"]);
});

test("a key attaches, and is refused for another question", async (t) => {
	const { up, url } = await open(t);
	const both = ["x", "x"].map((prompt) => ask({ url, prompt, idempotencyKey: "one" }));
	(await up.request()).tokens("a").end();
	for (const answer of both) assert.equal((await answer).text, "a");
	assert.equal(up.requests, 1);
	const other = await ask({ url, prompt: "y", idempotencyKey: "one" });
	assert.deepEqual([other.end, other.cause, other.status], ["failed", "rejected", 422]);
	assert.match(other.detail, /idempotency key/);
});

test("JSON data is exact", async (t) => {
	const { up, url } = await open(t);
	const answer = ask({ url: new URL("/json", url), prompt: "x" });
	(await up.request()).tokens("a\nb", '"', "\u2028").end();
	const end = await answer;
	assert.deepEqual([end.verified, end.text], [true, 'a\nb"\u2028']);
});

test("a signal leaves, before and within", async (t) => {
	const { up, url } = await open(t);
	assert.equal((await ask({ url, prompt: "x" }, { signal: AbortSignal.abort() })).end, "left");
	assert.equal(up.requests, 0);
	const heard = listener();
	const control = new AbortController();
	const answer = ask({ url, prompt: "x" }, { ...heard.handlers, signal: control.signal });
	(await up.request()).tokens("a");
	await heard.tokensAre(1);
	control.abort();
	const end = await answer;
	assert.deepEqual([end.end, end.cause, end.text], ["left", "left", "a"]);
	assert.equal(heard.fails.length, 1);
});

test("a drained gateway says so", async (t) => {
	const world = await open(t, "drain: 0");
	const heard = listener();
	const answer = ask({ url: world.url, prompt: "x" }, heard.handlers);
	(await world.up.request()).tokens("a");
	await heard.tokensAre(1);
	world.process.kill("SIGTERM");
	assert.equal((await answer).cause, "shutdown");
});

test("a thousand cuts", async (t) => {
	const { up, url, wire } = await open(t);
	const heard = listener();
	const answer = ask({ url, prompt: "x" }, heard.handlers);
	const asked = await up.request();
	const tokens = Array.from({ length: 1000 }, (_, n) => `token ${n}\n`);
	for (let n = 0; n < tokens.length; n += 25) {
		asked.tokens(...tokens.slice(n, n + 25));
		await heard.tokensAre(n + 10);
		if (n % 100 === 0) wire.cut();
	}
	asked.end();
	const end = await answer;
	assert.deepEqual([end.end, end.verified, end.events], ["complete", true, 1000]);
	assert.equal(end.text, tokens.join(""));
	assert.equal(up.requests, 1);
});

test("nothing to ask is a mistake of the caller", () => {
	assert.throws(() => ask({ url: "http://127.0.0.1/" }), TypeError);
	assert.throws(() => ask("a relative route without a page"), TypeError);
});
