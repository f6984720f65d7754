/* Mending: bytes that claim to be UTF-8 go in, valid UTF-8 comes out, in pieces of any size.
 *
 * A token of a model is often a part of a character: tokenizers split by bytes, and JSON escapes a character outside
 * the BMP as two halves which servers may put into two events. Replacing at the end of each piece would turn good text
 * into U+FFFD, so an unfinished tail waits for the next piece. A decoder with one state for each byte would do it too,
 * but nearly all text is valid: runs of it are found and copied whole, and only the place where two pieces meet is
 * looked at twice.
 *
 * 1. `held` is a proper prefix of one character (or pair of surrogates); it is never whole and never bad.
 * 2. What comes out does not depend on where the input was cut.
 * 3. One U+FFFD for each maximal subpart (Unicode §3.9, U+FFFD substitution; WHATWG Encoding Standard §4.7); a lone
 *    surrogate of WTF-8 is one.
 *
 * Nothing here allocates but the caller's `out`. Cutting text to a length is not here (dialect/fault.c). */
#include "base/utf8.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define REPLACEMENT SPAN("\xEF\xBF\xBD")

enum { LONGEST = 6 }; /* bytes: a pair of surrogates */

enum kind {
	WHOLE,
	PAIR,    /* two surrogates: one character, to be written in four bytes */
	BAD,     /* can never be completed */
	PARTIAL, /* all there is, and it may yet be completed */
};

struct found {
	enum kind kind;
	size_t n; /* bytes */
};

static bool is_high(const unsigned char *p) { return p[0] == 0xED && p[1] >= 0xA0 && p[1] < 0xB0; }
static bool is_low(const unsigned char *p) { return p[0] == 0xED && p[1] >= 0xB0; }

static size_t length_by_first(unsigned char c)
{
	return c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
}

/* Unicode table 3-7: only the second byte has limits of its own. */
static bool may_be_second(unsigned char first, unsigned char c, bool surrogates)
{
	unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	unsigned char high = first == 0xED && !surrogates ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	return c >= low && c <= high;
}

static struct found find_sequence(const unsigned char *p, size_t n, bool surrogates)
{
	size_t need = length_by_first(p[0]);
	if (need == 0)
		return (struct found){BAD, 1};
	for (size_t i = 1; i < need; i++) {
		if (i == n)
			return (struct found){PARTIAL, n};
		bool good = i == 1 ? may_be_second(p[0], p[1], surrogates) : (p[i] & 0xC0) == 0x80;
		if (!good)
			return (struct found){BAD, i};
	}
	return (struct found){WHOLE, need};
}

/* What follows the high surrogate at p. */
static struct found find_low_half(const unsigned char *p, size_t n)
{
	for (size_t i = 3; i < n && i < LONGEST; i++) {
		bool good = i == 3 ? p[i] == 0xED : i == 4 ? p[i] >= 0xB0 && p[i] < 0xC0 : (p[i] & 0xC0) == 0x80;
		if (!good)
			return (struct found){BAD, 3};
	}
	return n < LONGEST ? (struct found){PARTIAL, n} : (struct found){PAIR, LONGEST};
}

static struct found find_character(const unsigned char *p, size_t n, bool surrogates)
{
	struct found f = find_sequence(p, n, surrogates);
	if (!surrogates || f.kind != WHOLE || f.n != 3)
		return f;
	if (is_low(p))
		return (struct found){BAD, 3};
	return is_high(p) ? find_low_half(p, n) : f;
}

static size_t skip_ascii(const unsigned char *p, size_t n)
{
	size_t i = 0;
#ifdef __SSE2__
	for (; i + 2 * sizeof(__m128i) <= n; i += 2 * sizeof(__m128i)) {
		const __m128i *at = (const __m128i *)(p + i);
		if (_mm_movemask_epi8(_mm_or_si128(_mm_loadu_si128(at), _mm_loadu_si128(at + 1))))
			break;
	}
#endif
	for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
		memcpy(&word, p + i, sizeof word);
		if (word & 0x8080808080808080u)
			break;
	}
	while (i < n && p[i] < 0x80)
		i++;
	return i;
}

static void put_pair(struct buf *out, const unsigned char *p)
{
	uint32_t high = (p[1] & 0x0Fu) << 6 | (p[2] & 0x3Fu), low = (p[4] & 0x0Fu) << 6 | (p[5] & 0x3Fu);
	uint32_t c = 0x10000 + (high << 10) + low;
	char bytes[4] = {(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)), (char)(0x80 | (c >> 6 & 0x3F)),
	                 (char)(0x80 | (c & 0x3F))};
	buf_put(out, span_of(bytes, sizeof bytes));
}

struct result {
	size_t taken;    /* bytes; fewer than were given when a partial character is left */
	size_t replaced;
};

/* Mends until `enough` bytes are taken or only a partial character is left. */
static struct result mend(const unsigned char *p, size_t n, size_t enough, bool surrogates, struct buf *out)
{
	struct result r = {0};
	size_t begin = 0, i = 0; /* [begin, i) is valid and not yet written */
	while (i < enough) {
		i += skip_ascii(p + i, enough - i);
		if (i == enough)
			break;
		struct found f = find_character(p + i, n - i, surrogates);
		if (f.kind == PARTIAL)
			break;
		if (f.kind != WHOLE) {
			buf_put(out, span_of(p + begin, i - begin));
			begin = i + f.n;
		}
		if (f.kind == PAIR) {
			put_pair(out, p + i);
		} else if (f.kind == BAD) {
			buf_put(out, REPLACEMENT);
			r.replaced++;
		}
		i += f.n;
	}
	buf_put(out, span_of(p + begin, i - begin));
	r.taken = i;
	return r;
}

static void hold(struct utf8 *u, const unsigned char *p, size_t n)
{
	CHECK(n < LONGEST);
	memcpy(u->held, p, n);
	u->held_n = (unsigned char)n;
}

void utf8_init(struct utf8 *u, bool surrogates) { *u = (struct utf8){.surrogates = surrogates}; }

size_t utf8_mend(struct utf8 *u, span piece, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)piece.p;
	size_t n = piece.n, replaced = 0;
	if (u->held_n == 0 && skip_ascii(p, n) == n) {
		buf_put(out, piece);
		return 0;
	}
	if (n == 0)
		return 0;
	if (u->held_n) {
		/* What is held and enough of the piece to end it: a held character that turns out bad may leave bytes
		 * of itself to be read again. */
		unsigned char joint[2 * LONGEST];
		size_t held = u->held_n, more = n < LONGEST ? n : LONGEST;
		memcpy(joint, u->held, held);
		memcpy(joint + held, p, more);
		struct result r = mend(joint, held + more, held, u->surrogates, out);
		replaced = r.replaced;
		if (r.taken < held) {
			hold(u, joint + r.taken, held + more - r.taken);
			return replaced;
		}
		u->held_n = 0;
		p += r.taken - held;
		n -= r.taken - held;
	}
	struct result r = mend(p, n, n, u->surrogates, out);
	if (r.taken < n)
		hold(u, p + r.taken, n - r.taken);
	return replaced + r.replaced;
}

/* A held high surrogate with the beginning of a low one is two subparts. */
size_t utf8_flush(struct utf8 *u, struct buf *out)
{
	size_t replaced = u->held_n == 0 ? 0 : u->held_n > 3 ? 2 : 1;
	for (size_t i = 0; i < replaced; i++)
		buf_put(out, REPLACEMENT);
	u->held_n = 0;
	return replaced;
}

bool utf8_is_valid(span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	for (size_t i = 0; i < s.n;) {
		struct found f = find_sequence(p + i, s.n - i, false);
		if (f.kind != WHOLE)
			return false;
		i += f.n;
		i += skip_ascii(p + i, s.n - i);
	}
	return true;
}
