/* How many of something there are, counted by all threads together, and never more than there may be. */
#ifndef BASE_QUOTA_H
#define BASE_QUOTA_H

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct quota {
	atomic_uint_least64_t used;
};

static inline uint64_t quota_used(const struct quota *q)
{
	return atomic_load_explicit(&q->used, memory_order_relaxed);
}

static inline bool quota_is_full(const struct quota *q, uint64_t most) { return most && quota_used(q) >= most; }

/* One more, unless there are `most` already (0: no limit). By compare-and-swap, so that of two threads that want the
 * last one only one gets it. */
MUST static inline bool quota_take(struct quota *q, uint64_t most)
{
	uint64_t used = quota_used(q);
	while (!most || used < most)
		if (atomic_compare_exchange_weak(&q->used, &used, used + 1))
			return true;
	return false;
}

static inline void quota_give(struct quota *q)
{
	CHECK(atomic_fetch_sub_explicit(&q->used, 1, memory_order_relaxed) > 0);
}

#endif
