/* Addresses are parsed by the C library's strict parser (four decimal parts, no leading zeros, no zone), so that what
 * is compared with a list means one thing. A range with bits behind its length is refused: 10.0.0.1/8 is somebody who
 * meant something else. */
#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = V6_BITS - V4_BITS };

static const unsigned char mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct address *a) { return memcmp(a->bytes, mapped, sizeof mapped) == 0; }

bool address_parse(span text, struct address *out)
{
	char copy[ADDRESS_TEXT];
	struct address a;
	if (!text.n || text.n >= sizeof copy || memchr(text.p, 0, text.n))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	if (inet_pton(AF_INET, copy, a.bytes + sizeof mapped) == 1)
		memcpy(a.bytes, mapped, sizeof mapped);
	else if (inet_pton(AF_INET6, copy, a.bytes) != 1)
		return false;
	*out = a;
	return true;
}

static bool is_port(span text)
{
	size_t digits = 0;
	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	return digits == text.n && digits >= 1 && digits <= 5;
}

/* "::1]:80": behind the bracket. */
static bool parse_bracketed(span text, struct address *out)
{
	size_t end = span_find(text, ']');
	span inside = span_first(text, end), behind = span_from(text, end + 1);
	bool is_v6 = end < text.n && span_find(inside, ':') < inside.n;
	bool port_is_fine = !behind.n || (behind.p[0] == ':' && is_port(span_from(behind, 1)));
	return is_v6 && port_is_fine && address_parse(inside, out);
}

bool address_parse_peer(span text, struct address *out)
{
	size_t colon = span_find(text, ':');
	if (text.n && text.p[0] == '[')
		return parse_bracketed(span_from(text, 1), out);
	bool has_port = colon < text.n && is_port(span_from(text, colon + 1)) && span_find(text, '.') < colon;
	return address_parse(has_port ? span_first(text, colon) : text, out);
}

void address_print(const struct address *a, char out[ADDRESS_TEXT])
{
	if (is_v4(a))
		inet_ntop(AF_INET, a->bytes + sizeof mapped, out, ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT);
}

static bool is_same(const struct address *a, const struct address *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	return memcmp(a->bytes, b->bytes, whole) == 0
		&& (!rest || !((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)));
}

static bool parse_length(span text, unsigned most, unsigned *out)
{
	unsigned bits = 0;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9' || text.n > 3)
			return false;
		else
			bits = bits * 10 + (unsigned)(text.p[i] - '0');
	*out = bits;
	return text.n && bits <= most && (text.n == 1 || text.p[0] != '0');
}

/* Nothing is set behind the first `bits`. */
static bool is_first(const struct address_range *r)
{
	struct address zeros = {0}, tail = r->first;
	memset(tail.bytes, 0, r->bits / 8);
	if (r->bits % 8)
		tail.bytes[r->bits / 8] &= 0xff >> r->bits % 8;
	return is_same(&tail, &zeros, V6_BITS);
}

const char *address_range_parse(span text, struct address_range *out)
{
	struct address_range r = {.bits = V6_BITS};
	size_t slash = span_find(text, '/');
	span address = span_first(text, slash);
	if (!address_parse(address, &r.first))
		return "is no address";
	bool v4 = span_find(address, ':') == address.n;
	unsigned most = v4 ? V4_BITS : V6_BITS;
	if (slash < text.n) {
		if (!parse_length(span_from(text, slash + 1), most, &r.bits))
			return v4 ? "has no length from 0 to 32 behind its slash" : "has no length from 0 to 128 behind its slash";
		r.bits += v4 ? MAPPED_BITS : 0;
	}
	if (!is_first(&r))
		return "has more bits than its length says";
	*out = r;
	return NULL;
}

void address_range_print(const struct address_range *r, char out[ADDRESS_RANGE_TEXT])
{
	bool v4 = r->bits >= MAPPED_BITS && is_v4(&r->first);
	address_print(&r->first, out);
	if (r->bits < V6_BITS)
		sprintf(out + strlen(out), "/%u", r->bits - (v4 ? MAPPED_BITS : 0));
}

bool address_range_has(const struct address_range *r, const struct address *a)
{
	return is_same(&r->first, a, r->bits);
}
