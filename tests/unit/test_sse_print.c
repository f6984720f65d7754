/* sse/print, byte by byte, and read back by sse/parse and json/scan. */
#include "json/scan.h"
#include "sse/parse.h"
#include "sse/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
	span text, printed;
};

#define ROW(text, printed) {SPAN(text), SPAN(printed)}

static const struct row texts[] = {
	ROW("Hello", "data: Hello\n"), ROW("", "data: \n"), ROW(" lead and trail ", "data:  lead and trail \n"),
	ROW("two\nlines", "data: two\ndata: lines\n"), ROW("\n", "data: \ndata: \n"), ROW("\n\na\n",
	    "data: \ndata: \ndata: a\ndata: \n"),
	ROW("data: x", "data: data: x\n"), ROW("a\0b", "data: a\0b\n"), ROW("\u00e9\u2028", "data: \u00e9\u2028\n"),
};

static const struct row strings[] = {
	ROW("", "\"\""), ROW("plain", "\"plain\""), ROW("\"\\/", "\"\\\"\\\\/\""), ROW("\b\f\n\r\t",
	    "\"\\b\\f\\n\\r\\t\""),
	ROW("\0\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\\u007f\""), ROW("</script>", "\"\\u003c/script>\""),
	ROW("a\u2028b\u2029", "\"a\\u2028b\\u2029\""), ROW("\u2027\u20ac\u202a", "\"\u2027\u20ac\u202a\""),
	ROW("\U0001f600", "\"\U0001f600\""),
};

static void data_lines(void **state)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf out = {0};
		sse_print_data(&out, SSE_TEXT, texts[i].text);
		assert_true(span_eq(buf_span(&out), texts[i].printed));
		buf_finish(&out);
	}
}

static void json_strings(void **state)
{
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		struct buf out = {0};
		sse_print_json_string(&out, strings[i].text);
		assert_true(span_eq(buf_span(&out), strings[i].printed));
		buf_finish(&out);
	}
}

static void json_data_is_one_line(void **state)
{
	struct buf out = {0};
	sse_print_data(&out, SSE_JSON, SPAN("a\r\nb"));
	assert_true(span_is(buf_span(&out), "data: \"a\\r\\nb\"\n"));
	buf_finish(&out);
}

/* Reads a printed event back; in JSON form its data is a JSON string. */
static void assert_read_back(enum sse_data form, span text)
{
	struct buf out = {0};
	struct sse p;
	struct json s;
	sse_print_data(&out, form, text);
	buf_put_byte(&out, '\n');
	span in = buf_span(&out);
	sse_init(&p, SSE_EVENT_STREAM, 0);
	assert_int_equal(sse_next(&p, &in), SSE_EVENT);
	json_init(&s);
	json_feed(&s, p.event.data, true);
	if (form == SSE_JSON)
		assert_int_equal(json_next(&s), JSON_STRING);
	assert_true(span_eq(form == SSE_JSON ? s.text : p.event.data, text));
	assert_int_equal(sse_next(&p, &in), SSE_MORE);
	json_finish(&s);
	sse_finish(&p);
	buf_finish(&out);
}

static void what_is_printed_is_read_back(void **state)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_read_back(SSE_TEXT, texts[i].text);
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		assert_read_back(SSE_JSON, strings[i].text);
}

static void every_character_survives_json(void **state)
{
	struct buf text = {0};
	for (unsigned c = 0; c < 0x80; c++)
		buf_put_byte(&text, (char)c);
	for (unsigned c = 0x80; c < 0x800; c++)
		buf_printf(&text, "%c%c", 0xC0 | c >> 6, 0x80 | (c & 0x3F));
	for (unsigned c = 0x800; c < 0x10000; c++)
		if (c < 0xD800 || c > 0xDFFF)
			buf_printf(&text, "%c%c%c", 0xE0 | c >> 12, 0x80 | (c >> 6 & 0x3F), 0x80 | (c & 0x3F));
	assert_read_back(SSE_JSON, buf_span(&text));
	buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_lines),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(json_data_is_one_line),
		cmocka_unit_test(what_is_printed_is_read_back),
		cmocka_unit_test(every_character_survives_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
