/* A generation writes one stream: it takes what the upstream's answer brings, byte by byte, reads events out of it,
 * appends their text to the journal, and when evidence decides, seals it with the last word. Sans I/O: whoever drives it
 * (upstream/run) owns the socket and the clocks, and looks at `ended` after each call. */
#ifndef STREAM_GENERATION_H
#define STREAM_GENERATION_H

#include "dialect/dialect.h"
#include "stream/ending.h"
#include "stream/journal.h"

struct generation_rules {
	const struct dialect *dialect;   /* NULL: auto, by the first event with data */
	const char *not_built;           /* a recognised dialect that does not exist here: failed/protocol with its name */
	struct dialect_text_rules text;
	enum end_marker end_marker;
	bool finish_optional;
	bool json;                       /* data: json; text is then kept exactly, CR included */
	bool queue_comments;             /* the embedded model's `: queue N` comments are understood */
	unsigned n;                      /* choices asked for */
	uint64_t event_limit, stream_limit; /* bytes; 0 = off */
};

struct generation {
	/* For the driver to read. */
	bool ended;          /* the journal is sealed; nothing is taken any more */
	bool answered;       /* a 200 of the right type came */
	bool began;          /* an event with meaning was seen: clock first_event is over, idle is on */
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
	struct buf error_body;  /* of a JSON body or of a status other than 200: the first 64 KiB */
	bool is_json_body;
	char detail[DIALECT_SENTENCE];
	bool after_cr;          /* text mode: a CR ended the last text; an LF that follows belongs to it */
};

/* The journal is held until generation_finish. The rules' words are loans until then. */
void generation_init(struct generation *g, const struct generation_rules *rules, struct journal *journal);
void generation_finish(struct generation *g);

/* The upstream's head; content_encoding is empty when there is none. The body of a status other than 200 is not
 * awaited: the stream ends at once. A JSON body is read to its end (64 KiB at most) in case it is an error. */
void generation_head(struct generation *g, int status, span content_type, span content_encoding);
void generation_body(struct generation *g, span bytes);

/* The body ended: framed, closed, broken or malformed. detail: one sentence or NULL for the cause's own. */
void generation_body_end(struct generation *g, enum ending_body how, const char *detail);

/* No connection could be made: CAUSE_REFUSED or CAUSE_TLS. */
void generation_no_connection(struct generation *g, enum cause cause, const char *detail);

/* We end it: any cause of line 5 of the table. */
void generation_end(struct generation *g, enum cause cause, const char *detail);

#endif
