/* The one sentence that tells a person why a stream did not end well: what is known, in numbers, and what the upstream
 * said of itself, made safe. It decides nothing (stream/ending did) and is never read by a program. */
#ifndef STREAM_DETAIL_H
#define STREAM_DETAIL_H

#include "stream/ending.h"

struct detail_facts {
	const struct evidence *evidence;
	struct verdict verdict;
	const char *given; /* a sentence by whoever knows why, or NULL; how far the answer came is added to it */
	span secret;       /* the credential that was sent upstream: never repeated; empty: none */
	uint64_t events;   /* text events that were delivered */
	uint64_t event_limit, stream_limit; /* bytes; 0 = off */
};

/* out is empty for a good end; else one line of valid UTF-8, NUL-terminated, without control characters, "<" or ">". */
void detail_write(char out[DIALECT_SENTENCE], const struct detail_facts *f);

/* Somebody else's words, made as safe as a detail. */
void detail_clean(char out[DIALECT_SENTENCE], span words, span secret);

#endif
