/* The verdict: evidence in, ending out. Pure, total, and the only place that decides how a stream ended
 * (ARCHITECTURE.md, "Ends"; the lines of the table are numbered there and in ending.c). */
#ifndef STREAM_ENDING_H
#define STREAM_ENDING_H

#include "base/cause.h"
#include "dialect/dialect.h"

/* What has become of the upstream's answer. */
enum ending_body {
	BODY_OPEN,      /* still going, or not begun */
	BODY_FRAMED,    /* ended by its framing: last chunk, Content-Length fulfilled */
	BODY_CLOSED,    /* close-delimited, closed without error: an end that proves nothing */
	BODY_BROKEN,    /* FIN or reset inside the message, or before its head */
	BODY_MALFORMED, /* framing that breaks the rules of HTTP */
};

/* route: end_marker, for dialect text only. */
enum end_marker { END_MARKER_OPTIONAL, END_MARKER_REQUIRED, END_MARKER_NONE };

enum proof { PROOF_NULL, PROOF_MARKER, PROOF_TERMINATOR, PROOF_FINISH, PROOF_FRAMING, PROOF_NONE };

struct evidence {
	enum cause ours;           /* stopped, abandoned, a limit, a clock, overloaded, shutdown, owner_lost, internal;
	                            * or none */
	enum cause no_connection;  /* refused or tls, when the upstream was never reached; or none */
	int status;                /* HTTP status of the answer; 0 before its head */
	bool unusable;             /* wrong media type, compressed */
	enum ending_body body;
	bool half_event;           /* the body ended inside an event */

	bool has_finish, has_terminator, is_text; /* properties of the dialect */
	bool finish_optional;      /* route: finish: optional */
	enum end_marker end_marker;
	const struct seen *seen;   /* never NULL */
};

struct verdict {
	enum cause cause;
	enum proof proof;
	int line; /* of the table, 1–10: for logs and tests */
};

/* True when the stream has ended; *out is untouched otherwise. */
MUST bool ending_judge(const struct evidence *e, struct verdict *out);

/* "marker", "terminator", …; NULL for PROOF_NULL. */
const char *proof_name(enum proof proof);

#endif
