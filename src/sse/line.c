/* Two bytes end a line, LF and CR, and memchr looks for one. Looking for the other in front of it is a second walk over
 * the text, and without windows the square of it when somebody sends nothing but the second; so both are looked for in
 * one walk, 64 bytes in one step. Of those nearly none is as small as a CR, so that is asked first.
 *
 * No byte behind s.n is touched: what is left at the end is read again together with bytes before it. */
#include "sse/line.h"

#ifdef __SSE2__
#include <emmintrin.h>
#include <stdint.h>

enum { VECTOR = sizeof(__m128i), STEP = 4 * VECTOR };

static __m128i load(const char *p) { return _mm_loadu_si128((const __m128i *)p); }

/* Of STEP bytes. */
static bool has_byte_up_to_cr(const char *p)
{
	__m128i least = _mm_min_epu8(_mm_min_epu8(load(p), load(p + VECTOR)),
		_mm_min_epu8(load(p + 2 * VECTOR), load(p + 3 * VECTOR)));
	return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(least, _mm_set1_epi8('\r')), least));
}

/* True: *at is the index of an end among the VECTOR bytes from s.p + i on. */
static bool is_in_vector(span s, size_t i, size_t *at)
{
	__m128i bytes = load(s.p + i);
	__m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
	unsigned marks = (unsigned)_mm_movemask_epi8(ends);
	*at = marks ? i + (unsigned)__builtin_ctz(marks) : s.n;
	return marks;
}

static size_t find_in_vectors(span s)
{
	size_t i = 0, at;
	while (i + STEP <= s.n && !has_byte_up_to_cr(s.p + i))
		i += STEP;
	for (; i + VECTOR <= s.n; i += VECTOR)
		if (is_in_vector(s, i, &at))
			return at;
	(void)!is_in_vector(s, s.n - VECTOR, &at);
	return at;
}
#endif

size_t sse_find_line_end(span s)
{
#ifdef __SSE2__
	if (s.n >= VECTOR)
		return find_in_vectors(s);
#endif
	size_t i = 0;
	while (i < s.n && s.p[i] != '\n' && s.p[i] != '\r')
		i++;
	return i;
}
