/* Questions to a head's fields. */
#include "http/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD(...) \
	(&(const struct http_head){ \
		.fields = (const struct http_field[]){__VA_ARGS__}, \
		.fields_n = sizeof (const struct http_field[]){__VA_ARGS__} / sizeof(struct http_field)})
#define F(name, value) {SPAN(name), SPAN(value)}

static const struct http_head no_fields;

static void assert_span(span got, const char *wanted)
{
	if (!span_is(got, wanted))
		print_error("got \"%.*s\", wanted \"%s\"\n", SPAN_ARG(got), wanted);
	assert_true(got.p && span_is(got, wanted));
}

static void test_the_first_field_of_a_name_counts(void **state)
{
	const struct http_head *h = HEAD(F("Host", "h"), F("a", "1"), F("A", "2"), F("Empty", ""));
	assert_span(headers_get(h, "A"), "1");
	assert_span(headers_get(h, "HOST"), "h");
	assert_span(headers_get(h, "Empty"), "");
	assert_null(headers_get(h, "Hos").p);
	assert_null(headers_get(h, "Hostt").p);
	assert_null(headers_get(&no_fields, "Host").p);
	assert_int_equal(headers_count(h, "a"), 2);
	assert_int_equal(headers_count(h, "Host"), 1);
	assert_int_equal(headers_count(h, "x"), 0);
}

static void test_tokens_stand_in_lists(void **state)
{
	const struct http_head *h = HEAD(F("Connection", "x ,\tClose,,y"), F("connection", "z"), F("Other", "w"),
		F("Vary", "\"a,b\\\",c\",d"));
	assert_true(headers_has_token(h, "Connection", "x"));
	assert_true(headers_has_token(h, "Connection", "close"));
	assert_true(headers_has_token(h, "Connection", "y"));
	assert_true(headers_has_token(h, "Connection", "Z"));
	assert_false(headers_has_token(h, "Connection", "w"));
	assert_false(headers_has_token(h, "Connection", "clos"));
	assert_false(headers_has_token(h, "Connection", "x ,\tClose"));
	assert_false(headers_has_token(h, "Vary", "c"));
	assert_true(headers_has_token(h, "Vary", "d"));
	assert_false(headers_has_token(&no_fields, "Connection", "close"));
}

static bool is_hop(const struct http_head *h, const char *name) { return headers_is_hop_by_hop(h, span_str(name)); }

static void test_hop_by_hop_fields_are_known_without_being_named(void **state)
{
	static const char *const hops[] = {"connection", "Keep-Alive", "TE", "trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "HTTP2-Settings"};
	for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
		assert_true(is_hop(&no_fields, hops[i]));
	assert_false(is_hop(&no_fields, "X-Trace"));
	assert_false(is_hop(&no_fields, "Content-Type"));
}

static void test_A29_connection_names_more_but_never_end_to_end_fields(void **state)
{
	const struct http_head *h = HEAD(
		F("Connection", "close, x-mine, Host, authorization, content-length, last-event-id"),
		F("Connection", "X-Api-Key, Cookie, Idempotency-Key, Origin, Sec-Fetch-Site, Content-Type, Accept, X-Late"));
	assert_true(is_hop(h, "X-Mine"));
	assert_true(is_hop(h, "x-late"));
	assert_false(is_hop(h, "X-Other"));
	static const char *const kept[] = {"Host", "Authorization", "Content-Length", "Last-Event-ID", "X-Api-Key",
		"Cookie", "Idempotency-Key", "Origin", "Sec-Fetch-Site", "Content-Type", "Accept"};
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		assert_false(is_hop(h, kept[i]));
}

static void test_media_types_lose_their_parameters(void **state)
{
	assert_span(headers_media_type(SPAN("text/event-stream; charset=utf-8")), "text/event-stream");
	assert_span(headers_media_type(SPAN("text/event-stream ;a=b;c")), "text/event-stream");
	assert_span(headers_media_type(SPAN("application/json")), "application/json");
	assert_span(headers_media_type(SPAN("")), "");
	assert_null(headers_media_type((span){0}).p);
}

static void test_cookies(void **state)
{
	const struct http_head *h = HEAD(F("Cookie", "a=1; bb=2;c=3=4 ; empty=; flag"), F("cookie", "d=\"q\"; a=9"));
	assert_span(headers_cookie(h, "a"), "1");
	assert_span(headers_cookie(h, "bb"), "2");
	assert_span(headers_cookie(h, "c"), "3=4");
	assert_span(headers_cookie(h, "empty"), "");
	assert_span(headers_cookie(h, "d"), "\"q\"");
	assert_null(headers_cookie(h, "b").p);
	assert_null(headers_cookie(h, "A").p);
	assert_null(headers_cookie(h, "flag").p);
	assert_null(headers_cookie(&no_fields, "a").p);
}

static void test_a_quote_in_one_cookie_does_not_hide_the_next(void **state)
{
	assert_span(headers_cookie(HEAD(F("Cookie", "a=\"x; lastword_page=p")), "lastword_page"), "p");
}

#define ACCEPTS(value, verdict) \
	assert_int_equal(headers_accepts(HEAD(F("Accept", value)), "text/event-stream"), verdict)

static void test_accept(void **state)
{
	assert_int_equal(headers_accepts(&no_fields, "text/event-stream"), ACCEPT_RANGE);
	ACCEPTS("", ACCEPT_RANGE);
	ACCEPTS("text/event-stream", ACCEPT_NAMED);
	ACCEPTS("Text/Event-Stream", ACCEPT_NAMED);
	ACCEPTS("application/json, text/event-stream;q=0.1", ACCEPT_NAMED);
	ACCEPTS("text/event-stream;charset=utf-8 ; Q=1.000", ACCEPT_NAMED);
	ACCEPTS("*/*", ACCEPT_RANGE);
	ACCEPTS("text/*;q=0.5", ACCEPT_RANGE);
	ACCEPTS("application/json", ACCEPT_NO);
	ACCEPTS("application/*", ACCEPT_NO);
	ACCEPTS("text/event", ACCEPT_NO);
	ACCEPTS("tex/*", ACCEPT_NO);
	ACCEPTS("*", ACCEPT_NO);
	ACCEPTS(",", ACCEPT_RANGE);
}

static void test_the_closest_range_decides(void **state)
{
	ACCEPTS("text/event-stream;q=0, */*", ACCEPT_NO);
	ACCEPTS("*/*, text/event-stream;q=0.000", ACCEPT_NO);
	ACCEPTS("text/*;q=0., */*", ACCEPT_NO);
	ACCEPTS("*/*;q=0, text/*", ACCEPT_RANGE);
	ACCEPTS("*/*;q=0", ACCEPT_NO);
	ACCEPTS("text/event-stream;q=0.001", ACCEPT_NAMED);
	ACCEPTS("text/event-stream;q=", ACCEPT_NAMED);
	ACCEPTS("text/event-stream, text/event-stream;q=0", ACCEPT_NAMED);
	ACCEPTS("text/event-stream;a=\";q=0,\"", ACCEPT_NAMED);
}

static void test_accept_on_several_lines_is_one_list(void **state)
{
	const struct http_head *h = HEAD(F("Accept", "application/json"), F("Accept", "text/event-stream"));
	assert_int_equal(headers_accepts(h, "text/event-stream"), ACCEPT_NAMED);
	assert_int_equal(headers_accepts(h, "application/json"), ACCEPT_NAMED);
	assert_int_equal(headers_accepts(h, "text/html"), ACCEPT_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_field_of_a_name_counts),
		cmocka_unit_test(test_tokens_stand_in_lists),
		cmocka_unit_test(test_hop_by_hop_fields_are_known_without_being_named),
		cmocka_unit_test(test_A29_connection_names_more_but_never_end_to_end_fields),
		cmocka_unit_test(test_media_types_lose_their_parameters),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_a_quote_in_one_cookie_does_not_hide_the_next),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_the_closest_range_decides),
		cmocka_unit_test(test_accept_on_several_lines_is_one_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
