/* The inside of the pool, for fetch.c. */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "upstream/connect.h"
#include "upstream/fetch.h"

struct pool {
	struct loop *loop;
	struct connector *connector;
	TAILQ_HEAD(, pooled) idle; /* latest first */
	LIST_HEAD(, fetch) fetches; /* under way */
	size_t kept;
	struct garbage garbage;
};

/* A connection to the upstream of that name which is idle and was not closed by the peer, or NULL. The caller owns it. */
struct conn *pool_take(struct pool *p, const char *upstream);
/* A connection whose last response was read whole, and behind which nothing came. */
void pool_give(struct pool *p, const char *upstream, struct conn *c);

#endif
