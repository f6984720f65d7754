/* The forms in which a stream is shown: to a browser from a journal of text, to a browser from a journal of the
 * upstream's frames, and those frames themselves. A form is one viewer's place in the stream and knows how what stands
 * there is printed. */
#ifndef GATEWAY_FORM_H
#define GATEWAY_FORM_H

#include "gateway/face.h"
#include "stream/retell.h"

enum form_kind { FORM_TEXT, FORM_RETOLD, FORM_FRAMES };

struct form {
	enum form_kind kind;
	struct face *face;      /* whoever reads holds it */
	struct cursor cursor;   /* FORM_TEXT, FORM_FRAMES */
	struct retell *retell;  /* FORM_RETOLD */
	uint32_t skips;         /* FORM_RETOLD: events that were seen before; they must be read again to get past them */
};

/* Behind `taken` events. as_upstream: the frames, which the face must have. Takes over the cursor, which stands where
 * form_begins says. False: no memory. */
MUST bool form_open(struct form *f, struct face *face, bool as_upstream, uint32_t taken, struct cursor *from);
void form_close(struct form *f);

/* The event of the journal from which must be read for that. */
uint32_t form_begins(const struct face *face, uint32_t taken);

/* Number of the next event, and whether it is there. */
static inline uint32_t form_next(const struct form *f)
{
	if (f->kind != FORM_RETOLD)
		return f->cursor.next;
	return f->retell->next > f->skips ? f->retell->next : f->skips + 1;
}
bool form_is_due(const struct form *f);

/* Appends events until there are `room` bytes, none is left, or so much was read that others should have their turn.
 * False: memory ran out, and out is of no use. */
MUST bool form_print(struct form *f, struct buf *out, size_t room);

/* What another form printed from the same place to `next` was put: on behind it. */
void form_skip_to(struct form *f, uint32_t next);

/* What a stream begins with; ends with, when all events are printed (false: it cannot be said any more, and must be
 * broken off); says while there is nothing to say. */
void form_print_first(const struct form *f, struct buf *out);
MUST bool form_print_end(const struct form *f, struct buf *out, const struct last_word *word);
span form_heartbeat(const struct form *f);
const char *form_media_type(const struct form *f);

#endif
