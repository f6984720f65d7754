// Ollama's official client for JavaScript.
import { Ollama } from "ollama";
import { run } from "./cell.mjs";

async function chat(url, said) {
	const client = new Ollama({ host: url });
	for await (const line of await client.chat({ model: "m", messages: [{ role: "user", content: "?" }], stream: true })) {
		said.text += line.message.content;
		said.finish = line.done_reason ?? said.finish;
	}
}

async function generate(url, said) {
	for await (const line of await new Ollama({ host: url }).generate({ model: "m", prompt: "?", stream: true })) {
		said.text += line.response;
		said.finish = line.done_reason ?? said.finish;
	}
}

run({ "ollama-js chat": chat, "ollama-js generate": generate });
