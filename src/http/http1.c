/* The HTTP/1.1 parser: slices of bytes in, steps out.
 *
 * A head is collected until its empty line and then judged in one pass by head.c; limits are watched while it is being
 * collected. Parsing it in place, byte by byte, saves that copy and costs a state for each place where a slice may
 * end; a head is copied once for each answer, and an answer has thousands of events. A body is the other way round: it
 * is never copied, each step lends a piece of the input, and only the few bytes of framing between chunks are looked
 * at: one by one in on_byte, or at once where they are plain and all there, as they are around nearly all chunks
 * (begin_plain_chunk, end_plain_chunk).
 *
 * 1. Whatever the slicing of the input, the steps are the same, but for where body pieces are cut: every decision is
 *    that of the byte that makes it. Plain framing leads where its bytes would have led one by one.
 * 2. What has been collected is never more than the limits allow, however much lies in the slice.
 * 3. After BAD nothing is parsed. Whoever sent it does not get a second reading.
 * 4. The head is not touched between its HEAD and the call behind its END; trailers are checked and never stored.
 * 5. Memory is one buf and one table, kept for the connection's next message if they are small; behind the head of a
 *    message nothing is written to them, so that they can be given back while its body is read.
 *
 * Not here: what a head may say (head.c), deadlines and lingering closes (server), what an end proves
 * (stream/ending). */
#include "http/http1.h"

#include "http/chars.h"
#include "http/head.h"

#include <stdlib.h>

enum state {
	BETWEEN, /* no byte of a message yet */
	START_LINE,
	FIELDS,
	UNTIL_CLOSE,
	LENGTH,
	SIZE_FIRST, /* the first digit of a chunk's size */
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST, /* a trailer's first byte, or the end's CR */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	WHOLE, /* the message is whole, its END not yet said */
	BAD,
};

enum {
	LINE_BYTES = 8 << 10,
	FIELDS_BYTES = 32 << 10,
	FIELDS_COUNT = 100,
	EMPTY_LINES = 4,          /* before a request line (RFC 9112 §2.2 asks for one) */
	SIZE_DIGITS = 16,         /* of a chunk: what 64 bits hold */
	EXTENSION_BYTES = 256,    /* of one chunk */
	EXTENSIONS_BYTES = 4 << 10, /* of all chunks of a body: they carry nothing, and cost */
	TRAILERS_BYTES = 8 << 10,
	INFORMATIONAL = 10,       /* responses before the final one */
	KEPT_BYTES = 8 << 10,     /* a head buffer above this is not kept for the next message */
	CRLF = 2,
};

void http1_init(struct http1 *p, enum http1_role role, struct http1_limits limits)
{
	*p = (struct http1){.role = role, .limits = limits, .state = BETWEEN};
	if (!p->limits.line)
		p->limits.line = LINE_BYTES;
	if (!p->limits.fields)
		p->limits.fields = FIELDS_BYTES;
	if (!p->limits.count)
		p->limits.count = FIELDS_COUNT;
}

void http1_finish(struct http1 *p)
{
	buf_finish(&p->text);
	free(p->table);
	*p = (struct http1){.state = BAD};
}

void http1_expect_no_body(struct http1 *p)
{
	CHECK(p->role == HTTP1_RESPONSES);
	p->no_body = true;
}

void http1_forget_head(struct http1 *p)
{
	CHECK(p->state != START_LINE && p->state != FIELDS);
	buf_finish(&p->text);
	free(p->table);
	p->table = NULL;
	p->table_cap = 0;
	p->head.method = p->head.target = p->head.reason = (span){0};
	p->head.fields = NULL;
	p->head.fields_n = 0;
}

bool http1_in_head(const struct http1 *p)
{
	return p->state == FIELDS || (p->state == START_LINE && p->text.n > 0);
}

enum http1_eof http1_eof(const struct http1 *p)
{
	switch ((enum state)p->state) {
	case WHOLE:
		return HTTP1_EOF_IDLE;
	case BETWEEN:
	case START_LINE:
	case FIELDS:
		return http1_in_head(p) || p->informational ? HTTP1_EOF_HEAD : HTTP1_EOF_IDLE;
	case UNTIL_CLOSE:
		return HTTP1_EOF_ENDS;
	default:
		return HTTP1_EOF_CUTS;
	}
}

static enum http1_step refuse(struct http1 *p, int status, const char *message)
{
	p->state = BAD;
	p->bad = (struct http1_fault){p->role == HTTP1_REQUESTS ? status : 0, message};
	return HTTP1_BAD;
}

/* The head. */

static void begin_head(struct http1 *p)
{
	if (p->text.cap > KEPT_BYTES)
		buf_finish(&p->text);
	buf_clear(&p->text);
	p->head = (struct http_head){0};
	p->line_at = p->lines = p->extensions = 0;
	p->body_bytes = 0;
	p->state = START_LINE;
}

enum line { LINE_PART, LINE_WHOLE, LINE_TOO_LONG, LINE_FAILED };

/* Moves bytes to text, up to the end of the line that is being collected. end: where text must end at last. */
static enum line take_line(struct http1 *p, span *in, size_t end)
{
	span piece = span_first(*in, end - p->text.n);
	size_t lf = span_find(piece, '\n');
	bool whole = lf < piece.n;
	piece.n = lf + whole;
	buf_put(&p->text, piece);
	if (p->text.failed)
		return LINE_FAILED;
	*in = span_from(*in, piece.n);
	return whole ? LINE_WHOLE : p->text.n == end ? LINE_TOO_LONG : LINE_PART;
}

/* The whole line that was collected last, without its CRLF; p is NULL when it ended with a bare LF. */
static span last_line(const struct http1 *p)
{
	span line = span_from(buf_span(&p->text), p->line_at);
	return line.n >= CRLF && line.p[line.n - CRLF] == '\r' ? span_first(line, line.n - CRLF) : (span){0};
}

/* A TLS hello, a banner, noise: nobody should have to wait for the line's end, or the deadline, to be told. */
static bool could_be_start_line(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_visible((unsigned char)s.p[i]) && !memchr(" \r\n", s.p[i], 3))
			return false;
	return true;
}

static enum http1_step end_start_line(struct http1 *p)
{
	span line = last_line(p);
	if (!line.p)
		return refuse(p, 400, "a line must end with CRLF");
	if (line.n == 0 && p->role == HTTP1_REQUESTS && p->lines++ < EMPTY_LINES) {
		buf_clear(&p->text);
		return HTTP1_MORE;
	}
	struct http1_fault f =
		p->role == HTTP1_REQUESTS ? head_request_line(&p->head, line) : head_status_line(&p->head, line);
	if (f.message)
		return refuse(p, f.status, f.message);
	p->fields_at = p->line_at = p->text.n;
	p->lines = 0;
	p->state = FIELDS;
	return HTTP1_MORE;
}

static enum http1_step collect_start_line(struct http1 *p, span *in)
{
	size_t before = p->text.n;
	enum line line = take_line(p, in, p->limits.line + CRLF);
	if (line == LINE_FAILED)
		return refuse(p, 503, "no memory for a head");
	if (p->role == HTTP1_REQUESTS && !could_be_start_line(span_from(buf_span(&p->text), before)))
		return refuse(p, 400, "a request line must be visible ASCII");
	if (line == LINE_TOO_LONG)
		return refuse(p, 414, "the first line is too long");
	return line == LINE_WHOLE ? end_start_line(p) : HTTP1_MORE;
}

static bool table_holds(struct http1 *p, size_t fields)
{
	if (fields <= p->table_cap)
		return true;
	struct http_field *table = realloc(p->table, (fields + 8) * sizeof *table);
	if (!table)
		return false;
	p->table = table;
	p->table_cap = fields + 8;
	return true;
}

/* The text may have moved since the start line was split. */
static void place_start_line(struct http1 *p)
{
	struct http_head *h = &p->head;
	if (p->role == HTTP1_REQUESTS) {
		h->method.p = p->text.p;
		h->target.p = p->text.p + h->method.n + 1;
	} else {
		h->reason.p = p->text.p + p->fields_at - CRLF - h->reason.n;
	}
}

static struct http1_fault judge_head(struct http1 *p)
{
	span lines = {p->text.p + p->fields_at, p->line_at - p->fields_at};
	place_start_line(p);
	struct http1_fault f = head_split_fields(&p->head, lines, p->table, p->role);
	if (f.message)
		return f;
	return p->role == HTTP1_REQUESTS ? head_judge_request(&p->head) : head_judge_response(&p->head, p->no_body);
}

static enum http1_step pass_over_interim(struct http1 *p)
{
	if (p->head.status == 101)
		return refuse(p, 502, "101 was answered, and nobody had asked to switch protocols");
	if (++p->informational > INFORMATIONAL)
		return refuse(p, 502, "too many interim responses");
	begin_head(p);
	return HTTP1_MORE;
}

static enum http1_step begin_body(struct http1 *p)
{
	p->left = p->head.length;
	switch (p->head.framing) {
	case HTTP_NO_BODY:
		p->state = WHOLE;
		break;
	case HTTP_LENGTH:
		p->state = p->left ? LENGTH : WHOLE;
		break;
	case HTTP_CHUNKED:
		p->state = SIZE_FIRST;
		break;
	case HTTP_UNTIL_CLOSE:
		p->state = UNTIL_CLOSE;
		break;
	}
	return HTTP1_HEAD;
}

static enum http1_step end_head(struct http1 *p)
{
	if (!table_holds(p, p->lines))
		return refuse(p, 503, "no memory for a head");
	struct http1_fault f = judge_head(p);
	if (f.message)
		return refuse(p, f.status, f.message);
	if (p->role == HTTP1_RESPONSES && p->head.status < 200)
		return pass_over_interim(p);
	return begin_body(p);
}

static enum http1_step end_field_line(struct http1 *p)
{
	span line = last_line(p);
	if (!line.p)
		return refuse(p, 400, "a line must end with CRLF");
	if (line.n == 0)
		return end_head(p);
	if (++p->lines > p->limits.count)
		return refuse(p, 431, "there are too many header lines");
	p->line_at = p->text.n;
	return HTTP1_MORE;
}

static enum http1_step collect_fields(struct http1 *p, span *in)
{
	switch (take_line(p, in, p->fields_at + p->limits.fields + CRLF)) {
	case LINE_FAILED:
		return refuse(p, 503, "no memory for a head");
	case LINE_TOO_LONG:
		return refuse(p, 431, "the header lines are too long");
	case LINE_WHOLE:
		return end_field_line(p);
	default:
		return HTTP1_MORE;
	}
}

/* The body. */

/* Takes the CRLF behind a chunk. False: nothing was taken, since it is not there, or not yet. */
static bool end_plain_chunk(span *in)
{
	if (!span_starts(*in, SPAN("\r\n")))
		return false;
	*in = span_from(*in, CRLF);
	return true;
}

static enum http1_step pass_body(struct http1 *p, span *in)
{
	bool framed = p->state != UNTIL_CLOSE;
	p->body = framed && p->left < in->n ? span_first(*in, (size_t)p->left) : *in;
	*in = span_from(*in, p->body.n);
	p->body_bytes += p->body.n;
	if (framed && (p->left -= p->body.n) == 0)
		p->state = p->state == LENGTH ? WHOLE : end_plain_chunk(in) ? SIZE_FIRST : DATA_CR;
	return HTTP1_BODY;
}

static enum http1_step go_to(struct http1 *p, enum state next)
{
	p->state = next;
	return HTTP1_MORE;
}

static enum http1_step expect_byte(struct http1 *p, unsigned char c, unsigned char wanted, enum state next)
{
	return c == wanted ? go_to(p, next) : refuse(p, 400, "chunks, their sizes and trailers must end with CRLF");
}

static enum http1_step on_size_digit(struct http1 *p, unsigned char c)
{
	int digit = char_hex(c);
	if (p->state == SIZE_FIRST)
		p->left = p->counted = 0;
	if (digit < 0 || ++p->counted > SIZE_DIGITS)
		return refuse(p, 400, "the size of a chunk must be 1 to 16 hexadecimal digits");
	p->left = p->left << 4 | (unsigned)digit;
	p->state = SIZE;
	return HTTP1_MORE;
}

static enum http1_step on_extension(struct http1 *p, unsigned char c)
{
	if (!char_is_value(c))
		return refuse(p, 400, "a chunk extension must not hold control bytes");
	if (++p->counted > EXTENSION_BYTES || ++p->extensions > EXTENSIONS_BYTES)
		return refuse(p, 400, "the chunk extensions are too long");
	return HTTP1_MORE;
}

static enum http1_step begin_extension(struct http1 *p, unsigned char c)
{
	p->counted = 0;
	p->state = EXTENSION;
	return on_extension(p, c);
}

static enum http1_step end_size_line(struct http1 *p, unsigned char c)
{
	p->counted = 0;
	return expect_byte(p, c, '\n', p->left ? DATA : TRAILER_FIRST);
}

/* Names and values are checked as in a head, so that nothing hides in here from a reader who is less strict. */
static enum http1_step on_trailer(struct http1 *p, unsigned char c)
{
	if (++p->counted > TRAILERS_BYTES)
		return refuse(p, 400, "the trailers are too long");
	if (p->state != TRAILER_VALUE && char_is_token(c))
		p->state = TRAILER_NAME;
	else if (p->state == TRAILER_NAME && c == ':')
		p->state = TRAILER_VALUE;
	else if (p->state == TRAILER_VALUE && c == '\r')
		p->state = TRAILER_LF;
	else if (p->state != TRAILER_VALUE || !char_is_value(c))
		return refuse(p, 400, "a trailer must be a name, a colon and a value without control bytes");
	return HTTP1_MORE;
}

static enum http1_step on_byte(struct http1 *p, unsigned char c)
{
	switch ((enum state)p->state) {
	case SIZE:
		if (c == ';')
			return begin_extension(p, c);
		if (c == '\r')
			return go_to(p, SIZE_LF);
		return on_size_digit(p, c);
	case SIZE_FIRST:
		return on_size_digit(p, c);
	case EXTENSION:
		return c == '\r' ? go_to(p, SIZE_LF) : on_extension(p, c);
	case SIZE_LF:
		return end_size_line(p, c);
	case DATA_CR:
		return expect_byte(p, c, '\r', DATA_LF);
	case DATA_LF:
		return expect_byte(p, c, '\n', SIZE_FIRST);
	case TRAILER_FIRST:
		return c == '\r' ? go_to(p, LAST_LF) : on_trailer(p, c);
	case TRAILER_NAME:
	case TRAILER_VALUE:
		return on_trailer(p, c);
	case TRAILER_LF:
		return expect_byte(p, c, '\n', TRAILER_FIRST);
	case LAST_LF:
		return expect_byte(p, c, '\n', WHOLE);
	default:
		CHECK(!"a state that takes bytes one at a time");
		return HTTP1_BAD;
	}
}

/* Takes a size line without an extension, of a chunk that is not the last. False: nothing was taken, since it is another,
 * or not whole yet. */
static bool begin_plain_chunk(struct http1 *p, span *in)
{
	uint64_t size = 0;
	size_t n = 0;
	for (int digit; n < in->n && n < SIZE_DIGITS && (digit = char_hex((unsigned char)in->p[n])) >= 0; n++)
		size = size << 4 | (unsigned)digit;
	if (size == 0 || !span_starts(span_from(*in, n), SPAN("\r\n")))
		return false;
	*in = span_from(*in, n + CRLF);
	p->left = size;
	p->state = DATA;
	return true;
}

/* The walk. */

static enum http1_step end_message(struct http1 *p)
{
	p->state = BETWEEN;
	p->no_body = false;
	p->informational = 0;
	return HTTP1_END;
}

static enum http1_step take_byte(struct http1 *p, span *in)
{
	unsigned char c = (unsigned char)in->p[0];
	*in = span_from(*in, 1);
	return on_byte(p, c);
}

/* Takes at least one byte. MORE: it led to no step. */
static APART enum http1_step advance(struct http1 *p, span *in)
{
	switch ((enum state)p->state) {
	case BETWEEN:
		begin_head(p);
		return collect_start_line(p, in);
	case START_LINE:
		return collect_start_line(p, in);
	case FIELDS:
		return collect_fields(p, in);
	case UNTIL_CLOSE:
	case LENGTH:
	case DATA:
		return pass_body(p, in);
	default:
		return take_byte(p, in);
	}
}

enum http1_step http1_next(struct http1 *p, span *in)
{
	for (;;) {
		if (p->state == WHOLE)
			return end_message(p);
		if (p->state == BAD)
			return HTTP1_BAD;
		if (in->n == 0)
			return HTTP1_MORE;
		if (p->state == SIZE_FIRST && begin_plain_chunk(p, in))
			return in->n ? pass_body(p, in) : HTTP1_MORE;
		enum http1_step step = advance(p, in);
		if (step != HTTP1_MORE)
			return step;
	}
}
