/* The upstream's frames as they came: the bytes that belong to the event that the parser is at (passthrough). */
#ifndef STREAM_RAW_H
#define STREAM_RAW_H

#include "base/buf.h"
#include "sse/parse.h"

struct raw {
	enum sse_syntax syntax;
	struct buf held;     /* of the frame that is not whole yet */
	bool gave_line_feed; /* the last frame was closed with an LF that had not come yet … */
	bool left_line_feed; /* … or without one that had */
};

void raw_finish(struct raw *r);

/* Bytes that the parser has used up without coming to an event. */
void raw_take(struct raw *r, span bytes);

/* The parser came to an event with these. The whole frame: a loan until the next call or, when it lies wholly in bytes,
 * for as long as they live. Out of memory: p is NULL. */
span raw_close(struct raw *r, span bytes);

/* What a frame begins with before its event: whole comments and blank lines. */
span raw_idle_part(const struct raw *r, span frame);

/* All that was taken since the last frame is comments and blank lines, whole ones: something else may be said now. */
bool raw_is_idle(const struct raw *r);

/* The whole comments and blank lines behind the last frame: a loan likewise. Out of memory: p is NULL. */
span raw_rest(struct raw *r);

#endif
