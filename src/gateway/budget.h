/* The memory that streams may hold together (option `memory`), and who gives way when it is used up. */
#ifndef GATEWAY_BUDGET_H
#define GATEWAY_BUDGET_H

#include "gateway/worker.h"

/* Part of the crew. */
struct budget {
	atomic_uint_least64_t live, kept; /* bytes of journals: of live streams, and of those on the shelves */
	atomic_uint_least64_t bodies;     /* … and of request bodies that are kept; they cannot give way */

	/* A walk past all workers, while `walking`. */
	atomic_bool walking;
	struct letter letter;
	unsigned step;        /* of the order of giving way … */
	unsigned to_visit;    /* … and workers that have not taken it */
	uint64_t largest;     /* live stream that was met, in bytes … */
	struct worker *where; /* … and whose */
	atomic_uint_least64_t looked_ms; /* when the last walk began */
};

/* Takes account of what the stream's journal has grown by; it, or a larger one, may be ended overloaded by that. */
void budget_grew(struct stream *s);

/* The stream has ended and is kept; … */
void budget_sealed(struct stream *s);
/* … and the shelf has let go of it. */
void budget_dropped(struct stream *s);

/* New work would not fit: 95 % are in use, and not by kept streams, which can go. */
bool budget_is_tight(const struct worker *w);
/* So that it may fit after all: at once, if this worker can do it, else perhaps in some turns. */
void budget_make_room(struct worker *w);

/* A request body that is kept has changed its length; *counted is the length that the budget knows of. */
void budget_body(struct crew *crew, size_t *counted, size_t bytes);

/* Of all workers: all together, and those of kept request bodies. */
uint64_t budget_bytes(const struct crew *crew);
uint64_t budget_body_bytes(const struct crew *crew);

#endif
