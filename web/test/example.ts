/* Uses every type once. It is compiled, never run; what must not compile says so. */
import { EventReader, LastwordError, ask, crc32, source, watch } from "lastword";
import type { Answer, End, Place, State } from "lastword";

const states: State[] = [];
const answer: Answer = ask("Why is the sea blue?", {
	onToken: (text) => console.log(text.length),
	onReasoning: (text) => console.log(text.toUpperCase()),
	onState: (state, { queue }) => console.log(states.push(state), queue?.toFixed()),
	onEnd: (end) => console.log(end.finish ?? "none"),
	onFail: (end) => console.log(end.detail ?? end.cause),
	signal: new AbortController().signal,
});

async function read(): Promise<End> {
	try {
		for await (const token of answer) console.log(token.trim());
	} catch (error) {
		if (error instanceof LastwordError) console.log(error.end.verified === false);
	}
	const end = await answer.stop();
	const verified: boolean | null = end.verified;
	if (end.end === "complete" && verified) console.log(end.text);
	return end;
}

const place: Place = answer.place;
watch({ url: answer.url ?? "streams/x", from: place, headers: { "x-a": "b" } }).leave();
watch(new URL("https://gateway.example/streams/x"));
ask({ url: "https://gateway.example/chat", messages: [{ role: "user", content: "hi" }], idempotencyKey: "k", from: "x.1" });
ask({ body: { prompt: "hi", temperature: 0 } }).finally(() => {});
source("sse-proxy?prompt=hi", { json: true, onToken: console.log }).native.close();
new EventReader(({ name, data, id }) => console.log(name, data, id)).feed(new Uint8Array());
crc32(new Uint8Array(), 0).toString(16);
read().then((end) => end.crc32?.length);

// @ts-expect-error: no such cause
const cause: End["cause"] = "finnished";
// @ts-expect-error: an id is read, not written
answer.id = cause;
