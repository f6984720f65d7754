/* What proxies say: as far as it can be believed, and no hop further. */
#include "http/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD(...) \
	(&(const struct http_head){ \
		.fields = (const struct http_field[]){__VA_ARGS__}, \
		.fields_n = sizeof (const struct http_field[]){__VA_ARGS__} / sizeof(struct http_field)})
#define FOR(value) {SPAN("X-Forwarded-For"), SPAN(value)}
#define OTHER {SPAN("Host"), SPAN("10.0.0.66")}

/* Ours: 10.0.0.0/8 and ::1. */
static struct address_range ranges[2];
static const struct proxies ours = {ranges, 2};

static int name_ours(void **state)
{
	return address_range_parse(SPAN("10.0.0.0/8"), &ranges[0]) || address_range_parse(SPAN("::1"), &ranges[1]);
}

static void expect_way(const struct http_head *head, const struct proxies *trusted, const char *peer,
	const char *wanted)
{
	struct address a;
	struct forwarded_way way;
	char text[FORWARDED_HOPS * (ADDRESS_TEXT + 1)] = "", one[ADDRESS_TEXT];
	assert_true(address_parse(span_str(peer), &a));
	forwarded_trace(head, &a, trusted, &way);
	for (size_t i = 0; i < way.hops; i++) {
		address_print(&way.hop[i], one);
		strcat(strcat(text, i ? " " : ""), one);
	}
	assert_string_equal(text, wanted);
}

static void test_the_first_who_is_not_ours_is_the_client(void **state)
{
	expect_way(HEAD(OTHER, FOR("203.0.113.7")), &ours, "10.0.0.1", "10.0.0.1 203.0.113.7");
	expect_way(HEAD(FOR("203.0.113.7, 10.0.0.2")), &ours, "10.0.0.1", "10.0.0.1 10.0.0.2 203.0.113.7");
	expect_way(HEAD(FOR("6.6.6.6, 203.0.113.7, 10.0.0.2")), &ours, "10.0.0.1", "10.0.0.1 10.0.0.2 203.0.113.7");
	expect_way(HEAD(FOR("2001:db8::7")), &ours, "::1", "::1 2001:db8::7");
	expect_way(HEAD(FOR("[2001:db8::7]:4711")), &ours, "::ffff:10.0.0.1", "10.0.0.1 2001:db8::7");
	expect_way(HEAD(FOR("203.0.113.7:4711")), &ours, "10.0.0.1", "10.0.0.1 203.0.113.7");
}

static void test_who_is_not_ours_is_not_believed(void **state)
{
	static const struct proxies nobody;
	expect_way(HEAD(FOR("6.6.6.6")), &ours, "203.0.113.7", "203.0.113.7");
	expect_way(HEAD(FOR("6.6.6.6")), &nobody, "10.0.0.1", "10.0.0.1");
	expect_way(HEAD(OTHER), &ours, "10.0.0.1", "10.0.0.1");
}

static void test_a_way_of_ours_alone_begins_at_its_left_end(void **state)
{
	expect_way(HEAD(FOR("10.0.0.3, 10.0.0.2")), &ours, "10.0.0.1", "10.0.0.1 10.0.0.2 10.0.0.3");
}

static void test_several_fields_are_one_list(void **state)
{
	expect_way(HEAD(FOR("6.6.6.6, 203.0.113.7"), OTHER, FOR("10.0.0.2")), &ours, "10.0.0.1",
		"10.0.0.1 10.0.0.2 203.0.113.7");
	expect_way(HEAD(FOR("6.6.6.6"), FOR("203.0.113.7"), FOR("10.0.0.3, 10.0.0.2")), &ours, "10.0.0.1",
		"10.0.0.1 10.0.0.2 10.0.0.3 203.0.113.7");
}

static void test_F17_what_is_no_address_ends_the_way(void **state)
{
	static const span wrong[] = {{"", 0}, {"unknown", 7}, {"_x", 2}, {"10.0.0.2,", 9}, {"203.0.113.7 10.0.0.2", 20},
		{"\"203.0.113.7\"", 13}, {"for=203.0.113.7", 15}, {"203.0.113.7;10.0.0.2", 20}, {"\xff", 1}, {"1.2.3.4\0", 8}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct http_field field = {SPAN("x-forwarded-for"), wrong[i]};
		expect_way(&(struct http_head){.fields = &field, .fields_n = 1}, &ours, "10.0.0.1", "10.0.0.1");
	}
	expect_way(HEAD(FOR("203.0.113.7, bogus, 10.0.0.2")), &ours, "10.0.0.1", "10.0.0.1 10.0.0.2");
	expect_way(HEAD(FOR("203.0.113.7"), FOR("bogus")), &ours, "10.0.0.1", "10.0.0.1");
	expect_way(HEAD(FOR(" ,\t203.0.113.7 ,\t10.0.0.2")), &ours, "10.0.0.1", "10.0.0.1 10.0.0.2 203.0.113.7");
}

static void test_F17_a_long_way_is_cut(void **state)
{
	char list[4000] = "203.0.113.7", wanted[400] = "10.0.0.1";
	for (int i = 0; i < 200; i++)
		strcat(list, ", 10.0.0.2");
	for (int i = 1; i < FORWARDED_HOPS; i++)
		strcat(wanted, " 10.0.0.2");
	struct http_field field = {SPAN("x-forwarded-for"), span_str(list)};
	expect_way(&(struct http_head){.fields = &field, .fields_n = 1}, &ours, "10.0.0.1", wanted);
}

static void test_a_field_that_says_one_thing(void **state)
{
	const struct http_head *one = HEAD({SPAN("X-Forwarded-Proto"), SPAN("https")}, OTHER);
	const struct http_head *list = HEAD({SPAN("x-forwarded-proto"), SPAN("https, http")});
	const struct http_head *twice = HEAD({SPAN("x-forwarded-proto"), SPAN("https")},
		{SPAN("x-forwarded-proto"), SPAN("https")});
	const struct http_head *empty = HEAD({SPAN("x-forwarded-proto"), SPAN("")});
	assert_true(span_is(forwarded_single(one, "x-forwarded-proto"), "https"));
	assert_null(forwarded_single(one, "x-forwarded-host").p);
	assert_null(forwarded_single(list, "x-forwarded-proto").p);
	assert_null(forwarded_single(twice, "x-forwarded-proto").p);
	assert_null(forwarded_single(empty, "x-forwarded-proto").p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_who_is_not_ours_is_the_client),
		cmocka_unit_test(test_who_is_not_ours_is_not_believed),
		cmocka_unit_test(test_a_way_of_ours_alone_begins_at_its_left_end),
		cmocka_unit_test(test_several_fields_are_one_list),
		cmocka_unit_test(test_F17_what_is_no_address_ends_the_way),
		cmocka_unit_test(test_F17_a_long_way_is_cut),
		cmocka_unit_test(test_a_field_that_says_one_thing),
	};
	return cmocka_run_group_tests(tests, name_ours, NULL);
}
