/* Why a stream ended, and what every fallible function of lastword returns: a row of cause.def, or CAUSE_NONE for
 * "nothing is wrong". */
#ifndef BASE_CAUSE_H
#define BASE_CAUSE_H

#include "base/check.h"
#include "base/span.h"

enum cause {
	CAUSE_NONE,
#define CAUSE(constant, name, end, side, status, retryable, sentence) CAUSE_##constant,
#include "base/cause.def"
#undef CAUSE
	CAUSES /* how many there are, CAUSE_NONE included */
};

enum cause_end { END_COMPLETE, END_STOPPED, END_FAILED };
enum cause_side { SIDE_MODEL, SIDE_VIEWER, SIDE_UPSTREAM, SIDE_GATEWAY };

struct cause_row {
	const char *name;     /* on the wire, in logs and metrics */
	enum cause_end end;
	enum cause_side side;
	int status;           /* HTTP status before the first byte, 0 when the cause cannot come then */
	bool retryable;
	const char *sentence; /* for people; no secret, no HTML */
};

/* The row of a cause other than CAUSE_NONE. */
const struct cause_row *cause_row(enum cause cause);
const char *cause_name(enum cause cause);
const char *cause_end_name(enum cause_end end);    /* "complete", "stopped", "failed" */
const char *cause_side_name(enum cause_side side); /* "model", "viewer", "upstream", "gateway" */

#endif
