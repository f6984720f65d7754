/* How many bytes of something are held, by all threads together. Whoever holds some of them remembers the share that was
 * told, so nothing is counted twice, and what does not change costs a comparison. */
#ifndef BASE_GAUGE_H
#define BASE_GAUGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct gauge {
	atomic_uint_least64_t bytes;
};

static inline uint64_t gauge_bytes(const struct gauge *g)
{
	return atomic_load_explicit(&g->bytes, memory_order_relaxed);
}

/* *told, a share of the teller's own that begins as 0, is `now` from now on. */
static inline void gauge_tell(struct gauge *g, size_t *told, size_t now)
{
	if (now == *told)
		return;
	atomic_fetch_add_explicit(&g->bytes, (uint64_t)now - *told, memory_order_relaxed);
	*told = now;
}

#endif
