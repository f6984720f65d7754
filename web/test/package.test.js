/* The package as a stranger gets it: packed, installed into a fresh folder, typed, and asking a gateway. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { open } from "./world.js";

const ROOT = new URL("../../", import.meta.url).pathname;
const TSC = join(ROOT, "build/node_modules/typescript/bin/tsc");
const QUIET = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };

function install(t) {
	const folder = mkdtempSync(join(tmpdir(), "lastword-package-"));
	t.after(() => rmSync(folder, { recursive: true }));
	const npm = (...words) => execFileSync("npm", [...words, "--cache", join(folder, ".npm"), "--offline"], { ...QUIET, cwd: folder });
	const [packed] = JSON.parse(npm("pack", join(ROOT, "web"), "--json"));
	writeFileSync(join(folder, "package.json"), '{"name":"stranger","private":true,"type":"module"}');
	npm("install", "--no-audit", "--no-fund", join(folder, packed.filename));
	return { folder, files: packed.files.map((file) => file.path).sort(), version: packed.version };
}

test("the package is the client, its types, and who may use it", (t) => {
	const { files, version } = install(t);
	assert.deepEqual(files, ["LICENSE", "README.md", "lastword.d.ts", "lastword.js", "package.json"]);
	assert.equal(version, readFileSync(join(ROOT, "VERSION"), "utf8").trim());
	assert.equal(readFileSync(join(ROOT, "web/LICENSE"), "utf8"), readFileSync(join(ROOT, "LICENSE"), "utf8"));
});

test("installed, it asks, is cut in mid-answer, comes back, and verifies", async (t) => {
	const { up, url, wire } = await open(t);
	const { folder } = install(t);
	writeFileSync(
		join(folder, "stranger.js"),
		`import { ask } from "lastword";
		const answer = ask({ url: process.argv[2], prompt: "hello" }, { onState: (state) => console.log("state", state) });
		for await (const token of answer) console.log("token", token);
		const end = await answer;
		console.log("end", end.end, end.verified, end.events, end.crc32);`,
	);
	const stranger = spawn(process.execPath, ["stranger.js", url], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
	const said = [];
	let wake = () => {};
	stranger.stdout.setEncoding("utf8").on("data", (text) => (said.push(...text.trim().split("\n")), wake()));
	const hears = async (line) => {
		while (!said.includes(line)) await new Promise((resolve) => (wake = resolve));
	};
	const asked = (await up.request()).tokens("123", "456");
	await hears("token 456");
	wire.cut();
	await hears("state reconnecting");
	asked.tokens("789").end();
	assert.equal(await new Promise((resolve) => stranger.on("close", resolve)), 0);
	assert.equal(said.at(-1), "end complete true 3 cbf43926");
	assert.equal(up.requests, 1);
});

for (const resolution of ["NodeNext", "Bundler"]) {
	test(`its types hold under strict, resolved as ${resolution}`, (t) => {
		const { folder } = install(t);
		copyFileSync(join(ROOT, "web/test/example.ts"), join(folder, "example.ts"));
		const module = resolution === "Bundler" ? "ESNext" : resolution;
		const options = ["--strict", "--noEmit", "--target", "ES2022", "--lib", "ES2022,DOM", "--module", module];
		const command = [TSC, ...options, "--moduleResolution", resolution, "example.ts"];
		const { status, stdout } = spawnSync(process.execPath, command, { ...QUIET, cwd: folder });
		assert.deepEqual([status, stdout], [0, ""]);
	});
}

test("everything that is exported has a type, and no more", () => {
	const names = (file, pattern) => [...readFileSync(join(ROOT, "web", file), "utf8").matchAll(pattern)].map((found) => found[1]).sort();
	const values = names("lastword.js", /^export (?:class|function) (\w+)/gm);
	const typed = names("lastword.d.ts", /^export (?:class|function) (\w+)/gm);
	assert.deepEqual(typed, values.filter((name) => name !== "Answer"));
});
