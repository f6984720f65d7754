#include "gateway/caller.h"

#include "base/buf.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALICE "key-of-alice-0123456789"
#define BOB "key-of-bob+/==-987654321"

static struct caller two[] = {{.name = "alice"}, {.name = "bob"}};
static const struct callers all = {two, 2}, none = {0};

static int digest_them(void **state)
{
	SHA256((const unsigned char *)ALICE, strlen(ALICE), two[0].key.digest);
	SHA256((const unsigned char *)BOB, strlen(BOB), two[1].key.digest);
	return 0;
}

/* "Name: value" lines. */
static struct caller_seen see_in(const struct callers *callers, enum caller_places places, const char *lines, const char *query)
{
	struct http_field fields[8];
	struct http_head head = {.fields = fields};
	span rest = span_str(lines);
	while (rest.n) {
		span line = span_first(rest, span_find(rest, '\n'));
		size_t colon = span_find(line, ':');
		fields[head.fields_n++] = (struct http_field){span_first(line, colon), span_trim(span_from(line, colon + 1))};
		rest = span_from(rest, line.n + 1);
	}
	return caller_find(callers, places, &head, span_str(query));
}

static void expect_known(const char *lines, const char *query, const char *name, bool by_field)
{
	struct caller_seen seen = see_in(&all, CALLER_EVERYWHERE, lines, query);
	if (!caller_is_known(&seen) || strcmp(seen.caller->name, name) || seen.is_by_field != by_field)
		fail_msg("%s ? %s", lines, query);
}

static void expect_unknown(const char *lines, const char *query, bool is_strange)
{
	struct caller_seen seen = see_in(&all, CALLER_EVERYWHERE, lines, query);
	if (caller_is_known(&seen) || seen.is_strange != is_strange)
		fail_msg("%s ? %s", lines, query);
}

static void test_every_place(void **state)
{
	static const char *const fields[] = {"Authorization: Bearer " ALICE, "authorization: BEARER \t " ALICE, "X-Api-Key: " ALICE,
		"x-goog-api-key: " ALICE, "api-key: " ALICE, "Lastword-Key: " ALICE, "a: b\nlastword-key: " ALICE "\nc: d"};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		expect_known(fields[i], NULL, "alice", true);
	expect_known("Cookie: lastword_key=" ALICE, NULL, "alice", false);
	expect_known("Cookie: a=b; lastword_key=" BOB " ; c", "", "bob", false);
	expect_known("", "key=" ALICE, "alice", false);
	expect_known("", "a&b=c&key=key-of-bob%2B/%3D%3d-987654321&d", "bob", false);
	expect_known("", "%6b%65%79=" ALICE, "alice", false);
}

static void test_what_is_no_key_is_not_looked_at(void **state)
{
	static const char *const fields[] = {"", "Authorization: Basic " ALICE, "Authorization: Bearer", "Authorization: Bearer ",
		"Authorization: " ALICE, "Authorization: Bearer" ALICE, "x-api-key: ", "Cookie: key=" ALICE, "Cookie: Lastword_Key=" ALICE,
		"Proxy-Authorization: Bearer " ALICE, "lastword_key: " ALICE, "x-key: " ALICE};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		expect_unknown(fields[i], NULL, false);
	expect_unknown("", "Key=" ALICE "&akey=" ALICE "&key&key=&keys=" ALICE, false);
}

static void test_a_wrong_key_makes_the_caller_unknown(void **state)
{
	static const char *const fields[] = {"x-api-key: key-of-alice-012345678", "x-api-key: " ALICE "0", "x-api-key: KEY-OF-ALICE-0123456789",
		"Authorization: Bearer " ALICE " " ALICE, "Authorization: Bearer " ALICE ", Bearer " ALICE, "Cookie: lastword_key=\"" ALICE "\"",
		"x-api-key: " ALICE "\napi-key: x", "Authorization: Bearer " ALICE "\nAuthorization: Bearer x"};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		expect_unknown(fields[i], NULL, true);
	expect_unknown("x-api-key: " ALICE, "key=x", true);
	expect_unknown("", "key=" ALICE "&key=x", true);
}

static void test_two_keys(void **state)
{
	expect_known("x-api-key: " ALICE "\nAuthorization: Bearer " ALICE "\nCookie: lastword_key=" ALICE, "key=" ALICE, "alice", true);
	struct caller_seen seen = see_in(&all, CALLER_EVERYWHERE, "x-api-key: " ALICE "\nCookie: lastword_key=" BOB, NULL);
	assert_true(seen.is_torn && !seen.is_strange && !caller_is_known(&seen));
	seen = see_in(&all, CALLER_EVERYWHERE, "x-api-key: x\nCookie: lastword_key=" BOB, NULL);
	assert_true(seen.is_strange && !seen.is_torn && seen.caller == &two[1]);
}

static void test_our_own_places(void **state)
{
	struct caller_seen seen = see_in(&all, CALLER_OWN_PLACES, "x-api-key: theirs\nAuthorization: Bearer theirs\nLastword-Key: " BOB, "key=theirs");
	assert_true(caller_is_known(&seen) && seen.caller == &two[1]);
	seen = see_in(&all, CALLER_OWN_PLACES, "x-api-key: " ALICE "\nCookie: lastword_key=" BOB, "key=" ALICE);
	assert_true(caller_is_known(&seen) && seen.caller == &two[1]);
	seen = see_in(&all, CALLER_OWN_PLACES, "x-api-key: " ALICE "\nAuthorization: Bearer " ALICE, "key=" ALICE);
	assert_false(caller_is_known(&seen) || seen.is_strange);
}

static void test_without_keys_nobody_is_known(void **state)
{
	struct caller_seen seen = see_in(&none, CALLER_EVERYWHERE, "x-api-key: " ALICE, "key=" ALICE);
	assert_true(!seen.caller && !seen.is_strange && !seen.is_torn);
	assert_false(caller_has_key_of(&none, SPAN(ALICE)) || caller_has_key_in(&none, SPAN("key=" ALICE)));
}

static void test_a_value_that_must_not_cross(void **state)
{
	assert_true(caller_has_key_of(&all, SPAN(ALICE)) && caller_has_key_of(&all, SPAN(" Bearer  " ALICE " ")));
	assert_false(caller_has_key_of(&all, SPAN("")) || caller_has_key_of(&all, SPAN("Bearer")) || caller_has_key_of(&all, SPAN("Basic " ALICE)));
	assert_true(caller_has_key_in(&all, SPAN("key=" ALICE)) && caller_has_key_in(&all, SPAN("%6bey=" ALICE)));
	assert_false(caller_has_key_in(&all, SPAN("kay=" ALICE)) || caller_has_key_in(&all, SPAN("key=")) || caller_has_key_in(&all, SPAN("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_what_is_no_key_is_not_looked_at),
		cmocka_unit_test(test_a_wrong_key_makes_the_caller_unknown),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_our_own_places),
		cmocka_unit_test(test_without_keys_nobody_is_known),
		cmocka_unit_test(test_a_value_that_must_not_cross),
	};
	return cmocka_run_group_tests(tests, digest_them, NULL);
}
