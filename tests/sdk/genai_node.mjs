// Google's official Gemini client for JavaScript.
import { GoogleGenAI } from "@google/genai";
import { run } from "./cell.mjs";

async function generate(url, said) {
	const client = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: url, apiVersion: "v1beta" } });
	for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "?" })) {
		said.text += chunk.text ?? "";
		said.finish = chunk.candidates?.[0]?.finishReason ?? said.finish;
	}
}

run({ "google-genai node": generate });
