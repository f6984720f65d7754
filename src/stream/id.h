/* Names of streams and places in them, as they stand in `id:` and Last-Event-ID: ID.n and ID.end (ARCHITECTURE.md, "The
 * browser stream"). ID is 22 characters of base64url: 120 random bits, 4 bits process generation, 8 bits home worker.
 * It is a capability: never logged whole. */
#ifndef STREAM_ID_H
#define STREAM_ID_H

#include "base/span.h"

#include <stdint.h>

enum { ID_LENGTH = 22, ID_SHOWN = 6, ID_PLACE_MAX = 64 };

struct id {
	char text[ID_LENGTH + 1]; /* NUL-terminated */
};

/* From the kernel's random source; aborts if there is none. process_generation: 0–15, home: 0–255. */
void id_make(struct id *out, unsigned process_generation, unsigned home);
unsigned id_home(const struct id *id); /* of a valid id */
bool id_is_valid(span text);           /* exactly 22 characters of base64url */

/* A place in a stream. */
enum id_place {
	PLACE_BAD,     /* malformed: empty, over 256 bytes, anything but printable ASCII; behind "ID." leading zeros
	                * or more than 10 digits */
	PLACE_EVENT,   /* ID.n: n events were taken; n may be 0 */
	PLACE_END,     /* X.end for any X of 1–64 bytes of [A-Za-z0-9._-] */
	PLACE_FOREIGN, /* well-formed text that no stream of ours ever gave out: unknown, not malformed */
};

/* *id is the stream that is named, empty where the text names none of ours (PLACE_END: X may be anybody's); *n is 0 but
 * for PLACE_EVENT. The text may be of any length and content. */
enum id_place id_parse_place(span text, struct id *id, uint64_t *n);

#endif
