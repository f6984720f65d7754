/* dialect/text: bodies and what is read in them (reading.h). */
#include "reading.h"

static const struct reading defaults = {&dialect_text, NULL, 1};

static void text_is_the_data_of_messages(void **state)
{
	static const struct reading_row rows[] = {
		ROW("nothing", "\n", "||fed=0"),
		ROW("two events", "data: Hel\n\ndata: lo\n\n", "Hello||fed=2 text meaning"),
		ROW("event: message", "event: message\ndata: a\n\n", "a||fed=1 text meaning"),
		ROW("an empty name", "event:\ndata: a\n\n", "a||fed=1 text meaning"),
		ROW("spaces and newlines stay", "data:  a \ndata: b\n\n", " a \nb||fed=1 text meaning"),
		ROW("empty data", "data:\n\ndata: \n\n", "||fed=0"),
		ROW("a message without data", "event: message\n\nid: 4\n\n", "||fed=0"),
		ROW("JSON is text", "data: {\"error\":\"x\"}\n\n", "{\"error\":\"x\"}||fed=1 text meaning"),
		ROW("a line `error:` is no error", "data: log\nerror: disk full\n\n", "log||fed=1 text meaning"),
		ROW("comments are nothing", ": ping\n\n", "||fed=0"),
	};
	reading_assert_rows(&defaults, rows, sizeof rows / sizeof *rows);
}

static void characters_may_be_split(void **state)
{
	static const struct reading_row rows[] = {
		ROW("over two events", "data: \xE2\x82\n\ndata: \xAC!\n\n", "\u20ac!||fed=2 text meaning"),
		ROW("over four", "data: \xF0\n\ndata: \x9F\n\ndata: \x98\n\ndata: \x80\n\n",
		    "\U0001f600||fed=4 text meaning"),
		ROW("never whole", "data: a\xE2\x82\n\n", "a\uFFFD||fed=1 text meaning"),
		ROW("surrogates are not joined", "data: \xED\xA0\xBD\xED\xB8\x80\n\n",
		    "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD||fed=1 text meaning"),
	};
	reading_assert_rows(&defaults, rows, sizeof rows / sizeof *rows);
}

static void other_names_show_life(void **state)
{
	static const struct reading_row rows[] = {
		ROW("progress", "event: progress\ndata: 5\n\n", "||fed=1"),
		ROW("progress, empty", "event: progress\ndata:\n\n", "||fed=1"),
		ROW("progress without data", "event: progress\n\n", "||fed=0"),
		ROW("ping", "event: ping\ndata: x\n\nevent: keepalive\ndata: x\n\n", "||fed=0"),
		ROW("names are exact", "event: Close\ndata: x\n\nevent: end \ndata: x\n\n", "||fed=2"),
	};
	reading_assert_rows(&defaults, rows, sizeof rows / sizeof *rows);
}

static void terminators(void **state)
{
	static const struct reading_row rows[] = {
		ROW("event: close", "data: a\n\nevent: close\ndata: bye\n\ndata: b\n\n",
		    "a||fed=1 text meaning terminator"),
		ROW("event: close without data", "event: close\n\n", "||fed=0 terminator"),
		ROW("event: end", "event: end\n\n", "||fed=0 terminator"),
		ROW("event: done", "event: done\n\n", "||fed=0 terminator"),
		ROW("[DONE]", "data: a\n\ndata: [DONE]\n\ndata: [DONE]\n\n", "a||fed=2 text meaning terminator"),
		ROW("[DONE] without a space", "data:[DONE]\n\n", "||fed=1 terminator"),
		ROW("[DONE] and a space is text", "data: [DONE] \n\n", "[DONE] ||fed=1 text meaning"),
		ROW("[DONE] in text", "data: say [DONE]\n\ndata: [DONE]\ndata: x\n\n",
		    "say [DONE][DONE]\nx||fed=2 text meaning"),
		ROW("[DONE] under another name", "event: progress\ndata: [DONE]\n\n", "||fed=1"),
		ROW("half a terminator", "data: a\n\nevent: close\n", "a||fed=1 text meaning"),
		ROW("a character held at the terminator", "data: a\xC3\n\ndata: [DONE]\n\n",
		    "a\uFFFD||fed=2 text meaning terminator"),
	};
	reading_assert_rows(&defaults, rows, sizeof rows / sizeof *rows);
}

static void errors(void **state)
{
	static const struct reading_row rows[] = {
		ROW("a sentence", "event: error\ndata: out of memory\n\n", "||fed=0 meaning error(,,out of memory)"),
		ROW("failed", "event: failed\ndata: x\n\n", "||fed=0 meaning error(,,x)"),
		ROW("without data", "data: a\n\nevent: error\n\n", "a||fed=1 text meaning error(,,)"),
		ROW("an object", "event: error\ndata: {\"error\":{\"type\":\"t\",\"code\":7,\"message\":\"m\"}}\n\n",
		    "||fed=0 meaning error(t,7,m)"),
		ROW("flat", "event: error\ndata: {\"status_code\":500,\"message\":\"Internal Server Error\"}\n\n",
		    "||fed=0 meaning error(,,Internal Server Error)"),
		ROW("detail", "event: error\ndata: {\"detail\":\"no\"}\n\n", "||fed=0 meaning error(,,no)"),
		ROW("an object without a message", "event: error\ndata: {\"a\":1}\n\n",
		    "||fed=0 meaning error(,,{\"a\":1})"),
		ROW("broken JSON", "event: error\ndata: {\"error\n\n", "||fed=0 meaning error(,,{\"error)"),
		ROW("control characters", "event: error\ndata: a\x1b[31m\x7f\xC2\x9B" "b\ndata: c\0d\n\n",
		    "||fed=0 meaning error(,,a [31m  b c d)"),
		ROW("what follows is not read", "event: error\ndata: x\n\ndata: [DONE]\n\n",
		    "||fed=0 meaning error(,,x)"),
	};
	reading_assert_rows(&defaults, rows, sizeof rows / sizeof *rows);
}

static void names_come_from_the_route(void **state)
{
	char *ends[] = {"fin", "message"}, *data[] = {"<eos>"}, *errs[] = {"oops"};
	struct dialect_text_rules rules = {{ends, 1}, {data, 1}, {errs, 1}};
	struct reading how = {&dialect_text, &rules, 1};
	static const struct reading_row rows[] = {
		ROW("end event", "event: fin\n\n", "||fed=0 terminator"),
		ROW("end data", "data: <eos>\n\n", "||fed=1 terminator"),
		ROW("error event", "event: oops\ndata: x\n\n", "||fed=0 meaning error(,,x)"),
		ROW("the defaults are gone", "event: close\ndata: a\n\nevent: error\ndata: b\n\ndata: [DONE]\n\n",
		    "[DONE]||fed=3 text meaning"),
	};
	static const struct reading_row named_message[] = {
		ROW("`message` may be an end", "data: a\n\nevent: message\ndata: b\n\n",
		    "a||fed=1 text meaning terminator"),
	};
	reading_assert_rows(&how, rows, sizeof rows / sizeof *rows);
	rules.end_events.n = 2;
	reading_assert_rows(&how, named_message, 1);
}

static void a_message_is_cut_at_a_whole_character(void **state)
{
	for (size_t lead = 0; lead < 4; lead++) {
		struct buf body = {0}, out = {0};
		buf_put(&body, SPAN("event: error\ndata: "));
		buf_put(&body, span_first(SPAN("abc"), lead));
		for (int i = 0; i < 1000; i++)
			buf_put(&body, SPAN("\U0001f600"));
		buf_put(&body, SPAN("\n\n"));
		reading_run(&out, &defaults, buf_span(&body), body.n);
		assert_true(utf8_is_valid(buf_span(&out)));
		size_t kept = (DIALECT_SENTENCE - 1 - lead) / 4 * 4 + lead;
		assert_int_equal(out.n, strlen("||fed=0 meaning error(,,)") + kept);
		buf_finish(&body);
		buf_finish(&out);
	}
}

static void the_replaced_are_counted(void **state)
{
	struct reader r;
	struct sse_event e = {.data = SPAN("a\xFF\xFE" "b\xC3"), .has_data = true};
	reader_init(&r, &dialect_text, NULL, 1);
	reader_read(&r, &e);
	assert_int_equal(r.replaced, 2);
	reader_flush(&r);
	assert_int_equal(r.replaced, 3);
	assert_true(span_is(buf_span(&r.text), "\uFFFD"));
	reader_finish(&r);
}

static void a_body_that_is_an_error(void **state)
{
	static const struct {
		span body;
		const char *message; /* NULL: no error */
	} rows[] = {
		{SPAN("{\"error\":\"busy\"}"), "busy"}, {SPAN("{\"error\":{\"message\":\"m\"}}\n"), "m"},
		{SPAN("{\"detail\":\"d\"}"), "d"},
		{SPAN("{\"detail\":[{\"msg\":\"x\"}]}"), ""},
		{SPAN("{\"object\":\"error\",\"message\":\"flat\"}"), "flat"},
		{SPAN("{\"error\":null,\"text\":\"fine\"}"), NULL}, {SPAN("{\"message\":\"hello\"}"), NULL},
		{SPAN("{}"), NULL}, {SPAN(""), NULL},
		{SPAN("\"error\""), NULL}, {SPAN("{\"error\":\"cut"), NULL}, {SPAN("{\"error\":\"x\"} y"), NULL},
		{SPAN("[{\"error\":1}]"), NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reader r;
		reader_init(&r, &dialect_text, NULL, 1);
		assert_int_equal(dialect_text.read_error_body(&r, rows[i].body), rows[i].message != NULL);
		assert_int_equal(r.seen.error, rows[i].message != NULL);
		assert_string_equal(r.seen.error_message, rows[i].message ? rows[i].message : "");
		reader_finish(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_the_data_of_messages),
		cmocka_unit_test(characters_may_be_split),
		cmocka_unit_test(other_names_show_life),
		cmocka_unit_test(terminators),
		cmocka_unit_test(errors),
		cmocka_unit_test(names_come_from_the_route),
		cmocka_unit_test(a_message_is_cut_at_a_whole_character),
		cmocka_unit_test(the_replaced_are_counted),
		cmocka_unit_test(a_body_that_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
