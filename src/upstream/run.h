/* A run drives one generation: it sends the request, feeds what comes back to the generation, and keeps the four clocks
 * (ARCHITECTURE.md, "Ends"). When the generation has ended, for whatever reason, the request is gone too. Belongs to
 * its loop's thread. */
#ifndef UPSTREAM_RUN_H
#define UPSTREAM_RUN_H

#include "stream/generation.h"
#include "upstream/fetch.h"

struct run {
	struct generation *generation; /* the owner's */
	const struct route *route;
	void (*on_change)(void *owner); /* events were appended, the place in the queue changed, or the generation ended */
	void *owner;

	/* For the log and the metrics, monotonic ns; 0: not yet. */
	uint64_t started_ns, connected_ns, answered_ns, began_ns, ended_ns;

	/* For run.c. */
	struct pool *pool;
	struct run_spare *spare; /* what the next upstream is asked, while there is one */
	size_t attempt;          /* which upstream of the route */
	struct fetch *fetch;
	enum run_phase { RUN_CONNECTS, RUN_WAITS, RUN_QUEUES, RUN_READS } phase;
	struct alarm clock;   /* of the phase: connect, first_event, none, idle */
	struct alarm total;
	uint64_t fed;
};

/* The request's strings are copied. The generation may end at once, but on_change is called later. Where the route has
 * several upstreams, the others are asked the same, part being added to their own queries, when no connection could be
 * made or by retry_on; but not if the body is longer than retry_bytes. */
void run_start(struct run *r, struct pool *p, const struct fetch_request *request, span part, uint64_t retry_bytes);

/* A request that was sent by somebody else and is being answered. */
struct run_answer {
	struct fetch *fetch;
	const struct http_head *head;
	span so_far; /* of the body */
	uint64_t started_ns, connected_ns;
};

/* Its fetch is the run's from now on; the clocks count from when it was sent and connected. To be called from the
 * fetch's on_head or on_body. */
void run_adopt(struct run *r, struct pool *p, const struct run_answer *answer);

/* Ends the generation with a cause of ours: stopped, abandoned, shutdown … and cancels the request. */
void run_end(struct run *r, enum cause cause, const char *detail);

/* ms since the event that last fed `idle`; -1 while that clock does not run. */
int64_t run_idle_ms(const struct run *r);

/* Bytes of the request body that is kept for the next upstream. */
size_t run_kept_bytes(const struct run *r);

/* Before the memory goes. A generation that has not ended stays as it is. */
void run_finish(struct run *r);

#endif
