// The Vercel AI SDK: streamText on each of its providers, and what is under useChat.
//
// streamText throws for little: an error in the stream is a part of fullStream, goes to onError, and makes finishReason
// "error". A program that looks at none of them shows half an answer, so what counts here is that one of them comes.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { AbstractChat, DefaultChatTransport, streamText } from "ai";
import { run } from "./cell.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false; // they go to standard output

async function take(model, said) {
	const onError = ({ error }) => (said.part ??= error);
	const result = streamText({ model, prompt: "?", maxRetries: 0, onError });
	for await (const part of result.fullStream) {
		if (part.type === "text-delta")
			said.text += part.text;
		else if (part.type === "error")
			said.part ??= part.error;
	}
	said.finish = await result.finishReason;
	if (said.finish === "error")
		said.part ??= "finishReason error";
}

// useChat is this class with React's state around it; what it would show is noted each time it changes.
class Chat extends AbstractChat {
	constructor(show, init) {
		const state = {
			status: "ready", error: undefined, messages: [],
			pushMessage: (message) => show((state.messages = [...state.messages, message])),
			popMessage: () => show((state.messages = state.messages.slice(0, -1))),
			replaceMessage: (index, message) => show((state.messages = state.messages.map((old, at) => (at === index ? message : old)))),
			snapshot: structuredClone,
		};
		super({ ...init, state });
	}
}

async function chat(url, said) {
	const show = (messages) => {
		const parts = messages.filter(({ role }) => role === "assistant").flatMap(({ parts }) => parts);
		said.text = parts.map((part) => (part.type === "text" ? part.text : "")).join("");
	};
	const transport = new DefaultChatTransport({ api: `${url}/api/chat` });
	const chat = new Chat(show, { transport, onError: (error) => (said.part = error) });
	await chat.sendMessage({ text: "?" });
	said.finish = chat.status;
}

const key = { apiKey: "k" };
run({
	"ai openai.chat": (url, said) => take(createOpenAI({ baseURL: `${url}/v1`, ...key }).chat("m"), said),
	"ai openai.responses": (url, said) => take(createOpenAI({ baseURL: `${url}/v1`, ...key }).responses("m"), said),
	"ai openai-compatible": (url, said) => take(createOpenAICompatible({ name: "own", baseURL: `${url}/v1`, ...key })("m"), said),
	"ai anthropic": (url, said) => take(createAnthropic({ baseURL: `${url}/v1`, ...key })("m"), said),
	"ai google": (url, said) => take(createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, ...key })("m"), said),
	"ai useChat": chat,
});
