/* Two bytes end a line, LF and CR, and memchr looks for one. Looking for the other in front of it is a second walk over
 * the text, and without windows the square of it when somebody sends nothing but the second; so both are looked for in
 * one walk, 32 bytes in one step. Of those nearly none is as small as a CR, so that is asked first.
 *
 * No byte behind s.n is touched: what is left at the end is read again together with bytes before it. */
#include "sse/line.h"

#ifdef __SSE2__
#include <emmintrin.h>

enum { STEP = sizeof(__m128i) };

static __m128i load(const char *p) { return _mm_loadu_si128((const __m128i *)p); }

/* One bit for each of STEP bytes. */
static unsigned mark_ends(const char *p)
{
	__m128i lf = _mm_cmpeq_epi8(load(p), _mm_set1_epi8('\n')), cr = _mm_cmpeq_epi8(load(p), _mm_set1_epi8('\r'));
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(lf, cr));
}

static bool has_byte_up_to_cr(const char *p)
{
	__m128i least = _mm_min_epu8(load(p), load(p + STEP));
	return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(least, _mm_set1_epi8('\r')), least));
}

static size_t find_in_steps(span s)
{
	size_t i = 0;
	unsigned marks;
	for (; i + 2 * STEP <= s.n; i += 2 * STEP)
		if (has_byte_up_to_cr(s.p + i) && (marks = mark_ends(s.p + i) | mark_ends(s.p + i + STEP) << STEP))
			return i + (unsigned)__builtin_ctz(marks);
	if (i + STEP <= s.n && (marks = mark_ends(s.p + i)))
		return i + (unsigned)__builtin_ctz(marks);
	marks = mark_ends(s.p + s.n - STEP);
	return marks ? s.n - STEP + (unsigned)__builtin_ctz(marks) : s.n;
}
#endif

size_t sse_find_line_end(span s)
{
#ifdef __SSE2__
	if (s.n >= STEP)
		return find_in_steps(s);
#endif
	size_t i = 0;
	while (i < s.n && s.p[i] != '\n' && s.p[i] != '\r')
		i++;
	return i;
}
