/* Stop strings: text comes in pieces and goes out in pieces, up to the first of the strings, which never goes out. */
#ifndef MODEL_STOP_H
#define MODEL_STOP_H

#include "base/buf.h"

enum { STOPS = 16, STOP_BYTES = 256 };

struct stops {
	struct buf text;        /* the strings, one behind another */
	size_t length[STOPS];   /* bytes; 1 … STOP_BYTES */
	size_t n;
};

/* False when there are too many, or it is empty or too long. */
MUST bool stops_add(struct stops *s, span word);
void stops_finish(struct stops *s);

struct stop {
	const struct stops *stops; /* a loan */
	struct buf held;           /* text that may be the beginning of a stop string */
};

/* Appends to out what is certainly no part of a stop string. True when one was found: the text before it is out, the
 * rest is forgotten. The same for whatever slicing of the text: of several strings the one counts that is whole
 * first. */
MUST bool stop_feed(struct stop *m, span text, struct buf *out);

/* The text is over: what was held goes out. */
void stop_flush(struct stop *m, struct buf *out);
void stop_finish(struct stop *m);

#endif
