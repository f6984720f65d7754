/* The scanner: two small machines. `expect` is the grammar between tokens (what may come next, given the stack of open
 * objects and arrays); `part` is the token that the end of the input has cut, with `step` as its place inside.
 *
 * An event of a language model is a few hundred bytes of which a reader wants one or two strings. So there is no tree
 * and, mostly, no copy: a string that lies whole in the input and has no escapes is lent in place, eight bytes looked
 * at in one step; only a token that crosses two feeds or has escapes is gathered in `held`. Strictness costs nothing
 * here and matters: an event that one parser accepts and another does not is two different answers.
 *
 * 1. Tokens, offsets and errors do not depend on how the input is sliced.
 * 2. `part` is not PART_NONE only between JSON_MORE and the next call.
 * 3. A token is complete when json_next returns it; a number therefore needs the byte behind it, or the end.
 * 4. After JSON_BAD nothing moves.
 *
 * A surrogate pair written as two escapes in one string is one character in four bytes. Meaning is not here (dialect/),
 * nor mending (base/utf8), nor printing (sse/print). */
#include "json/scan.h"

enum expect {
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

static void take(struct json *s, size_t n)
{
	s->in = span_from(s->in, n);
	s->offset += n;
}

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

static bool in_array(const struct json *s)
{
	int top = s->depth - 1;
	return s->stack[top / 8] >> top % 8 & 1;
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
	take(s, 1);
	s->expect = array ? VALUE_OR_END : KEY_OR_END;
	return array ? JSON_ARRAY : JSON_OBJECT;
}

static enum json_token close_one(struct json *s)
{
	enum json_token token = in_array(s) ? JSON_ARRAY_END : JSON_OBJECT_END;
	s->depth--;
	take(s, 1);
	return finish_value(s, token);
}

/* Strings. */

static bool is_plain(unsigned char c) { return c >= 0x20 && c != '"' && c != '\\'; }

/* Eight bytes in one step; a byte's top bit in `marks` may be set falsely only behind a true one, which is found byte
 * by byte anyway. */
static size_t count_plain(span in)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	size_t i = 0;
	for (uint64_t w; i + sizeof w <= in.n; i += sizeof w) {
		memcpy(&w, in.p + i, sizeof w);
		uint64_t quote = w ^ ones * '"', escape = w ^ ones * '\\';
		uint64_t marks = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((escape - ones) & ~escape);
		if (marks & tops)
			break;
	}
	while (i < in.n && is_plain((unsigned char)in.p[i]))
		i++;
	return i;
}

static enum json_token finish_string(struct json *s, span text)
{
	s->text = text;
	s->part = PART_NONE;
	if (!s->in_key)
		return finish_value(s, JSON_STRING);
	s->expect = COLON;
	return JSON_KEY;
}

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
	for (; s->step < 4 && s->in.n; s->step++) {
		int digit = hex_digit(s->in.p[0]);
		if (digit < 0)
			return false;
		s->unicode = s->unicode << 4 | (uint32_t)digit;
		take(s, 1);
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
	char c = s->in.p[0];
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
	take(s, 1);
	return true;
}

/* Plain bytes up to the next escape, the closing quote or the end of the input. Only here may a string end. */
static bool read_plain(struct json *s, enum json_token *token)
{
	size_t n = count_plain(s->in);
	span plain = span_first(s->in, n);
	take(s, n);
	bool ends = s->in.n && s->in.p[0] == '"';
	if (ends && s->held.n == 0) {
		take(s, 1);
		*token = finish_string(s, plain);
		return true;
	}
	buf_put(&s->held, plain);
	if (s->held.failed)
		*token = break_off(s, "out of memory");
	else if (s->in.n == 0)
		return false;
	else if (ends) {
		take(s, 1);
		*token = finish_string(s, buf_span(&s->held));
	} else if (s->in.p[0] == '\\') {
		take(s, 1);
		s->part = PART_ESCAPE;
		return false;
	} else {
		*token = break_off(s, "expected no control character inside a string");
	}
	return true;
}

static enum json_token read_string(struct json *s)
{
	enum json_token token;
	while (s->in.n) {
		if (s->part == PART_ESCAPE) {
			if (!read_escape(s))
				return break_off(s, "expected one of \"\\/bfnrtu behind a backslash");
		} else if (s->part == PART_UNICODE) {
			if (!read_unicode(s))
				return break_off(s, "expected four hexadecimal digits behind \\u");
		} else if (read_plain(s, &token)) {
			return token;
		}
	}
	if (s->held.failed)
		return break_off(s, "out of memory");
	return out_of_input(s, "expected the closing quote of a string before the end");
}

static enum json_token begin_string(struct json *s, bool key)
{
	take(s, 1);
	s->in_key = key;
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

static enum json_token read_number(struct json *s)
{
	size_t n = 0;
	enum number state = (enum number)s->step, next;
	for (; n < s->in.n && (next = step_number(state, s->in.p[n])) != STOP; n++)
		state = next;
	span digits = span_first(s->in, n);
	take(s, n);
	s->step = (int)state;
	bool ends = s->in.n || s->last;
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
	while (s->word[s->step] && s->in.n) {
		if (s->in.p[0] != s->word[s->step])
			return break_off(s, "expected true, false or null");
		take(s, 1);
		s->step++;
	}
	if (s->word[s->step])
		return out_of_input(s, "expected true, false or null");
	return finish_value(s, s->word[0] == 't' ? JSON_TRUE : s->word[0] == 'f' ? JSON_FALSE : JSON_NULL);
}

static enum json_token begin_word(struct json *s, const char *word)
{
	s->part = PART_WORD;
	s->word = word;
	s->step = 0;
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
		return in_array(s) ? "expected ',' or ']'" : "expected ',' or '}'";
	case NOTHING:
	case BROKEN:
		break;
	}
	return "expected nothing but white space behind the value";
}

static enum json_token begin_value(struct json *s)
{
	switch (s->in.p[0]) {
	case '{':
		return open_one(s, false);
	case '[':
		return open_one(s, true);
	case '"':
		return begin_string(s, false);
	case 't':
		return begin_word(s, "true");
	case 'f':
		return begin_word(s, "false");
	case 'n':
		return begin_word(s, "null");
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		return begin_number(s);
	default:
		return break_off(s, expectation(s));
	}
}

static void skip_space(struct json *s)
{
	size_t n = 0;
	while (n < s->in.n && (s->in.p[n] == ' ' || s->in.p[n] == '\n' || s->in.p[n] == '\r' || s->in.p[n] == '\t'))
		n++;
	if (n)
		take(s, n);
}

/* One byte of punctuation that is no token. */
static bool passes(struct json *s, char c)
{
	if (s->expect == COLON && c == ':')
		s->expect = VALUE;
	else if (s->expect == COMMA_OR_END && c == ',')
		s->expect = in_array(s) ? VALUE : KEY;
	else
		return false;
	take(s, 1);
	return true;
}

static bool closes(const struct json *s, char c)
{
	switch ((enum expect)s->expect) {
	case VALUE_OR_END:
		return c == ']';
	case KEY_OR_END:
		return c == '}';
	case COMMA_OR_END:
		return c == (in_array(s) ? ']' : '}');
	default:
		return false;
	}
}

static enum json_token begin_token(struct json *s)
{
	char c;
	do {
		skip_space(s);
		if (s->in.n == 0)
			return s->expect == NOTHING && s->last ? JSON_END : out_of_input(s, expectation(s));
		c = s->in.p[0];
	} while (passes(s, c));

	if (closes(s, c))
		return close_one(s);
	if ((s->expect == KEY || s->expect == KEY_OR_END) && c == '"')
		return begin_string(s, true);
	if (s->expect == VALUE || s->expect == VALUE_OR_END)
		return begin_value(s);
	return break_off(s, expectation(s));
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
	CHECK(s->in.n == 0 || s->expect == BROKEN);
	s->in = bytes;
	s->last = last;
}

enum json_token json_next(struct json *s)
{
	if (s->expect == BROKEN)
		return JSON_BAD;
	switch ((enum part)s->part) {
	case PART_NONE:
		buf_clear(&s->held);
		return begin_token(s);
	case PART_NUMBER:
		return read_number(s);
	case PART_WORD:
		return read_word(s);
	case PART_STRING:
	case PART_ESCAPE:
	case PART_UNICODE:
		return read_string(s);
	}
	return JSON_BAD;
}

bool json_skip(struct json *s, enum json_token begun)
{
	if (begun != JSON_OBJECT && begun != JSON_ARRAY)
		return begun != JSON_BAD && begun != JSON_MORE;
	for (int depth = s->depth; s->depth >= depth;) {
		enum json_token token = json_next(s);
		if (token == JSON_BAD || token == JSON_MORE)
			return false;
	}
	return true;
}
