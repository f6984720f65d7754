// The official Anthropic client for JavaScript.
import Anthropic from "@anthropic-ai/sdk";
import { run } from "./cell.mjs";

const asked = { model: "m", max_tokens: 9, messages: [{ role: "user", content: "?" }] };
const client = (url) => new Anthropic({ baseURL: url, apiKey: "k", maxRetries: 0 });

async function create(url, said) {
	for await (const event of await client(url).messages.create({ ...asked, stream: true })) {
		if (event.type === "content_block_delta")
			said.text += event.delta.text;
		else if (event.type === "message_delta")
			said.finish = event.delta.stop_reason;
	}
}

async function stream(url, said) {
	const stream = client(url).messages.stream(asked);
	stream.on("text", (text) => (said.text += text));
	said.finish = (await stream.finalMessage()).stop_reason;
}

run({ "anthropic-node create": create, "anthropic-node stream": stream });
