/* Request targets, queries, and the URLs of upstreams. */
#include "http/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The bytes in memory that is exactly as long, so that a sanitizer sees a read behind them. Freed by the next call. */
static span exactly(span s)
{
	static char *copy;
	free(copy);
	copy = malloc(s.n ? s.n : 1);
	assert_non_null(copy);
	memcpy(copy, s.p, s.n);
	return (span){copy, s.n};
}

static void assert_span(span got, const char *wanted)
{
	bool same = wanted ? got.p && span_is(got, wanted) : !got.p;
	if (!same)
		print_error("got \"%.*s\", wanted \"%s\"\n", SPAN_ARG(got), wanted ? wanted : "(none)");
	assert_true(same);
}

static void target_is(const char *target, const char *path, const char *query, const char *authority)
{
	struct url_target t;
	const char *wrong = url_split_target(exactly(span_str(target)), &t);
	if (wrong)
		print_error("%s: %s\n", target, wrong);
	assert_null(wrong);
	assert_span(t.path, path);
	assert_span(t.query, query);
	assert_span(t.authority, authority);
}

static void target_is_refused(span target)
{
	static const struct url_target before = {.path = {"untouched", 9}};
	struct url_target t = before;
	if (!url_split_target(exactly(target), &t))
		fail_msg("not refused: %.*s", SPAN_ARG(target));
	assert_memory_equal(&t, &before, sizeof t);
}
#define REFUSED(target) target_is_refused(SPAN(target))

static void test_targets_are_split(void **state)
{
	target_is("/", "/", NULL, NULL);
	target_is("/a/b", "/a/b", NULL, NULL);
	target_is("/a?", "/a", "", NULL);
	target_is("/a?b=c?d/../%2f\\//", "/a", "b=c?d/../%2f\\//", NULL);
	target_is("/a/?b", "/a/", "b", NULL);
	target_is("/%41%20b;c=d/e//f", "/%41%20b;c=d/e//f", NULL, NULL);
	target_is("*", "*", NULL, NULL);
}

static void test_absolute_targets(void **state)
{
	target_is("http://h/a?b", "/a", "b", "h");
	target_is("HTTPS://h:8443", "/", NULL, "h:8443");
	target_is("http://[::1]:80?q", "/", "q", "[::1]:80");
	REFUSED("http://");
	REFUSED("http:///a");
	REFUSED("http://h//a");
	REFUSED("ftp://h/");
	assert_span(url_target_authority(SPAN("http://h:1/a")), "h:1");
	assert_span(url_target_authority(SPAN("/http://h")), NULL);
	assert_span(url_target_authority(SPAN("http:/h")), NULL);
}

static void test_A23_dot_segments(void **state)
{
	REFUSED("/.");
	REFUSED("/..");
	REFUSED("/../a");
	REFUSED("/a/..");
	REFUSED("/a/../b");
	REFUSED("/a/./b");
	REFUSED("/%2e");
	REFUSED("/a/%2E%2e/b");
	REFUSED("/a/.%2e?c");
	REFUSED("/a/%2e.");
	REFUSED("/a/..;x=y/b");
	REFUSED("/a/.;");
	REFUSED("http://h/../a");
	target_is("/...", "/...", NULL, NULL);
	target_is("/.a/b./..c/d..", "/.a/b./..c/d..", NULL, NULL);
	target_is("/.well-known/x", "/.well-known/x", NULL, NULL);
	target_is("/%2e%2e%2e/;..", "/%2e%2e%2e/;..", NULL, NULL);
	target_is("/a?/../", "/a", "/../", NULL);
}

static void test_A23_bytes_that_must_not_stand_in_a_path(void **state)
{
	REFUSED("/a%2fb");
	REFUSED("/a%2Fb");
	REFUSED("/a%5cb");
	REFUSED("/a%00");
	REFUSED("/a%0d%0ab");
	REFUSED("/a%7f");
	REFUSED("/a%1F");
	REFUSED("/a\\b");
	REFUSED("/a%");
	REFUSED("/a%2");
	REFUSED("/a%2/b");
	REFUSED("/a%g0");
	REFUSED("//a");
	REFUSED("//");
}

static void test_A23_bytes_that_must_not_stand_anywhere(void **state)
{
	REFUSED("/a#b");
	REFUSED("/a?b#c");
	REFUSED("/a?b c");
	REFUSED("/a?b\tc");
	REFUSED("/a?b\0c");
	REFUSED("/a?b\r\nc");
	REFUSED("/\xc3\xa4");
	REFUSED("/a?\xc3\xa4");
	REFUSED("/a?\x7f");
	REFUSED("");
	REFUSED("a");
	REFUSED("?a");
	REFUSED("**");
}

static void test_every_escape_in_a_path_is_judged_by_its_byte(void **state)
{
	for (int c = 0; c < 256; c++) {
		char target[8];
		snprintf(target, sizeof target, "/a%%%02xb", c);
		struct url_target t;
		bool refused = url_split_target(span_str(target), &t) != NULL;
		assert_int_equal(refused, c < ' ' || c == 0x7f || c == '/' || c == '\\');
	}
}

/* Authorities. */

static void authority_is(const char *text, const char *host, const char *port)
{
	span h, p;
	assert_true(url_split_authority(exactly(span_str(text)), &h, &p));
	assert_span(h, host);
	assert_span(p, port);
}

static void authority_is_refused(span text)
{
	span h, p;
	if (url_split_authority(exactly(text), &h, &p))
		fail_msg("not refused: %.*s", SPAN_ARG(text));
}

static void test_authorities(void **state)
{
	authority_is("h", "h", NULL);
	authority_is("h:80", "h", "80");
	authority_is("h:", "h", NULL);
	authority_is("h:65535", "h", "65535");
	authority_is("my_box.example-1.org:1", "my_box.example-1.org", "1");
	authority_is("[::1]", "::1", NULL);
	authority_is("[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", "80");
	static const char *const wrong[] = {"", ":80", "h:65536", "h:8x", "h:-1", "h:80:80", "u@h", "u:p@h", "a,b", "a b",
		"h/", "h?", "h#", "[]", "[h]", "[1]", "[::1", "::1", "[::1]x", "[::1]80", "[::1]:x", "[::1%25eth0]", "h%41",
		"\xc3\xa4", "h:99999999999999999999"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		authority_is_refused(span_str(wrong[i]));
}

/* Queries. */

static void query_says(const char *query, const char *name, enum url_query verdict, span value)
{
	struct buf out = {0};
	buf_put(&out, SPAN("before"));
	assert_int_equal(url_query_get(exactly(span_str(query)), name, &out), verdict);
	assert_true(span_starts(buf_span(&out), SPAN("before")));
	assert_true(span_eq(span_from(buf_span(&out), 6), value));
	buf_finish(&out);
}
#define FOUND(query, value) query_says(query, "prompt", URL_FOUND, SPAN(value))

static void test_query_parameters(void **state)
{
	FOUND("prompt=hello", "hello");
	FOUND("a=b&prompt=c&prompt=d", "c");
	FOUND("prompt=a+b%2Bc%26%3d=d", "a b+c&==d");
	FOUND("prompt=%C3%A4\\/?%00%0a", "\xc3\xa4\\/?\0\n");
	FOUND("prompt=", "");
	FOUND("prompt", "");
	FOUND("%70rompt=x", "x");
	FOUND("&&x&prompt=y", "y");
	FOUND("%zz=1&prompt=y", "y");
	query_says("", "prompt", URL_ABSENT, SPAN(""));
	query_says("promp=a&prompts=b&Prompt=c&x=prompt", "prompt", URL_ABSENT, SPAN(""));
	query_says("a+b=c", "a b", URL_FOUND, SPAN("c"));
	struct buf out = {0};
	assert_int_equal(url_query_get((span){0}, "prompt", &out), URL_ABSENT);
}

static void test_the_name_of_a_part(void **state)
{
	static const char *const yes[] = {"key", "key=", "key=a=b", "%6bey=x", "%6B%65%79", "key=%zz"},
		*const no[] = {"", "=key", "Key=x", "keys=x", "ke=y", "k%65=x", "%6key=x", "key%=x"};
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		assert_true(url_query_is(exactly(span_str(yes[i])), "key"));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(url_query_is(exactly(span_str(no[i])), "key"));
}

static void test_broken_escapes_in_a_query(void **state)
{
	query_says("prompt=abc%", "prompt", URL_BAD, SPAN(""));
	query_says("prompt=abc%4", "prompt", URL_BAD, SPAN(""));
	query_says("prompt=abc%4&x", "prompt", URL_BAD, SPAN(""));
	query_says("prompt=%u00e4", "prompt", URL_BAD, SPAN(""));
	query_says("x=%&prompt=ok", "prompt", URL_FOUND, SPAN("ok"));
}

static void test_what_is_encoded_can_be_decoded(void **state)
{
	char bytes[256];
	for (int c = 0; c < 256; c++)
		bytes[c] = (char)c;
	struct buf query = {0}, back = {0};
	buf_put(&query, SPAN("x=1&prompt="));
	url_encode(&query, (span){bytes, sizeof bytes});
	for (size_t i = 0; i < query.n; i++)
		assert_true(query.p[i] > ' ' && query.p[i] < 0x7f && query.p[i] != '#');
	assert_int_equal(url_query_get(buf_span(&query), "prompt", &back), URL_FOUND);
	assert_true(span_eq(buf_span(&back), (span){bytes, sizeof bytes}));
	buf_clear(&query);
	url_encode(&query, SPAN("aZ09-._~ +/%\n\xff"));
	assert_span(buf_span(&query), "aZ09-._~%20%2B%2F%25%0A%FF");
	buf_finish(&query);
	buf_finish(&back);
}

/* URLs. */

static void url_is(const char *text, enum url_scheme scheme, const char *host, int port, const char *path,
	const char *query)
{
	struct url u;
	const char *wrong = url_parse(exactly(span_str(text)), &u);
	if (wrong)
		print_error("%s: %s\n", text, wrong);
	assert_null(wrong);
	assert_int_equal(u.scheme, scheme);
	assert_span(scheme == URL_UNIX ? u.socket : u.host, host);
	assert_int_equal(u.port, port);
	assert_span(u.path, path);
	assert_span(u.query, query);
}

static void test_urls_of_upstreams(void **state)
{
	url_is("http://127.0.0.1:8000/generate", URL_HTTP, "127.0.0.1", 8000, "/generate", NULL);
	url_is("http://h", URL_HTTP, "h", 80, "/", NULL);
	url_is("HTTPS://api.example.com/v1/?a=b", URL_HTTPS, "api.example.com", 443, "/v1/", "a=b");
	url_is("https://h:1?q", URL_HTTPS, "h", 1, "/", "q");
	url_is("http://[::1]:65535/", URL_HTTP, "::1", 65535, "/", NULL);
	url_is("http://[fe80::1]", URL_HTTP, "fe80::1", 80, "/", NULL);
	url_is("unix:/run/model.sock:/generate?a", URL_UNIX, "/run/model.sock", 0, "/generate", "a");
	url_is("unix:/run/model.sock", URL_UNIX, "/run/model.sock", 0, "/", NULL);
	url_is("unix:/run/my sock\xc3\xa4:/a:/b", URL_UNIX, "/run/my sock\xc3\xa4", 0, "/a:/b", NULL);
}

static void url_is_refused(span text)
{
	struct url u;
	if (!url_parse(exactly(text), &u))
		fail_msg("not refused: %.*s", SPAN_ARG(text));
}

static void test_urls_that_are_refused(void **state)
{
	static const char *const wrong[] = {"", "h", "//h", "h:80", "ftp://h", "http:h", "http://", "http:///a",
		"http://h:0", "http://h:65536", "http://h:x", "http://u@h", "http://u:p@h/", "http://h/#f",
		"http://h/a b", "http://h/\xc3\xa4",
		"http://h/\x01", "http://h\n/", "http://a,b",
		"http://::1/", "http://[::1/", "unix:", "unix:run", "unix::/a", "unix:/a\n",
		"unix:/a:/b c", "unix:/a#b"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		url_is_refused(span_str(wrong[i]));
}

static void test_a_socket_fits_into_its_address(void **state)
{
	struct url u;
	struct buf text = {0};
	buf_printf(&text, "unix:/%0106d:/a", 0);
	assert_null(url_parse(buf_span(&text), &u));
	assert_int_equal(u.socket.n, 107);
	buf_clear(&text);
	buf_printf(&text, "unix:/%0107d:/a", 0);
	assert_non_null(url_parse(buf_span(&text), &u));
	buf_finish(&text);
}

static void authority_of(const char *text, const char *wanted)
{
	struct url u;
	struct buf out = {0};
	assert_null(url_parse(span_str(text), &u));
	url_put_authority(&out, &u);
	assert_span(buf_span(&out), wanted);
	buf_finish(&out);
}

static void test_what_goes_into_host(void **state)
{
	authority_of("http://h/", "h");
	authority_of("http://h:80/", "h");
	authority_of("http://h:443/", "h:443");
	authority_of("https://h:443/", "h");
	authority_of("https://h:80/", "h:80");
	authority_of("http://[::1]:8080/", "[::1]:8080");
	authority_of("http://[::1]", "[::1]");
	authority_of("unix:/a:/b", "localhost");
}

/* Memory. */

static bool no_memory;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) { return no_memory ? NULL : __real_realloc(p, n); }

static void test_without_memory_the_buf_says_so(void **state)
{
	struct buf decoded = {0}, encoded = {0};
	no_memory = true;
	enum url_query found = url_query_get(SPAN("prompt=abc"), "prompt", &decoded);
	url_encode(&encoded, SPAN("abc"));
	no_memory = false;
	assert_int_equal(found, URL_FOUND);
	assert_true(decoded.failed);
	assert_true(encoded.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets_are_split),
		cmocka_unit_test(test_absolute_targets),
		cmocka_unit_test(test_A23_dot_segments),
		cmocka_unit_test(test_A23_bytes_that_must_not_stand_in_a_path),
		cmocka_unit_test(test_A23_bytes_that_must_not_stand_anywhere),
		cmocka_unit_test(test_every_escape_in_a_path_is_judged_by_its_byte),
		cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_query_parameters),
		cmocka_unit_test(test_the_name_of_a_part),
		cmocka_unit_test(test_broken_escapes_in_a_query),
		cmocka_unit_test(test_what_is_encoded_can_be_decoded),
		cmocka_unit_test(test_urls_of_upstreams),
		cmocka_unit_test(test_urls_that_are_refused),
		cmocka_unit_test(test_a_socket_fits_into_its_address),
		cmocka_unit_test(test_what_goes_into_host),
		cmocka_unit_test(test_without_memory_the_buf_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
