// The official OpenAI client for JavaScript: each of its ways to read a stream.
import OpenAI from "openai";
import { run } from "./cell.mjs";

const messages = [{ role: "user", content: "?" }];
const client = (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "k", maxRetries: 0 });

async function chat(url, said) {
	for await (const chunk of await client(url).chat.completions.create({ model: "m", messages, stream: true })) {
		for (const choice of chunk.choices) {
			said.text += choice.delta.content ?? "";
			said.finish = choice.finish_reason ?? said.finish;
		}
	}
}

async function chatStream(url, said) {
	const stream = client(url).chat.completions.stream({ model: "m", messages });
	stream.on("content", (delta) => (said.text += delta));
	said.finish = (await stream.finalChatCompletion()).choices[0].finish_reason;
}

async function completions(url, said) {
	for await (const chunk of await client(url).completions.create({ model: "m", prompt: "?", stream: true })) {
		for (const choice of chunk.choices) {
			said.text += choice.text ?? "";
			said.finish = choice.finish_reason ?? said.finish;
		}
	}
}

function takeEvent(event, said) {
	if (event.type === "response.output_text.delta")
		said.text += event.delta;
	else if (event.type === "response.completed")
		said.finish = event.response.status;
}

async function responses(url, said) {
	for await (const event of await client(url).responses.create({ model: "m", input: "?", stream: true }))
		takeEvent(event, said);
}

async function responsesStream(url, said) {
	const stream = client(url).responses.stream({ model: "m", input: "?" });
	for await (const event of stream)
		takeEvent(event, said);
	said.finish = (await stream.finalResponse()).status;
}

run({
	"openai-node create": chat,
	"openai-node stream": chatStream,
	"openai-node completions": completions,
	"openai-node responses": responses,
	"openai-node responses.stream": responsesStream,
});
