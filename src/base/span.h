/* A span is a loan: bytes that somebody else owns, valid until the callback that brought it returns. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

typedef struct span {
	const char *p;
	size_t n; /* bytes */
} span;

/* A string literal as a span; printf("%.*s", SPAN_ARG(s)) prints one. */
#define SPAN(literal) ((span){"" literal, sizeof(literal) - 1})
#define SPAN_ARG(s) (int)(s).n, (s).p

static inline span span_of(const void *p, size_t n) { return (span){p, n}; }
static inline span span_str(const char *s) { return (span){s, s ? strlen(s) : 0}; }
static inline bool span_eq(span a, span b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool span_is(span a, const char *s) { return span_eq(a, span_str(s)); }

/* Equal but for the case of ASCII letters: what HTTP means by case-insensitive. */
static inline bool span_eq_nocase(span a, span b) { return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0); }
static inline bool span_is_nocase(span a, const char *s) { return span_eq_nocase(a, span_str(s)); }
static inline bool span_starts(span s, span prefix) { return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0); }

/* What is left of s from byte i on; empty beyond its end. */
static inline span span_from(span s, size_t i) { return i < s.n ? (span){s.p + i, s.n - i} : (span){s.n ? s.p + s.n : s.p, 0}; }
static inline span span_first(span s, size_t n) { return (span){s.p, n < s.n ? n : s.n}; }

/* Without the spaces and tabs at both ends (RFC 9110 §5.6.3, OWS). */
static inline span span_trim(span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_from(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Index of the first byte c, or s.n when there is none. */
static inline size_t span_find(span s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

/* A list with that separator between its parts, such as a query's with '&', has this part. */
static inline bool span_lists(span list, char separator, span part)
{
	for (; list.n; list = span_from(list, span_find(list, separator) + 1))
		if (span_eq(span_first(list, span_find(list, separator)), part))
			return true;
	return false;
}

#endif
