/* The memory that streams may hold together (option `memory`), and who gives way when it is used up. */
#ifndef GATEWAY_BUDGET_H
#define GATEWAY_BUDGET_H

#include "gateway/worker.h"

/* Part of the crew. The gauges are told of by whoever holds such bytes: stream.c and pipe.c, the servers, the loops. */
struct budget {
	atomic_uint_least64_t live, kept; /* bytes of journals: of live streams, and of those on the shelves */
	struct gauge bodies; /* … of request bodies that are collected or kept … */
	struct gauge output; /* … and of what waits for kernels to take it. These two cannot give way */

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

/* New work would not fit: 95 % are in use, and not by kept streams, which can go. Bodies and output count as live. */
bool budget_is_tight(const struct worker *w);
/* A request body that is kept or gathered may grow to so many bytes. Bodies cannot give way, so together they get half of
 * the memory: whoever uploads slowly must not cost others their streams. A small one always may: it is a question, or
 * comes with a key to attach by. */
bool budget_has_room_for_body(const struct worker *w, size_t bytes);
/* So that it may fit after all: at once, if this worker can do it, else perhaps in some turns. */
void budget_make_room(struct worker *w);

/* Of all workers, now. */
struct memory_bytes budget_kinds(const struct crew *crew);

#endif
