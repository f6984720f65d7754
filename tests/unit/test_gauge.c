#include "base/gauge.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { THREADS = 4, TIMES = 20000 };

static void test_what_is_told_is_a_share_of_the_whole(void **state)
{
	struct gauge g = {0};
	size_t one = 0, other = 0;
	gauge_tell(&g, &one, 100);
	gauge_tell(&g, &other, 20);
	assert_int_equal(gauge_bytes(&g), 120);
	gauge_tell(&g, &one, 100);
	assert_int_equal(gauge_bytes(&g), 120);
	gauge_tell(&g, &one, 3);
	assert_int_equal(gauge_bytes(&g), 23);
	gauge_tell(&g, &other, 0);
	gauge_tell(&g, &one, 0);
	assert_int_equal(gauge_bytes(&g), 0);
	assert_int_equal(one + other, 0);
}

/* Each leaves TIMES bytes behind. */
static void *tell_often(void *shared)
{
	struct gauge *g = shared;
	size_t told = 0;
	for (size_t i = 0; i < TIMES; i++)
		gauge_tell(g, &told, i % 2 ? 0 : i);
	gauge_tell(g, &told, TIMES);
	return NULL;
}

static void test_threads_lose_nothing(void **state)
{
	struct gauge g = {0};
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, tell_often, &g), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(gauge_bytes(&g), THREADS * TIMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_told_is_a_share_of_the_whole),
		cmocka_unit_test(test_threads_lose_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
