// Runs the cells of the table that belong to one program of clients: cell.py, in JavaScript. A client may also note
// `said.part`, an error that it was handed as a value and not as an exception.
import { createInterface } from "node:readline";

export async function run(clients) {
	for await (const line of createInterface({ input: process.stdin })) {
		const { client, fault, url, wait } = JSON.parse(line);
		const answer = await ask(clients[client], url, wait * 1000);
		await new Promise((written) => process.stdout.write(JSON.stringify({ client, fault, ...answer }) + "\n", written));
	}
	process.exit(0); // a client that still waits is left behind
}

async function ask(client, url, waitMs) {
	const said = { text: "", finish: null, part: null };
	const answer = { raised: null, hangs: true };
	const use = async () => {
		try {
			await client(url, said);
		} catch (error) {
			answer.raised = `${name(error)}: ${error?.message ?? JSON.stringify(error)}`;
		}
		answer.hangs = false;
	};
	let timer;
	await Promise.race([use(), new Promise((late) => (timer = setTimeout(late, waitMs)))]);
	clearTimeout(timer);
	return { ...answer, text: said.text, finish: said.finish, part: said.part && describe(said.part) };
}

function name(error) {
	const kind = error?.constructor?.name;
	return kind === "Error" || kind === "Object" || !kind ? (error?.name ?? "object") : kind;
}

function describe(part) {
	return part instanceof Error ? `${name(part)}: ${part.message}` : `part: ${JSON.stringify(part)}`;
}
