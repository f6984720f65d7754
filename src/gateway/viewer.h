/* A viewer: one exchange that reads one stream as a browser stream. It pulls: when its exchange has room it takes what
 * is due from the journal, at its own pace; a slow one costs nothing to the others. */
#ifndef GATEWAY_VIEWER_H
#define GATEWAY_VIEWER_H

#include "gateway/audience.h"
#include "server/exchange.h"

struct viewer {
	LIST_ENTRY(viewer) link;
	struct audience *audience;
	struct face *face;     /* the audience's */
	struct exchange *exchange;
	struct cursor cursor;
	struct alarm heartbeat;
	int told_queue;
};

/* Begins the answer with `taken` events already seen and takes over the exchange; the audience has admitted it. Out of
 * memory: answers 503. */
void viewer_open(struct exchange *x, struct audience *a, uint32_t taken);

/* Puts what is due and fits. The last word ends the viewer. */
void viewer_pull(struct viewer *v);

/* The transport is broken off; the place is kept, so that the viewer may come back. */
void viewer_cut(struct viewer *v);

#endif
