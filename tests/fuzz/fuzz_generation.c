/* An upstream that says anything, in any slices, and ends in any way. The first four bytes choose the rules, the media
 * type, the end and the slices; the rest is the body. It is played whole and sliced: both must leave the same journal
 * and the same last word, which counts what a reader reads. */
#include "base/check.h"
#include "stream/generation.h"

#include <stdint.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *end_event_words[] = {"close", "end", "done"};
static char *end_data_words[] = {"[DONE]"};
static char *error_event_words[] = {"error", "failed"};

struct choice {
	struct generation_rules rules;
	const char *content_type;
	enum ending_body end;
	bool ends_by_clock;
	uint8_t slices;
};

/* Takes a number apart: the next digit, base `of`. */
static unsigned pick(unsigned *number, unsigned of)
{
	unsigned digit = *number % of;
	*number /= of;
	return digit;
}

static struct choice choose(const uint8_t *data)
{
	static const struct dialect *const dialects[] = {&dialect_text, &dialect_openai_chat, NULL};
	static const char *const types[] = {
		"text/event-stream", "text/event-stream", "text/event-stream; charset=utf-8", "application/x-ndjson",
		"application/json",
	};
	static const enum ending_body ends[] = {BODY_FRAMED, BODY_CLOSED, BODY_BROKEN, BODY_MALFORMED};
	unsigned rules = data[0], limits = data[1], end = data[2];
	struct choice c = {.slices = data[3]};
	c.rules.text = (struct dialect_text_rules){{end_event_words, 3}, {end_data_words, 1}, {error_event_words, 2}};
	c.rules.dialect = dialects[pick(&rules, 3)];
	c.rules.end_marker = (enum end_marker)pick(&rules, 3);
	c.rules.finish_optional = pick(&rules, 2);
	c.rules.json = pick(&rules, 2);
	c.rules.queue_comments = pick(&rules, 2);
	c.rules.n = 1 + pick(&limits, 4);
	c.rules.event_limit = pick(&limits, 4) * 40;
	c.rules.stream_limit = pick(&limits, 4) * 10;
	c.content_type = types[pick(&end, 5)];
	c.end = ends[pick(&end, 4)];
	c.ends_by_clock = pick(&end, 4) == 3;
	return c;
}

struct outcome {
	struct journal *journal;
	struct verdict verdict;
	bool began;
	uint64_t fed;
	int queue;
};

static struct outcome play(const struct choice *c, span body, bool sliced)
{
	struct generation g;
	struct outcome o = {.journal = journal_create()};
	uint32_t slices = c->slices;
	CHECK(o.journal);
	generation_init(&g, &c->rules, o.journal);
	generation_head(&g, 200, span_str(c->content_type), (span){0});
	while (body.n) {
		size_t n = body.n;
		if (sliced) {
			slices = slices * 1103515245 + 12345;
			n = c->slices == 0 ? 1 : 1 + (slices >> 16) % c->slices;
		}
		generation_body(&g, span_first(body, n));
		body = span_from(body, n);
	}
	if (c->ends_by_clock)
		generation_end(&g, CAUSE_IDLE_TIMEOUT, NULL);
	generation_body_end(&g, c->end, NULL);
	CHECK(g.ended);
	o.verdict = g.verdict;
	o.began = g.began;
	o.fed = g.fed;
	o.queue = g.queue;
	generation_finish(&g);
	return o;
}

static void check_text(span text, bool json)
{
	CHECK(text.n > 0);
	CHECK(utf8_is_valid(text));
	CHECK(json || span_find(text, '\r') == text.n);
}

static void check_journal(const struct outcome *o, const struct choice *c)
{
	const struct last_word *word = journal_last_word(o->journal);
	struct cursor cursor;
	enum journal_kind kind;
	span text;
	uint64_t events = 0, bytes = 0, stored = 0;
	uLong crc = crc32(0, NULL, 0);
	cursor_open(&cursor, o->journal, 1);
	while (cursor_read(&cursor, &kind, &text)) {
		check_text(text, c->rules.json);
		stored += text.n;
		if (kind == JOURNAL_TEXT) {
			events++;
			bytes += text.n;
			crc = crc32_z(crc, (const unsigned char *)text.p, text.n);
		}
	}
	cursor_close(&cursor);
	CHECK(word && word->events == events && word->bytes == bytes && word->crc32 == crc);
	CHECK(c->rules.stream_limit == 0 || stored <= c->rules.stream_limit);
}

static void check_word(const struct outcome *o)
{
	const struct last_word *word = journal_last_word(o->journal);
	const struct cause_row *row = cause_row(word->cause);
	CHECK(word->cause == o->verdict.cause && word->proof == o->verdict.proof);
	CHECK((row->end == END_COMPLETE) == (word->proof != PROOF_NULL));
	CHECK((row->end == END_FAILED) == (word->detail[0] != 0));
	CHECK(utf8_is_valid(span_str(word->detail)));
	for (const char *c = word->detail; *c; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f && *c != '<' && *c != '>');
	for (const char *c = word->finish; *c; c++)
		CHECK(*c >= 0x20 && *c <= 0x7e);
}

static void check_same_journal(struct journal *a, struct journal *b)
{
	struct cursor x, y;
	enum journal_kind kind, other_kind;
	span text, other_text;
	CHECK(journal_count(a) == journal_count(b));
	cursor_open(&x, a, 1);
	cursor_open(&y, b, 1);
	while (cursor_read(&x, &kind, &text)) {
		CHECK(cursor_read(&y, &other_kind, &other_text));
		CHECK(kind == other_kind && span_eq(text, other_text));
	}
	cursor_close(&x);
	cursor_close(&y);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	const struct last_word *x = journal_last_word(a->journal), *y = journal_last_word(b->journal);
	CHECK(a->verdict.cause == b->verdict.cause && a->verdict.proof == b->verdict.proof);
	CHECK(a->verdict.line == b->verdict.line);
	CHECK(a->began == b->began && a->fed == b->fed && a->queue == b->queue);
	CHECK(span_is(span_str(x->finish), y->finish) && span_is(span_str(x->detail), y->detail));
	check_same_journal(a->journal, b->journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	struct choice c = choose(data);
	span body = span_of(data + 4, size - 4);
	struct outcome whole = play(&c, body, false), sliced = play(&c, body, true);
	check_journal(&whole, &c);
	check_journal(&sliced, &c);
	check_word(&whole);
	check_word(&sliced);
	check_same(&whole, &sliced);
	journal_drop(whole.journal);
	journal_drop(sliced.journal);
	return 0;
}
