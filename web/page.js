/* page.js: what the person sees of an answer, and nothing else. How it comes here is lastword.js' business.
 *
 * What holds:
 * 1. Whatever comes from a model or a gateway becomes text nodes, never markup.
 * 2. "[Generation Complete]" stands under a whole, verified answer and under no other.
 * 3. At every end the Generate button is enabled again and the status says in plain words how it ended.
 *
 * Tokens are collected and shown once a frame. The text lies in blocks of some kilobytes that end at a line's end: the
 * browser then lays out only the last block again, however long the answer grows. */

import { Answer } from "./lastword.js";

const BLOCK_CHARS = 4096;

/* One sentence for each cause that a gateway can name, and for the ends that no gateway could tell about. */
const SENTENCES = {
	finished: "The model finished its answer.",
	stopped: "Stopped.",
	refused: "The model server could not be reached.",
	tls: "There is no trustworthy TLS connection to the model server.",
	status: "The model server answered with an error instead of an answer.",
	protocol: "The model server sent something that cannot be understood.",
	error: "The model server reported an error inside its answer.",
	aborted: "The model server gave up in the middle of the answer.",
	cut: "The connection to the model server broke in the middle of the answer.",
	truncated: "The answer stopped before its end.",
	unproven: "Nothing proves that this answer is whole: the model server just closed the connection.",
	connect_timeout: "The model server could not be reached in time.",
	first_event_timeout: "The model server did not begin its answer in time.",
	idle_timeout: "The model server fell silent in the middle of the answer.",
	total_timeout: "The answer took longer than is allowed here.",
	event_too_large: "One piece of the answer was larger than is allowed here.",
	stream_too_large: "The answer was larger than is allowed here.",
	abandoned: "The answer was given up because nobody was watching it.",
	forgotten: "This answer is not kept here any more.",
	overloaded: "The gateway had no room left for this answer.",
	quota: "The limit for starting answers is reached. Try again later.",
	shutdown: "The gateway was shut down before the answer was whole.",
	owner_lost: "The gateway that was writing this answer died.",
	internal: "A bug in the gateway ended this answer.",
	unreadable: "The gateway's last word cannot be read.",
	lost: "The connection to the gateway was lost. What became of the answer is unknown.",
	busy: "The gateway has no room for a new answer. Try again later.",
	damaged: "Parts of the answer were lost on the way: what stands here is not what the gateway sent.",
	left: "Stopped watching. The gateway did not confirm that the answer was stopped.",
};

const LENGTH_WORDS = ["length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "MAX_TOKENS"];
const FILTER_WORDS = ["content_filter", "refusal", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"];

const WAITING = {
	busy: "The gateway is busy; trying again…",
	broken: "The connection broke; coming back…",
};

const at = (id) => document.getElementById(id);
const prompt = at("prompt");
const generate = at("generate");
const stop = at("stop");

let answer = null; // the one that is running

/** A growing text: append() costs the same for a long one as for a short one. */
class GrowingText {
	#root;
	#node = null; // the last block's text
	#due = ""; // shown at the next frame
	#frame = 0;

	constructor(root) {
		this.#root = root;
	}

	clear() {
		this.#root.replaceChildren();
		this.#node = null;
		this.#due = "";
	}

	append(text) {
		this.#due += text;
		this.#frame ||= requestAnimationFrame(() => this.flush());
	}

	flush() {
		cancelAnimationFrame(this.#frame);
		this.#frame = 0;
		if (!this.#due) return;
		const follow = isAtBottom();
		this.#write(this.#due);
		this.#due = "";
		if (follow) scrollTo(0, document.documentElement.scrollHeight);
	}

	/** A block ends at the first line end after it is full. */
	#write(text) {
		while (text) {
			this.#node ??= this.#root.appendChild(document.createElement("div")).appendChild(new Text());
			const end = text.indexOf("\n", Math.max(0, BLOCK_CHARS - this.#node.length)) + 1;
			this.#node.appendData(end ? text.slice(0, end) : text);
			if (end) this.#node = null;
			text = end ? text.slice(end) : "";
		}
	}
}

const texts = { answer: new GrowingText(at("answer")), reasoning: new GrowingText(at("reasoning-text")) };

function isAtBottom() {
	return scrollY + innerHeight >= document.documentElement.scrollHeight - 32;
}

function say(state, sentence, facts = "") {
	at("status").dataset.state = state;
	at("status").textContent = sentence;
	at("facts").textContent = facts;
}

/** What happens meanwhile; a stop that was asked for is not talked over. */
function sayBusy(sentence) {
	if (!stop.disabled) say("busy", sentence);
}

function setBusy(busy) {
	generate.disabled = busy;
	generate.textContent = busy ? "Generating…" : "Generate";
	stop.disabled = !busy;
	at("answer").setAttribute("aria-busy", String(busy));
}

async function run() {
	if (answer) return;
	if (!prompt.value.trim()) return void (say("idle", "Type a prompt first."), prompt.focus());
	const clock = { start: performance.now(), first: null };
	clear();
	setBusy(true);
	say("busy", "Generating…");
	answer = new Answer(prompt.value, { told: listener(clock) });
	const last = await answer.done;
	answer = null;
	texts.answer.flush();
	texts.reasoning.flush();
	setBusy(false);
	say(...verdict(last), facts(last, clock));
}

function clear() {
	texts.answer.clear();
	texts.reasoning.clear();
	at("reasoning").hidden = true;
}

function listener(clock) {
	return {
		text(text) {
			if (clock.first === null) sayBusy("Generating…");
			clock.first ??= performance.now();
			texts.answer.append(text);
		},
		reasoning(text) {
			at("reasoning").hidden = false;
			texts.reasoning.append(text);
		},
		progress({ queue }) {
			sayBusy(queue > 0 ? `Waiting, ${queue} ahead of you…` : "Generating…");
		},
		waiting(why) {
			sayBusy(WAITING[why] ?? "Generating…");
		},
	};
}

/** [state, sentence] for how it ended. */
function verdict(last) {
	if (last.intact === false) return ["failed", SENTENCES.damaged];
	if (last.end === "rejected") return ["failed", last.detail ?? `The gateway answered with status ${last.status}.`];
	if (last.end === "stopped") return ["stopped", SENTENCES.stopped];
	if (last.end === "left") return ["stopped", SENTENCES.left];
	if (last.end === "complete") return whole(last.finish);
	return ["failed", SENTENCES[last.cause ?? last.end] ?? `The answer failed: ${last.cause}.`];
}

function whole(finish) {
	if (LENGTH_WORDS.includes(finish)) return ["short", "The model cut its answer short: it reached its length limit."];
	if (FILTER_WORDS.includes(finish)) return ["short", "The model cut its answer short: its content filter stepped in."];
	return ["whole", "[Generation Complete]"];
}

/** The small print: what the gateway adds to a failure, else what was counted. */
function facts(last, clock) {
	const { events, bytes, crc32 } = last;
	if (last.intact === false) return `The gateway counted ${events} events and ${bytes} bytes, CRC-32 ${crc32}.`;
	if (last.end === "failed" && last.detail) return last.detail;
	if (last.end !== "complete" && last.end !== "stopped") return "";
	const parts = [count(events, "event"), count(bytes, "byte")];
	if (clock.first !== null) parts.push(`first after ${Math.round(clock.first - clock.start)} ms`);
	parts.push(`${((performance.now() - clock.start) / 1000).toFixed(1)} s`, "checked");
	return parts.join(" · ");
}

function count(n, what) {
	return `${n} ${what}${n === 1 ? "" : "s"}`;
}

generate.addEventListener("click", run);
stop.addEventListener("click", () => {
	stop.disabled = true;
	say("busy", "Stopping…");
	answer?.stop();
});
document.addEventListener("keydown", (event) => {
	if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
	else if (event.key === "Escape") stop.click();
});
