/* The audience of a stream: its viewers on one worker. The stream's home wakes an audience, never a viewer. */
#ifndef GATEWAY_AUDIENCE_H
#define GATEWAY_AUDIENCE_H

#include "gateway/face.h"
#include "gateway/worker.h"

struct viewer;

struct audience {
	struct worker *worker;  /* whose viewers these are */
	struct face *face;      /* held */
	LIST_HEAD(, viewer) viewers;
	uint64_t arrived_ns;    /* the oldest event that waits to be written; 0: none */
	struct task measure;
	struct garbage garbage;

	/* The home's. */
	struct worker *home;
	struct stream *stream;
	LIST_ENTRY(audience) link;
	size_t admitted;        /* viewers that are there, or on their way */

	/* Between the two, when they are different workers. */
	atomic_bool woken;      /* `wake` is on its way */
	uint64_t woken_for_ns;  /* … with this arrival */
	atomic_uint gone;       /* viewers; while it is not 0, `leave` is on its way */
	struct letter wake, leave, over;
};

/* What a viewer that was admitted brings from the stream's home: the audience that it joins, and where it begins to read,
 * so that nothing of that is given up while it is on its way. Zeroed: it was not admitted. */
struct seat {
	struct audience *audience;
	struct cursor cursor;
	uint32_t taken; /* events that it has seen before */
};

void audience_init(struct audience *a, struct worker *w, struct stream *s);
void audience_finish(struct audience *a);

/* On its home: all viewers pull, this turn or, elsewhere, as soon as that worker can. arrived_ns: of the oldest event
 * that they have not seen; 0: there is none. */
void audience_wake(struct audience *a, uint64_t arrived_ns);

/* On its worker: one that was admitted has gone. It may have been what kept the audience. */
void audience_left(struct audience *a);
/* On its worker: one that was admitted does not come. */
void audience_give_back(struct seat *seat);

#endif
