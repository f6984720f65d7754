/* sse/parse: a transcript of items for each body, the same however the body is cut. */
#include "sse/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
	const char *what;
	span body, items;
};

#define ROW(what, body, items) {what, SPAN(body), SPAN(items)}

static void write_field(struct buf *out, const char *name, bool has, span value)
{
	if (!has)
		return;
	buf_printf(out, "%s=", name);
	buf_put(out, value);
	buf_put_byte(out, ';');
}

static void write_item(struct buf *out, const struct sse *p, enum sse_item item)
{
	const struct sse_event *e = &p->event;
	if (item == SSE_COMMENT)
		buf_printf(out, ":%.*s;", SPAN_ARG(p->comment));
	if (item == SSE_TOO_LARGE)
		buf_put(out, SPAN("too large;"));
	if (item != SSE_EVENT)
		return;
	buf_put_byte(out, '(');
	write_field(out, "n", e->has_name, e->name);
	write_field(out, "d", e->has_data, e->data);
	write_field(out, "i", e->has_id, e->id);
	write_field(out, "e", e->error_field.p != NULL, e->error_field);
	write_field(out, "s", e->stray.p != NULL, e->stray);
	buf_put_byte(out, ')');
}

/* Pieces lie in memory of their own, which is gone when the next one comes. */
static void parse_piece(struct sse *p, struct buf *out, span piece)
{
	char *copy = malloc(piece.n + 1);
	assert_non_null(copy);
	memcpy(copy, piece.p, piece.n);
	span in = span_of(copy, piece.n);
	for (enum sse_item item; (item = sse_next(p, &in)) != SSE_MORE;)
		write_item(out, p, item);
	assert_int_equal(in.n, 0);
	free(copy);
}

struct how {
	enum sse_syntax syntax;
	size_t limit;
};

static void parse(struct buf *out, const struct how *how, span body, size_t first, size_t step)
{
	struct sse p;
	sse_init(&p, how->syntax, how->limit);
	parse_piece(&p, out, span_first(body, first));
	for (body = span_from(body, first); body.n; body = span_from(body, step))
		parse_piece(&p, out, span_first(body, step));
	bool inside = sse_is_inside_event(&p);
	write_item(out, &p, sse_end(&p));
	if (!p.failed) /* else where it is inside is nobody's question */
		buf_put(out, inside ? SPAN("inside") : SPAN("."));
	if (p.no_field_lines)
		buf_printf(out, "%d no fields", (int)p.no_field_lines);
	sse_finish(&p);
}

static void assert_cut(const struct how *how, const struct row *row, size_t first, size_t step)
{
	struct buf out = {0};
	parse(&out, how, row->body, first, step);
	if (!span_eq(buf_span(&out), row->items))
		fail_msg("%s, %zu and then by %zu: got %.*s", row->what, first, step, SPAN_ARG(buf_span(&out)));
	buf_finish(&out);
}

static void assert_rows(const struct how *how, const struct row *rows, size_t n)
{
	for (const struct row *row = rows; row < rows + n; row++) {
		for (size_t i = 0; i <= row->body.n; i++)
			assert_cut(how, row, i, row->body.n);
		for (size_t step = 1; step < 6; step++)
			assert_cut(how, row, 0, step);
	}
}

static void event_streams(void **state)
{
	static const struct row rows[] = {
		ROW("nothing", "", "."),
		ROW("one event", "data: hello\n\n", "(d=hello;)."),
		ROW("no space", "data:hello\n\n", "(d=hello;)."),
		ROW("two spaces: one is kept", "data:  hello \n\n", "(d= hello ;)."),
		ROW("all fields", "event: delta\nid: 7\ndata: x\nretry: 5\n\n", "(n=delta;d=x;i=7;)."),
		ROW("lines are joined", "data: two\ndata: lines\ndata\ndata:\n\n", "(d=two\nlines\n\n;)."),
		ROW("a newline alone", "data:\ndata:\n\n", "(d=\n;)."),
		ROW("empty data", "data\n\n", "(d=;)."),
		ROW("empty data behind a space", "data: \n\ndata: \r\n\r\n", "(d=;)(d=;)."),
		ROW("plain blocks, and one that is not", "data: a\n\ndata: b\r\n\r\ndata: c\nid: 1\n\ndata: d\n\n",
		    "(d=a;)(d=b;)(d=c;i=1;)(d=d;)."),
		ROW("a name without data", "event: close\n\n", "(n=close;)."),
		ROW("the last name counts", "event: a\nevent: b\ndata: x\nid: 1\nid: 2\n\n", "(n=b;d=x;i=2;)."),
		ROW("a name does not outlive its event", "event: a\ndata: 1\n\ndata: 2\n\n", "(n=a;d=1;)(d=2;)."),
		ROW("blank lines are no events", "\n\n\ndata: a\n\n\n\n", "(d=a;)."),
		ROW("CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", "(d=a\nb;)(d=c;)."),
		ROW("CR", "data: a\rdata: b\r\rdata: c\r\r", "(d=a\nb;)(d=c;)."),
		ROW("mixed", "data: a\r\n\rdata: b\n\r\ndata: c\r\r\n\ndata: d\n\n", "(d=a;)(d=b;)(d=c;)(d=d;)."),
		ROW("stray JSON", "{\"error\":\"x\"}\n\n", "(s={\"error\":\"x\"};)."),
		ROW("stray JSON in lines", "data: a\n\n{\n \"error\": \"x\"\r\n}\n\ndata: b\n\n",
		    "(d=a;)(s={\n \"error\": \"x\"\n};)(d=b;).2 no fields"),
		ROW("stray JSON at the end", "[{\"error\":1}\n]", "(s=[{\"error\":1}\n];)inside1 no fields"),
		ROW("one line of it", "{\"error\":1}", "(s={\"error\":1};)inside"),
		ROW("a newline inside data", "data: a\n{x}\n\n", "(d=a;s={x};).1 no fields"),
		ROW("half a line behind data", "data: a\n{x", "inside"),
		ROW("a BOM", "\xEF\xBB\xBF" "data: a\n\n", "(d=a;)."),
		ROW("a second BOM is data", "\xEF\xBB\xBF\xEF\xBB\xBF" "data: a\n\ndata: b\n\n", "()(d=b;)."),
		ROW("half a BOM begins a line", "\xEF\xBB" "data: a\n\n", "()."),
		ROW("half a BOM at the end", "\xEF\xBB", "inside"),
		ROW("a BOM alone", "\xEF\xBB\xBF", "."),
		ROW("comments", ":\n: ping\n\n:OPENROUTER\ndata: a\n:in between\ndata: b\n\n",
		    ":;: ping;:OPENROUTER;:in between;(d=a\nb;)."),
		ROW("a name of no field", "foo: bar\ndata : x\nDATA: y\n\n", "()."),
		ROW("lines that are no fields", "data: a\nrest of a token\n\nmore\n\n", "(d=a;)().2 no fields"),
		ROW("fields without colons are fields", "event\nid\nretry\ndata\n\n", "(n=;d=;i=;)."),
		ROW("an error field", "error: {\"message\":\"m\"}\n\n", "(e={\"message\":\"m\"};)."),
		ROW("an empty error field", "error:\n\n", "(e=;)."),
		ROW("the word error is no field", "error\n\n", "().1 no fields"),
		ROW("colons in values", "data: a: b:c\nid::\n\n", "(d=a: b:c;i=:;)."),
		ROW("NUL and bad bytes pass", "data: a\0b\xFF\n\n", "(d=a\0b\xFF;)."),
		ROW("Unicode separators end nothing", "data: a\xE2\x80\xA8" "b\xC2\x85" "c\x0b\n\n",
		    "(d=a\xE2\x80\xA8" "b\xC2\x85" "c\x0b;)."),
		ROW("half an event: no blank line", "data: a\n\ndata: b\n", "(d=a;)inside"),
		ROW("half an event: half a line", "data: a\n\nda", "(d=a;)inside"),
		ROW("half an event: a name", "event: close\n", "inside"),
		ROW("half a comment is no event", "data: a\n\n: pi", "(d=a;)."),
		ROW("half a comment inside an event", "data: a\n: pi", "inside"),
		ROW("CR at the end is enough", "data: a\n\r", "(d=a;)."),
	};
	assert_rows(&(struct how){SSE_EVENT_STREAM, 0}, rows, sizeof rows / sizeof *rows);
}

static void ndjson(void **state)
{
	static const struct row rows[] = {
		ROW("nothing", "", "."),
		ROW("lines", "{\"a\":1}\n{}\n", "(d={\"a\":1};)(d={};)."),
		ROW("CRLF", "{}\r\n[]\r\n", "(d={};)(d=[];)."),
		ROW("blank lines", "\n \t\r\n{}\n\n", "(d={};)."),
		ROW("a BOM", "\xEF\xBB\xBF{}\n", "(d={};)."),
		ROW("CR is white space", "[1,\r2]\n", "(d=[1,\r2];)."),
		ROW("colons mean nothing", ":a\ndata: b\n", "(d=:a;)(d=data: b;)."),
		ROW("the last line may lack its LF", "{}\n{\"done\":true}", "(d={};)(d={\"done\":true};)inside"),
		ROW("white space at the end is no line", "{}\n ", "(d={};)."),
	};
	assert_rows(&(struct how){SSE_NDJSON, 0}, rows, sizeof rows / sizeof *rows);
}

static void one_block_is_bounded(void **state)
{
	static const struct row rows[] = {
		ROW("at the limit", "data: 6789\n\ndata: 6789\n\n", "(d=6789;)(d=6789;)."),
		ROW("over it", "data: a\n\ndata: 67890\n\ndata: b\n\n", "(d=a;)too large;"),
		ROW("over it without an end", "data: 67890", "too large;"),
		ROW("lines count together", "data:\ndata:\n\n", "too large;"),
		ROW("names count", "event: a\nid\n\n", "too large;"),
		ROW("line ends count once", "id\r\nid\r\nid\r\n\r\n", "(i=;)."),
		ROW("comments count alone", ":234567890A\n:234567890A\ndata: 6789\n:234567890A\n\n",
		    ":234567890A;:234567890A;:234567890A;(d=6789;)."),
		ROW("a long comment", ":234567890AB\n\n", "too large;"),
		ROW("blank lines are free", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", "."),
	};
	static const struct row lines[] = {
		ROW("at the limit", "1234567890\n1234567890", "(d=1234567890;)(d=1234567890;)inside"),
		ROW("over it", "1234567890A\n", "too large;"),
	};
	struct how how = {SSE_EVENT_STREAM, 11};
	assert_rows(&how, rows, sizeof rows / sizeof *rows);
	how.syntax = SSE_NDJSON;
	assert_rows(&how, lines, sizeof lines / sizeof *lines);
}

/* 1 MiB of anything that never becomes an event. */
static void endless_input_stays_small(void **state)
{
	static const char *const lines[] = {": comment\n", "\n", "data:\n", "event: a name that is replaced\n", "x\n",
	    "x", ":"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct sse p;
		size_t events = 0;
		sse_init(&p, SSE_EVENT_STREAM, 10000);
		for (size_t bytes = 0; bytes < 1 << 20; bytes += strlen(lines[i])) {
			span in = span_str(lines[i]);
			for (enum sse_item item; (item = sse_next(&p, &in)) != SSE_MORE;)
				events += item == SSE_EVENT;
			size_t held = p.line.cap + p.name.kept.cap + p.data.kept.cap;
			if (held > 3 * 16384)
				fail_msg("%zu bytes held for '%s'", held, lines[i]);
		}
		assert_int_equal(events, 0);
		sse_finish(&p);
	}
}

static void whole_events_are_lent_in_place(void **state)
{
	struct sse p;
	span body = SPAN("event: a\ndata: {\"x\":1}\n\n"), in = body;
	sse_init(&p, SSE_EVENT_STREAM, 1 << 20);
	assert_int_equal(sse_next(&p, &in), SSE_EVENT);
	assert_ptr_equal(p.event.name.p, body.p + 7);
	assert_ptr_equal(p.event.data.p, body.p + 15);
	assert_int_equal(p.data.kept.cap + p.name.kept.cap + p.line.cap, 0);
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	sse_finish(&p);
}

static void memory_goes_back_after_a_large_event(void **state)
{
	struct sse p;
	struct buf body = {0};
	sse_init(&p, SSE_EVENT_STREAM, 1 << 20);
	buf_put(&body, SPAN("data: "));
	for (int i = 0; i < 100000; i++)
		buf_put_byte(&body, 'x');
	span in = buf_span(&body);
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	in = SPAN("\ndata: y\n\n");
	assert_int_equal(sse_next(&p, &in), SSE_EVENT);
	assert_int_equal(p.event.data.n, 100002);
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	assert_in_range(p.line.cap + p.data.kept.cap, 0, 2 * 4096);
	sse_finish(&p);
	buf_finish(&body);
}

static void after_too_large_nothing_is_said(void **state)
{
	struct sse p;
	span in = SPAN("data: 123456789\n\ndata: x\n\n");
	sse_init(&p, SSE_EVENT_STREAM, 8);
	assert_int_equal(sse_next(&p, &in), SSE_TOO_LARGE);
	assert_int_equal(in.n, 0);
	in = SPAN("data: x\n\n");
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	assert_int_equal(in.n, 0);
	assert_int_equal(sse_end(&p), SSE_MORE);
	sse_finish(&p);
}

static void an_event_at_the_end_is_not_inside(void **state)
{
	struct sse p;
	span in = SPAN("{}");
	sse_init(&p, SSE_NDJSON, 0);
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	assert_true(sse_is_inside_event(&p));
	assert_int_equal(sse_end(&p), SSE_EVENT);
	assert_true(span_is(p.event.data, "{}"));
	assert_false(sse_is_inside_event(&p));
	assert_int_equal(sse_end(&p), SSE_MORE);
	sse_finish(&p);
}

static void running_out_of_memory_is_said_once(void **state)
{
	struct sse p;
	span in = SPAN("data: x");
	sse_init(&p, SSE_EVENT_STREAM, 0);
	p.line.failed = true;
	assert_int_equal(sse_next(&p, &in), SSE_NO_MEMORY);
	in = SPAN("\n\n");
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	sse_finish(&p);

	in = SPAN("data: x\n");
	sse_init(&p, SSE_EVENT_STREAM, 0);
	p.data.kept.failed = true;
	assert_int_equal(sse_next(&p, &in), SSE_NO_MEMORY);
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	sse_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_streams),
		cmocka_unit_test(ndjson),
		cmocka_unit_test(one_block_is_bounded),
		cmocka_unit_test(endless_input_stays_small),
		cmocka_unit_test(whole_events_are_lent_in_place),
		cmocka_unit_test(memory_goes_back_after_a_large_event),
		cmocka_unit_test(after_too_large_nothing_is_said),
		cmocka_unit_test(an_event_at_the_end_is_not_inside),
		cmocka_unit_test(running_out_of_memory_is_said_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
