/* json/scan: a transcript of tokens for each text, the same however the text is cut. */
#include "base/utf8.h"
#include "json/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* One letter or shape for each token; BAD as !OFFSET:MESSAGE. */
static bool write_token(struct buf *out, struct json *s, enum json_token token)
{
	switch (token) {
	case JSON_OBJECT: buf_put(out, SPAN("{")); return true;
	case JSON_OBJECT_END: buf_put(out, SPAN("}")); return true;
	case JSON_ARRAY: buf_put(out, SPAN("[")); return true;
	case JSON_ARRAY_END: buf_put(out, SPAN("]")); return true;
	case JSON_KEY: buf_printf(out, "%.*s=", SPAN_ARG(s->text)); return true;
	case JSON_STRING: buf_put_byte(out, '\''); buf_put(out, s->text); buf_put_byte(out, '\''); return true;
	case JSON_NUMBER: buf_printf(out, "#%.*s", SPAN_ARG(s->text)); return true;
	case JSON_TRUE: buf_put(out, SPAN("T")); return true;
	case JSON_FALSE: buf_put(out, SPAN("F")); return true;
	case JSON_NULL: buf_put(out, SPAN("N")); return true;
	case JSON_END: buf_put(out, SPAN(".")); return false;
	case JSON_BAD: buf_printf(out, "!%d:%s", (int)s->offset, s->message); return false;
	case JSON_MORE: break;
	}
	fail_msg("more was asked for behind the end");
	return false;
}

/* Feeds pieces that lie in memory of their own, so that a sanitizer sees a span that outlives its loan. */
struct pieces {
	char *present;
};

static void feed(struct json *s, struct pieces *p, span piece, bool last)
{
	free(p->present);
	p->present = malloc(piece.n + 1);
	assert_non_null(p->present);
	memcpy(p->present, piece.p, piece.n);
	json_feed(s, span_of(p->present, piece.n), last);
}

/* step 0: whole; else pieces of that many bytes, the first one of `first`. */
static void scan(struct buf *out, span text, size_t first, size_t step)
{
	struct json s;
	struct pieces p = {0};
	json_init(&s);
	feed(&s, &p, span_first(text, first), first >= text.n);
	text = span_from(text, first);
	for (;;) {
		enum json_token token = json_next(&s);
		if (token == JSON_MORE) {
			feed(&s, &p, span_first(text, step), step >= text.n);
			text = span_from(text, step);
		} else if (!write_token(out, &s, token)) {
			assert_int_equal(json_next(&s), token);
			break;
		}
	}
	json_finish(&s);
	free(p.present);
}

static void assert_scan(span text, span expected, size_t first, size_t step)
{
	struct buf out = {0};
	scan(&out, text, first, step);
	if (!span_eq(buf_span(&out), expected))
		fail_msg("%.*s, %zu and then by %zu: got %.*s", SPAN_ARG(text), first, step, SPAN_ARG(buf_span(&out)));
	buf_finish(&out);
}

static void assert_scans(span text, span expected)
{
	assert_scan(text, expected, text.n, 1);
	assert_scan(text, expected, 0, 1);
	for (size_t i = 0; i <= text.n; i++)
		assert_scan(text, expected, i, text.n + 1);
	for (size_t step = 2; step < 8; step++)
		assert_scan(text, expected, step, step);
}

struct row {
	span text, tokens;
};

#define ROW(text, tokens) {SPAN(text), SPAN(tokens)}

static void good_texts(void **state)
{
	static const struct row rows[] = {
		ROW("{}", "{}."), ROW("[]", "[]."), ROW(" \t\r\n[ ] \n", "[]."), ROW("null", "N."), ROW("true ",
		    "T."), ROW("false", "F."),
		ROW("[true,false,null]", "[TFN]."),
		ROW("{\"a\":1,\"b\":[{},[]],\"a\":\"\"}", "{a=#1b=[{}[]]a=''}."),
		ROW("{ \"choices\" : [ { \"index\" : 0 , \"delta\" : { \"content\" : \"Hello, world and more\" } } ] }",
		    "{choices=[{index=#0delta={content='Hello, world and more'}}]}."),
		ROW("\"\"", "''."), ROW("\"a\"", "'a'."), ROW("\"exactly8\"", "'exactly8'."),
		ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "'\"\\/\b\f\n\r\t'."),
		ROW("\"\\u0041\\u00e9\\u20AC\\u20ac\"", "'A\u00e9\u20ac\u20ac'."), ROW("\"a\\u0000b\"", "'a\0b'."),
		ROW("\"before\\nand long enough behind\"", "'before\nand long enough behind'."),
		ROW("{\"k\\u0065y\":0}", "{key=#0}."),
		ROW("\"\\ud83d\\ude00\"", "'\U0001f600'."), ROW("\"\\uD83D\\uDE00x\"", "'\U0001f600x'."),
		ROW("\"\\ud83d\"", "'\xED\xA0\xBD'."), ROW("\"\\ude00\"", "'\xED\xB8\x80'."),
		ROW("\"\\ude00\\ud83d\"", "'\xED\xB8\x80\xED\xA0\xBD'."), ROW("\"\\ud83d \\ude00\"",
		    "'\xED\xA0\xBD \xED\xB8\x80'."),
		ROW("\"\xFF\xC0 raw\x7F\"", "'\xFF\xC0 raw\x7F'."),
		ROW("0", "#0."), ROW("-0", "#-0."), ROW("[12,-3.25,1e5,1E+5,0e-0,0.10]",
		    "[#12#-3.25#1e5#1E+5#0e-0#0.10]."),
		ROW("123456789012345678901234567890", "#123456789012345678901234567890."),
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_scans(rows[i].text, rows[i].tokens);
}

static void bad_texts_say_what_was_expected_and_where(void **state)
{
	static const struct row rows[] = {
		ROW("", "!0:expected a value"), ROW(" ", "!1:expected a value"), ROW("\xEF\xBB\xBF{}",
		    "!0:expected a value"),
		ROW("{", "{!1:expected a member's name or '}'"), ROW("[", "[!1:expected a value or ']'"),
		ROW("[1", "[#1!2:expected ',' or ']'"), ROW("[1,", "[#1!3:expected a value"), ROW("[1,]",
		    "[#1!3:expected a value"),
		ROW("[,1]", "[!1:expected a value or ']'"), ROW("[1 2]", "[#1!3:expected ',' or ']'"), ROW("[1}",
		    "[#1!2:expected ',' or ']'"),
		ROW("{\"a\"}", "{a=!4:expected ':'"), ROW("{\"a\":}", "{a=!5:expected a value"), ROW("{\"a\":1,}",
		    "{a=#1!7:expected a member's name"),
		ROW("{a:1}", "{!1:expected a member's name or '}'"), ROW("{'a':1}",
		    "{!1:expected a member's name or '}'"),
		ROW("{\"a\":1 \"b\":2}", "{a=#1!7:expected ',' or '}'"), ROW("{1:2}",
		    "{!1:expected a member's name or '}'"),
		ROW("{\"a\":1]", "{a=#1!6:expected ',' or '}'"),
		ROW("{} x", "{}!3:expected nothing but white space behind the value"), ROW("1 2",
		    "#1!2:expected nothing but white space behind the value"),
		ROW("nul", "!3:expected true, false or null"), ROW("nulL", "!3:expected true, false or null"),
		ROW("truex", "T!4:expected nothing but white space behind the value"), ROW("True",
		    "!0:expected a value"), ROW("NaN", "!0:expected a value"),
		ROW("-", "!1:expected a digit in a number"), ROW("+1", "!0:expected a value"), ROW(".5",
		    "!0:expected a value"),
		ROW("1.", "!2:expected a digit in a number"), ROW("1.e3", "!2:expected a digit in a number"),
		ROW("1e", "!2:expected a digit in a number"),
		ROW("1e+", "!3:expected a digit in a number"), ROW("-a", "!1:expected a digit in a number"),
		ROW("--1", "!1:expected a digit in a number"),
		ROW("[01]", "[#0!2:expected ',' or ']'"), ROW("[0x1]", "[#0!2:expected ',' or ']'"), ROW("[1.2.3]",
		    "[#1.2!4:expected ',' or ']'"),
		ROW("\"", "!1:expected the closing quote of a string before the end"), ROW("\"abc",
		    "!4:expected the closing quote of a string before the end"),
		ROW("\"a\\", "!3:expected the closing quote of a string before the end"), ROW("\"\\u12",
		    "!5:expected the closing quote of a string before the end"),
		ROW("\"a\nb\"", "!2:expected no control character inside a string"), ROW("\"12345678\0\"",
		    "!9:expected no control character inside a string"),
		ROW("\"\\x\"", "!2:expected one of \"\\/bfnrtu behind a backslash"), ROW("\"\\\0\"",
		    "!2:expected one of \"\\/bfnrtu behind a backslash"),
		ROW("\"\\u12g4\"", "!5:expected four hexadecimal digits behind \\u"), ROW("\"\\u 123\"",
		    "!3:expected four hexadecimal digits behind \\u"),
		ROW("[1]/**/", "[#1]!3:expected nothing but white space behind the value"), ROW("\x0b[]",
		    "!0:expected a value"),
		ROW("{\"error\": \"say \"no\" here\"}", "{error='say '!16:expected ',' or '}'"),
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_scans(rows[i].text, rows[i].tokens);
}

static void nest(struct buf *text, const char *open, const char *close, int levels)
{
	for (int i = 0; i < levels; i++)
		buf_put(text, span_str(open));
	buf_put(text, SPAN("0"));
	for (int i = 0; i < levels; i++)
		buf_put(text, span_str(close));
}

static enum json_token last_token(span text, struct json *s)
{
	enum json_token token;
	json_init(s);
	json_feed(s, text, true);
	while ((token = json_next(s)) != JSON_END && token != JSON_BAD)
		;
	return token;
}

static void depth_is_bounded(void **state)
{
	static const char *const forms[][2] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"a\":", "}]"}};
	for (size_t i = 0; i < 3; i++) {
		struct json s;
		struct buf text = {0};
		int levels = i == 2 ? JSON_DEPTH / 2 : JSON_DEPTH;
		nest(&text, forms[i][0], forms[i][1], levels);
		assert_int_equal(last_token(buf_span(&text), &s), JSON_END);
		json_finish(&s);
		buf_clear(&text);
		nest(&text, forms[i][0], forms[i][1], levels + 1);
		assert_int_equal(last_token(buf_span(&text), &s), JSON_BAD);
		assert_string_equal(s.message, "expected at most 64 levels of nesting");
		json_finish(&s);
		buf_finish(&text);
	}
}

static void skipping_passes_one_value(void **state)
{
	struct json s;
	json_init(&s);
	json_feed(&s, SPAN("{\"a\":[1,{\"b\":[]},\"]\"],\"c\":2,\"d\":{}}"), true);
	assert_int_equal(json_next(&s), JSON_OBJECT);
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_int_equal(json_next(&s), JSON_ARRAY);
	assert_true(json_skip(&s, JSON_ARRAY));
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_true(span_is(s.text, "c"));
	assert_int_equal(json_next(&s), JSON_NUMBER);
	assert_true(json_skip(&s, JSON_NUMBER));
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_true(span_is(s.text, "d"));
	assert_int_equal(json_next(&s), JSON_OBJECT);
	assert_true(json_skip(&s, JSON_OBJECT));
	assert_int_equal(json_next(&s), JSON_OBJECT_END);
	assert_int_equal(json_next(&s), JSON_END);
	assert_int_equal(s.depth, 0);
	json_finish(&s);
}

static void skipping_says_when_it_cannot(void **state)
{
	struct json s;
	json_init(&s);
	json_feed(&s, SPAN("[1,[2,]"), true);
	assert_int_equal(json_next(&s), JSON_ARRAY);
	assert_false(json_skip(&s, JSON_ARRAY));
	assert_int_equal(json_next(&s), JSON_BAD);
	assert_false(json_skip(&s, JSON_BAD));
	json_finish(&s);
}

/* Members: "a" and "b" as NAME=TOKEN. */
static bool read_member(void *of, struct json *s, span name)
{
	struct buf *out = of;
	enum json_token token = json_next(s);
	buf_printf(out, "%.*s=", SPAN_ARG(name));
	return write_token(out, s, token) && json_skip(s, token);
}

static bool read_element(void *of, struct json *s)
{
	static const struct json_member members[] = {{SPAN("a"), read_member}, {SPAN("b"), read_member}};
	return json_read_members(s, members, 2, of);
}

static bool read_list(void *of, struct json *s, span name) { return json_read_array(s, read_element, of); }

static void wanted_members_are_read_and_the_others_passed(void **state)
{
	static const struct row rows[] = {
		ROW("{}", "."), ROW("{\"a\":1}", "a=#1."), ROW("{\"x\":{\"a\":2},\"a\":[{}],\"y\":[[1,\"]\"]]}", "a=[."),
		ROW(" { \"x\" : null , \"b\" : \"s\" , \"a\" : true } ", "b='s'a=T."),
		ROW("{\"\\u0061\":1,\"\\u0078\":2,\"b\":\"\\n\"}", "a=#1b='\n'."), ROW("{\"\":1,\"aa\":2,\"a\":3}", "a=#3."),
		ROW("{\"a\":1,\"a\":2}", "a=#1a=#2."), ROW("{\"l\":[{\"a\":1},7,{},{\"b\":{}}],\"a\":0}", "a=#1b={a=#0."),
		ROW("{\"l\":{\"a\":1}}", "."), ROW("7", "."), ROW("[{\"a\":1}]", "."),
		ROW("{\"a\":1,}", "a=#1!7"), ROW("{\"x\":tru}", "!8"), ROW("{\"x\":1 \"a\":2}", "!7"), ROW("{\"x\" 1}", "!5"),
		ROW("{,}", "!1"), ROW("{\"x\":[1,{\"y\":01}]}", "!14"), ROW("{\"x\":\"\\u12\"}", "!10"), ROW("{\"a\":1", "a=#1!6"),
		ROW("{\"l\":[{\"a\":1}", "a=#1!13"), ROW("{\"x\":\"\n\"}", "!6"), ROW("{\"x\":[}]}", "!6"), ROW("{\"x\":1]", "!6"),
		ROW("{} x", "!3"),
	};
	static const struct json_member members[] = {
		{SPAN("a"), read_member}, {SPAN("b"), read_member}, {SPAN("l"), read_list},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct json s;
		struct buf out = {0};
		json_init(&s);
		json_feed(&s, rows[i].text, true);
		bool good = json_read_object(&s, members, 3, &out) && json_next(&s) == JSON_END;
		if (good)
			buf_put_byte(&out, '.');
		else if (json_next(&s) == JSON_BAD)
			buf_printf(&out, "!%d", (int)s.offset);
		if (!span_eq(buf_span(&out), rows[i].tokens))
			fail_msg("%.*s: got %.*s", SPAN_ARG(rows[i].text), SPAN_ARG(buf_span(&out)));
		buf_finish(&out);
		json_finish(&s);
	}
}

static void passing_is_as_deep_as_reading(void **state)
{
	for (int levels = JSON_DEPTH - 1; levels <= JSON_DEPTH + 1; levels++) {
		struct json s;
		struct buf text = {0};
		nest(&text, "[", "]", levels);
		json_init(&s);
		json_feed(&s, buf_span(&text), true);
		assert_int_equal(json_pass(&s), levels <= JSON_DEPTH);
		json_finish(&s);
		buf_finish(&text);
	}
}

static void plain_bytes(void **state)
{
	assert_int_equal(json_plain_bytes(SPAN("")), 0);
	assert_int_equal(json_plain_bytes(SPAN("abc\"def")), 3);
	assert_int_equal(json_plain_bytes(SPAN("longer than sixteen bytes\\n")), 25);
	assert_int_equal(json_plain_bytes(SPAN("longer than sixteen \x80\xFF\x7F\x1F")), 23);
}

static void strings_without_escapes_are_lent_in_place(void **state)
{
	struct json s;
	span text = SPAN("{\"key\":\"value\"}");
	json_init(&s);
	json_feed(&s, text, true);
	assert_int_equal(json_next(&s), JSON_OBJECT);
	assert_int_equal(json_next(&s), JSON_KEY);
	assert_ptr_equal(s.text.p, text.p + 2);
	assert_int_equal(json_next(&s), JSON_STRING);
	assert_ptr_equal(s.text.p, text.p + 8);
	assert_int_equal(s.held.cap, 0);
	json_finish(&s);
}

static void every_byte_inside_a_string(void **state)
{
	for (int c = 0; c < 256; c++)
		for (size_t at = 1; at < 20; at++) {
			struct json s;
			char text[22];
			memset(text, 'x', sizeof text);
			text[0] = text[21] = '"';
			text[at] = (char)c;
			bool good = c >= 0x20 && c != '"' && c != '\\';
			assert_int_equal(last_token(span_of(text, sizeof text), &s), good ? JSON_END : JSON_BAD);
			json_finish(&s);
		}
}

static void running_out_of_memory_is_bad_and_stays_so(void **state)
{
	static const span texts[] = {SPAN("[\"a\\nb\"]"), SPAN("[\"a\\u0041"), SPAN("[12"), SPAN("[\"ab")};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct json s;
		json_init(&s);
		json_feed(&s, texts[i], false);
		assert_int_equal(json_next(&s), JSON_ARRAY);
		s.held.failed = true;
		assert_int_equal(json_next(&s), JSON_BAD);
		assert_string_equal(s.message, "out of memory");
		assert_int_equal(json_next(&s), JSON_BAD);
		json_finish(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts),
		cmocka_unit_test(bad_texts_say_what_was_expected_and_where),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(skipping_passes_one_value),
		cmocka_unit_test(skipping_says_when_it_cannot),
		cmocka_unit_test(wanted_members_are_read_and_the_others_passed),
		cmocka_unit_test(passing_is_as_deep_as_reading),
		cmocka_unit_test(plain_bytes),
		cmocka_unit_test(strings_without_escapes_are_lent_in_place),
		cmocka_unit_test(every_byte_inside_a_string),
		cmocka_unit_test(running_out_of_memory_is_bad_and_stays_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
