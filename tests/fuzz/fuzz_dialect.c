/* A body, read in any dialect: what comes out is clean and consistent, how the body is cut changes nothing, and neither
 * does reading every event anew instead of by the mould of the last one. What was seen, said as a failure of the same
 * dialect, reads as an error. The first byte says how the body is cut, the second chooses the dialect. */
#include "reading.h"

#include "json/scan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const struct dialect *const dialects[] = {&dialect_openai_completions, &dialect_openai_responses,
	&dialect_anthropic, &dialect_gemini, &dialect_ollama_chat, &dialect_ollama_generate, &dialect_llamacpp,
	&dialect_tgi, &dialect_sglang_generate, &dialect_ai_ui, &dialect_openai_chat, &dialect_text};

enum { DIALECTS = sizeof dialects / sizeof *dialects };

/* Bodies that each dialect's reader was given, for the record that `make fuzz` keeps. */
static unsigned long long given[DIALECTS];

__attribute__((destructor)) static void tell_given(void)
{
	if (getenv("FUZZ_TELLS_DIALECTS"))
		for (size_t i = 0; i < DIALECTS; i++)
			fprintf(stderr, "dialect %s: %llu\n", dialects[i]->name, given[i]);
}

struct how {
	const struct dialect *dialect;
	size_t step;
	bool anew; /* no mould */
};

static void check_failure(const struct reader *r)
{
	const struct failure f = {.cause = CAUSE_ERROR, .sentence = "It failed.", .type = r->seen.error_type,
		.code = r->seen.error_code, .message = r->seen.error_message, .sequence = r->seen.sequence};
	struct buf out = {0};
	struct reader other;
	struct sse p;
	dialect_put_failure(&out, r->dialect, &f);
	sse_init(&p, r->dialect->syntax, 0);
	reader_init(&other, r->dialect, NULL, 1);
	span in = buf_span(&out);
	CHECK(sse_next(&p, &in) == SSE_EVENT);
	reader_read(&other, &p.event);
	CHECK(other.seen.error && other.seen.error_message[0]);
	CHECK(sse_next(&p, &in) == SSE_MORE && !sse_is_inside_event(&p));
	reader_finish(&other);
	sse_finish(&p);
	buf_finish(&out);
}

static void read_body(const struct how *how, span body, struct buf *out)
{
	struct sse p;
	struct reader r;
	sse_init(&p, how->dialect->syntax, 1 << 20);
	reader_init(&r, how->dialect, NULL, 1);
	for (; body.n; body = span_from(body, how->step)) {
		span in = span_first(body, how->step);
		for (enum sse_item item; (item = sse_next(&p, &in)) != SSE_MORE;)
			if (item == SSE_EVENT && !seen_decides(&r.seen)) {
				reader_read(&r, &p.event);
				if (how->anew)
					mould_break(&r.mould);
				take(&r, out);
			}
	}
	reader_flush(&r);
	take(&r, out);
	put_seen(out, &r.seen);
	check_failure(&r);
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

static bool is_json(span text, enum json_token kind)
{
	struct json s;
	json_init(&s);
	json_feed(&s, text, true);
	enum json_token token = json_next(&s);
	bool good = token == kind && json_skip(&s, token) && json_next(&s) == JSON_END;
	json_finish(&s);
	return good;
}

/* Whatever is asked is a JSON object. */
static void check_question(const struct dialect *dialect, span body)
{
	const struct dialect_question q = {.messages = body};
	struct buf out = {0};
	if (!dialect->put_question || !is_json(body, JSON_ARRAY))
		return;
	buf_put_byte(&out, '{');
	bool said = dialect->put_question(&out, &q);
	buf_put_byte(&out, '}');
	CHECK(!said || is_json(buf_span(&out), JSON_OBJECT));
	buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	span body = span_of(data + 2, size - 2);
	const struct dialect *dialect = dialects[data[1] % DIALECTS];
	given[data[1] % DIALECTS]++;
	const size_t step = data[0] % 32 + 1u;
	const struct how hows[] = {{dialect, body.n, false}, {dialect, step, false}, {dialect, body.n, true}};
	struct buf out[3] = {0};
	for (size_t i = 0; i < 3; i++)
		read_body(&hows[i], body, &out[i]);
	CHECK(span_eq(buf_span(&out[0]), buf_span(&out[1])));
	CHECK(span_eq(buf_span(&out[0]), buf_span(&out[2])));
	for (size_t i = 0; i < 3; i++)
		buf_finish(&out[i]);
	read_error_body(dialect, body);
	check_question(dialect, body);
	return 0;
}
