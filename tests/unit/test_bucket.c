#include "base/bucket.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S 1000000000ull

static void test_a_minutes_worth_at_once_and_then_one_by_one(void **state)
{
	struct bucket b = {0};
	uint64_t now = 1000 * S;
	for (int i = 0; i < 6; i++)
		assert_int_equal(bucket_take(&b, 6, now), 0);
	assert_int_equal(bucket_take(&b, 6, now), 10 * S);
	assert_int_equal(bucket_take(&b, 6, now + 9 * S), S);
	assert_int_equal(bucket_take(&b, 6, now + 10 * S), 0);
	assert_int_equal(bucket_take(&b, 6, now + 10 * S), 10 * S);
	assert_int_equal(bucket_take(&b, 6, now + 29 * S), 0); /* one that was due at 20, and 9 s of the next */
	assert_int_equal(bucket_take(&b, 6, now + 29 * S), S);
}

static void test_who_is_refused_pays_nothing(void **state)
{
	struct bucket b = {0};
	uint64_t now = 1000 * S;
	assert_int_equal(bucket_take(&b, 1, now), 0);
	for (int i = 1; i < 60; i++)
		assert_int_equal(bucket_take(&b, 1, now + i * S), (60 - i) * S);
	assert_int_equal(bucket_take(&b, 1, now + 60 * S), 0);
}

static void test_it_never_holds_more_than_a_minutes_worth(void **state)
{
	struct bucket b = {0};
	for (int i = 0; i < 3; i++)
		assert_int_equal(bucket_take(&b, 3, 1000 * S), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bucket_take(&b, 3, 90000 * S), 0);
	assert_int_equal(bucket_take(&b, 3, 90000 * S), 20 * S);
}

static void test_what_is_put_back_can_be_taken(void **state)
{
	struct bucket b = {0};
	assert_int_equal(bucket_take(&b, 1, 1000 * S), 0);
	bucket_give(&b, 1);
	assert_int_equal(bucket_take(&b, 1, 1000 * S), 0);
	assert_int_equal(bucket_take(&b, 1, 1000 * S), 60 * S);
}

static void test_a_rate_may_change_or_be_none(void **state)
{
	struct bucket b = {0};
	uint64_t now = 1000 * S;
	for (int i = 0; i < 60; i++)
		assert_int_equal(bucket_take(&b, 60, now), 0);
	assert_int_equal(bucket_take(&b, 0, now), 0);
	assert_int_equal(bucket_take(&b, 2, now), 30 * S); /* a reload; what was taken is paid back */
	assert_int_equal(bucket_take(&b, 120, now + S / 2), 0);
}

enum { THREADS = 4, TIMES = 1000, MOST = 500 };

static struct bucket shared;
static atomic_uint taken;

static void *take_many(void *unused)
{
	for (int i = 0; i < TIMES; i++)
		if (bucket_take(&shared, MOST, 1000 * S) == 0)
			atomic_fetch_add(&taken, 1);
	return NULL;
}

static void test_threads_share_it(void **state)
{
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&taken), MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_minutes_worth_at_once_and_then_one_by_one),
		cmocka_unit_test(test_who_is_refused_pays_nothing),
		cmocka_unit_test(test_it_never_holds_more_than_a_minutes_worth),
		cmocka_unit_test(test_what_is_put_back_can_be_taken),
		cmocka_unit_test(test_a_rate_may_change_or_be_none),
		cmocka_unit_test(test_threads_share_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
