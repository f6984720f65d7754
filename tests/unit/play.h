/* A generation on a stage: what an upstream would say, and what stands in the journal afterwards. */
#ifndef PLAY_H
#define PLAY_H

#include "stream/generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include <cmocka.h>

struct play {
	struct journal *journal;
	struct generation g;
};

static char *end_event_words[] = {"close", "end", "done"};
static char *end_data_words[] = {"[DONE]"};
static char *error_event_words[] = {"error", "failed"};

/* Rules with the configuration's defaults. dialect NULL: auto. */
static inline struct generation_rules play_rules(const struct dialect *dialect)
{
	return (struct generation_rules){
		.dialect = dialect,
		.text = {
			.end_events = {end_event_words, 3},
			.end_data = {end_data_words, 1},
			.error_events = {error_event_words, 2},
		},
		.n = 1,
	};
}

static inline void play_open(struct play *p, const struct generation_rules *rules)
{
	p->journal = journal_create();
	assert_non_null(p->journal);
	generation_init(&p->g, rules, p->journal);
}

static inline void play_close(struct play *p)
{
	generation_finish(&p->g);
	assert_non_null(journal_last_word(p->journal));
	journal_drop(p->journal);
}

static inline void play_head(struct play *p)
{
	generation_head(&p->g, 200, SPAN("text/event-stream; charset=utf-8"), (span){0});
}

/* slice: bytes at a time; 0: whole. Each slice is a block of its own, so that a sanitizer sees one byte too far. */
static inline void play_body(struct play *p, span bytes, size_t slice)
{
	for (size_t at = 0; at < bytes.n;) {
		span part = span_first(span_from(bytes, at), slice ? slice : bytes.n);
		struct buf copy = {0};
		buf_put(&copy, part);
		generation_body(&p->g, buf_span(&copy));
		buf_finish(&copy);
		at += part.n;
	}
}

static inline void play_say(struct play *p, const char *text) { play_body(p, span_str(text), 0); }

/* All events as one string: text plainly, reasoning in braces, each with a bar behind it: "Hel|lo|{hm}|". */
static inline void play_print(const struct play *p, struct buf *out)
{
	struct cursor c;
	enum journal_kind kind;
	span text;
	cursor_open(&c, p->journal, 1);
	while (cursor_read(&c, &kind, &text)) {
		buf_put(out, kind == JOURNAL_REASONING ? SPAN("{") : SPAN(""));
		buf_put(out, text);
		buf_put(out, kind == JOURNAL_REASONING ? SPAN("}|") : SPAN("|"));
	}
	cursor_close(&c);
	assert_non_null(buf_cstr(out));
}

static inline void play_expect_events(const struct play *p, const char *events)
{
	struct buf got = {0};
	play_print(p, &got);
	assert_string_equal(got.p, events);
	buf_finish(&got);
}

/* What the last word counts is what a reader reads. */
static inline void play_expect_tally(const struct play *p)
{
	const struct last_word *word = journal_last_word(p->journal);
	struct cursor c;
	enum journal_kind kind;
	span text;
	uint64_t events = 0, bytes = 0;
	uLong crc = crc32(0, NULL, 0);
	cursor_open(&c, p->journal, 1);
	while (cursor_read(&c, &kind, &text)) {
		assert_true(text.n > 0);
		if (kind != JOURNAL_TEXT)
			continue;
		events++;
		bytes += text.n;
		crc = crc32_z(crc, (const unsigned char *)text.p, text.n);
	}
	cursor_close(&c);
	assert_true(word->events == events);
	assert_true(word->bytes == bytes);
	assert_true(word->crc32 == crc);
}

static inline const struct last_word *play_expect_end(const struct play *p, enum cause cause, enum proof proof)
{
	assert_true(p->g.ended);
	const struct last_word *word = journal_last_word(p->journal);
	assert_non_null(word);
	assert_string_equal(cause_name(word->cause), cause_name(cause));
	assert_int_equal(word->proof, proof);
	assert_int_equal(word->cause, p->g.verdict.cause);
	play_expect_tally(p);
	return word;
}

static inline void play_expect_open(const struct play *p)
{
	assert_false(p->g.ended);
	assert_null(journal_last_word(p->journal));
}

#endif
