/* A chunked body of any bytes, against a decoder written from RFC 9112 §7.1 that sees all of it at once and reads lines:
 * both take the same bodies for whole, with the same content and the same end; however it is sliced. The first byte says
 * how. */
#include "http/http1.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The limits of src/http/http1.c, said again. */
enum { DIGITS = 16, EXTENSION = 256, ALL_EXTENSIONS = 4096, TRAILERS = 8192 };

/* The line before the next CRLF, which is taken too. False: there is no CRLF, or a byte that a line may not hold. */
static bool take_line(span *in, span *line)
{
	size_t n = span_find(*in, '\r');
	if (n + 1 >= in->n || in->p[n + 1] != '\n')
		return false;
	*line = span_first(*in, n);
	*in = span_from(*in, n + 2);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line->p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool read_size(span line, uint64_t *left, size_t *extensions)
{
	size_t n = span_find(line, ';');
	char digits[DIGITS + 1] = "";
	if (n == 0 || n > DIGITS || strspn(line.p, "0123456789abcdefABCDEF") < n)
		return false;
	memcpy(digits, line.p, n);
	*left = strtoull(digits, NULL, 16);
	*extensions += line.n - n;
	return line.n - n <= EXTENSION && *extensions <= ALL_EXTENSIONS;
}

static bool is_trailer(span line)
{
	size_t n = span_find(line, ':');
	if (n == 0 || n == line.n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)line.p[i]) && !strchr("!#$%&'*+-.^_`|~", line.p[i]))
			return false;
	return true;
}

static bool skip_trailers(span *in)
{
	size_t bytes = 0;
	for (span line; take_line(in, &line);) {
		if (line.n == 0)
			return true;
		bytes += line.n + 1;
		if (bytes > TRAILERS || !is_trailer(line))
			return false;
	}
	return false;
}

/* `in` ends with a zero byte that does not count. */
static bool decode_by_lines(span *in, struct buf *body)
{
	size_t extensions = 0;
	uint64_t left;
	for (span line; take_line(in, &line) && read_size(line, &left, &extensions);) {
		if (left == 0)
			return skip_trailers(in);
		if (left > in->n || !span_starts(span_from(*in, (size_t)left), SPAN("\r\n")))
			return false;
		buf_put(body, span_first(*in, (size_t)left));
		*in = span_from(*in, (size_t)left + 2);
	}
	return false;
}

static bool read_slice(struct http1 *p, span *in, struct buf *body, bool *whole)
{
	for (;;)
		switch (http1_next(p, in)) {
		case HTTP1_BODY:
			buf_put(body, p->body);
			break;
		case HTTP1_END:
			*whole = true;
			return false;
		case HTTP1_MORE:
			return true;
		case HTTP1_BAD:
			return false;
		case HTTP1_HEAD:
			break;
		}
}

/* Slices of 1 to most bytes, each in memory of its own. Says how many bytes the message took. */
static size_t decode_sliced(span input, size_t most, struct buf *body, bool *whole)
{
	struct http1 p;
	span head = SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	uint32_t random = (uint32_t)most;
	size_t taken = 0;
	http1_init(&p, HTTP1_RESPONSES, (struct http1_limits){0});
	CHECK(http1_next(&p, &head) == HTTP1_HEAD);
	for (bool on = true; on && taken < input.n;) {
		random = random * 1664525u + 1013904223u;
		span slice = span_first(span_from(input, taken), most > input.n ? input.n : 1 + (random >> 16) % most);
		char *copy = malloc(slice.n);
		CHECK(copy);
		memcpy(copy, slice.p, slice.n);
		span in = {copy, slice.n};
		on = read_slice(&p, &in, body, whole);
		taken += slice.n - in.n;
		free(copy);
	}
	http1_finish(&p);
	return taken;
}

static void check_way(span input, size_t most, const struct buf *expected, bool is_whole, size_t length)
{
	struct buf body = {0};
	bool whole = false;
	size_t taken = decode_sliced(input, most, &body, &whole);
	CHECK(whole == is_whole);
	if (whole)
		CHECK(taken == length && span_eq(buf_span(&body), buf_span(expected)));
	buf_finish(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct buf text = {0}, body = {0};
	buf_put(&text, span_of(data + 1, size - 1));
	CHECK(buf_cstr(&text));
	span input = buf_span(&text), in = input;
	bool whole = decode_by_lines(&in, &body);
	check_way(input, SIZE_MAX, &body, whole, input.n - in.n);
	check_way(input, 1, &body, whole, input.n - in.n);
	check_way(input, 2 + data[0] % 32u, &body, whole, input.n - in.n);
	buf_finish(&text);
	buf_finish(&body);
	return 0;
}
