/* Reads a whole body with a dialect and writes down what it said and what it proved, in one line:
 *
 *	"TEXT|REASONING|tools=N fed=N EVIDENCE… finish=WORD 1/1 usage=9/2"
 *
 * where evidence is of: text, meaning, terminator, failing, error(type,code,message), unreadable(why). Only what there
 * is is written. Events behind the one that decides are not read. */
#ifndef TESTS_READING_H
#define TESTS_READING_H

#include "dialect/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct reading {
	const struct dialect *dialect;
	const struct dialect_text_rules *rules;
	unsigned n;
};

struct reading_row {
	const char *what;
	span body, line;
};

#define ROW(what, body, line) {what, SPAN(body), SPAN(line)}

struct reading_log {
	struct buf text, reasoning;
	int tools, fed;
};

static inline void reading_take(struct reading_log *log, const struct reader *r)
{
	assert_true(utf8_is_valid(buf_span(&r->text)));
	assert_true(utf8_is_valid(buf_span(&r->reasoning)));
	buf_put(&log->text, buf_span(&r->text));
	buf_put(&log->reasoning, buf_span(&r->reasoning));
	log->tools += r->tool;
	log->fed += r->feeds_idle;
}

static inline void reading_write_seen(struct buf *out, const struct seen *s)
{
	buf_put(out, s->text ? SPAN(" text") : SPAN(""));
	buf_put(out, s->meaning ? SPAN(" meaning") : SPAN(""));
	buf_put(out, s->terminator ? SPAN(" terminator") : SPAN(""));
	buf_put(out, s->failing_finish ? SPAN(" failing") : SPAN(""));
	if (s->error)
		buf_printf(out, " error(%s,%s,%s)", s->error_type, s->error_code, s->error_message);
	if (s->unreadable)
		buf_printf(out, " unreadable(%s)", s->why);
	if (s->finish[0])
		buf_printf(out, " finish=%s", s->finish);
	if (s->finished || s->choices > 1)
		buf_printf(out, " %u/%u", s->finished, s->choices);
	if (s->prompt_tokens >= 0 || s->completion_tokens >= 0)
		buf_printf(out, " usage=%d/%d", (int)s->prompt_tokens, (int)s->completion_tokens);
}

/* Feeds pieces of `step` bytes. */
static inline void reading_run(struct buf *out, const struct reading *how, span body, size_t step)
{
	struct sse p;
	struct reader r;
	struct reading_log log = {0};
	sse_init(&p, how->dialect->syntax, 0);
	reader_init(&r, how->dialect, how->rules, how->n);
	for (; body.n; body = span_from(body, step)) {
		span in = span_first(body, step);
		for (enum sse_item item; (item = sse_next(&p, &in)) != SSE_MORE;)
			if (item == SSE_EVENT && !seen_decides(&r.seen)) {
				reader_read(&r, &p.event);
				reading_take(&log, &r);
			}
	}
	reader_flush(&r);
	reading_take(&log, &r);
	buf_put(out, buf_span(&log.text));
	buf_put_byte(out, '|');
	buf_put(out, buf_span(&log.reasoning));
	buf_put_byte(out, '|');
	if (log.tools)
		buf_printf(out, "tools=%d ", log.tools);
	buf_printf(out, "fed=%d", log.fed);
	reading_write_seen(out, &r.seen);
	buf_finish(&log.text);
	buf_finish(&log.reasoning);
	reader_finish(&r);
	sse_finish(&p);
}

static inline void reading_assert_rows(const struct reading *how, const struct reading_row *rows, size_t n)
{
	for (const struct reading_row *row = rows; row < rows + n; row++)
		for (size_t i = 1; i <= 8; i++) {
			size_t step = i < 8 ? i : row->body.n;
			struct buf out = {0};
			reading_run(&out, how, row->body, step);
			if (!span_eq(buf_span(&out), row->line))
				fail_msg("%s, by %zu:\n got %.*s\nwant %.*s", row->what, step, SPAN_ARG(buf_span(&out)),
					 SPAN_ARG(row->line));
			buf_finish(&out);
		}
}

#endif
