/** What the gateway, or this client, says at the end of an answer. */
export interface End {
	/** `complete`: whole. `stopped`: somebody stopped it. `failed`: see `cause`. `left`: this reader left. */
	end: "complete" | "stopped" | "failed" | "left";
	cause: Cause;
	/** The model's own word: `stop`, `length`, `content_filter`, … */
	finish?: string | null;
	/** How the gateway knows that the answer is whole. */
	proof?: string | null;
	side?: "model" | "viewer" | "upstream" | "gateway" | "client";
	/** One sentence for people. */
	detail?: string;
	/** What the upstream answered, for cause `status`. */
	upstream_status?: number;
	/** What the gateway answered, for cause `rejected`. */
	status?: number;
	/** The gateway's counts of the text. */
	events?: number;
	bytes?: number;
	crc32?: string;
	/** Whether what arrived agrees with the counts; null where one side has none. An answer that disagrees is `failed`. */
	verified: boolean | null;
	/** What arrived. */
	text: string;
}

export type Cause =
	| "finished" | "stopped" | "refused" | "tls" | "status" | "protocol" | "error" | "aborted" | "cut" | "truncated" | "unproven"
	| "connect_timeout" | "first_event_timeout" | "idle_timeout" | "total_timeout" | "event_too_large" | "stream_too_large"
	| "abandoned" | "forgotten" | "overloaded" | "quota" | "shutdown" | "owner_lost" | "internal"
	/** This client's own: no gateway; no room; refused with a status; a last word that is no JSON; text lost; left. */
	| "lost" | "busy" | "rejected" | "unreadable" | "damaged" | "left";

export type State =
	| "connecting" | "waiting" | "generating" | "reconnecting" | "busy" | "stopping" | End["end"];

export interface Handlers {
	onToken?(text: string): void;
	onReasoning?(text: string): void;
	/** Once, for `complete` and `stopped`. */
	onEnd?(end: End): void;
	/** Once, for every other end. */
	onFail?(end: End): void;
	/** `queue`: how many are ahead, while `waiting` for the embedded model. */
	onState?(state: State, more: { queue?: number }): void;
	/** Aborting leaves; it does not stop the answer for others. */
	signal?: AbortSignal;
}

/** Where a reader stands, to go on there later, elsewhere too. */
export interface Place {
	lastEventId: string;
	events?: number;
	bytes?: number;
	crc32?: string;
}

export interface Message {
	role: string;
	content: unknown;
	[member: string]: unknown;
}

export interface Question {
	/** The route; `sse-proxy` beside the page. Absolute in Node. */
	url?: string | URL;
	/** The folder of streams, where it does not lie beside the route. */
	streams?: string | URL;
	prompt?: string;
	messages?: Message[];
	/** The whole body, in place of `prompt` and `messages`. */
	body?: Record<string, unknown>;
	/** Sent with every request: `{"Lastword-Key": …}` where the gateway asks for a key. */
	headers?: Record<string, string>;
	/** The same key and question get the same answer. Random by default. */
	idempotencyKey?: string;
	/** Go on with an answer that was begun earlier. */
	from?: Place | string;
}

export interface Answer extends PromiseLike<End>, AsyncIterable<string> {
	readonly id: string | null;
	readonly url: string | null;
	/** The idempotency key under which it was asked; null for watch(). */
	readonly key: string | null;
	readonly text: string;
	readonly state: State | "";
	readonly place: Place;
	/** For all who read it. */
	stop(): this;
	/** Reads no more. */
	leave(): this;
	catch<T = never>(onError?: ((reason: unknown) => T | PromiseLike<T>) | null): Promise<End | T>;
	finally(onSettled?: (() => void) | null): Promise<End>;
}

/** Starts an answer. The promise never rejects; iterating throws a LastwordError where there is no good end. */
export function ask(question: string | Question, handlers?: Handlers): Answer;

/** Reads a stream that exists, from its beginning or from a place. */
export function watch(
	stream: string | URL | { url: string | URL; from?: Place | string; headers?: Record<string, string> },
	handlers?: Handlers,
): Answer;

export interface Source extends PromiseLike<End> {
	readonly native: EventSource;
	readonly id: string | null;
	readonly text: string;
	/** For all who read it; before the first token it only leaves. */
	stop(): void;
	close(): void;
}

/** The same handlers on a native EventSource. `json`: the route has `data: json`. */
export function source(url: string | URL, handlers?: Handlers & { json?: boolean }): Source;

export class LastwordError extends Error {
	constructor(end: End);
	readonly end: End;
}

export interface ReadEvent {
	name: string;
	data: string;
	id: string;
}

/** A parser of event streams: the HTML Standard, section 9.2.6. */
export class EventReader {
	constructor(onEvent: (event: ReadEvent) => void);
	id: string;
	retryMs: number | undefined;
	feed(bytes: Uint8Array): void;
}

/** The IEEE CRC-32 of bytes that follow those whose CRC-32 is `before`. */
export function crc32(bytes: Uint8Array, before?: number): number;
