/* sse/line: the first end is found wherever it stands, and nothing behind the text is read: texts end where their memory
 * does. */
#include "sse/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LONGEST = 200 }; /* bytes: three steps and every rest */

static char *text_of(size_t n, char c)
{
	char *p = malloc(n ? n : 1);
	assert_non_null(p);
	memset(p, c, n);
	return p;
}

static void assert_end(const char *p, size_t n, size_t expected)
{
	if (sse_find_line_end(span_of(p, n)) != expected)
		fail_msg("of %zu bytes: expected %zu, got %zu", n, expected, sse_find_line_end(span_of(p, n)));
}

static void a_text_without_an_end(void **state)
{
	static const char others[] = {'a', '\0', '\t', '\x0b', '\x0c', '\x0e', '\x8a', '\x8d', '\xff'};
	for (size_t n = 0; n <= LONGEST; n++)
		for (size_t i = 0; i < sizeof others; i++) {
			char *p = text_of(n, others[i]);
			assert_end(p, n, n);
			free(p);
		}
}

/* Behind it stands the other one, which must not be found first. */
static void the_first_end_is_found(void **state)
{
	for (size_t n = 1; n <= LONGEST; n++)
		for (size_t at = 0; at < n; at++) {
			char *p = text_of(n, at % 3 ? 'a' : '\t'), end = at % 2 ? '\n' : '\r';
			memset(p + at, end == '\n' ? '\r' : '\n', n - at);
			p[at] = end;
			assert_end(p, n, at);
			free(p);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_without_an_end),
		cmocka_unit_test(the_first_end_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
