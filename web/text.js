/* text.js: a text that grows. What is appended becomes text nodes, never markup.
 *
 * Tokens are collected and shown once a frame. The text lies in blocks of some kilobytes that end at a line's end, or,
 * in a text without lines, behind a space: the browser lays out only the last block again, and does not draw those that
 * are out of sight (page.css), however long the answer grows. */

const BLOCK_CHARS = 4096;
const LINELESS_CHARS = 16 * BLOCK_CHARS; // a block without a line end is broken here, where one break is not seen

export class GrowingText {
	#root;
	#node = null; // the last block's text
	#due = []; // shown at the next frame
	#frame = 0;

	constructor(root) {
		this.#root = root;
	}

	clear() {
		this.#root.replaceChildren();
		this.#node = null;
		this.#due = [];
	}

	append(text) {
		this.#due.push(text);
		this.#frame ||= requestAnimationFrame(() => this.flush());
	}

	flush() {
		cancelAnimationFrame(this.#frame);
		this.#frame = 0;
		if (!this.#due.length) return;
		const follow = isAtBottom();
		this.#write(this.#due.join(""));
		this.#due = [];
		if (follow) scrollTo(0, document.documentElement.scrollHeight);
	}

	#write(text) {
		while (text) {
			this.#node ??= this.#openBlock();
			const end = blockEnd(text, this.#node.length);
			this.#node.appendData(end ? text.slice(0, end) : text);
			if (end) this.#node = null;
			text = end ? text.slice(end) : "";
		}
	}

	#openBlock() {
		const block = document.createElement("div");
		block.dir = "auto";
		return this.#root.appendChild(block).appendChild(new Text());
	}
}

/** Where in `text` a block ends that has `length` characters already; 0: not yet. */
function blockEnd(text, length) {
	const line = text.indexOf("\n", Math.max(0, BLOCK_CHARS - length)) + 1;
	const space = text.indexOf(" ", Math.max(0, LINELESS_CHARS - length)) + 1;
	return line && space ? Math.min(line, space) : line || space;
}

function isAtBottom() {
	return scrollY + innerHeight >= document.documentElement.scrollHeight - 32;
}
