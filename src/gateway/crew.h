/* The crew: all workers of the process, and the little that they share. Belongs to the first worker's thread, which is
 * the process's first; the atomics are anybody's. */
#ifndef GATEWAY_CREW_H
#define GATEWAY_CREW_H

#include "base/quota.h"
#include "gateway/account.h"
#include "gateway/budget.h"
#include "gateway/worker.h"

enum { CREW_MOST = 256 }; /* an id has 8 bits for its home */

struct crew {
	struct worker *worker[CREW_MOST];
	unsigned workers;
	unsigned generation;      /* of the process, 4 bits of each id */
	uint64_t started_ms;
	struct labels labels;     /* of routes; the first worker's */
	struct accounts accounts; /* of keys; the first worker's, but what they count is anybody's */
	struct model *model;      /* on the first worker's loop; NULL when no route wants it */

	struct quota connections; /* on the public listeners */
	struct quota streams;     /* live ones */
	struct budget budget;
	atomic_bool draining;
	unsigned idle_rounds;     /* draining: how often all have said that they are idle */

	void (*on_drained)(struct crew *crew);
	struct config *next;      /* held while it is being taken; NULL otherwise */
	atomic_uint awaited;      /* workers that have not taken it */
	struct letter taken;
	void (*on_taken)(struct crew *crew);
};

/* How many workers a configuration asks for. */
unsigned crew_size(const struct config *c);

/* Opens everything. false: why says what failed, in one sentence. */
MUST bool crew_open(struct crew *crew, struct config *c, char *why, size_t why_bytes);

/* The other workers' threads begin. false likewise. */
MUST bool crew_start(struct crew *crew, char *why, size_t why_bytes);

/* The first worker serves on the caller's thread until loop_stop; then the others are stopped as well. */
void crew_run(struct crew *crew);
void crew_close(struct crew *crew);

/* All workers take the configuration, of which one hold is taken over; on_taken says when they have. No other one may
 * be on its way. false: nothing was changed, why says why (c is dropped). */
MUST bool crew_take_config(struct crew *crew, struct config *c, void (*on_taken)(struct crew *crew), char *why,
	size_t why_bytes);

/* No new work from now on; on_drained is called when the last stream has ended and was read, at the latest when `drain`
 * is over. Called a second time: that happens at once. */
void crew_drain(struct crew *crew, void (*on_drained)(struct crew *crew));

/* By the first worker, while it drains: perhaps all are idle. */
void crew_look_drained(struct crew *crew);

/* Who keeps the stream of that id, if anybody does; NULL: nobody here. */
struct worker *crew_home(const struct crew *crew, span id);

#endif
