/* A worker: one thread, one loop, and all that lives on it. There is one for now; nothing here is shared. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "gateway/config.h"
#include "gateway/metrics.h"
#include "server/server.h"
#include "stream/shelf.h"
#include "upstream/fetch.h"

struct stream;
struct pipe;

struct worker {
	struct loop loop;
	struct config *config;   /* held; another one after a reload */
	unsigned index;          /* the home that ids of its streams name */
	unsigned generation;     /* of the process, 4 bits */
	struct resolver *names;
	struct pool *pool;
	struct model *model;     /* NULL when no route wants it */
	struct server *front, *admin; /* the public listener and the operator's (or NULL) */
	struct shelf shelf;
	uint64_t live_bytes;     /* memory of live journals */
	struct metrics metrics;
	struct buf scratch;      /* what is printed in this turn */

	LIST_HEAD(, stream) live;
	LIST_HEAD(, pipe) pipes; /* passthrough answers under way */
	struct alarm sweep;      /* the shelf's next expiry */
	bool draining;
	struct alarm deadline;   /* of the drain */
	struct alarm settle;     /* everything has ended: until it has reached its readers */
	uint32_t old_peers[64];  /* addresses that were seen to speak HTTP/1.0, as hashes: each is logged once */
	void (*on_drained)(struct worker *w);
	uint64_t started_ms;
};

/* Opens the listeners. false: why says what failed, in one sentence. */
MUST bool worker_open(struct worker *w, struct config *c, char *why, size_t why_bytes);

/* New work goes by the new configuration, of which one hold is taken over; running streams keep the one they began
 * with. What cannot change while the process lives (listeners, workers, the model) stays as it was. false: nothing was
 * changed, why says why (c is dropped). */
MUST bool worker_take_config(struct worker *w, struct config *c, char *why, size_t why_bytes);

/* No new work from now on; on_drained is called when the last stream has ended and was read, at the latest when
 * `drain` is over: then the rest is told failed/shutdown. Called a second time: that happens at once. */
void worker_drain(struct worker *w, void (*on_drained)(struct worker *w));

void worker_close(struct worker *w);

/* By streams and pipes, when one has ended: perhaps it was the last. */
void worker_look_drained(struct worker *w);

/* New work is refused for now: draining, or over limits.streams. */
bool worker_is_full(const struct worker *w);

uint64_t worker_journal_bytes(const struct worker *w);

#endif
