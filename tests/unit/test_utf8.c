/* base/utf8: every row is mended whole, one byte at a time, and cut at every pair of places. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define R "\xEF\xBF\xBD"

struct row {
	const char *what;
	bool surrogates;
	span in, out;
	size_t replaced;
};

static const struct row rows[] = {
	{"nothing", false, SPAN(""), SPAN(""), 0},
	{"ASCII", false, SPAN("plain words, more than eight bytes"), SPAN("plain words, more than eight bytes"), 0},
	{"NUL is a character", false, SPAN("a\0b"), SPAN("a\0b"), 0},
	{"two, three and four bytes", false, SPAN("\u00e9\u20ac\U0001f600"), SPAN("\u00e9\u20ac\U0001f600"), 0},
	{"first and last of each length",
	    false, SPAN("\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
	 SPAN("\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), 0},
	{"around the surrogates", true, SPAN("\xED\x9F\xBF\xEE\x80\x80"), SPAN("\xED\x9F\xBF\xEE\x80\x80"), 0},
	{"a lone continuation", false, SPAN("a\x80z"), SPAN("a" R "z"), 1},
	{"bytes that never occur", false, SPAN("\xC0\xC1\xF5\xFF"), SPAN(R R R R), 4},
	{"overlong, two bytes", false, SPAN("\xC0\xAF"), SPAN(R R), 2},
	{"overlong, three bytes", false, SPAN("\xE0\x80\xAF"), SPAN(R R R), 3},
	{"overlong, four bytes", false, SPAN("\xF0\x80\x80\xAF"), SPAN(R R R R), 4},
	{"beyond U+10FFFF", false, SPAN("\xF4\x90\x80\x80"), SPAN(R R R R), 4},
	{"a surrogate in UTF-8", false, SPAN("\xED\xA0\x80"), SPAN(R R R), 3},
	{"a maximal subpart of three", false, SPAN("\xF0\x9F\x98" "A"), SPAN(R "A"), 1},
	{"Unicode table 3-8", false, SPAN("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
	 SPAN("a" R R R "b" R "c" R R "d"), 6},
	{"a start cut by a start", false, SPAN("\xE2\xE2\x82\xAC"), SPAN(R "\u20ac"), 1},
	{"cut at the end: one", false, SPAN("x\xC3"), SPAN("x" R), 1},
	{"cut at the end: three of four", false, SPAN("x\xF0\x9F\x98"), SPAN("x" R), 1},
	{"a pair", true, SPAN("<\xED\xA0\xBD\xED\xB8\x80>"), SPAN("<\U0001f600>"), 0},
	{"first and last pair",
	    true, SPAN("\xED\xA0\x80\xED\xB0\x80\xED\xAF\xBF\xED\xBF\xBF"), SPAN("\U00010000\U0010ffff"), 0},
	{"a high alone", true, SPAN("<\xED\xA0\xBD>"), SPAN("<" R ">"), 1},
	{"a low alone", true, SPAN("<\xED\xB8\x80>"), SPAN("<" R ">"), 1},
	{"two highs and a low", true, SPAN("\xED\xA0\xBD\xED\xA0\xBD\xED\xB8\x80"), SPAN(R "\U0001f600"), 1},
	{"low and high", true, SPAN("\xED\xB8\x80\xED\xA0\xBD"), SPAN(R R), 2},
	{"a high and U+D7FF", true, SPAN("\xED\xA0\xBD\xED\x9F\xBF"), SPAN(R "\xED\x9F\xBF"), 1},
	{"a high and half a low", true, SPAN("\xED\xA0\xBD\xED\xB8"), SPAN(R R), 2},
	{"a high and a broken low", true, SPAN("\xED\xA0\xBD\xED\xB8z"), SPAN(R R "z"), 2},
	{"a high and another sequence", true, SPAN("\xED\xA0\xBD\xE2\x82\xAC"), SPAN(R "\u20ac"), 1},
};

static void assert_row(const struct row *row, const struct buf *out, size_t replaced, size_t i, size_t k)
{
	if (!span_eq(buf_span(out), row->out) || replaced != row->replaced)
		fail_msg("%s, cut at %zu and %zu: got '%.*s' and %zu replaced",
		    row->what, i, k, SPAN_ARG(buf_span(out)), replaced);
}

static void mend_cut(const struct row *row, size_t i, size_t k)
{
	struct utf8 u;
	struct buf out = {0};
	utf8_init(&u, row->surrogates);
	size_t replaced = utf8_mend(&u, span_first(row->in, i), &out);
	replaced += utf8_mend(&u, span_first(span_from(row->in, i), k - i), &out);
	replaced += utf8_mend(&u, span_from(row->in, k), &out);
	replaced += utf8_flush(&u, &out);
	assert_row(row, &out, replaced, i, k);
	buf_finish(&out);
}

static void mend_bytes(const struct row *row)
{
	struct utf8 u;
	struct buf out = {0};
	size_t replaced = 0;
	utf8_init(&u, row->surrogates);
	for (size_t i = 0; i < row->in.n; i++) {
		replaced += utf8_mend(&u, span_first(span_from(row->in, i), 1), &out);
		assert_true(utf8_is_valid(buf_span(&out)));
	}
	replaced += utf8_flush(&u, &out);
	assert_row(row, &out, replaced, 1, 1);
	buf_finish(&out);
}

static void rows_are_mended_however_they_are_cut(void **state)
{
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		mend_bytes(&rows[r]);
		for (size_t i = 0; i <= rows[r].in.n; i++)
			for (size_t k = i; k <= rows[r].in.n; k++)
				mend_cut(&rows[r], i, k);
	}
}

static void a_tail_waits_for_its_rest(void **state)
{
	struct utf8 u;
	struct buf out = {0};
	utf8_init(&u, false);
	assert_int_equal(utf8_mend(&u, SPAN("a\xE2\x82"), &out), 0);
	assert_true(span_is(buf_span(&out), "a"));
	assert_int_equal(utf8_mend(&u, SPAN(""), &out), 0);
	assert_int_equal(utf8_mend(&u, SPAN("\xAC"), &out), 0);
	assert_true(span_is(buf_span(&out), "a\u20ac"));
	assert_int_equal(utf8_flush(&u, &out), 0);
	buf_finish(&out);
}

/* What a code point's bytes are, written from the definition and not from the decoder. */
static span encode(uint32_t c, char bytes[4])
{
	if (c < 0x80)
		return bytes[0] = (char)c, span_of(bytes, 1);
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; c >>= 6)
		bytes[i] = (char)(0x80 | (c & 0x3F));
	bytes[0] = (char)((0xF00 >> n & 0xFF) | c);
	return span_of(bytes, n);
}

static void every_code_point_passes(void **state)
{
	struct utf8 u;
	struct buf in = {0}, out = {0};
	char bytes[4];
	for (uint32_t c = 0; c < 0x110000; c++) {
		bool surrogate = c >= 0xD800 && c < 0xE000;
		span s = encode(c, bytes);
		if (utf8_is_valid(s) == surrogate)
			fail_msg("U+%04X", c);
		if (!surrogate)
			buf_put(&in, s);
	}
	utf8_init(&u, true);
	assert_int_equal(utf8_mend(&u, buf_span(&in), &out), 0);
	assert_true(span_eq(buf_span(&in), buf_span(&out)));
	buf_finish(&in);
	buf_finish(&out);
}

/* However long the ASCII before and behind it: runs of it are passed over in steps. */
static void a_bad_byte_is_found_anywhere(void **state)
{
	for (size_t n = 1; n <= 100; n++)
		for (size_t at = 0; at < n; at++) {
			struct utf8 u;
			struct buf out = {0};
			char text[100];
			memset(text, 'a', n);
			text[at] = '\xff';
			utf8_init(&u, false);
			assert_int_equal(utf8_mend(&u, span_of(text, n), &out), 1);
			assert_int_equal(out.n, n + 2);
			assert_memory_equal(out.p + at, "\xEF\xBF\xBD", 3);
			buf_finish(&out);
		}
}

static void validity_needs_whole_characters(void **state)
{
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
		if (!rows[r].surrogates)
			assert_int_equal(utf8_is_valid(rows[r].in), rows[r].replaced == 0);
	assert_true(utf8_is_valid((span){0}));
	assert_false(utf8_is_valid(SPAN("12345678\xE2\x82")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_mended_however_they_are_cut),
		cmocka_unit_test(a_tail_waits_for_its_rest),
		cmocka_unit_test(every_code_point_passes),
		cmocka_unit_test(a_bad_byte_is_found_anywhere),
		cmocka_unit_test(validity_needs_whole_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
