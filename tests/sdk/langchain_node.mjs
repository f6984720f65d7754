// LangChain for JavaScript, on OpenAI and on Anthropic.
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI } from "@langchain/openai";
import { run } from "./cell.mjs";

async function take(model, said) {
	for await (const chunk of await model.stream("?")) {
		said.text += chunk.text;
		const { finish_reason, stop_reason } = chunk.response_metadata;
		said.finish = finish_reason ?? stop_reason ?? chunk.additional_kwargs.stop_reason ?? said.finish;
	}
}

run({
	"langchain-js openai": (url, said) =>
		take(new ChatOpenAI({ model: "m", apiKey: "k", maxRetries: 0, configuration: { baseURL: `${url}/v1` } }), said),
	"langchain-js anthropic": (url, said) =>
		take(new ChatAnthropic({ model: "m", apiKey: "k", maxRetries: 0, anthropicApiUrl: url }), said),
});
