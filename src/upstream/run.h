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
	struct fetch *fetch;
	struct alarm connect, first_event, idle, total;
	uint64_t fed;
	bool in_queue;
};

/* The request's strings are copied. The generation may end at once, but on_change is called later. */
void run_start(struct run *r, struct pool *p, const struct fetch_request *request);

/* A request that was sent by somebody else and is being answered, head being the answer's: its fetch is the run's from
 * now on. To be called from the fetch's on_head; the clocks count from when it was sent and connected. */
void run_adopt(struct run *r, struct pool *p, struct fetch *f, const struct http_head *head, uint64_t started_ns,
	uint64_t connected_ns);

/* Ends the generation with a cause of ours: stopped, abandoned, shutdown … and cancels the request. */
void run_end(struct run *r, enum cause cause, const char *detail);

/* ms since the event that last fed `idle`; -1 while that clock does not run. */
int64_t run_idle_ms(const struct run *r);

/* Before the memory goes. A generation that has not ended stays as it is. */
void run_finish(struct run *r);

#endif
