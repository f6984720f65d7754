#include "stream/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define X "AbC-_0123456789zyxwvuZ"
#define LONGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 64 */

static void expect(span text, enum id_place place, const char *id_text, uint64_t number)
{
	struct id id = {"junk"};
	uint64_t n = 77;
	assert_int_equal(id_parse_place(text, &id, &n), place);
	assert_string_equal(id.text, id_text);
	assert_true(n == number);
}

static void test_an_id_is_valid_and_knows_its_home(void **state)
{
	for (unsigned generation = 0; generation < 16; generation++)
		for (unsigned home = 0; home < 256; home++) {
			struct id id;
			id_make(&id, generation, home);
			assert_true(id_is_valid(span_str(id.text)));
			assert_int_equal(id_home(&id), home);
		}
}

static void test_the_last_two_digits_are_generation_and_home(void **state)
{
	struct id id;
	id_make(&id, 0, 0);
	assert_string_equal(id.text + 20, "AA");
	id_make(&id, 15, 255);
	assert_string_equal(id.text + 20, "__");
	id_make(&id, 1, 2);
	assert_string_equal(id.text + 20, "EC");
}

static int compare(const void *a, const void *b) { return strcmp(a, b); }

/* 120 random bits: among 4096 no two are alike, and no digit of the random part always is. */
static void test_ids_differ(void **state)
{
	enum { N = 4096 };
	static struct id ids[N];
	bool varies[20] = {false};
	for (size_t i = 0; i < N; i++) {
		id_make(&ids[i], 3, 9);
		for (size_t k = 0; k < 20; k++)
			varies[k] |= ids[i].text[k] != ids[0].text[k];
	}
	for (size_t k = 0; k < 20; k++)
		assert_true(varies[k]);
	qsort(ids, N, sizeof *ids, compare);
	for (size_t i = 1; i < N; i++)
		assert_string_not_equal(ids[i].text, ids[i - 1].text);
}

static void test_valid_ids_are_22_digits_of_base64url(void **state)
{
	assert_true(id_is_valid(SPAN(X)));
	assert_false(id_is_valid(SPAN("")));
	assert_false(id_is_valid((span){0}));
	assert_false(id_is_valid(span_first(SPAN(X), 21)));
	assert_false(id_is_valid(SPAN(X "a")));
	for (int c = 0; c < 256; c++) {
		char text[] = X;
		text[11] = (char)c;
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		bool digit = letter || (c >= '0' && c <= '9') || c == '-' || c == '_';
		assert_int_equal(id_is_valid(span_of(text, 22)), digit);
	}
}

static void test_a_place_is_an_event(void **state)
{
	expect(SPAN(X ".0"), PLACE_EVENT, X, 0);
	expect(SPAN(X ".1"), PLACE_EVENT, X, 1);
	expect(SPAN(X ".4294967295"), PLACE_EVENT, X, 4294967295);
	expect(SPAN(X ".9999999999"), PLACE_EVENT, X, 9999999999);
}

static void test_a_place_is_the_end_of_anything(void **state)
{
	expect(SPAN(X ".end"), PLACE_END, X, 0);
	expect(SPAN("x.end"), PLACE_END, "", 0);
	expect(SPAN("some-other_server.v1.7.end"), PLACE_END, "", 0);
	expect(SPAN("..end"), PLACE_END, "", 0);
	expect(SPAN(LONGEST ".end"), PLACE_END, "", 0);
}

static void test_what_only_resembles_an_end_is_foreign(void **state)
{
	expect(SPAN(".end"), PLACE_FOREIGN, "", 0);
	expect(SPAN("end"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X "end"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X ".END"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X ".end "), PLACE_FOREIGN, "", 0);
	expect(SPAN("a b.end"), PLACE_FOREIGN, "", 0);
	expect(SPAN("a/b.end"), PLACE_FOREIGN, "", 0);
	expect(SPAN(LONGEST "a.end"), PLACE_FOREIGN, "", 0);
}

static void test_numbers_that_nobody_wrote_are_bad(void **state)
{
	expect(SPAN(X ".00"), PLACE_BAD, "", 0);
	expect(SPAN(X ".01"), PLACE_BAD, "", 0);
	expect(SPAN(X ".0000000000000000000"), PLACE_BAD, "", 0);
	expect(SPAN(X ".10000000000"), PLACE_BAD, "", 0);
	expect(SPAN(X ".18446744073709551617"), PLACE_BAD, "", 0);
}

static void test_other_text_is_foreign(void **state)
{
	expect(SPAN("0"), PLACE_FOREIGN, "", 0);
	expect(SPAN("1700000000000-0"), PLACE_FOREIGN, "", 0);
	expect(SPAN("007"), PLACE_FOREIGN, "", 0);
	expect(SPAN("event.007"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X), PLACE_FOREIGN, "", 0);
	expect(SPAN(X "."), PLACE_FOREIGN, "", 0);
	expect(SPAN(X ".-1"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X ".+1"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X ".1x"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X ".1 "), PLACE_FOREIGN, "", 0);
	expect(SPAN(X "-1"), PLACE_FOREIGN, "", 0);
	expect(SPAN(X "x.1"), PLACE_FOREIGN, "", 0);
	expect(SPAN("~bC-_0123456789zyxwvuZ.1"), PLACE_FOREIGN, "", 0);
}

static void test_what_nobody_may_send_is_bad(void **state)
{
	expect((span){0}, PLACE_BAD, "", 0);
	expect(SPAN("\xe2\x80\xa6"), PLACE_BAD, "", 0);
	for (int c = 0; c < 256; c++) {
		char text[] = X ".7?";
		text[24] = (char)c;
		bool printable = c >= 0x20 && c <= 0x7e;
		enum id_place place = c >= '0' && c <= '9' ? PLACE_EVENT : printable ? PLACE_FOREIGN : PLACE_BAD;
		struct id id;
		uint64_t n;
		assert_int_equal(id_parse_place(span_of(text, 25), &id, &n), place);
	}
}

static void test_256_bytes_are_looked_at_and_no_more(void **state)
{
	char text[257];
	memset(text, 'a', sizeof text);
	expect(span_of(text, 256), PLACE_FOREIGN, "", 0);
	expect(span_of(text, 257), PLACE_BAD, "", 0);
	memcpy(text + 253, ".end", 4);
	expect(span_of(text, 257), PLACE_BAD, "", 0);
}

static void test_a_place_that_was_printed_is_read_back(void **state)
{
	static const uint64_t numbers[] = {0, 1, 9, 10, 99, 12345, 4294967294, 4294967295, 9999999999};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		struct id made;
		char text[ID_PLACE_MAX];
		id_make(&made, (unsigned)i, (unsigned)(i * 31));
		int length = snprintf(text, sizeof text, "%s.%llu", made.text, (unsigned long long)numbers[i]);
		assert_in_range(length, 1, ID_PLACE_MAX - 1);
		expect(span_of(text, (size_t)length), PLACE_EVENT, made.text, numbers[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_id_is_valid_and_knows_its_home),
		cmocka_unit_test(test_the_last_two_digits_are_generation_and_home),
		cmocka_unit_test(test_ids_differ),
		cmocka_unit_test(test_valid_ids_are_22_digits_of_base64url),
		cmocka_unit_test(test_a_place_is_an_event),
		cmocka_unit_test(test_a_place_is_the_end_of_anything),
		cmocka_unit_test(test_what_only_resembles_an_end_is_foreign),
		cmocka_unit_test(test_numbers_that_nobody_wrote_are_bad),
		cmocka_unit_test(test_other_text_is_foreign),
		cmocka_unit_test(test_what_nobody_may_send_is_bad),
		cmocka_unit_test(test_256_bytes_are_looked_at_and_no_more),
		cmocka_unit_test(test_a_place_that_was_printed_is_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
