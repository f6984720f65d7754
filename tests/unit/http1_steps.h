/* What a parser says to some bytes, written down: one line for each step, body pieces joined, so that two readings of
 * the same bytes can be compared as text. For the unit tests and the fuzzer of http1.
 *
 *	> POST /a 1.1 length=5 keep {Host: h}     HEAD of a request
 *	< 200 1.1 chunked keep (OK) {A: b}        HEAD of a response
 *	| hello                                   body
 *	.                                         END
 *	! 400                                     BAD
 *	~ idle                                    what it would mean if the connection ended now */
#ifndef HTTP1_STEPS_H
#define HTTP1_STEPS_H

#include "http/http1.h"

#include <stdlib.h>

static inline void steps_put_head(struct buf *out, const struct http1 *p)
{
	static const char *const framing[] = {"none", "length", "chunked", "close"};
	const struct http_head *h = &p->head;
	if (p->role == HTTP1_REQUESTS)
		buf_printf(out, "> %.*s %.*s", SPAN_ARG(h->method), SPAN_ARG(h->target));
	else
		buf_printf(out, "< %d", h->status);
	buf_printf(out, " 1.%d %s", h->minor, framing[h->framing]);
	if (h->framing == HTTP_LENGTH)
		buf_printf(out, "=%llu", (unsigned long long)h->length);
	buf_printf(out, " %s", h->keep_alive ? "keep" : "last");
	if (h->expect_continue)
		buf_printf(out, " expect");
	if (p->role == HTTP1_RESPONSES)
		buf_printf(out, " (%.*s)", SPAN_ARG(h->reason));
	for (size_t i = 0; i < h->fields_n; i++) {
		buf_put(out, SPAN(" {"));
		buf_put(out, h->fields[i].name);
		buf_put(out, SPAN(": "));
		buf_put(out, h->fields[i].value);
		buf_put_byte(out, '}');
	}
	buf_put_byte(out, '\n');
}

/* What the loan of HTTP1_HEAD says must hold until END. in_body: the line of the body is still open. */
struct steps {
	struct http1 p;
	struct buf out;
	struct buf head;
	bool in_body;
	uint64_t body_bytes;
};

static inline void steps_end_body(struct steps *s)
{
	if (s->in_body)
		buf_put_byte(&s->out, '\n');
	s->in_body = false;
}

static inline void steps_on_head(struct steps *s)
{
	buf_clear(&s->head);
	steps_put_head(&s->head, &s->p);
	buf_put(&s->out, buf_span(&s->head));
	s->body_bytes = 0;
}

static inline void steps_on_body(struct steps *s, span slice)
{
	CHECK(s->p.body.n > 0);
	CHECK(s->p.body.p >= slice.p && s->p.body.p + s->p.body.n <= slice.p + slice.n);
	if (!s->in_body)
		buf_put(&s->out, SPAN("| "));
	buf_put(&s->out, s->p.body);
	s->in_body = true;
	s->body_bytes += s->p.body.n;
	CHECK(s->p.body_bytes == s->body_bytes);
}

static inline void steps_on_end(struct steps *s)
{
	struct buf now = {0};
	steps_end_body(s);
	steps_put_head(&now, &s->p);
	CHECK(span_eq(buf_span(&now), buf_span(&s->head)));
	buf_finish(&now);
	buf_put(&s->out, SPAN(".\n"));
}

/* One slice, in memory that is exactly as long, and gone afterwards. False when nothing further is parsed. */
static inline bool steps_feed(struct steps *s, span slice)
{
	char *copy = malloc(slice.n ? slice.n : 1);
	CHECK(copy);
	if (slice.n)
		memcpy(copy, slice.p, slice.n);
	span whole = {copy, slice.n}, in = whole;
	enum http1_step step;
	while ((step = http1_next(&s->p, &in)) != HTTP1_MORE && step != HTTP1_BAD) {
		if (step == HTTP1_HEAD)
			steps_on_head(s);
		else if (step == HTTP1_BODY)
			steps_on_body(s, whole);
		else
			steps_on_end(s);
	}
	CHECK(step == HTTP1_BAD || in.n == 0);
	free(copy);
	return step == HTTP1_MORE;
}

/* The last line. */
static inline void steps_finish(struct steps *s)
{
	static const char *const eofs[] = {"idle", "ends", "head", "cuts"};
	span none = {0};
	steps_end_body(s);
	if (http1_next(&s->p, &none) == HTTP1_BAD) {
		CHECK(s->p.bad.message);
		buf_printf(&s->out, "! %d\n", s->p.bad.status);
	} else {
		buf_printf(&s->out, "~ %s\n", eofs[http1_eof(&s->p)]);
	}
	CHECK(buf_cstr(&s->out));
	http1_finish(&s->p);
	buf_finish(&s->head);
}

#endif
