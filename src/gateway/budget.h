/* The memory that streams may hold together (option `memory`), and who gives way when it is used up. */
#ifndef GATEWAY_BUDGET_H
#define GATEWAY_BUDGET_H

#include "gateway/worker.h"

/* Part of the crew. */
struct budget {
	atomic_uint_least64_t live, kept; /* bytes of journals: of live streams, and of those on the shelves */

	/* A walk past all workers, while `walking`. */
	atomic_bool walking;
	struct letter letter;
	unsigned to_visit;
	uint64_t largest;     /* live stream that was met, in bytes … */
	struct worker *where; /* … and whose */
};

/* Takes account of what the stream's journal has grown by; it, or a larger one, may be ended overloaded by that. */
void budget_grew(struct stream *s);

/* The stream has ended and is kept; … */
void budget_sealed(struct stream *s);
/* … and the shelf has let go of it. */
void budget_dropped(struct stream *s);

/* New work would not fit: 95 % are in use, and not by kept streams, which can go. */
bool budget_is_tight(const struct worker *w);

/* Of all workers. */
uint64_t budget_bytes(const struct crew *crew);

#endif
