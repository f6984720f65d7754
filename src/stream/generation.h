/* A generation writes one stream: it takes what the upstream's answer brings, byte by byte, reads events out of it,
 * appends their text to the journal, and when evidence decides, seals it with the last word. Sans I/O: whoever drives
 * it (upstream/run) owns the socket and the clocks, and looks at `ended` after each call. */
#ifndef STREAM_GENERATION_H
#define STREAM_GENERATION_H

#include "dialect/dialect.h"
#include "stream/ending.h"
#include "stream/raw.h"
#include "stream/journal.h"

struct generation_rules {
	const struct dialect *dialect;   /* NULL: auto, by the first event with data */
	struct dialect_text_rules text;
	enum end_marker end_marker;
	bool finish_optional;
	bool json;                       /* data: json; text is then kept exactly, CR included */
	bool keeps_frames;               /* passthrough: the journal gets the upstream's frames; dialect is not NULL */
	bool done_after_error;           /* … and behind an error frame the dialect's terminator */
	bool queue_comments;             /* the embedded model's `: queue N` comments are understood */
	unsigned n;                      /* choices asked for */
	uint64_t event_limit;            /* bytes of one upstream event as it came; 0 = off */
	uint64_t stream_limit;           /* bytes of all events in the journal; 0 = off */
	span secret;                     /* the credential that goes upstream: no detail repeats it; empty: none */
};

struct generation {
	/* For the driver to read. */
	bool ended;          /* the journal is sealed; nothing is taken any more */
	bool answered;       /* a 200 of the right type came */
	bool began;          /* an event with meaning was seen: clock first_event is over, idle is on */
	bool delivers;       /* an event with meaning went into the journal, or the answer is whole: there is no way back to an
	                      * HTTP error */
	uint64_t fed;        /* events that feed `idle` */
	int queue;           /* the last `: queue N`; -1 when none was told */
	struct verdict verdict;
	uint64_t no_field_lines, ignored_bytes; /* for the log */

	/* For generation.c. */
	struct generation_rules rules;
	struct journal *journal;
	struct sse sse;
	struct reader reader;
	struct evidence evidence;
	struct buf json_body;   /* a JSON body instead of a stream: it may be an error */
	bool is_json_body;
	bool is_undecided;      /* auto, and no event with data yet */
	bool text_after_cr, reasoning_after_cr; /* text mode: a CR was last; an LF that follows belongs to it */
	uint64_t stored_bytes;  /* of all events in the journal */
	struct raw raw;
	span frame;             /* keeps_frames: the present event's */
	bool lacks_line_end;    /* keeps_frames: the last frame is a line of NDJSON without its LF */
	int64_t sequence;       /* keeps_frames: of the last event that went on */
	struct buf closing;     /* keeps_frames: an error frame that goes on as it came */
};

/* The journal is held until generation_finish. The rules' words and spans are loans until then. *g must not move. */
void generation_init(struct generation *g, const struct generation_rules *rules, struct journal *journal);

/* A generation that nobody ended by then is a bug of its driver; its readers are told so (CAUSE_INTERNAL). */
void generation_finish(struct generation *g);

/* The upstream's head; content_encoding is empty when there is none. The body of a status other than 200 is not
 * awaited: the stream ends at once. A JSON body is read to its end (64 KiB at most) in case it is an error. */
void generation_head(struct generation *g, int status, span content_type, span content_encoding);
void generation_body(struct generation *g, span bytes);

/* The body ended: framed, closed, broken or malformed; before the head only the last two. detail: one sentence for a
 * bad end, or NULL for what is known here. After this the generation has ended. */
void generation_body_end(struct generation *g, enum ending_body how, const char *detail);

/* No connection could be made: CAUSE_REFUSED or CAUSE_TLS. */
void generation_no_connection(struct generation *g, enum cause cause, const char *detail);

/* We end it: any cause of line 5 of the table. Nothing happens when it has ended already: the first word stands. */
void generation_end(struct generation *g, enum cause cause, const char *detail);

/* keeps_frames, ended badly: appends the body of an HTTP error that says so in the dialect. */
void generation_put_error_body(const struct generation *g, struct buf *out);

#endif
