/* Passing over JSON that nobody wants to read, as strictly as scan.c reads it. For scan.c alone. */
#ifndef JSON_PASS_H
#define JSON_PASS_H

#include "base/check.h"
#include "base/span.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool pass_is_plain(unsigned char c) { return c >= 0x20 && c != '"' && c != '\\'; }

/* The first byte from p on that ends a run of plain characters inside a string, or end. */
static inline const char *pass_plain(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
	for (; end - p >= (ptrdiff_t)sizeof quote; p += sizeof quote) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)p);
		__m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, escape));
		marks = _mm_or_si128(marks, _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
		int mask = _mm_movemask_epi8(marks);
		if (mask)
			return p + __builtin_ctz((unsigned)mask);
	}
#else
	/* Eight bytes in one step. The top bit of a byte in `marks` is set for each byte that is not plain, and falsely
	 * at most behind such a byte: the borrow of a subtraction goes upwards. */
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	for (uint64_t w; end - p >= (ptrdiff_t)sizeof w; p += sizeof w) {
		memcpy(&w, p, sizeof w);
		uint64_t quote = w ^ ones * '"', escape = w ^ ones * '\\';
		uint64_t marks = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((escape - ones) & ~escape);
		if (marks & tops)
			break;
	}
#endif
	while (p < end && pass_is_plain((unsigned char)*p))
		p++;
	return p;
}

static inline const char *pass_white(const char *p, const char *end)
{
	while (p < end && (unsigned char)*p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* What is behind the value that begins at p, or NULL when that value is bad, cut, a number at the very end, or nested
 * deeper than `depth`: which of these, scan.c finds out. */
MUST const char *pass_value(const char *p, const char *end, int depth);

#endif
