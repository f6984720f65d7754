/* Names of streams and of places in them.
 *
 * An id is three things in 22 characters: a capability (120 bits from the kernel, so that knowing it is the right to
 * read and to stop), an address (8 bits of home worker, so that any worker knows whom to ask without a shared table),
 * and a mark of the process that made it (4 bits). 132 bits are exactly 22 base64url digits: there is no padding and no
 * second spelling, so two ids are the same stream exactly if their text is the same, and an id that was parsed is a
 * valid key of any map. 120 bits are 20 whole digits; the last two digits hold the generation and the home.
 *
 * A place comes back from browsers that may have talked to any server before us, so parsing sorts it into four kinds:
 * what nobody may send (400), what we gave out, the end of anything (204 needs no memory), and what we never gave out
 * but a decent server may have (unknown, said as `forgotten`, because a 400 would kill an EventSource without a word).
 *
 *	1. PLACE_EVENT: *id is valid, *n has at most 10 digits, and "ID.n" printed again is the text that was parsed.
 *	2. *id and *n are always written: an empty id and 0 where the text has none.
 *
 * Pure but for id_make. Any thread. Not here: whether the stream is known (stream/shelf) and who may read it
 * (gateway/). */
#include "stream/id.h"

#include "base/check.h"

#include <errno.h>
#include <sys/random.h>

enum {
	RANDOM_BYTES = 15,  /* 120 bits */
	RANDOM_DIGITS = 20, /* of 6 bits */
	DIGITS_MAX = 10,    /* of n: 2^32 has 10 */
	TEXT_MAX = 256,     /* bytes of a Last-Event-ID that is looked at */
	NAME_MAX_BYTES = 64,/* of X in X.end: no id of ours or of anyone decent is longer */
};

static const char base64url[64] = {
	'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
	'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
	'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
	'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_',
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
static bool is_base64url(char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; }

static unsigned value_of(char c)
{
	const char *at = memchr(base64url, c, sizeof base64url);
	CHECK(at);
	return (unsigned)(at - base64url);
}

static void fill_random(unsigned char *p, size_t n)
{
	ssize_t got;
	do
		got = getrandom(p, n, 0);
	while (got < 0 && errno == EINTR);
	CHECK(got == (ssize_t)n); /* up to 256 bytes come whole (getrandom(2)) */
}

void id_make(struct id *out, unsigned process_generation, unsigned home)
{
	CHECK(process_generation < 16 && home < 256);
	unsigned char random[RANDOM_BYTES];
	fill_random(random, sizeof random);
	char *digit = out->text;
	for (size_t i = 0; i < RANDOM_BYTES; i += 3) {
		unsigned bits = (unsigned)random[i] << 16 | (unsigned)random[i + 1] << 8 | random[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*digit++ = base64url[bits >> shift & 63];
	}
	*digit++ = base64url[process_generation << 2 | home >> 6];
	*digit++ = base64url[home & 63];
	*digit = 0;
}

unsigned id_home(const struct id *id)
{
	return (value_of(id->text[RANDOM_DIGITS]) & 3) << 6 | value_of(id->text[RANDOM_DIGITS + 1]);
}

bool id_is_valid(span text)
{
	if (text.n != ID_LENGTH)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (!is_base64url(text.p[i]))
			return false;
	return true;
}

static bool is_printable(span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] > 0x7e)
			return false;
	return true;
}

static bool is_name(span name)
{
	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_base64url(name.p[i]) && name.p[i] != '.')
			return false;
	return true;
}

static void copy_id(struct id *id, span text)
{
	memcpy(id->text, text.p, ID_LENGTH);
	id->text[ID_LENGTH] = 0;
}

/* "X.end", where X need not be ours. */
static bool is_end(span text, struct id *id)
{
	const span suffix = SPAN(".end");
	if (text.n <= suffix.n || !span_eq(span_from(text, text.n - suffix.n), suffix))
		return false;
	span name = span_first(text, text.n - suffix.n);
	if (id_is_valid(name))
		copy_id(id, name);
	return is_name(name);
}

/* What stands behind "ID.": a number, something that only looks like one, or neither. */
static enum id_place parse_number(span digits, uint64_t *n)
{
	uint64_t value = 0;
	for (size_t i = 0; i < digits.n; i++)
		if (!is_digit(digits.p[i]))
			return PLACE_FOREIGN;
	if (digits.n == 0)
		return PLACE_FOREIGN;
	if (digits.n > DIGITS_MAX || (digits.n > 1 && digits.p[0] == '0'))
		return PLACE_BAD;
	for (size_t i = 0; i < digits.n; i++)
		value = value * 10 + (uint64_t)(digits.p[i] - '0');
	*n = value;
	return PLACE_EVENT;
}

enum id_place id_parse_place(span text, struct id *id, uint64_t *n)
{
	id->text[0] = 0;
	*n = 0;
	if (text.n == 0 || text.n > TEXT_MAX || !is_printable(text))
		return PLACE_BAD;
	if (is_end(text, id))
		return PLACE_END;
	span name = span_first(text, ID_LENGTH);
	if (!id_is_valid(name) || text.n == ID_LENGTH || text.p[ID_LENGTH] != '.')
		return PLACE_FOREIGN;
	enum id_place place = parse_number(span_from(text, ID_LENGTH + 1), n);
	if (place == PLACE_EVENT)
		copy_id(id, name);
	return place;
}
