/* The scanner: two small machines. `expect` is the grammar between tokens (what may come next, given the stack of open
 * objects and arrays); `part` is the token that the end of the input has cut, with `step` as its place inside.
 *
 * An event of a language model is a few hundred bytes of which a reader wants one or two strings. So there is no tree
 * and, mostly, no copy: a string that lies whole in the input and has no escapes is lent in place; only a token that
 * crosses two feeds or has escapes is gathered in `held`. What nobody asked for is passed over without a token
 * (pass.c), just as strictly: an event that one parser accepts and another does not is two different answers.
 *
 * 1. Tokens, offsets and errors do not depend on how the input is sliced.
 * 2. `part` is not PART_NONE only between JSON_MORE and the next call.
 * 3. A token is complete when json_next returns it; a number therefore needs the byte behind it, or the end.
 * 4. After JSON_BAD nothing moves.
 * 5. Whatever pass.c cannot pass is read here again, from where it began, so that there is one judge of what is bad.
 *
 * A surrogate pair written as two escapes in one string is one character in four bytes. Meaning is not here (dialect/),
 * nor mending (base/utf8), nor printing (sse/print). */
#include "json/scan.h"

#include "json/pass.h"

enum expect { /* values first */
	VALUE,
	VALUE_OR_END, /* behind [ */
	KEY_OR_END,   /* behind { */
	KEY,
	COLON,
	COMMA_OR_END,
	NOTHING,
	BROKEN,
};

enum part { PART_NONE, PART_STRING, PART_ESCAPE, PART_UNICODE, PART_NUMBER, PART_WORD };

enum number { START, MINUS, ZERO, INTEGER, POINT, FRACTION, E, E_SIGN, EXPONENT, STOP };

static enum json_token break_off(struct json *s, const char *message)
{
	s->expect = BROKEN;
	s->message = message;
	s->text = (span){0};
	return JSON_BAD;
}

static enum json_token out_of_input(struct json *s, const char *message)
{
	return s->last ? break_off(s, message) : JSON_MORE;
}

static enum json_token finish_value(struct json *s, enum json_token token)
{
	s->part = PART_NONE;
	s->expect = s->depth ? COMMA_OR_END : NOTHING;
	return token;
}

static enum json_token open_one(struct json *s, bool array)
{
	if (s->depth == JSON_DEPTH)
		return break_off(s, "expected at most 64 levels of nesting");
	unsigned char bit = (unsigned char)(1u << s->depth % 8), *byte = &s->stack[s->depth / 8];
	*byte = array ? *byte | bit : *byte & (unsigned char)~bit;
	s->depth++;
	s->p++;
	s->in_array = array;
	s->expect = array ? VALUE_OR_END : KEY_OR_END;
	return array ? JSON_ARRAY : JSON_OBJECT;
}

static uint64_t taken(const struct json *s) { return s->before + (uint64_t)(s->p - s->in.p); }

static enum json_token close_one(struct json *s)
{
	enum json_token token = s->in_array ? JSON_ARRAY_END : JSON_OBJECT_END;
	int outer = --s->depth - 1;
	s->p++;
	s->in_array = outer >= 0 && (s->stack[outer / 8] >> outer % 8 & 1);
	return finish_value(s, token);
}

/* Strings. */

static void put_unit(struct buf *out, uint32_t c)
{
	char bytes[3] = {(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F))};
	if (c < 0x80) {
		buf_put_byte(out, (char)c);
	} else if (c < 0x800) {
		bytes[1] = (char)(0xC0 | c >> 6);
		buf_put(out, span_of(bytes + 1, 2));
	} else {
		buf_put(out, span_of(bytes, 3));
	}
}

/* True when out ended with a high surrogate, which is now a whole character. */
static bool join_low(struct buf *out, uint32_t low)
{
	if (low < 0xDC00 || low > 0xDFFF || out->n < 3)
		return false;
	unsigned char *p = (unsigned char *)out->p + out->n - 3;
	if (p[0] != 0xED || p[1] < 0xA0 || p[1] > 0xAF || (p[2] & 0xC0) != 0x80)
		return false;
	uint32_t c = 0x10000 + ((p[1] & 0x0Fu) << 16 | (p[2] & 0x3Fu) << 10 | (low & 0x3FF));
	p[0] = (unsigned char)(0xF0 | c >> 18);
	p[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
	p[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
	buf_put_byte(out, (char)(0x80 | (c & 0x3F)));
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_unicode(struct json *s)
{
	for (; s->step < 4 && s->p < s->end; s->step++) {
		int digit = hex_digit(*s->p);
		if (digit < 0)
			return false;
		s->unicode = s->unicode << 4 | (uint32_t)digit;
		s->p++;
	}
	if (s->step < 4)
		return true;
	if (!join_low(&s->held, s->unicode))
		put_unit(&s->held, s->unicode);
	s->part = PART_STRING;
	return true;
}

static bool read_escape(struct json *s)
{
	static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	char c = *s->p;
	if (c == 'u') {
		s->part = PART_UNICODE;
		s->step = 0;
		s->unicode = 0;
	} else {
		const char *at = c ? strchr(letters, c) : NULL;
		if (!at)
			return false;
		buf_put_byte(&s->held, bytes[at - letters]);
		s->part = PART_STRING;
	}
	s->p++;
	return true;
}

static enum json_token finish_string(struct json *s, span text)
{
	s->text = text;
	if (!s->in_key)
		return finish_value(s, JSON_STRING);
	s->part = PART_NONE;
	s->expect = COLON;
	return JSON_KEY;
}

static enum json_token close_string(struct json *s, span rest)
{
	s->p++;
	buf_put(&s->held, rest);
	if (s->held.failed)
		return break_off(s, "out of memory");
	return finish_string(s, s->held.n ? buf_span(&s->held) : SPAN(""));
}

/* Up to the next escape, the closing quote (then *closed) or the end of the input. False at a control character. */
static bool read_plain(struct json *s, span *plain, bool *closed)
{
	const char *begin = s->p;
	s->p = pass_plain(begin, s->end);
	*plain = span_of(begin, (size_t)(s->p - begin));
	*closed = s->p < s->end && *s->p == '"';
	if (*closed)
		return true;
	buf_put(&s->held, *plain);
	if (s->p == s->end)
		return true;
	if (*s->p != '\\')
		return false;
	s->p++;
	s->part = PART_ESCAPE;
	return true;
}

static enum json_token read_string(struct json *s)
{
	while (s->p < s->end) {
		span plain;
		bool closed = false;
		if (s->part == PART_STRING && !read_plain(s, &plain, &closed))
			return break_off(s, "expected no control character inside a string");
		if (closed)
			return close_string(s, plain);
		if (s->part == PART_ESCAPE && s->p < s->end && !read_escape(s))
			return break_off(s, "expected one of \"\\/bfnrtu behind a backslash");
		if (s->part == PART_UNICODE && !read_unicode(s))
			return break_off(s, "expected four hexadecimal digits behind \\u");
	}
	if (s->held.failed)
		return break_off(s, "out of memory");
	return out_of_input(s, "expected the closing quote of a string before the end");
}

/* Nearly every string ends before anything else happens. */
static enum json_token begin_string(struct json *s, bool key)
{
	const char *begin = ++s->p, *end = pass_plain(begin, s->end);
	s->in_key = key;
	if (end < s->end && *end == '"') {
		s->p = end + 1;
		return finish_string(s, span_of(begin, (size_t)(end - begin)));
	}
	s->part = PART_STRING;
	return read_string(s);
}

/* Numbers. */

static enum number step_number(enum number state, char c)
{
	bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';
	switch (state) {
	case START:
	case MINUS:
		return c == '0' ? ZERO : digit ? INTEGER : c == '-' && state == START ? MINUS : STOP;
	case ZERO:
		return c == '.' ? POINT : e ? E : STOP;
	case INTEGER:
		return digit ? INTEGER : c == '.' ? POINT : e ? E : STOP;
	case POINT:
	case FRACTION:
		return digit ? FRACTION : e && state == FRACTION ? E : STOP;
	case E:
		return digit ? EXPONENT : c == '+' || c == '-' ? E_SIGN : STOP;
	case E_SIGN:
	case EXPONENT:
		return digit ? EXPONENT : STOP;
	case STOP:
		break;
	}
	return STOP;
}

static bool may_end(enum number state)
{
	return state == ZERO || state == INTEGER || state == FRACTION || state == EXPONENT;
}

static const char *pass_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static enum json_token read_number(struct json *s)
{
	const char *begin = s->p;
	enum number state = (enum number)s->step, next;
	while (s->p < s->end && (next = step_number(state, *s->p)) != STOP) {
		state = next;
		s->p++;
		if (state == INTEGER)
			s->p = pass_digits(s->p, s->end);
	}
	span digits = span_of(begin, (size_t)(s->p - begin));
	s->step = (int)state;
	bool ends = s->p < s->end || s->last;
	if (ends && !may_end(state))
		return break_off(s, "expected a digit in a number");
	if (ends && s->held.n == 0) {
		s->text = digits;
		return finish_value(s, JSON_NUMBER);
	}
	buf_put(&s->held, digits);
	if (s->held.failed)
		return break_off(s, "out of memory");
	if (!ends)
		return JSON_MORE;
	s->text = buf_span(&s->held);
	return finish_value(s, JSON_NUMBER);
}

static enum json_token begin_number(struct json *s)
{
	s->part = PART_NUMBER;
	s->step = START;
	return read_number(s);
}

/* Words. */

static enum json_token read_word(struct json *s)
{
	for (; s->word[s->step] && s->p < s->end; s->p++, s->step++)
		if (*s->p != s->word[s->step])
			return break_off(s, "expected true, false or null");
	if (s->word[s->step])
		return out_of_input(s, "expected true, false or null");
	return finish_value(s, s->word[0] == 't' ? JSON_TRUE : s->word[0] == 'f' ? JSON_FALSE : JSON_NULL);
}

static enum json_token begin_word(struct json *s, const char *word)
{
	s->part = PART_WORD;
	s->word = word;
	s->step = 0;
	if (s->end - s->p >= 4 && memcmp(s->p, word, 4) == 0) {
		s->p += 4;
		s->step = 4;
	}
	return read_word(s);
}

/* The grammar between tokens. */

static const char *expectation(const struct json *s)
{
	switch ((enum expect)s->expect) {
	case VALUE:
		return "expected a value";
	case VALUE_OR_END:
		return "expected a value or ']'";
	case KEY_OR_END:
		return "expected a member's name or '}'";
	case KEY:
		return "expected a member's name";
	case COLON:
		return "expected ':'";
	case COMMA_OR_END:
		return s->in_array ? "expected ',' or ']'" : "expected ',' or '}'";
	case NOTHING:
	case BROKEN:
		break;
	}
	return "expected nothing but white space behind the value";
}

static enum json_token surprise(struct json *s) { return break_off(s, expectation(s)); }

static enum json_token begin_value(struct json *s)
{
	switch (*s->p) {
	case '{':
		return open_one(s, false);
	case '[':
		return open_one(s, true);
	case 't':
		return begin_word(s, "true");
	case 'f':
		return begin_word(s, "false");
	case 'n':
		return begin_word(s, "null");
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		return begin_number(s);
	default:
		return surprise(s);
	}
}

static bool may_close(const struct json *s, bool array)
{
	bool between = s->expect == VALUE_OR_END || s->expect == KEY_OR_END || s->expect == COMMA_OR_END;
	return between && s->in_array == array;
}

/* Punctuation is passed, white space too; a token begins at what is left. */
static bool pass_punctuation(struct json *s)
{
	const char *p = s->p;
	if (s->expect <= VALUE_OR_END && p < s->end && (unsigned char)*p > ' ')
		return true;
	for (; p < s->end && *p <= ':'; p++)
		if (*p == ',' && s->expect == COMMA_OR_END)
			s->expect = s->in_array ? VALUE : KEY;
		else if (*p == ':' && s->expect == COLON)
			s->expect = VALUE;
		else if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t')
			break;
	s->p = p;
	return p < s->end;
}

static enum json_token begin_token(struct json *s)
{
	if (!pass_punctuation(s))
		return s->expect == NOTHING && s->last ? JSON_END : out_of_input(s, expectation(s));
	bool key = s->expect == KEY || s->expect == KEY_OR_END;
	bool value = s->expect == VALUE || s->expect == VALUE_OR_END;
	char c = *s->p;
	if (c == '"' && (key || value))
		return begin_string(s, key);
	if ((c == '}' || c == ']') && may_close(s, c == ']'))
		return close_one(s);
	return value ? begin_value(s) : surprise(s);
}

void json_init(struct json *s) { *s = (struct json){0}; }

void json_finish(struct json *s)
{
	buf_finish(&s->held);
	*s = (struct json){.expect = BROKEN, .message = "finished"};
}

void json_feed(struct json *s, span bytes, bool last)
{
	CHECK(!s->last);
	CHECK(s->p == s->end || s->expect == BROKEN);
	s->before += s->in.n;
	s->in = bytes.n ? bytes : SPAN("");
	s->p = s->in.p;
	s->end = s->p + bytes.n;
	s->last = last;
}

static enum json_token go_on(struct json *s)
{
	switch ((enum part)s->part) {
	case PART_NONE:
		break;
	case PART_NUMBER:
		return read_number(s);
	case PART_WORD:
		return read_word(s);
	case PART_STRING:
	case PART_ESCAPE:
	case PART_UNICODE:
		return read_string(s);
	}
	s->held.n = 0;
	return begin_token(s);
}

enum json_token json_next(struct json *s)
{
	if (s->expect == BROKEN)
		return JSON_BAD;
	enum json_token token = go_on(s);
	s->offset = taken(s);
	return token;
}

void json_forget(struct json *s)
{
	if (s->part == PART_STRING && !s->in_key)
		s->held.n = 0;
}

/* The next value without its tokens; nothing has moved when that cannot be done. */
static bool pass_next_value(struct json *s)
{
	if (!s->last || s->part != PART_NONE || (s->expect != COLON && s->expect != VALUE))
		return false;
	const char *p = pass_white(s->p, s->end);
	if (s->expect == COLON) {
		if (p == s->end || *p != ':')
			return false;
		p = pass_white(p + 1, s->end);
	}
	p = pass_value(p, s->end, JSON_DEPTH - s->depth);
	if (!p)
		return false;
	s->p = p;
	s->offset = taken(s);
	s->expect = s->depth ? COMMA_OR_END : NOTHING;
	return true;
}

/* Behind an opening bracket: up to what follows the closing one; nothing has moved when that cannot be done. */
static bool pass_rest(struct json *s)
{
	if (!s->last || s->p == s->in.p)
		return false;
	const char *p = pass_value(s->p - 1, s->end, JSON_DEPTH - s->depth + 1);
	if (!p)
		return false;
	s->p = p - 1;
	(void)close_one(s);
	s->offset = taken(s);
	return true;
}

bool json_skip(struct json *s, enum json_token begun)
{
	if (begun != JSON_OBJECT && begun != JSON_ARRAY)
		return begun != JSON_BAD && begun != JSON_MORE;
	if (pass_rest(s))
		return true;
	for (int depth = s->depth; s->depth >= depth;) {
		enum json_token token = json_next(s);
		if (token == JSON_BAD || token == JSON_MORE)
			return false;
	}
	return true;
}

bool json_pass(struct json *s)
{
	if (pass_next_value(s))
		return true;
	enum json_token token = json_next(s);
	return json_skip(s, token);
}

size_t json_plain_bytes(span s) { return (size_t)(pass_plain(s.p, s.p + s.n) - s.p); }

static const struct json_member *find_member(const struct json_member *members, size_t n, span name)
{
	if (name.n == 0)
		return NULL;
	for (const struct json_member *m = members; m < members + n; m++)
		if (m->name.n == name.n && m->name.p[0] == name.p[0] && span_eq(m->name, name))
			return m;
	return NULL;
}

/* A name without escapes and its colon, p being where the next member begins: up to its value; NULL: something else. */
static inline const char *pass_name(const char *p, const char *end, span *name)
{
	if (p == end || *p != '"')
		return NULL;
	*name = span_of(p + 1, 0);
	p = pass_plain(p + 1, end);
	if (p == end || *p != '"')
		return NULL;
	name->n = (size_t)(p - name->p);
	p = pass_white(p + 1, end);
	return p < end && *p == ':' ? pass_white(p + 1, end) : NULL;
}

/* In an object: passes members, without a token, until one of those that are wanted; s is then right behind its
 * colon. NULL: what comes next must be read, or *closed: it was the object's end. */
static const struct json_member *pass_to_member(struct json *s, const struct json_member *members, size_t n,
						bool *closed)
{
	*closed = false;
	if (!s->last)
		return NULL;
	for (const char *end = s->end;;) {
		span name;
		const char *p = pass_white(s->p, end);
		if (p < end && *p == '}' && may_close(s, false)) {
			s->p = p;
			(void)close_one(s);
			*closed = true;
			return NULL;
		}
		if (s->expect == COMMA_OR_END) {
			if (p == end || *p != ',')
				return NULL;
			p = pass_white(p + 1, end);
		}
		p = pass_name(p, end, &name);
		if (!p)
			return NULL;
		const struct json_member *member = find_member(members, n, name);
		if (!member)
			p = pass_value(p, end, JSON_DEPTH - s->depth);
		if (!p)
			return NULL;
		s->p = p;
		s->expect = member ? VALUE : COMMA_OR_END;
		if (member)
			return member;
	}
}

bool json_read_members(struct json *s, const struct json_member *members, size_t n, void *of)
{
	for (;;) {
		bool closed;
		const struct json_member *m = pass_to_member(s, members, n, &closed);
		if (closed)
			return true;
		if (!m) {
			enum json_token token = json_next(s);
			if (token != JSON_KEY)
				return token == JSON_OBJECT_END;
			m = find_member(members, n, s->text);
		}
		if (!(m ? m->read(of, s, m->name) : json_pass(s)))
			return false;
	}
}

bool json_read_object(struct json *s, const struct json_member *members, size_t n, void *of)
{
	enum json_token token = json_next(s);
	return token == JSON_OBJECT ? json_read_members(s, members, n, of) : json_skip(s, token);
}

bool json_read_array(struct json *s, bool (*read)(void *of, struct json *s), void *of)
{
	enum json_token token = json_next(s);
	if (token != JSON_ARRAY)
		return json_skip(s, token);
	while ((token = json_next(s)) != JSON_ARRAY_END)
		if (!(token == JSON_OBJECT ? read(of, s) : json_skip(s, token)))
			return false;
	return true;
}
