/* Event streams (WHATWG HTML Standard §9.2.6) and NDJSON, sans I/O: bytes in, events out, resumable at any byte. LF,
 * CR and CRLF end lines; a BOM at the very start is dropped; bytes pass undecoded (a split character is the dialect's
 * business). Lines that are no field are counted, not errors.
 *
 *	span in = what arrived;
 *	while ((item = sse_next(&p, &in)) != SSE_MORE) …
 */
#ifndef SSE_PARSE_H
#define SSE_PARSE_H

#include "base/buf.h"

#include <stdint.h>

enum sse_syntax { SSE_EVENT_STREAM, SSE_NDJSON };

enum sse_item {
	SSE_MORE,      /* all of the input is used */
	SSE_EVENT,     /* p.event: a block closed by its blank line, or an NDJSON line; also blocks without data, which a
	                * browser would not dispatch: some dialects mean something by them */
	SSE_COMMENT,   /* p.comment: the text behind ':' */
	SSE_TOO_LARGE, /* one block grew over the limit: said once, then all input is used up unread */
	SSE_NO_MEMORY, /* likewise */
};

/* Loans until the next call. */
struct sse_event {
	span name;     /* "event", empty when there is none */
	span data;     /* "data" lines joined by LF, without the last LF */
	bool has_data;
	bool has_name;
	span id;       /* as it came; metadata only */
	bool has_id;
	span error_field; /* a line `error: …`, which old llama.cpp servers write; p is NULL when there is none */
	span stray;       /* lines from one that begins with '{' or '[' on, joined by LF: JSON that was written into
	                   * the stream without `data:`, as Google does with errors; p is NULL when there is none */
};

/* A field's value: lent by the input while that lasts, kept when it must survive it. */
struct sse_value {
	bool is_set, is_lent;
	span lent;
	struct buf kept;
};

struct sse {
	struct sse_event event;
	span comment;
	uint64_t no_field_lines; /* lines with neither a colon nor the name of a known field: a newline inside data */

	/* For parse.c. */
	enum sse_syntax syntax;
	size_t limit;
	struct buf line;    /* the beginning of a line whose end has not come */
	struct sse_value name, data, id, error, stray;
	size_t block_bytes; /* of the present block, counted against the limit */
	int bom;            /* bytes of a BOM matched so far; -1: past the start */
	bool after_cr;      /* swallow one LF */
	bool is_open;       /* the present block has a line that is no comment */
	bool delivered;     /* the present event was handed out: forget it before going on */
	bool failed;        /* too large, or out of memory */
};

/* limit: bytes of one block, each line end counted as one; a comment line counts alone and is then forgotten.
 * 0: no limit. */
void sse_init(struct sse *p, enum sse_syntax syntax, size_t limit);
void sse_finish(struct sse *p);

MUST enum sse_item sse_next(struct sse *p, span *in);

/* At the end of the body. NDJSON: the last line may lack its LF; SSE_EVENT then gives it. Event streams: likewise a
 * block that is nothing but stray JSON, for which nobody writes a blank line. Otherwise SSE_MORE. */
MUST enum sse_item sse_end(struct sse *p);

/* At the end of the body: half an event is left over (a comment, even a half one, is no event). */
bool sse_is_inside_event(const struct sse *p);

#endif
