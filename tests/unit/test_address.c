/* Addresses and ranges: what is one, which range has which, and that text and bytes mean each other. */
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct address address(const char *text)
{
	struct address a;
	assert_true(address_parse(span_str(text), &a));
	return a;
}

static bool has(const char *range, const char *text)
{
	struct address_range r;
	struct address a = address(text);
	assert_null(address_range_parse(span_str(range), &r));
	return address_range_has(&r, &a);
}

static void test_text_becomes_an_address_and_text_again(void **state)
{
	static const struct {
		const char *text, *again;
	} rows[] = {{"10.0.0.1", "10.0.0.1"}, {"255.255.255.255", "255.255.255.255"}, {"::1", "::1"}, {"::", "::"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"}, {"::ffff:10.0.0.1", "10.0.0.1"}, {"::10.0.0.1", "::10.0.0.1"}};
	char text[ADDRESS_TEXT];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address a = address(rows[i].text);
		address_print(&a, text);
		assert_string_equal(text, rows[i].again);
	}
}

static void test_what_is_no_address_is_refused_and_changes_nothing(void **state)
{
	static const char *const wrong[] = {"", " ", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1 ", "0x7f.0.0.1", "1",
		"::g", ":::", "fe80::1%lo", "localhost", "10.0.0.1:80", "[::1]", "unknown", "_hidden", "1:2:3:4:5:6:7:8:9",
		"1111111111111111111111111111111111111111111111"};
	struct address a = address("10.1.2.3"), before = a;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(address_parse(span_str(wrong[i]), &a));
	assert_false(address_parse(SPAN("10.0.0.1\0"), &a));
	assert_false(address_parse((span){0}, &a));
	assert_memory_equal(&a, &before, sizeof a);
}

static void test_a_peer_may_have_a_port(void **state)
{
	static const struct {
		const char *text, *address;
	} rows[] = {{"10.0.0.1:80", "10.0.0.1"}, {"10.0.0.1", "10.0.0.1"}, {"[::1]:65535", "::1"}, {"[::1]", "::1"},
		{"::1", "::1"}, {"1::2:80", "1::2:80"}, {"[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1"},
		{"::ffff:10.0.0.1", "10.0.0.1"}};
	static const char *const wrong[] = {"10.0.0.1:", "10.0.0.1:x", "10.0.0.1:123456", "[::1", "[::1]80", "[::1]:",
		"[10.0.0.1]", "[]", "[", ":80", "unix", "[[::1]]", "10.0.0.1:80:80", "1:2"};
	struct address a;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address wanted = address(rows[i].address);
		assert_true(address_parse_peer(span_str(rows[i].text), &a));
		assert_memory_equal(&a, &wanted, sizeof a);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(address_parse_peer(span_str(wrong[i]), &a));
}

static void test_a_range_has_what_begins_like_it(void **state)
{
	assert_true(has("10.0.0.0/8", "10.255.0.1"));
	assert_false(has("10.0.0.0/8", "11.0.0.0"));
	assert_false(has("10.0.0.0/8", "9.255.255.255"));
	assert_true(has("10.0.0.7", "10.0.0.7"));
	assert_false(has("10.0.0.7", "10.0.0.6"));
	assert_true(has("10.0.0.7/32", "10.0.0.7"));
	assert_true(has("192.168.4.0/23", "192.168.5.255"));
	assert_false(has("192.168.4.0/23", "192.168.6.0"));
	assert_true(has("128.0.0.0/1", "255.1.1.1"));
	assert_false(has("128.0.0.0/1", "127.1.1.1"));
	assert_true(has("0.0.0.0/0", "8.8.8.8"));
	assert_true(has("fd00::/8", "fdff::1"));
	assert_false(has("fd00::/8", "fc00::1"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(has("::1/128", "::1"));
	assert_true(has("::/0", "8.8.8.8"));
}

static void test_both_kinds_of_addresses_are_kept_apart_but_for_the_mapped_ones(void **state)
{
	assert_false(has("0.0.0.0/0", "::1"));
	assert_false(has("10.0.0.0/8", "a00::"));
	assert_true(has("10.0.0.0/8", "::ffff:10.1.1.1"));
	assert_true(has("::ffff:10.0.0.0/104", "10.1.1.1"));
}

/* Each length against an address that differs in the bit behind it, and in the one before it. */
static void test_every_length(void **state)
{
	for (unsigned bits = 1; bits <= 128; bits++) {
		struct address_range r = {.bits = bits};
		struct address a = {0};
		a.bytes[(bits - 1) / 8] = (unsigned char)(0x80 >> (bits - 1) % 8);
		assert_false(address_range_has(&r, &a));
		r.bits--;
		assert_true(address_range_has(&r, &a));
	}
}

static void test_a_wrong_range_says_why(void **state)
{
	static const char v4[] = "has no length from 0 to 32 behind its slash",
		v6[] = "has no length from 0 to 128 behind its slash", none[] = "is no address",
		bits[] = "has more bits than its length says";
	static const struct {
		const char *text, *why;
	} rows[] = {{"10.0.0.1/8", bits}, {"fd00::1/8", bits},
		{"10.0.0.0/33", v4}, {"::/129", v6}, {"10.0.0.0/", v4}, {"10.0.0.0/08", v4}, {"10.0.0.0/-1", v4},
		{"10.0.0.0/8/8", v4}, {"10.0.0.0/4294967304", v4}, {"/8", none}, {"localhost", none}, {"10.0.0.1:80", none},
		{"*", none}, {"", none}};
	struct address_range r;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(address_range_parse(span_str(rows[i].text), &r), rows[i].why);
}

static void test_a_range_is_printed_as_it_was_written(void **state)
{
	static const char *const ranges[] = {"10.0.0.0/8", "10.0.0.7", "0.0.0.0/0", "fd00::/8", "::1", "::/0",
		"2001:db8::/33", "10.0.0.6/31", "::fffe:0:0/95"};
	char text[ADDRESS_RANGE_TEXT];
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		struct address_range r;
		assert_null(address_range_parse(span_str(ranges[i]), &r));
		address_range_print(&r, text);
		assert_string_equal(text, ranges[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_becomes_an_address_and_text_again),
		cmocka_unit_test(test_what_is_no_address_is_refused_and_changes_nothing),
		cmocka_unit_test(test_a_peer_may_have_a_port),
		cmocka_unit_test(test_a_range_has_what_begins_like_it),
		cmocka_unit_test(test_both_kinds_of_addresses_are_kept_apart_but_for_the_mapped_ones),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_a_wrong_range_says_why),
		cmocka_unit_test(test_a_range_is_printed_as_it_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
