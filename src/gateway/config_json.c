/* `request:` is YAML in the file and JSON on the wire.
 *
 * A plain scalar means what the core schema of YAML 1.2 says (§10.3.2): null, true, 42, 0x2a, 1.5e3; everything else
 * and everything in quotes is a string. Not YAML 1.1, in which `no` is a boolean and 1:30 is ninety.
 *
 * Numbers are rewritten as text, never through a double: 0.1 stays 0.1 and 12345678901234567890 keeps its digits.
 * .inf and .nan have no JSON and are refused.
 *
 * Strings escape more than JSON asks for (DEL, C1, separators, non-characters), because the same function prints
 * --check-config's YAML, and YAML's reader refuses those characters raw. */
#include "gateway/config_parts.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* The code point at s.p, in valid UTF-8, and its bytes. */
static unsigned decode(span s, size_t *bytes)
{
	const unsigned char *c = (const unsigned char *)s.p;
	*bytes = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	if (*bytes > s.n)
		*bytes = s.n;
	unsigned code = *bytes == 1 ? c[0] : c[0] & (0x7fu >> *bytes);
	for (size_t i = 1; i < *bytes; i++)
		code = code << 6 | (c[i] & 0x3f);
	return code;
}

static bool must_escape(unsigned code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff ||
		code == 0xfffe || code == 0xffff;
}

void config_json_put_string(struct buf *out, span text)
{
	buf_put_byte(out, '"');
	for (size_t i = 0, n; i < text.n; i += n) {
		unsigned code = decode(span_from(text, i), &n);
		if (must_escape(code)) {
			buf_printf(out, "\\u%04x", code);
			continue;
		}
		if (code == '"' || code == '\\')
			buf_put_byte(out, '\\');
		buf_put(out, (span){text.p + i, n});
	}
	buf_put_byte(out, '"');
}

static bool is_one_of(span s, const char *const *words)
{
	for (; *words; words++)
		if (span_is(s, *words))
			return true;
	return false;
}

static size_t count_digits(span s)
{
	size_t n = 0;
	while (n < s.n && isdigit((unsigned char)s.p[n]))
		n++;
	return n;
}

/* A decimal number of the core schema: [-+]? ( \. digits | digits ( \. digits* )? ) ( [eE] [-+]? digits )? */
struct decimal {
	bool negative;
	span whole, fraction, exponent; /* the exponent with its sign */
};

static bool read_decimal(span s, struct decimal *d)
{
	*d = (struct decimal){.negative = s.n && s.p[0] == '-'};
	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = span_from(s, 1);
	d->whole = span_first(s, count_digits(s));
	s = span_from(s, d->whole.n);
	if (s.n && s.p[0] == '.') {
		s = span_from(s, 1);
		d->fraction = span_first(s, count_digits(s));
		s = span_from(s, d->fraction.n);
	}
	if (d->whole.n + d->fraction.n == 0)
		return false;
	if (s.n && (s.p[0] == 'e' || s.p[0] == 'E')) {
		size_t sign = s.n > 1 && (s.p[1] == '-' || s.p[1] == '+');
		size_t digits = count_digits(span_from(s, 1 + sign));
		d->exponent = span_first(span_from(s, 1), sign + digits);
		if (digits == 0)
			return false;
		s = span_from(s, 1 + sign + digits);
	}
	return s.n == 0;
}

static void put_decimal(struct buf *out, const struct decimal *d)
{
	span whole = d->whole;
	while (whole.n > 1 && whole.p[0] == '0')
		whole = span_from(whole, 1);
	buf_put(out, d->negative ? SPAN("-") : SPAN(""));
	buf_put(out, whole.n ? whole : SPAN("0"));
	if (d->fraction.n) {
		buf_put_byte(out, '.');
		buf_put(out, d->fraction);
	}
	if (d->exponent.n) {
		buf_put_byte(out, 'e');
		buf_put(out, d->exponent);
	}
}

static bool is_based(span s)
{
	if (s.n < 3 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'o'))
		return false;
	for (size_t i = 2; i < s.n; i++)
		if (s.p[1] == 'x' ? !isxdigit((unsigned char)s.p[i]) : s.p[i] < '0' || s.p[i] > '7')
			return false;
	return true;
}

static bool put_based(struct buf *out, const struct node *n, struct complaint *c)
{
	errno = 0;
	uint64_t value = strtoull(n->text.p + 2, NULL, n->text.p[1] == 'x' ? 16 : 8);
	if (errno == ERANGE)
		return config_complain(c, n, "%s is too large, expected at most 64 bits", config_complain_show(n->text).text);
	buf_printf(out, "%" PRIu64, value);
	return true;
}

static bool put_plain(struct buf *out, const struct node *n, struct complaint *c)
{
	static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	static const char *const beyond[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
		".nan", ".NaN", ".NAN", NULL};
	struct decimal d;
	if (is_one_of(n->text, beyond))
		return config_complain(c, n, "%s, expected a number that JSON has", n->text.p);
	if (is_based(n->text))
		return put_based(out, n, c);
	if (is_one_of(n->text, null))
		buf_put(out, SPAN("null"));
	else if (is_one_of(n->text, yes))
		buf_put(out, SPAN("true"));
	else if (is_one_of(n->text, no))
		buf_put(out, SPAN("false"));
	else if (read_decimal(n->text, &d))
		put_decimal(out, &d);
	else
		config_json_put_string(out, n->text);
	return true;
}

static bool put_children(struct buf *out, const struct node *n, struct complaint *c)
{
	for (const struct node *child = n->child; child; child = child->next) {
		if (child != n->child)
			buf_put_byte(out, ',');
		if (n->kind == NODE_MAP) {
			config_json_put_string(out, child->key->text);
			buf_put_byte(out, ':');
		}
		if (!config_json_put_node(out, child, c))
			return false;
	}
	return true;
}

/* The tree's depth is limited, so is the recursion. */
bool config_json_put_node(struct buf *out, const struct node *n, struct complaint *c)
{
	if (n->kind == NODE_SCALAR) {
		if (n->plain)
			return put_plain(out, n, c);
		config_json_put_string(out, n->text);
		return true;
	}
	buf_put_byte(out, n->kind == NODE_MAP ? '{' : '[');
	if (!put_children(out, n, c))
		return false;
	buf_put_byte(out, n->kind == NODE_MAP ? '}' : ']');
	return true;
}
