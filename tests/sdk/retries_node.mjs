// The official clients for JavaScript as they are by default: they ask again, up to twice, by their own rules.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { run } from "./cell.mjs";

const messages = [{ role: "user", content: "?" }];

async function drain(stream) {
	for await (const event of await stream)
		void event;
}

run({
	"openai-node": (url) =>
		drain(new OpenAI({ baseURL: `${url}/v1`, apiKey: "k" }).chat.completions.create({ model: "m", messages, stream: true })),
	"anthropic-node": (url) =>
		drain(new Anthropic({ baseURL: url, apiKey: "k" }).messages.create({ model: "m", max_tokens: 9, messages, stream: true })),
});
