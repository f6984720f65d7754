/* Errors come as an object under `error` (most servers), as a string there (transformers serve, Ollama), flat beside
 * `object: "error"` (older vLLM), wrapped once more ({"error":{"object":"error",…}}, SGLang), with `detail` (FastAPI),
 * with `http_status_code` instead of `code` (TGI), or as a bare sentence. Telling servers apart would be a table that
 * is wrong next year; instead the few member names are read wherever they stand, and what is nested deeper, being said
 * by whoever was nearer to the fault, stands against what is outside.
 *
 * 1. Any JSON value is an error of some kind: what cannot be understood leaves the fault empty, never unread.
 * 2. What is kept fits in a log line and on a terminal: no control characters, whole characters, bounded.
 * 3. Cut first and hidden afterwards, because only the reader knows the credential: so half of it, where a text may have been
 *    cut, is hidden too.
 * 4. Valid text, and every word that is evidence is that, needs no memory. Mending other text does; without it the text
 *    is lost, not the error.
 *
 * Whether something is an error is decided by the dialects, what follows from it by stream/ending. */
#include "dialect/fault.h"

/* The length of the control character at p: C0 and DEL, or C1 (two bytes). */
static size_t control_bytes(const unsigned char *p, size_t n)
{
	if (p[0] < 0x20 || p[0] == 0x7F)
		return 1;
	return n > 1 && p[0] == 0xC2 && p[1] < 0xA0 ? 2 : 0;
}

static size_t character_bytes(unsigned char first)
{
	return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

static void copy_clean(char *to, size_t size, span valid)
{
	size_t n = 0;
	for (size_t i = 0; i < valid.n;) {
		const unsigned char *p = (const unsigned char *)valid.p + i;
		size_t control = control_bytes(p, valid.n - i), bytes = control ? 1 : character_bytes(p[0]);
		if (n + bytes >= size)
			break;
		memcpy(to + n, control ? " " : (const char *)p, bytes);
		n += bytes;
		i += control ? control : bytes;
	}
	to[n] = 0;
}

void fault_copy(char *to, size_t size, span text)
{
	struct utf8 mend;
	struct buf valid = {0};
	span enough = span_first(text, 2 * size); /* a control character shrinks from two bytes to one */
	if (utf8_is_valid(enough)) {
		copy_clean(to, size, enough);
		return;
	}
	utf8_init(&mend, true);
	utf8_mend(&mend, enough, &valid);
	if (enough.n == text.n)
		utf8_flush(&mend, &valid);
	if (valid.failed)
		valid.n = 0;
	copy_clean(to, size, buf_span(&valid));
	buf_finish(&valid);
}

/* As fault_copy cuts: at a whole character, with the NUL behind it. */
static bool may_be_cut(const char *text, size_t size) { return strlen(text) + 4 >= size; }

static void hide(char *text, size_t size, span secret)
{
	char out[DIALECT_SENTENCE];
	size_t n = 0, taken;
	bool is_cut = may_be_cut(text, size);
	for (span rest = span_str(text); rest.n; rest = span_from(rest, taken)) {
		bool hides = span_starts(rest, secret) || (is_cut && span_starts(secret, rest));
		taken = hides ? secret.n : character_bytes((unsigned char)rest.p[0]);
		span put = hides ? SPAN("…") : span_first(rest, taken);
		if (n + put.n >= size)
			break;
		memcpy(out + n, put.p, put.n);
		n += put.n;
	}
	memcpy(text, out, n);
	text[n] = 0;
}

void fault_hide(struct fault *f, span secret)
{
	if (!secret.n)
		return;
	hide(f->type, sizeof f->type, secret);
	hide(f->code, sizeof f->code, secret);
	hide(f->message, sizeof f->message, secret);
}

static void put_over(char *to, const char *from, size_t size)
{
	if (from[0])
		memcpy(to, from, size);
}

static void put_inner_over(struct fault *f, const struct fault *inner)
{
	put_over(f->type, inner->type, sizeof f->type);
	put_over(f->code, inner->code, sizeof f->code);
	put_over(f->message, inner->message, sizeof f->message);
	f->is_nested = true;
}

static bool read_value(struct fault *f, struct json *s, enum json_token begun);

static bool read_error(void *of, struct json *s, span name)
{
	struct fault *f = of, inner = {0};
	enum json_token token = json_next(s);
	bool blank = token == JSON_STRING && s->text.n == 0;
	bool good = read_value(&inner, s, token);
	f->is_blank |= blank;
	f->is_error |= !blank && token != JSON_NULL && token != JSON_FALSE;
	put_inner_over(f, &inner);
	return good;
}

static bool take(struct fault *f, struct json *s, enum json_token token, char *place, size_t size)
{
	if (!(f->is_nested && place[0]) && (token == JSON_STRING || token == JSON_NUMBER))
		fault_copy(place, size, s->text);
	return json_skip(s, token);
}

/* "error" is the type of an event, not of an error. */
static bool read_type(void *of, struct json *s, span name)
{
	struct fault *f = of;
	enum json_token token = json_next(s);
	if (token == JSON_STRING && span_is(s->text, "error"))
		return true;
	return take(f, s, token, f->type, sizeof f->type);
}

static bool read_code(void *of, struct json *s, span name)
{
	struct fault *f = of;
	return take(f, s, json_next(s), f->code, sizeof f->code);
}

/* Google's word for a kind of error; elsewhere a number that says less than the type. */
static bool read_status(void *of, struct json *s, span name)
{
	struct fault *f = of;
	enum json_token token = json_next(s);
	return token == JSON_STRING && !f->type[0] ? take(f, s, token, f->type, sizeof f->type) : json_skip(s, token);
}

static bool read_message(void *of, struct json *s, span name)
{
	struct fault *f = of;
	return take(f, s, json_next(s), f->message, sizeof f->message);
}

static bool read_detail(void *of, struct json *s, span name)
{
	struct fault *f = of;
	enum json_token token = json_next(s);
	f->has_detail |= token != JSON_NULL;
	return take(f, s, token, f->message, sizeof f->message);
}

static bool read_object(void *of, struct json *s, span name)
{
	struct fault *f = of;
	enum json_token token = json_next(s);
	f->is_error |= token == JSON_STRING && span_is(s->text, "error");
	return json_skip(s, token);
}

/* Objects nest no deeper than the scanner lets them. */
static bool read_members(struct fault *f, struct json *s)
{
	static const struct json_member members[] = {
		{SPAN("error"), read_error},
		{SPAN("message"), read_message},
		{SPAN("type"), read_type},
		{SPAN("code"), read_code},
		{SPAN("object"), read_object},
		{SPAN("status"), read_status},
		{SPAN("detail"), read_detail},
		{SPAN("error_type"), read_type},
		{SPAN("http_status_code"), read_code},
		{SPAN("errorText"), read_message},
	};
	return json_read_members(s, members, sizeof members / sizeof *members, f);
}

static bool read_value(struct fault *f, struct json *s, enum json_token begun)
{
	if (begun == JSON_OBJECT)
		return read_members(f, s);
	if (begun == JSON_STRING || begun == JSON_NUMBER)
		fault_copy(f->message, sizeof f->message, s->text);
	return json_skip(s, begun);
}

/* The whole of data as one object. */
static bool read_data(struct fault *f, span data)
{
	struct json s;
	json_init(&s);
	json_feed(&s, data, true);
	bool good = json_next(&s) == JSON_OBJECT && read_members(f, &s) && json_next(&s) == JSON_END;
	json_finish(&s);
	return good;
}

void fault_read_object(struct fault *f, span data)
{
	*f = (struct fault){0};
	(void)!read_data(f, data);
}

void fault_read_data(struct fault *f, span data)
{
	struct fault said = {0};
	if (read_data(&said, data))
		*f = said;
	if (f->message[0] == 0)
		fault_copy(f->message, sizeof f->message, data);
}

bool fault_read_body(struct fault *f, span body)
{
	struct fault said = {0};
	if (!read_data(&said, body) || !(said.is_error || said.is_blank || said.has_detail))
		return false;
	*f = said;
	return true;
}
