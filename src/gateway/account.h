/* An account: what has been started, and is under way, under one name of `keys`. It outlives the configuration that
 * first named it, so a reload forgets no limit; all workers share it, and all of it is atomic. */
#ifndef GATEWAY_ACCOUNT_H
#define GATEWAY_ACCOUNT_H

#include "base/bucket.h"
#include "base/quota.h"
#include "gateway/config.h"

enum account_limit { LIMIT_STREAMS, LIMIT_STARTS, LIMITS };

struct account {
	struct account *next;
	char *name;
	struct quota streams;   /* under way: streams, and requests of passthrough routes */
	struct bucket starts;
	atomic_uint_least64_t started; /* what the limits allowed */
	atomic_uint_least64_t refused[LIMITS];
};

/* All there have been since the start, in the order in which they were first named. The first worker's. */
struct accounts {
	struct account *first;
};

/* Gives each caller of a configuration its account: the one of its name, or a new one. Before other threads see it. */
MUST bool accounts_adopt(struct accounts *a, struct config *c); /* false: no memory, and the configuration is of no use */
void accounts_finish(struct accounts *a);

/* Why not, and when again. */
struct shortage {
	char sentence[120];
	unsigned retry_after_s;
};

/* A start: one of its streams, and one of its starts. False: one of the two was not to be had, nothing was taken, *why
 * says which. NULL: no keys are configured, and nobody is counted. */
MUST bool account_take(const struct caller *c, uint64_t now_ns, struct shortage *why);
/* Nothing came of it. */
void account_undo(const struct caller *c);
/* What was started is over. NULL: it was nobody's. */
void account_give(struct account *a);

#endif
