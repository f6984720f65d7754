/* The audience of a stream: its viewers on one worker. */
#ifndef GATEWAY_AUDIENCE_H
#define GATEWAY_AUDIENCE_H

#include "gateway/face.h"
#include "gateway/worker.h"

struct viewer;

struct audience {
	struct stream *stream; /* its home's alone */
	struct worker *worker; /* whose viewers these are */
	struct face *face;
	LIST_HEAD(, viewer) viewers;
	uint64_t arrived_ns;   /* the oldest event that waits to be written; 0: none */
	struct task measure;
};

void audience_init(struct audience *a, struct worker *w, struct stream *s, struct face *face);
void audience_finish(struct audience *a);

/* All viewers pull. arrived_ns: of the oldest event that they have not seen; 0: there is none. */
void audience_pull(struct audience *a, uint64_t arrived_ns);

/* One that was admitted has gone, or never came. It may have been what kept the audience. */
void audience_left(struct audience *a);

#endif
