/* Dialect ai-ui: the UI message stream of the Vercel AI SDK, typed parts and `[DONE]`.
 *
 * It is written by application servers for one page's hook and read here when such a server is the upstream. Parts of
 * unknown types (`data-…`, sources, files, steps) say that it works and nothing else.
 *
 * 1. `finish` is the finish, even without a finishReason; `[DONE]` is the terminator.
 * 2. `error` has its sentence in errorText; `abort` is a failure that the page's hook takes for an end.
 * 3. `delta` may stand before `type` and therefore waits.
 *
 * Shapes of errors are in fault.c. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

struct part {
	struct object object;
	char type[DIALECT_WORD];
	span delta; /* JSON */
	char finish[DIALECT_WORD];
};

static bool read_type(void *of, struct json *s, span name)
{
	struct part *p = of;
	bool good = object_take_word(s, p->type, sizeof p->type);
	p->object.is_error |= strcmp(p->type, "error") == 0;
	return good;
}

static bool read_delta(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_raw(s, &p->delta);
}

static bool read_finish(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_clean(s, p->finish, sizeof p->finish);
}

static const struct json_member members[] = {
	{SPAN("type"), read_type},
	{SPAN("delta"), read_delta},
	{SPAN("finishReason"), read_finish},
	OBJECT_ERROR_MEMBERS,
};

static void take(struct reader *r, const struct part *p)
{
	span type = span_str(p->type);
	if (span_is(type, "text-delta"))
		object_add_raw(r, p->delta, reader_add_text);
	else if (span_is(type, "reasoning-delta"))
		object_add_raw(r, p->delta, reader_add_reasoning);
	else if (span_starts(type, SPAN("tool-")))
		reader_add_tool(r);
	else if (span_is(type, "finish"))
		reader_end_all(r, span_str(p->finish), object_is_failing(span_str(p->finish)));
	else if (span_is(type, "abort"))
		reader_end_all(r, type, true);
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct part p = {0};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&p.object, r, data, members, OBJECT_COUNT(members)))
		take(r, &p);
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"type\":\"error\",\"errorText\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN("}"));
}

struct asked {
	struct buf *out;
	unsigned n; /* messages put */
};

static bool take_message(void *of, const struct message *m)
{
	struct asked *a = of;
	const char *role = question_is_system(m) ? "system" : m->role;
	bool known = question_is_system(m) || strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0;
	if (!known)
		return false;
	a->n++;
	buf_printf(a->out, "%s{\"id\":\"m%u\",\"role\":\"%s\",\"parts\":[", a->n > 1 ? "," : "", a->n, role);
	bool good = question_put_parts(a->out, m, "{\"type\":\"text\",\"text\":", "}");
	buf_put(a->out, SPAN("]}"));
	return good;
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	struct asked a = {.out = out};
	buf_put(out, SPAN("\"id\":\"lastword\",\"trigger\":\"submit-message\",\"messages\":["));
	bool good = question_each_message(q, take_message, &a);
	buf_put(out, SPAN("]"));
	return good;
}

const struct dialect dialect_ai_ui = {
	.name = "ai-ui",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.terminator = SPAN("data: [DONE]\n\n"),
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.put_error = put_error,
	.raising = {.type = "error", .string = "errorText"},
	.streams_by_default = true,
	.own = "trigger",
	.put_question = put_question,
};
