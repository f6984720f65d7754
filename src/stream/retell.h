/* A journal of frames, told to a browser: the frames are read again with the dialect's reader, and come out as the events
 * that a browser route would have kept. One reader's place; any thread. */
#ifndef STREAM_RETELL_H
#define STREAM_RETELL_H

#include "stream/journal.h"

struct retell {
	uint32_t next; /* number of the next event, from 1 */
	bool failed;   /* no memory: nothing comes any more */

	/* For retell.c. */
	struct cursor cursor;
	struct sse sse;
	struct reader reader;
	span frame;    /* what is left of the present one */
	bool json, flushed;
	bool has_text, has_reasoning; /* read, and not yet handed out */
	bool text_after_cr, reasoning_after_cr;
};

/* Takes over the cursor, which stands at the journal's event 1. dialect and rules: those of its generation, a loan. json:
 * as there. */
void retell_open(struct retell *r, struct cursor *from, const struct dialect *dialect,
                 const struct dialect_text_rules *rules, bool json);
void retell_close(struct retell *r);

/* The event `next`, and steps on; false when it is not there yet. The text is a loan until the next call. */
MUST bool retell_read(struct retell *r, enum journal_kind *kind, span *text);

#endif
