/* A body, read as openai-chat, as text, and guessed at: what comes out is valid UTF-8 and clean words, the evidence is
 * consistent, and how the body is cut changes nothing. The first byte says how. */
#include "reading.h"

#include <stdint.h>

static void read_body(const struct dialect *dialect, span body, size_t step, struct buf *out)
{
	struct sse p;
	struct reader r;
	sse_init(&p, dialect->syntax, 1 << 20);
	reader_init(&r, dialect, NULL, 1);
	for (; body.n; body = span_from(body, step)) {
		span in = span_first(body, step);
		for (enum sse_item item; (item = sse_next(&p, &in)) != SSE_MORE;)
			if (item == SSE_EVENT && !seen_decides(&r.seen)) {
				CHECK(!dialect_by_event(dialect->syntax, &p.event) || p.event.data.n);
				reader_read(&r, &p.event);
				take(&r, out);
			}
	}
	reader_flush(&r);
	take(&r, out);
	put_seen(out, &r.seen);
	reader_finish(&r);
	sse_finish(&p);
}

static void read_error_body(const struct dialect *dialect, span body)
{
	struct reader r;
	reader_init(&r, dialect, NULL, 1);
	CHECK(dialect->read_error_body(&r, body) == r.seen.error);
	check_seen(&r.seen);
	reader_finish(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dialect *const dialects[] = {&dialect_openai_chat, &dialect_text};
	if (size == 0)
		return 0;
	span body = span_of(data + 1, size - 1);
	for (size_t i = 0; i < 2; i++) {
		struct buf whole = {0}, cut = {0};
		read_body(dialects[i], body, body.n, &whole);
		read_body(dialects[i], body, data[0] % 32 + 1u, &cut);
		CHECK(span_eq(buf_span(&whole), buf_span(&cut)));
		read_error_body(dialects[i], body);
		buf_finish(&whole);
		buf_finish(&cut);
	}
	return 0;
}
