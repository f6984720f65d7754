/* admin.js: the operator's page. It asks /streams every second while somebody looks, and shows what it was told.
 *
 * What holds:
 * 1. What is not known is said: when the gateway cannot be reached, since when, and that the figures below are old.
 * 2. Faults stand first, each with its sentence, and how many of them are new: a count since the start says what went wrong
 *    some day, the last minute says what goes wrong now.
 * 3. Rows stay where they are while they live, so that a name can be selected and looked for in the log.
 * 4. Whatever comes from the gateway becomes text nodes, never markup. */

const EVERY_MS = 1000;
const PATIENCE_MS = 4000; // without an answer the gateway counts as not reachable
const RECENT_MS = 60_000;
const FULL_MEMORY = 0.9; // above this share of the limit the oldest finished answers are about to go

/* What nobody needs to be woken for stands below what is wrong: what its viewer abandoned failed too, but is no fault. */
const ORDER = ["fault", "failed", "stopped", "complete"];

const at = (id) => document.getElementById(id);

let lostSince = null;
let told = null; // the last answer
let samples = []; // {at, counts} of the last minute: how often each cause had happened by then
let faults = 0; // streams of the last minute that ended by one
let timer = 0;
let isAsking = false;

async function ask() {
	const answer = await fetch("streams", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
	if (!answer.ok) throw new Error(`status ${answer.status}`);
	return answer.json();
}

async function look() {
	clearTimeout(timer);
	if (isAsking || document.hidden) return;
	isAsking = true;
	const now = await ask().catch(() => null);
	isAsking = false;
	if (!document.hidden) timer = setTimeout(look, EVERY_MS);
	if (now) take(now);
	else lostSince ??= new Date();
	showHealth();
}

function take(now) {
	if (!told || now.uptime_ms < told.uptime_ms) samples = []; // another process counts from zero
	told = now;
	lostSince = null;
	const causes = byCause(now.ends);
	remember(causes);
	showFigures(now, causes);
	sync(at("ends"), causes, (cause) => cause.name, fillEnd);
	sync(at("keys"), now.keys, (key) => key.name, fillKey);
	at("keys-section").hidden = !now.keys.length;
	sync(at("streams"), now.streams, (stream) => stream.id, fillStream);
	at("no-ends").hidden = causes.length > 0;
	at("no-streams").textContent = now.more ? `… and ${count(now.more, "older stream")}.` : "None now.";
	at("no-streams").hidden = now.live > 0 && !now.more;
}

/** The rows of all routes together, in ORDER, the most frequent first. */
function byCause(ends) {
	const causes = new Map();
	for (const { route, end, cause, side, sentence, count } of ends) {
		const kind = end === "failed" && side !== "viewer" ? "fault" : end;
		if (!causes.has(cause)) causes.set(cause, { name: cause, kind, sentence, count: 0, routes: [] });
		const row = causes.get(cause);
		row.count += count;
		row.routes.push({ route, count });
	}
	return [...causes.values()].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || b.count - a.count);
}

/** Adds `recent` to each cause: how many ended so within the last minute, as far as this page has looked. */
function remember(causes) {
	const now = performance.now();
	samples.push({ at: now, counts: new Map(causes.map((cause) => [cause.name, cause.count])) });
	while (samples[0].at < now - RECENT_MS) samples.shift();
	for (const cause of causes) cause.recent = cause.count - (samples[0].counts.get(cause.name) ?? 0);
}

function showHealth() {
	const [state, sentence, advice] = health();
	at("view").classList.toggle("stale", state === "lost");
	at("health").dataset.state = state;
	put(at("health"), sentence);
	put(at("advice"), advice);
	document.title = `lastword: ${state}`;
}

function health() {
	if (lostSince) {
		const old = told ? "What stands below is what it said last." : "It has not answered this page yet.";
		return ["lost", `The gateway cannot be reached since ${lostSince.toLocaleTimeString()}.`, old];
	}
	const rest = `It takes no new work; ${count(told.live, "stream")} may still run to the end.`;
	if (told.draining) return ["draining", "The gateway is draining.", rest];
	if (told.full) return ["full", "The gateway is full.", "New work is refused: as many streams are live as limits.streams allows, or memory is used up."];
	return ["ok", "The gateway is well.", faults ? `${count(faults, "stream")} ended by a fault within the last minute.` : ""];
}

function showFigures(now, causes) {
	faults = causes.filter((cause) => cause.kind === "fault").reduce((sum, cause) => sum + cause.recent, 0);
	put(at("build"), `version ${now.version}, up for ${span(now.uptime_ms)}, ${new Date(now.now).toLocaleString()}`);
	put(at("live"), number(now.live));
	put(at("viewers"), number(now.viewers));
	put(at("kept"), number(now.kept));
	put(at("faults"), number(faults));
	at("faults").classList.toggle("some", faults > 0);
	showMemory(now.memory);
}

function showMemory({ journal, body, output, limit }) {
	const bar = at("memory-bar");
	const used = journal + body + output;
	put(at("memory"), limit ? `${size(used)} of ${size(limit)}` : size(used));
	at("memory").title = `journals ${size(journal)}, request bodies ${size(body)}, waiting to be read ${size(output)}`;
	const share = limit ? Math.min(1, used / limit) : 0;
	bar.hidden = !limit;
	bar.classList.toggle("full", share > FULL_MEMORY);
	bar.setAttribute("aria-valuenow", Math.round(100 * share));
	bar.firstElementChild.style.width = `${100 * share}%`;
}

function fillEnd(row, { name, kind, sentence, count, recent, routes }) {
	row.dataset.kind = kind;
	cell(row, 0, number(count), "number");
	cell(row, 1, recent ? `+${number(recent)}` : "", "number recent");
	const words = row.cells[2] ?? row.insertCell();
	part(words, 0, name, "cause");
	part(words, 1, ` ${sentence}`);
	part(words, 2, routes.map(({ route, count }) => `${number(count)} on ${route}`).join(", "), "where");
}

function fillStream(row, stream) {
	const state = stream.queue ? `queued, ${number(stream.queue)} ahead` : stream.state;
	cell(row, 0, stream.id, "name");
	cell(row, 1, stream.key ? `${stream.route} · ${stream.key}` : stream.route);
	cell(row, 2, state, "stage");
	cell(row, 3, span(stream.age_ms), "number");
	cell(row, 4, stream.idle_ms === undefined ? "" : span(stream.idle_ms), "number");
	cell(row, 5, number(stream.events), "number wide");
	cell(row, 6, number(stream.bytes), "number wide");
	cell(row, 7, number(stream.viewers), "number");
}

/** A key that a reload took away has no limits any more. */
function fillKey(row, { name, live, started, refused, streams, starts_per_minute }) {
	const limit = (most) => (most === undefined ? "gone" : most ? number(most) : "any");
	cell(row, 0, name, "name");
	cell(row, 1, number(live), "number");
	cell(row, 2, limit(streams), "number");
	cell(row, 3, number(started), "number");
	cell(row, 4, limit(starts_per_minute), "number");
	cell(row, 5, refused ? number(refused) : "", "number");
}

/** Makes the rows of a table those of items, in that order; a row that stays is not moved. */
function sync(body, items, keyOf, fill) {
	const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
	const wanted = new Set(items.map(keyOf));
	for (const [key, row] of rows) if (!wanted.has(key)) row.remove();
	let place = body.firstElementChild;
	for (const item of items) {
		const row = rows.get(keyOf(item)) ?? document.createElement("tr");
		row.dataset.key = keyOf(item);
		fill(row, item);
		if (row === place) place = place.nextElementSibling;
		else body.insertBefore(row, place);
	}
}

function cell(row, index, text, kind = "") {
	const it = row.cells[index] ?? row.insertCell();
	if (kind) it.className = kind;
	put(it, text);
}

function part(parent, index, text, kind = "") {
	const it = parent.children[index] ?? parent.appendChild(document.createElement("span"));
	if (kind) it.className = kind;
	put(it, text);
}

function put(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function number(n) {
	return n.toLocaleString("en");
}

function count(n, what) {
	return `${number(n)} ${what}${n === 1 ? "" : "s"}`;
}

/** 850 ms, 12 s, 3 min 5 s, 2 h 10 min, 5 d 3 h. */
function span(ms) {
	const s = Math.floor(ms / 1000);
	if (s < 1) return `${ms} ms`;
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
	if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
	return `${Math.floor(s / 86_400)} d ${Math.floor(s / 3600) % 24} h`;
}

function size(bytes) {
	const units = ["bytes", "KiB", "MiB", "GiB"];
	const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
	const n = bytes / 1024 ** power;
	return `${power && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[power]}`;
}

at("view").hidden = false;
document.addEventListener("visibilitychange", look);
look();
