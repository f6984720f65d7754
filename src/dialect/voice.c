/* What lastword says itself where the upstream did not: the error frame that a dialect's official clients turn into an
 * exception, and the body of an HTTP error before the first byte.
 *
 * Nearly everywhere the two are the same JSON, once behind `data:` and once alone, so a dialect has one function that
 * prints it and two words to stand around it. Which shape raises in which client was measured; a shape that is merely
 * documented is silently ignored by half of them.
 *
 * 1. A frame is whole: it ends with its blank line, or NDJSON's newline.
 * 2. What the upstream said of its error is repeated where the shape has a place for it; else our own words stand
 *    there.
 * 3. What is printed is valid JSON and safe in any page, whatever the upstream said.
 *
 * When to say it, and that nothing follows, is the gateway's business. */
#include "dialect/voice.h"

#include "sse/print.h"

void dialect_put_failure(struct buf *out, const struct dialect *d, const struct failure *f)
{
	buf_put(out, d->frame_begin);
	(d->put_error_event ? d->put_error_event : d->put_error)(out, f);
	buf_put(out, d->frame_end);
}

void dialect_put_error_body(struct buf *out, const struct dialect *d, const struct failure *f)
{
	d->put_error(out, f);
}

static bool is_told(const char *s) { return s && s[0]; }

span voice_message(const struct failure *f)
{
	if (is_told(f->message))
		return span_str(f->message);
	return span_str(is_told(f->sentence) ? f->sentence : cause_row(f->cause)->sentence);
}

int voice_status(const struct failure *f)
{
	int status = f->status ? f->status : cause_row(f->cause)->status;
	return status ? status : 502;
}

const char *voice_kind(const struct failure *f, const char *otherwise)
{
	int status = voice_status(f);
	return status == 401 ? "authentication_error" : status == 429 ? "rate_limit_error" : otherwise;
}

void voice_put_type(struct buf *out, const struct failure *f, const char *ours)
{
	sse_print_json_string(out, span_str(is_told(f->type) ? f->type : ours));
}

void voice_put_code(struct buf *out, const struct failure *f)
{
	if (is_told(f->code))
		sse_print_json_string(out, span_str(f->code));
	else
		buf_printf(out, "\"lastword_%s\"", cause_name(f->cause));
}

void voice_put_number(struct buf *out, const struct failure *f)
{
	size_t n = is_told(f->code) ? strspn(f->code, "0123456789") : 0;
	if (n == 3 && !f->code[n] && (f->code[0] == '4' || f->code[0] == '5'))
		buf_put(out, span_of(f->code, n));
	else
		buf_printf(out, "%d", voice_status(f));
}

void voice_put_openai_object(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"message\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN(",\"type\":"));
	voice_put_type(out, f, voice_kind(f, "upstream_error"));
	buf_put(out, SPAN(",\"param\":null,\"code\":"));
	voice_put_code(out, f);
	buf_put(out, SPAN("}"));
}

void voice_put_openai_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"error\":"));
	voice_put_openai_object(out, f);
	if (f->cause != CAUSE_NONE)
		buf_printf(out, ",\"lastword\":{\"end\":\"failed\",\"cause\":\"%s\"}", cause_name(f->cause));
	buf_put_byte(out, '}');
}
