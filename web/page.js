/* page.js: what the person sees of an answer, and nothing else. How it comes here is lastword.js' business, by the same
 * functions that any other page would use.
 *
 * What holds:
 * 1. Whatever comes from a model or a gateway becomes text nodes, never markup.
 * 2. "[Generation Complete]" stands under a whole, verified answer and under no other.
 * 3. At every end the Generate button is enabled again and the status says in plain words how it ended.
 * 4. A reload takes the same answer up again, from its beginning, and asks for nothing twice: what is needed for that is
 *    in the tab's sessionStorage before the question leaves. A link to a stream, #stream=ID, wins over it.
 * 5. Only the status is a live region: states are announced, tokens and figures are not.
 * 6. A gateway that asks for a key is given one in a cookie of this session, which no other site's page can make a browser
 *    send; it is in no storage and no address. */

import { ask, watch } from "./lastword.js";
import { GrowingText } from "./text.js";
import { wordsFor } from "./words.js";

const LENGTH_WORDS = ["length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "MAX_TOKENS"];
const FILTER_WORDS = ["content_filter", "refusal", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"];
const FACTS_MS = 250; // from a token to the figures that count it
const MEMORY = "lastword"; // in sessionStorage: {prompt, key, id, ended}
const COOKIE = "lastword_key"; // its Path is the page's own folder, which a browser takes where none is named

const words = wordsFor(navigator.languages ?? [navigator.language]);
const at = (id) => document.getElementById(id);
const texts = { answer: new GrowingText(at("answer")), reasoning: new GrowingText(at("reasoning-text")) };
let answer = null; // the one that is running
let link = null; // to the one that stands here
let again = null; // asks the question for which there was no key

/* The words of the markup. */

function speak() {
	document.documentElement.lang = words.lang;
	for (const element of document.querySelectorAll("[data-word]")) element.textContent = words[element.dataset.word];
	at("prompt").placeholder = words.placeholder;
	at("key").placeholder = words.key;
	at("answer").setAttribute("aria-label", words.answer);
}

function say(state, sentence) {
	at("status").dataset.state = state;
	at("status").textContent = sentence;
}

function sayFacts(...parts) {
	at("facts").textContent = parts.filter(Boolean).join(" · ");
}

/* What the tab remembers. */

function recall() {
	try {
		return JSON.parse(sessionStorage.getItem(MEMORY));
	} catch {
		return null; // no storage here, or not ours
	}
}

function remember(memory) {
	try {
		sessionStorage.setItem(MEMORY, JSON.stringify(memory));
	} catch {
		// Then a reload begins idle.
	}
}

/** The stream that the page's own address names. */
function linked() {
	const named = new URLSearchParams(location.hash.slice(1)).get("stream") ?? new URLSearchParams(location.search).get("stream");
	return /^[\w-]{22}$/.test(named ?? "") ? named : null;
}

/* One answer, from its question to its end. */

function generate() {
	if (answer) return;
	const prompt = at("prompt").value;
	if (!prompt.trim()) return void (say("idle", words.empty), sayFacts(), at("prompt").focus());
	if (linked()) history.replaceState(null, "", location.pathname);
	show((handlers) => ask(prompt, handlers), { memory: { prompt }, clock: newClock() });
}

function resume() {
	const id = linked();
	const memory = recall();
	if (id) return void show((handlers) => watch(`streams/${id}`, handlers), { isShared: true });
	if (!memory) return;
	at("prompt").value = memory.prompt;
	if (memory.id) show((handlers) => watch(`streams/${memory.id}`, handlers), { memory });
	else if (!memory.ended) show((handlers) => ask({ prompt: memory.prompt, idempotencyKey: memory.key }, handlers), { memory });
}

async function show(begin, { memory = null, clock = null, isShared = false }) {
	clear();
	at("shared").hidden = !isShared;
	setBusy(true);
	const sight = { clock, tokens: 0, timer: 0 };
	answer = begin(listener(sight, memory));
	if (memory) remember(Object.assign(memory, { key: answer.key ?? memory.key }));
	const end = await answer;
	answer = null;
	clearTimeout(sight.timer);
	texts.answer.flush();
	texts.reasoning.flush();
	setBusy(false);
	if (end.status === 401) return askForKey(() => show(begin, { memory, clock: clock && newClock(), isShared }));
	if (memory?.ended && end.cause === "forgotten") return clear(); // it stood here, and nothing became of it since
	if (memory) remember({ ...memory, ended: true });
	say(...verdict(end));
	sayFacts(...facts(end, sight));
}

function clear() {
	texts.answer.clear();
	texts.reasoning.clear();
	at("reasoning").hidden = true;
	at("link").hidden = at("shared").hidden = at("door").hidden = true;
	at("copied").textContent = "";
	link = null;
	say("idle", "");
	sayFacts();
}

/* The key. */

function hasKey() {
	return document.cookie.split("; ").some((cookie) => cookie.startsWith(`${COOKIE}=`));
}

function askForKey(andThen) {
	again = andThen;
	at("door-sentence").textContent = hasKey() ? words.keyWrong : words.keyAsked;
	at("door").hidden = false;
	at("key").value = "";
	at("key").focus();
	say("idle", words.keyNeeded);
}

function refuseKey() {
	at("door-sentence").textContent = words.keyWrong;
	at("key").select();
}

function useKey() {
	const key = at("key").value.trim();
	if (!/^[!#-+\--:<-[\]-~]+$/.test(key)) return refuseKey(); // no cookie holds it
	document.cookie = `${COOKIE}=${key}; SameSite=Strict${location.protocol === "https:" ? "; Secure" : ""}`;
	at("key").value = "";
	again();
}

function setBusy(busy) {
	at("generate").disabled = busy;
	at("generate").textContent = busy ? words.generating : words.generate;
	at("stop").disabled = !busy;
	at("answer").setAttribute("aria-busy", String(busy));
}

function listener(sight, memory) {
	return {
		onToken(text) {
			texts.answer.append(text);
			sight.tokens += 1;
			tick(sight);
		},
		onReasoning(text) {
			at("reasoning").hidden = false;
			texts.reasoning.append(text);
		},
		onState(state, { queue }) {
			if (answer?.id && !link) meet(answer.id, memory);
			const sentence = queue > 0 ? words.states.queue(queue) : words.states[state];
			if (sentence) say("busy", sentence);
		},
	};
}

/** The stream has an id: it can be linked to, and found again. */
function meet(id, memory) {
	link = new URL(`#stream=${id}`, location.origin + location.pathname).href;
	at("link").hidden = false;
	if (!memory) return;
	memory.id = id;
	remember(memory);
}

/* Figures. A text that was there before us says nothing about its pace: then there is no clock. */

function newClock() {
	return { start: performance.now(), first: null, last: null };
}

function tick(sight) {
	const now = performance.now();
	if (sight.clock) {
		sight.clock.first ??= now;
		sight.clock.last = now;
	}
	sight.timer ||= setTimeout(() => {
		sight.timer = 0;
		sayFacts(words.facts.tokens(sight.tokens), ...pace(sight));
	}, FACTS_MS);
}

function pace({ clock, tokens }) {
	if (!clock || clock.first === null) return [];
	const seconds = (clock.last - clock.first) / 1000;
	const rate = tokens > 1 && seconds > 0 ? words.facts.rate(((tokens - 1) / seconds).toFixed(1)) : "";
	return [rate, words.facts.first(Math.round(clock.first - clock.start))];
}

/** The small print: what the gateway adds to a failure, else what was counted. */
function facts(end, sight) {
	if (end.verified === false) return [words.facts.counted(end)];
	if (end.end === "failed" && end.side !== "client") return [end.detail];
	if (end.end !== "complete" && end.end !== "stopped") return [];
	const { tokens, bytes, verified } = words.facts;
	return [tokens(end.events), bytes(end.bytes), ...pace(sight), end.verified ? verified : ""];
}

/** [state, sentence] for how it ended. */
function verdict(end) {
	if (end.verified === false) return ["failed", words.causes.damaged];
	if (end.cause === "rejected") return ["failed", end.detail];
	if (end.end === "complete") return whole(end.finish);
	const state = end.end === "stopped" || end.end === "left" ? "stopped" : "failed";
	return [state, words.causes[end.cause] ?? words.unknown(end.cause)];
}

function whole(finish) {
	if (LENGTH_WORDS.includes(finish)) return ["short", words.short.length];
	if (FILTER_WORDS.includes(finish)) return ["short", words.short.filter];
	return ["whole", words.complete];
}

/** The clipboard is there on https and on loopback only; elsewhere the link is shown, to be copied by hand. */
async function copyLink() {
	try {
		await navigator.clipboard.writeText(link);
		at("copied").textContent = words.copied;
	} catch {
		at("copied").textContent = `${words.notCopied} ${link}`;
	}
}

at("generate").addEventListener("click", generate);
at("stop").addEventListener("click", () => {
	at("stop").disabled = true;
	answer?.stop();
});
at("link").addEventListener("click", copyLink);
at("door").addEventListener("submit", (event) => {
	event.preventDefault();
	useKey();
});
document.addEventListener("keydown", (event) => {
	if (event.isComposing) return;
	if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate();
	else if (event.key === "Escape") at("stop").click();
});
addEventListener("hashchange", () => location.reload());
speak();
resume();
