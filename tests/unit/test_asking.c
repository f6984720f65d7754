/* gateway/asking: two members of a body that is never kept. */
#include "gateway/asking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(span body, int stream, unsigned n)
{
	for (size_t step = 1; step <= 9; step++) {
		struct asking a;
		asking_init(&a);
		for (size_t at = 0; at < body.n; at += step < 9 ? step : body.n) {
			span piece = span_first(span_from(body, at), step < 9 ? step : body.n);
			char *copy = malloc(piece.n);
			memcpy(copy, piece.p, piece.n);
			asking_read(&a, span_of(copy, piece.n), false);
			free(copy);
		}
		asking_read(&a, (span){0}, true);
		if (a.stream != stream || a.n != n)
			fail_msg("%.*s by %zu: stream %d, n %u", SPAN_ARG(body), step, a.stream, a.n);
		asking_finish(&a);
	}
}

static void what_a_body_says(void **state)
{
	expect(SPAN("{\"stream\":true}"), 1, 1);
	expect(SPAN("{\"stream\" : false , \"n\":3}"), 0, 3);
	expect(SPAN(" {\"messages\":[{\"stream\":true,\"n\":9}],\"n\":2,\"model\":\"x\"}\n"), -1, 2);
	expect(SPAN("{\"stream\":null,\"n\":0}"), -1, 1);
	expect(SPAN("{\"stream\":false,\"stream\":true,\"n\":100000}"), 1, 128);
	expect(SPAN("{\"\\u0073tream\":true}"), 1, 1);
	expect(SPAN("{\"stream\":\"true\",\"n\":\"7\"}"), -1, 1);
	expect(SPAN("{\"stream\":{\"stream\":true}}"), -1, 1);
}

static void what_is_no_object_says_nothing(void **state)
{
	expect(SPAN(""), -1, 1);
	expect(SPAN("true"), -1, 1);
	expect(SPAN("[{\"stream\":true}]"), -1, 1);
	expect(SPAN("--boundary\r\n{\"stream\":true}"), -1, 1);
	expect(SPAN("{\"n\":4,]\"stream\":true}"), -1, 4);
}

static void a_long_string_takes_no_memory(void **state)
{
	static char letters[4096];
	struct asking a;
	memset(letters, 'a', sizeof letters);
	asking_init(&a);
	asking_read(&a, SPAN("{\"image\":\"\\u00e4"), false);
	for (int i = 0; i < 10000; i++) {
		asking_read(&a, span_of(letters, sizeof letters), false);
		assert_true(a.json.held.cap < 4 * sizeof letters);
	}
	asking_read(&a, SPAN("\",\"stream\":true}"), true);
	assert_int_equal(a.stream, 1);
	asking_finish(&a);
}

static void a_long_name_ends_the_search(void **state)
{
	static char letters[4096];
	struct asking a;
	memset(letters, 'a', sizeof letters);
	asking_init(&a);
	asking_read(&a, SPAN("{\""), false);
	for (int i = 0; i < 10000; i++)
		asking_read(&a, span_of(letters, sizeof letters), false);
	assert_true(a.over);
	assert_true(a.json.held.n < 100 * sizeof letters);
	asking_finish(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_body_says),
		cmocka_unit_test(what_is_no_object_says_nothing),
		cmocka_unit_test(a_long_string_takes_no_memory),
		cmocka_unit_test(a_long_name_ends_the_search),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
