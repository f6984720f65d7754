/* Text that comes in pieces, mended into valid UTF-8. Pieces may end inside a character: a part of a UTF-8 sequence or
 * half a surrogate pair. Such a tail is held back until the next piece completes it; what can never be completed
 * becomes U+FFFD, one for each maximal subpart, as the WHATWG Encoding Standard does. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

struct utf8 {
	unsigned char held[6]; /* a started sequence, or a high surrogate (3 bytes) and what may begin the low one */
	unsigned char held_n;
	bool surrogates;       /* input is WTF-8: surrogate halves are written as 3-byte sequences, and pairs are joined */
};

/* surrogates: true for strings that came out of JSON escapes (json/scan), false for raw bytes. */
void utf8_init(struct utf8 *u, bool surrogates);

/* Appends the whole characters of what was held plus piece to out and holds the rest. Returns the number of U+FFFD
 * that it had to write. */
size_t utf8_mend(struct utf8 *u, span piece, struct buf *out);

/* At the end: what is still held becomes U+FFFD. */
size_t utf8_flush(struct utf8 *u, struct buf *out);

bool utf8_is_valid(span s);

#endif
