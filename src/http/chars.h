/* The classes of bytes that HTTP's grammar is made of. Not <ctype.h>: that asks the locale. */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

/* tchar (RFC 9110 §5.6.2): names, methods, codings. One bit for each ASCII byte. */
static inline bool char_is_token(unsigned char c)
{
	static const uint64_t set[2] = {0x03ff6cfa00000000u, 0x57ffffffc7fffffeu};
	return c < 128 && (set[c >> 6] >> (c & 63) & 1);
}

/* What may stand in a field value: everything but control bytes; a tab may (RFC 9110 §5.5). */
static inline bool char_is_value(unsigned char c) { return c >= ' ' ? c != 0x7f : c == '\t'; }

static inline bool char_is_visible(unsigned char c) { return c > ' ' && c < 0x7f; }
static inline bool char_is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static inline bool char_is_alpha(unsigned char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

/* unreserved (RFC 3986 §2.3) */
static inline bool char_is_unreserved(unsigned char c)
{
	return char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* 0–15, or -1 for what is no hexadecimal digit. */
static inline int char_hex(unsigned char c)
{
	if (char_is_digit(c))
		return c - '0';
	unsigned char lower = c | 0x20;
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#endif
