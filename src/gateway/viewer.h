/* A viewer: one exchange that reads one stream, in a browser's form or in the upstream's own. It pulls: when its exchange
 * has room it takes what is due from the journal, at its own pace; a slow one costs nothing to the others. */
#ifndef GATEWAY_VIEWER_H
#define GATEWAY_VIEWER_H

#include "gateway/audience.h"
#include "gateway/form.h"
#include "server/exchange.h"

struct viewer {
	LIST_ENTRY(viewer) link;
	struct audience *audience;
	struct face *face;     /* the audience's */
	struct exchange *exchange;
	struct garbage garbage;
	struct form form;
	struct alarm heartbeat;
	struct alarm later;    /* held: the hold is over; else: others have had their turn */
	bool is_held;          /* the status line waits for what the upstream will say */
	char *media_type;      /* FORM_FRAMES: as the upstream named it; NULL: the form's */
	int told_queue;
};

/* Begins the answer and takes over the exchange and the seat, to which it was admitted. Out of memory: answers 503. */
void viewer_open(struct exchange *x, struct seat *seat);

/* The same for the upstream's own frames, from the beginning. */
void viewer_open_frames(struct exchange *x, struct seat *seat);

/* The client whose request started a passthrough stream, on the stream's home. The status line is held until an event
 * with meaning came or hold_ms are over, so that a failure before it is a real HTTP error. The exchange has the
 * upstream's fields already, but for its Content-Type. */
void viewer_open_held(struct exchange *x, struct seat *seat, uint64_t hold_ms, span content_type);

/* Puts what is due and fits. The last word ends the viewer. */
void viewer_pull(struct viewer *v);

/* The transport is broken off; the place is kept, so that the viewer may come back. */
void viewer_cut(struct viewer *v);

#endif
