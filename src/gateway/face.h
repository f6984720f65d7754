/* The face of a stream: what every thread may see of it. Its id, where it came from and its journal never change; what
 * is found out later travels in atomics that the stream's home writes. Counted, so that a viewer of another worker can
 * go on reading when the home has let go of the stream. */
#ifndef GATEWAY_FACE_H
#define GATEWAY_FACE_H

#include "gateway/config.h"
#include "stream/id.h"
#include "stream/journal.h"

#include <stdatomic.h>

struct face {
	struct id id;
	struct journal *journal;   /* held */
	struct config *config;     /* held: the one under which it was started, whatever is loaded later */
	const struct route *route; /* of that configuration */
	const struct dialect *dialect; /* of the frames in the journal; NULL: it has text */
	uint64_t started_ms;
	atomic_int queue;          /* its place behind the embedded model; -1: in no queue, or out of it */
	atomic_uint holds;
};

/* An id of its own and an empty journal; holds the configuration. NULL when there is no memory. */
struct face *face_create(struct config *config, const struct route *route, const struct dialect *frames,
	unsigned process_generation, unsigned home);

/* Any thread. */
struct face *face_hold(struct face *f);
void face_drop(struct face *f);

static inline span face_id(const struct face *f) { return span_of(f->id.text, ID_LENGTH); }

#endif
