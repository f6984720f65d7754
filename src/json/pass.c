/* Values that are of no interest, passed over without a token: most of an event is ids, names of models, timestamps and
 * lists of zeros around one short string.
 *
 * The obvious skipper counts braces outside of strings. It is fast and it is wrong: `{"a":tru,}` would pass, and then
 * this gateway would call good what the client behind it throws on. So this one knows the whole grammar, and wins its
 * time elsewhere: no state to leave and enter again, no offsets, no decoding, sixteen bytes of a string in one step. It
 * says only yes. Where it cannot (bad, cut, too deep) scan.c reads the same value again from its beginning, slowly,
 * and has the only words about what is wrong and where.
 *
 * 1. What passes here passes in scan.c with the same end, and a value that scan.c refuses never passes.
 *    (tests/fuzz/fuzz_json.c compares the two.)
 * 2. No recursion: one bit for each open array or object, in one word, so depth is at most 64.
 *
 * Pure, any thread. */
#include "json/pass.h"

enum { DEEPEST = 64 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_hex(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

/* p is behind a backslash. */
static const char *pass_escape(const char *p, const char *end)
{
	if (p == end)
		return NULL;
	switch (*p) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		return p + 1;
	case 'u':
		return end - p >= 5 && is_hex(p[1]) && is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) ? p + 5 : NULL;
	default:
		return NULL;
	}
}

/* p is behind the opening quote. */
static const char *pass_string(const char *p, const char *end)
{
	for (;;) {
		p = pass_plain(p, end);
		if (p == end)
			return NULL;
		if (*p == '"')
			return p + 1;
		p = *p == '\\' ? pass_escape(p + 1, end) : NULL;
		if (!p)
			return NULL;
	}
}

/* At least one. */
static const char *pass_digits(const char *p, const char *end)
{
	const char *begin = p;
	while (p < end && is_digit(*p))
		p++;
	return p > begin ? p : NULL;
}

/* A number is whole only when something follows. */
static const char *pass_number(const char *p, const char *end)
{
	p += *p == '-';
	p = p < end && *p == '0' ? p + 1 : pass_digits(p, end);
	if (p && p < end && *p == '.')
		p = pass_digits(p + 1, end);
	if (p && p < end && (*p | 0x20) == 'e') {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		p = pass_digits(p, end);
	}
	return p && p < end ? p : NULL;
}

static const char *pass_word(const char *p, const char *end, span word)
{
	return span_starts(span_of(p, (size_t)(end - p)), word) ? p + word.n : NULL;
}

static const char *pass_scalar(const char *p, const char *end)
{
	switch (*p) {
	case '"':
		return pass_string(p + 1, end);
	case 't':
		return pass_word(p, end, SPAN("true"));
	case 'f':
		return pass_word(p, end, SPAN("false"));
	case 'n':
		return pass_word(p, end, SPAN("null"));
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		return pass_number(p, end);
	default:
		return NULL;
	}
}

/* A member's name and its colon, up to the value; p is at the quote. */
static const char *pass_name(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return NULL;
	p = pass_string(p + 1, end);
	if (!p)
		return NULL;
	p = pass_white(p, end);
	return p < end && *p == ':' ? pass_white(p + 1, end) : NULL;
}

struct open {
	uint64_t arrays; /* the lowest bit is the innermost */
	int n, most;
};

/* Behind a whole value: up to the next one, *closed being set when the outermost bracket was closed instead. */
static const char *pass_between(const char *p, const char *end, struct open *open)
{
	for (;;) {
		bool array = open->arrays & 1;
		p = pass_white(p, end);
		if (p == end)
			return NULL;
		if (*p == ',') {
			p = pass_white(p + 1, end);
			return array ? p : pass_name(p, end);
		}
		if (*p != (array ? ']' : '}'))
			return NULL;
		p++;
		open->arrays >>= 1;
		if (--open->n == 0)
			return p;
	}
}

/* p is at the bracket: up to the first value inside; or, when there is none, behind the closing bracket. */
static const char *pass_opening(const char *p, const char *end, struct open *open, bool *empty)
{
	bool array = *p == '[';
	if (open->n == open->most)
		return NULL;
	p = pass_white(p + 1, end);
	*empty = p < end && *p == (array ? ']' : '}');
	if (*empty)
		return p + 1;
	open->arrays = open->arrays << 1 | array;
	open->n++;
	return array ? p : pass_name(p, end);
}

const char *pass_value(const char *p, const char *end, int depth)
{
	struct open open = {.most = depth < DEEPEST ? depth : DEEPEST};
	while (p && p < end) {
		bool whole = true;
		p = *p == '{' || *p == '[' ? pass_opening(p, end, &open, &whole) : pass_scalar(p, end);
		if (p && whole && open.n)
			p = pass_between(p, end, &open);
		if (open.n == 0)
			return p;
	}
	return NULL;
}
