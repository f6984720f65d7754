/* The HTTP/1.1 parser on any bytes: however they are sliced, the steps are the same, and a head that passes has one
 * reading of its length. The first byte chooses role (bit 0), an answer to HEAD (bit 1), narrow limits (bit 2), and the
 * rest of it how the input is sliced. */
#include "../unit/http1_steps.h"

#include "http/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESPONSES = 1, ANSWERS_HEAD = 2, NARROW = 4 };

static void begin(struct steps *s, uint8_t choice)
{
	struct http1_limits narrow = {.line = 24, .fields = 48, .count = 3};
	http1_init(&s->p, choice & RESPONSES ? HTTP1_RESPONSES : HTTP1_REQUESTS,
		choice & NARROW ? narrow : (struct http1_limits){0});
	if ((choice & RESPONSES) && (choice & ANSWERS_HEAD))
		http1_expect_no_body(&s->p);
}

/* Slices of 1 to most bytes, from a small generator of numbers; most 1: one byte at a time. */
static struct buf read_sliced(uint8_t choice, span input, size_t most)
{
	struct steps s = {0};
	uint32_t random = choice | 1u;
	begin(&s, choice);
	for (bool on = true; on && input.n;) {
		random = random * 1664525u + 1013904223u;
		span slice = span_first(input, 1 + (random >> 16) % most);
		on = steps_feed(&s, slice);
		input = span_from(input, slice.n);
	}
	steps_finish(&s);
	return s.out;
}

static void check_same(uint8_t choice, span input, size_t most, const struct buf *whole)
{
	struct buf sliced = read_sliced(choice, input, most);
	CHECK(span_eq(buf_span(&sliced), buf_span(whole)));
	buf_finish(&sliced);
}

static void check_field(const struct http1 *p, const struct http_field *f)
{
	span text = buf_span(&p->text);
	CHECK(f->name.n > 0);
	CHECK(f->name.p >= text.p && f->value.p + f->value.n <= text.p + text.n);
	for (size_t i = 0; i < f->value.n; i++)
		CHECK((unsigned char)f->value.p[i] >= ' ' || f->value.p[i] == '\t');
}

static void check_head(const struct http1 *p)
{
	const struct http_head *h = &p->head;
	size_t lengths = headers_count(h, "Content-Length"), codings = headers_count(h, "Transfer-Encoding");
	CHECK(lengths + codings <= 1);
	CHECK(h->framing != HTTP_LENGTH || (lengths == 1 && h->length <= INT64_MAX));
	CHECK(h->framing != HTTP_CHUNKED || (codings == 1 && h->minor == 1));
	CHECK(p->role == HTTP1_REQUESTS ? h->framing != HTTP_UNTIL_CLOSE && headers_count(h, "Host") + (h->minor == 0) >= 1
	                                : h->status >= 200);
	for (size_t i = 0; i < h->fields_n; i++)
		check_field(p, &h->fields[i]);
}

static void check_heads(uint8_t choice, span input)
{
	struct steps s = {0};
	begin(&s, choice);
	for (enum http1_step step; (step = http1_next(&s.p, &input)) != HTTP1_MORE && step != HTTP1_BAD;)
		if (step == HTTP1_HEAD)
			check_head(&s.p);
	http1_finish(&s.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t choice = data[0];
	span input = {(const char *)data + 1, size - 1};
	struct steps s = {0};
	begin(&s, choice);
	(void)steps_feed(&s, input);
	steps_finish(&s);
	check_same(choice, input, 1, &s.out);
	check_same(choice, input, 2 + (choice >> 3), &s.out);
	check_heads(choice, input);
	buf_finish(&s.out);
	return 0;
}
