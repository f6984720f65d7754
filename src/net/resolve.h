/* Name lookups for dial.c. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/dial.h"

enum { RESOLVE_ADDRESSES = 16 }; /* of one name; a dial that tried so many will not succeed with more */

struct resolved {
	struct sockaddr_storage address[RESOLVE_ADDRESSES]; /* without a port */
	size_t n;
};

/* Somebody who waits for a lookup. */
struct resolve_wait {
	TAILQ_ENTRY(resolve_wait) link;
	/* addresses NULL: why says why. A loan. */
	void (*on_resolved)(void *owner, const struct resolved *addresses, const char *why);
	void *owner;
	bool waiting;
};

/* Calls back from the loop, at once (in a later task of this turn) when a good answer is kept. False: no memory, and
 * nobody calls. */
MUST bool resolve_name(struct resolver *r, span host, struct resolve_wait *w);
void resolve_cancel(struct resolver *r, span host, struct resolve_wait *w);
struct loop *resolver_loop(const struct resolver *r);

#endif
