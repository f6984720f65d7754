/* Dialect openai-responses: typed events whose `type` says everything; OpenAI, vLLM, llama.cpp, Ollama and transformers
 * serve write it.
 *
 * `delta` means another thing in each type and may stand before it, so it is kept as JSON until the whole event was
 * read. Which types carry text is a short list; what ends in `.delta` and speaks of a call is a tool's input, since new
 * tools come with new names each year.
 *
 * 1. `response.completed` and `response.incomplete` are both the finish and the terminator. An incomplete answer's
 *    finish is its reason (max_output_tokens, content_filter).
 * 2. `response.failed` is an error, and so is `error`: flat as documented, nested as the live API sends it, or without
 *    any type (llama.cpp).
 * 3. `[DONE]` is not of this dialect; where it comes all the same it is a terminator without a finish.
 * 4. sequence_number is remembered, so that a frame of ours can go on counting.
 *
 * Background responses and their resumption are not here. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

#include <inttypes.h>

struct event {
	struct object object;
	char type[DIALECT_WORD];
	span delta, failure; /* JSON */
	char status[DIALECT_WORD], reason[DIALECT_WORD];
};

static bool read_type(void *of, struct json *s, span name)
{
	struct event *e = of;
	bool good = object_take_word(s, e->type, sizeof e->type);
	e->object.is_error |= strcmp(e->type, "error") == 0;
	return good;
}

static bool read_delta(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_raw(s, &e->delta);
}

static bool read_sequence_number(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_count(s, &e->object.reader->seen.sequence);
}

static bool read_status(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_word(s, e->status, sizeof e->status);
}

static bool read_failure(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_raw(s, &e->failure);
}

static bool read_reason(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_word(s, e->reason, sizeof e->reason);
}

static bool read_incomplete_details(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {{SPAN("reason"), read_reason}};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_usage(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("input_tokens"), object_read_prompt_tokens},
		{SPAN("output_tokens"), object_read_completion_tokens},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_response(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("status"), read_status},
		{SPAN("error"), read_failure},
		{SPAN("incomplete_details"), read_incomplete_details},
		{SPAN("usage"), read_usage},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static const struct json_member members[] = {
	{SPAN("type"), read_type},
	{SPAN("delta"), read_delta},
	{SPAN("sequence_number"), read_sequence_number},
	{SPAN("response"), read_response},
	OBJECT_ERROR_MEMBERS,
};

static bool ends_with(span s, span end)
{
	return s.n >= end.n && span_eq(span_from(s, s.n - end.n), end);
}

static bool is_text(span type)
{
	return span_is(type, "response.output_text.delta") || span_is(type, "response.refusal.delta");
}

static bool is_reasoning(span type)
{
	return span_is(type, "response.reasoning_text.delta") || span_is(type, "response.reasoning_summary_text.delta");
}

static bool is_tool(span type)
{
	return ends_with(type, SPAN(".delta")) && memmem(type.p, type.n, "_call", 5);
}

static void fail(struct reader *r, const struct event *e)
{
	struct fault f;
	fault_read_object(&f, e->failure);
	reader_fail(r, &f);
}

static void take(struct reader *r, const struct event *e, span type)
{
	if (is_text(type)) {
		object_add_raw(r, e->delta, reader_add_text);
	} else if (is_reasoning(type)) {
		object_add_raw(r, e->delta, reader_add_reasoning);
	} else if (is_tool(type)) {
		reader_add_tool(r);
	} else if (span_is(type, "response.completed") || span_is(type, "response.incomplete")) {
		reader_end_all(r, span_str(e->reason[0] ? e->reason : e->status), false);
		reader_end_stream(r);
	} else if (span_is(type, "response.failed")) {
		fail(r, e);
	} else if (span_is(type, "keepalive")) {
		r->feeds_idle = false;
	}
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct event e = {0};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&e.object, r, data, members, OBJECT_COUNT(members)))
		take(r, &e, e.type[0] ? span_str(e.type) : event->name);
}

/* Flat, as documented, and nested, as the live API sends it: only both together raise in every official client. */
static void put_error_event(struct buf *out, const struct failure *f)
{
	buf_printf(out, "{\"type\":\"error\",\"sequence_number\":%" PRId64 ",\"code\":", f->sequence + 1);
	voice_put_code(out, f);
	buf_put(out, SPAN(",\"message\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN(",\"param\":null,\"error\":"));
	voice_put_openai_object(out, f);
	buf_put(out, SPAN("}"));
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	if (q->messages.p)
		question_put_messages(out, q, "input");
	else if (!question_put_prompt(out, q, "input"))
		return false;
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

const struct dialect dialect_openai_responses = {
	.name = "openai-responses",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("event: error\ndata: "),
	.frame_end = SPAN("\n\n"),
	.put_error = voice_put_openai_error,
	.put_error_event = put_error_event,
	.raising = {.event = "error", .type = "error", .string = "message", .object = "error"},
	.own = "input",
	.put_question = put_question,
};
