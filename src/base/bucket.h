/* How often something may begin: a token bucket that holds a minute's worth, so `per_minute` may begin at once, and
 * then one more each 60 s / per_minute. Counted by all threads together.
 *
 * One word is enough for it (the generic cell rate algorithm of ATM's switches): not how many tokens there are and when
 * that was true, but the moment at which the bucket will be full again. Each token that is taken moves it on by its
 * share of the minute, and what would move it beyond a minute from now has to wait. So a limit may change at any time:
 * what was taken before is still paid back. */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include "base/check.h"

#include <stdatomic.h>
#include <stdint.h>

#define BUCKET_NS 60000000000ull

struct bucket {
	atomic_uint_least64_t full_at_ns; /* of a clock that does not jump; 0, or past: it is full */
};

static inline uint64_t bucket_share_ns(uint64_t per_minute) { return BUCKET_NS / per_minute; }

/* One token. 0: it was taken; else nothing was, and how long until there is one. per_minute 0: no limit, else at most
 * 60 thousand million. */
MUST static inline uint64_t bucket_take(struct bucket *b, uint64_t per_minute, uint64_t now_ns)
{
	uint64_t full_at = atomic_load_explicit(&b->full_at_ns, memory_order_relaxed), next;
	if (!per_minute)
		return 0;
	do {
		next = (full_at > now_ns ? full_at : now_ns) + bucket_share_ns(per_minute);
		if (next > now_ns + BUCKET_NS)
			return next - now_ns - BUCKET_NS;
	} while (!atomic_compare_exchange_weak(&b->full_at_ns, &full_at, next));
	return 0;
}

/* One that was taken is put back unused. */
static inline void bucket_give(struct bucket *b, uint64_t per_minute)
{
	if (per_minute)
		atomic_fetch_sub_explicit(&b->full_at_ns, bucket_share_ns(per_minute), memory_order_relaxed);
}

#endif
