#include "base/quota.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { THREADS = 4, TIMES = 20000, MOST = 3 };

static void test_no_more_than_most_are_taken(void **state)
{
	struct quota q = {0};
	assert_true(quota_take(&q, 2));
	assert_false(quota_is_full(&q, 2));
	assert_true(quota_take(&q, 2));
	assert_true(quota_is_full(&q, 2));
	assert_false(quota_take(&q, 2));
	assert_int_equal(quota_used(&q), 2);
	quota_give(&q);
	assert_true(quota_take(&q, 2));
	quota_give(&q);
	quota_give(&q);
	assert_int_equal(quota_used(&q), 0);
}

static void test_a_limit_may_change_or_be_none(void **state)
{
	struct quota q = {0};
	for (int i = 0; i < 100; i++)
		assert_true(quota_take(&q, 0));
	assert_false(quota_is_full(&q, 0));
	assert_false(quota_take(&q, 50)); /* a reload made it smaller */
	assert_true(quota_take(&q, 101));
	assert_int_equal(quota_used(&q), 101);
}

/* Those who were let in, and the most that were in at once. */
static struct quota shared;
static atomic_uint inside, crowd;

static void *come_and_go(void *unused)
{
	for (int i = 0; i < TIMES; i++) {
		while (!quota_take(&shared, MOST))
			sched_yield();
		unsigned now = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&crowd);
		while (now > seen && !atomic_compare_exchange_weak(&crowd, &seen, now))
			;
		atomic_fetch_sub(&inside, 1);
		quota_give(&shared);
	}
	return NULL;
}

static void test_threads_share_it(void **state)
{
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_in_range(atomic_load(&crowd), 1, MOST);
	assert_int_equal(quota_used(&shared), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_more_than_most_are_taken),
		cmocka_unit_test(test_a_limit_may_change_or_be_none),
		cmocka_unit_test(test_threads_share_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
