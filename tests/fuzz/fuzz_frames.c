/* A journal of frames against a journal of text. The first three bytes choose the dialect, the end and the slices; the
 * rest is the body. Played whole and sliced, the frames are the same bytes; told to a browser they are the events of a
 * text journal over the same body, counted alike; and the last of them ends the answer for whoever speaks the dialect. */
#include "base/check.h"
#include "stream/generation.h"
#include "stream/retell.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dialect *const dialects[] = {&dialect_text, &dialect_openai_chat, &dialect_openai_completions,
	&dialect_openai_responses, &dialect_anthropic, &dialect_gemini, &dialect_ollama_chat, &dialect_ollama_generate,
	&dialect_llamacpp, &dialect_tgi, &dialect_sglang_generate, &dialect_ai_ui};

/* No words end plain text here; tests/unit has those. */
static const struct dialect_text_rules no_words;

enum { DIALECTS = sizeof dialects / sizeof *dialects };

struct choice {
	const struct dialect *dialect;
	enum ending_body end;
	bool json;
	uint8_t slices;
};

static struct journal *play(const struct choice *c, span body, bool frames, bool sliced)
{
	struct generation g;
	struct journal *j = journal_create();
	struct generation_rules rules = {.dialect = c->dialect, .keeps_frames = frames, .json = c->json, .n = 1, .text = no_words};
	uint32_t slices = c->slices;
	CHECK(j);
	generation_init(&g, &rules, j);
	generation_head(&g, 200, c->dialect->syntax == SSE_NDJSON ? SPAN("application/x-ndjson") : SPAN("text/event-stream"),
		(span){0});
	while (body.n) {
		slices = slices * 1103515245 + 12345;
		size_t n = !sliced ? body.n : c->slices == 0 ? 1 : 1 + (slices >> 16) % c->slices;
		generation_body(&g, span_first(body, n));
		body = span_from(body, n);
	}
	generation_body_end(&g, c->end, NULL);
	CHECK(g.ended);
	generation_finish(&g);
	return j;
}

static void print_frames(struct journal *j, struct buf *out)
{
	struct cursor c;
	enum journal_kind kind;
	span frame;
	cursor_open(&c, j, 1);
	while (cursor_read(&c, &kind, &frame)) {
		CHECK(kind == JOURNAL_FRAME);
		buf_put(out, frame);
	}
	cursor_close(&c);
}

static void check_told(const struct choice *c, struct journal *frames, struct journal *text)
{
	struct retell r;
	struct cursor cursor;
	enum journal_kind kind, other_kind;
	span told, kept;
	cursor_open(&cursor, frames, 1);
	retell_open(&r, &cursor, c->dialect, &no_words, c->json);
	cursor_open(&cursor, text, 1);
	while (cursor_read(&cursor, &kind, &kept)) {
		CHECK(retell_read(&r, &other_kind, &told));
		CHECK(kind == other_kind && span_eq(told, kept));
	}
	CHECK(!retell_read(&r, &other_kind, &told) && !r.failed);
	CHECK(journal_told(frames) == journal_count(text));
	cursor_close(&cursor);
	retell_close(&r);
}

static void check_words(const struct last_word *a, const struct last_word *b)
{
	CHECK(a->cause == b->cause && a->proof == b->proof);
	CHECK(a->events == b->events && a->bytes == b->bytes && a->crc32 == b->crc32);
	CHECK(span_is(span_str(a->detail), b->detail) && span_is(span_str(a->finish), b->finish));
	CHECK(a->is_spoken);
}

/* Nothing is left open, and a failure is the last event. */
static void check_end(const struct choice *c, span frames, const struct last_word *word)
{
	struct sse s;
	bool raises = false;
	sse_init(&s, c->dialect->syntax, 0);
	for (enum sse_item item; (item = sse_next(&s, &frames)) != SSE_MORE;)
		if (item == SSE_EVENT)
			raises = dialect_event_raises(c->dialect, &s.event);
	/* An error that raises goes on as it came: in NDJSON the last line may lack its LF. */
	if (c->dialect->syntax == SSE_NDJSON && sse_end(&s) == SSE_EVENT)
		raises = dialect_event_raises(c->dialect, &s.event);
	if (word->cause != CAUSE_FINISHED)
		CHECK(raises && !sse_is_inside_event(&s));
	sse_finish(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum ending_body ends[] = {BODY_FRAMED, BODY_CLOSED, BODY_BROKEN, BODY_MALFORMED};
	if (size < 3)
		return 0;
	struct choice c = {.dialect = dialects[data[0] % DIALECTS], .end = ends[data[1] % 4], .json = data[1] / 4 % 2,
		.slices = data[2]};
	span body = span_of(data + 3, size - 3);
	struct journal *whole = play(&c, body, true, false), *sliced = play(&c, body, true, true);
	struct journal *text = play(&c, body, false, false);
	struct buf a = {0}, b = {0};
	print_frames(whole, &a);
	print_frames(sliced, &b);
	CHECK(span_eq(buf_span(&a), buf_span(&b)));
	check_words(journal_last_word(whole), journal_last_word(text));
	check_words(journal_last_word(sliced), journal_last_word(text));
	check_told(&c, whole, text);
	check_told(&c, sliced, text);
	check_end(&c, buf_span(&a), journal_last_word(whole));
	buf_finish(&a);
	buf_finish(&b);
	journal_drop(whole);
	journal_drop(sliced);
	journal_drop(text);
	return 0;
}
