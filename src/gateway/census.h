/* A census: what all workers count and carry, put together for somebody who asks on the admin listener. */
#ifndef GATEWAY_CENSUS_H
#define GATEWAY_CENSUS_H

#include "gateway/worker.h"

enum { CENSUS_LISTED = 500 }; /* streams; a page that asks every second must not cost what ten thousand cost */

/* A live stream, as one object of JSON. */
struct census_stream {
	uint64_t started_ns;
	const struct buf *text; /* where that stands, … */
	size_t at, n;           /* … from byte to byte */
};

struct census {
	struct metrics sum;
	struct census_stream *stream; /* the newest, newest first; none when they were not asked for */
	size_t streams;
};

/* Asks every worker, and answers the exchange with what `print` makes of it. with_streams: list them too. */
void census_take(struct worker *w, struct exchange *x, bool with_streams,
	void (*print)(struct buf *out, const struct worker *w, struct census *c), const char *type);

#endif
