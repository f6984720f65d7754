/* The shape of an event that said one piece of text and nothing else, so that the next one of that shape need not be
 * read. For reader.c. */
#ifndef DIALECT_MOULD_H
#define DIALECT_MOULD_H

#include "base/buf.h"
#include "sse/parse.h"

/* Zeroed: fits nothing. */
struct mould {
	struct buf frame;        /* the event's name, its data up to the piece, its data behind it */
	size_t name, head, tail; /* bytes of each; head is 0 when there is no shape */
	bool is_reasoning;       /* the piece */
	unsigned casts;          /* since one of them fitted an event */
};

static inline bool mould_has_shape(const struct mould *m) { return m->head > 0; }

/* What stands in an event of this shape, a string without escapes; p is NULL when the event is of another. */
MUST span mould_piece(struct mould *m, const struct sse_event *event);

/* Takes the shape of an event whose only meaning was `piece`, a loan of its data; or none, when piece is not the inside
 * of a JSON string there, the event is too large to be kept, or moulds have not been worth their while. */
void mould_cast(struct mould *m, const struct sse_event *event, span piece, bool is_reasoning);

void mould_break(struct mould *m);
void mould_finish(struct mould *m);

#endif
