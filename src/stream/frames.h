/* The upstream's frames as they came: the bytes that belong to the event that the parser is at (passthrough). */
#ifndef STREAM_FRAMES_H
#define STREAM_FRAMES_H

#include "base/buf.h"

struct frames {
	struct buf raw;    /* of the frame that is not whole yet */
	bool gave_line_feed; /* a frame was closed with the LF of its CRLF, which had not come yet */
};

void frames_finish(struct frames *f);

/* Bytes that the parser has used up without coming to an event. */
void frames_take(struct frames *f, span bytes);

/* The parser came to an event with these. The whole frame: a loan until the next call or, when it lies wholly in bytes,
 * for as long as they live. Out of memory: p is NULL. */
span frames_close(struct frames *f, span bytes);

#endif
