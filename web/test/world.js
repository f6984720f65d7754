/* What the tests of the client stand in: a true gateway, a model server that the test plays, and a wire between the
 * client and the gateway that the test can cut. Ports come from the kernel; nothing sleeps. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = new URL("../../", import.meta.url);
const BINARY = process.env.LASTWORD ?? new URL("build/lastword", ROOT).pathname;

/** A queue whose reader may come before its writer. */
class Mailbox {
	#mail = [];
	#waiting = [];

	put(thing) {
		const taker = this.#waiting.shift();
		if (taker) taker(thing);
		else this.#mail.push(thing);
	}

	take() {
		return this.#mail.length ? Promise.resolve(this.#mail.shift()) : new Promise((taker) => this.#waiting.push(taker));
	}
}

function listen(server, port = 0) {
	return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server.address().port)));
}

/** `const asked = await up.request(); asked.tokens("a", "b").end();` */
export class Upstream {
	requests = 0;
	#asked = new Mailbox();
	#server = http.createServer((request, response) => this.#take(request, response));

	async open() {
		this.port = await listen(this.#server);
		return this;
	}

	request() {
		return this.#asked.take();
	}

	close() {
		this.#server.closeAllConnections();
		this.#server.close();
	}

	#take(request, response) {
		this.requests += 1;
		const gone = new Promise((resolve) => response.on("close", resolve));
		response.writeHead(200, { "Content-Type": "text/event-stream" });
		const asked = {
			url: new URL(request.url, "http://up"),
			gone,
			tokens(...tokens) {
				for (const token of tokens) response.write(token.split("\n").map((line) => `data: ${line}\n`).join("") + "\n");
				return asked;
			},
			end() {
				response.end("event: close\ndata: done\n\n");
				return asked;
			},
			cut() {
				response.destroy();
				return asked;
			},
		};
		this.#asked.put(asked);
	}
}

/** A wire to the gateway. cut(): what is connected breaks; refuse(n): so do the next n connections. */
class Wire {
	connections = 0;
	#refusals = 0;
	#near = new Set();
	#server = net.createServer((near) => this.#join(near));

	async open(port) {
		this.far = port;
		this.port = await listen(this.#server);
		return this;
	}

	cut() {
		// A socket that is shut down already cannot be reset: its handle would stay open for good.
		for (const socket of this.#near) socket.writableEnded ? socket.destroy() : socket.resetAndDestroy();
	}

	refuse(times) {
		this.#refusals = times;
	}

	/** Swallows what the gateway answers on the next connection, and cuts it then: the request has arrived. */
	deafen() {
		this.deaf = true;
	}

	close() {
		this.cut();
		this.#server.close();
	}

	#join(near) {
		this.connections += 1;
		if (this.#refusals-- > 0) return void near.on("error", () => {}).resetAndDestroy();
		const far = net.connect(this.far, "127.0.0.1");
		this.#near.add(near);
		near.on("error", () => {}).on("close", () => (this.#near.delete(near), far.destroy()));
		far.on("error", () => {}).on("close", () => near.destroy());
		near.pipe(far);
		if (!this.deaf) return void far.pipe(near);
		this.deaf = false;
		far.once("data", () => near.resetAndDestroy());
	}
}

/** Everything at once: `const world = await open(t)`; it closes with the test. */
export async function open(test, options = "") {
	const up = await new Upstream().open();
	const folder = mkdtempSync(join(tmpdir(), "lastword-"));
	const config = (port) => `
listen: 127.0.0.1:${port}
admin: none
retry: 100ms
allow_origins: ['https://friend.example']
${options}
routes:
  - { path: /sse-proxy, upstream: 'http://127.0.0.1:${up.port}/generate', grace: 5s }
  - { path: /json, upstream: 'http://127.0.0.1:${up.port}/generate', data: json, grace: 300ms }
`;
	const world = { up, wire: new Wire(), folder };
	world.start = async (port = 0) => {
		writeFileSync(join(folder, "lastword.yaml"), config(port));
		world.process = spawn(BINARY, ["--config", join(folder, "lastword.yaml")], { stdio: ["ignore", "pipe", "ignore"] });
		const line = await new Promise((resolve) => world.process.stdout.once("data", (data) => resolve(String(data))));
		world.gatewayPort = Number(/http:\/\/[^ ]+:(\d+)/.exec(line)[1]);
	};
	world.kill = () =>
		new Promise((resolve) => {
			if (world.process.exitCode !== null || world.process.signalCode) return resolve();
			world.process.once("exit", resolve);
			world.process.kill("SIGKILL");
		});
	await world.start();
	await world.wire.open(world.gatewayPort);
	world.url = `http://127.0.0.1:${world.wire.port}/sse-proxy`;
	test.after(async () => {
		world.wire.close();
		await world.kill();
		up.close();
		rmSync(folder, { recursive: true });
	});
	return world;
}

/** Handlers that remember, and `until(n)` tokens have come. */
export function listener() {
	const heard = { tokens: [], states: [], ends: [], fails: [], reasoning: [] };
	let wake = () => {};
	const until = async (holds) => {
		while (!holds()) await new Promise((resolve) => (wake = resolve));
	};
	const hear = (list) => (what) => (list.push(what), wake());
	const handlers = {
		onToken: hear(heard.tokens),
		onReasoning: hear(heard.reasoning),
		onEnd: hear(heard.ends),
		onFail: hear(heard.fails),
		onState: hear(heard.states),
	};
	return { ...heard, handlers, tokensAre: (n) => until(() => heard.tokens.length >= n), stateIs: (s) => until(() => heard.states.at(-1) === s) };
}
