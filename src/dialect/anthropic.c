/* Dialect anthropic: a message that is started, filled block by block, and stopped; also spoken by vLLM, llama.cpp,
 * Ollama and SGLang.
 *
 * The order of events is part of the dialect, and the official clients build the message by it: text for a block that
 * was never begun has no place there, and a message that stops while a block is open has lost something. Such an
 * order is unreadable. What clients do not mind is not minded here: blocks that overlap, types that are new, a `ping`
 * anywhere.
 *
 * 1. Names of members tell text (`text`), reasoning (`thinking`) and tool input (`partial_json`) apart, so that `type`
 *    may stand behind them. Of a block that begins, the text it begins with counts too.
 * 2. stop_reason, a string, is the finish; `message_stop` the terminator. `[DONE]`, which vLLM sends behind an error,
 *    is a terminator as well.
 * 3. Usage is cumulative: the last word counts.
 *
 * Errors come named, typed, or bare under `event: error`: object.c and fault.c. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

enum phase { BEFORE, STARTED }; /* reader.state.phase */

struct event {
	struct object object;
	char type[DIALECT_WORD];
	int64_t index;
	bool tool;
	char stop[DIALECT_WORD];
};

static bool read_type(void *of, struct json *s, span name)
{
	struct event *e = of;
	bool good = object_take_word(s, e->type, sizeof e->type);
	e->object.is_error |= strcmp(e->type, "error") == 0;
	return good;
}

static bool read_index(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_count(s, &e->index);
}

static bool read_text(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_text(s, e->object.reader, reader_add_text);
}

static bool read_thinking(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_text(s, e->object.reader, reader_add_reasoning);
}

static bool read_partial_json(void *of, struct json *s, span name)
{
	struct event *e = of;
	e->tool = true;
	return json_pass(s);
}

static bool read_stop_reason(void *of, struct json *s, span name)
{
	struct event *e = of;
	return object_take_clean(s, e->stop, sizeof e->stop);
}

static bool read_delta(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("text"), read_text},
		{SPAN("thinking"), read_thinking},
		{SPAN("partial_json"), read_partial_json},
		{SPAN("stop_reason"), read_stop_reason},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_block_type(void *of, struct json *s, span name)
{
	struct event *e = of;
	char type[DIALECT_WORD] = "";
	bool good = object_take_word(s, type, sizeof type);
	e->tool |= strstr(type, "tool_use") != NULL;
	return good;
}

static bool read_content_block(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("type"), read_block_type},
		{SPAN("text"), read_text},
		{SPAN("thinking"), read_thinking},
	};
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

static bool read_message(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {{SPAN("usage"), read_usage}};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static const struct json_member members[] = {
	{SPAN("type"), read_type},
	{SPAN("index"), read_index},
	{SPAN("delta"), read_delta},
	{SPAN("content_block"), read_content_block},
	{SPAN("message"), read_message},
	{SPAN("usage"), read_usage},
	OBJECT_ERROR_MEMBERS,
};

/* The order. Each returns what was wrong, or NULL. */

static bool is_open(const struct reader *r, int64_t index)
{
	return index >= 0 && index < DIALECT_BLOCKS && (r->state.open[index / 8] >> index % 8 & 1);
}

static void turn(struct reader *r, int64_t index) { r->state.open[index / 8] ^= (unsigned char)(1u << index % 8); }

static bool is_any_open(const struct reader *r)
{
	unsigned any = 0;
	for (size_t i = 0; i < sizeof r->state.open; i++)
		any |= r->state.open[i];
	return any;
}

static const char *start_message(struct reader *r)
{
	if (r->state.phase != BEFORE)
		return "a second message_start";
	r->state.phase = STARTED;
	return NULL;
}

static const char *start_block(struct reader *r, int64_t index)
{
	if (index < 0 || index >= DIALECT_BLOCKS)
		return "content_block_start without an index from 0 to 1023";
	if (is_open(r, index))
		return "content_block_start of a block that is open";
	turn(r, index);
	return NULL;
}

static const char *stop_block(struct reader *r, int64_t index)
{
	if (!is_open(r, index))
		return "content_block_stop of a block that is not open";
	turn(r, index);
	return NULL;
}

static const char *stop_message(struct reader *r)
{
	if (is_any_open(r))
		return "message_stop while a content block is open";
	reader_end_stream(r);
	return NULL;
}

static const char *take_in_order(struct reader *r, const struct event *e, span type)
{
	if (span_is(type, "message_start"))
		return start_message(r);
	bool block = span_starts(type, SPAN("content_block_")), message = span_starts(type, SPAN("message_"));
	if ((block || message) && r->state.phase == BEFORE)
		return "an event of a message before message_start";
	if (span_is(type, "content_block_delta"))
		return is_open(r, e->index) ? NULL : "content_block_delta of a block that is not open";
	if (span_is(type, "content_block_start"))
		return start_block(r, e->index);
	if (span_is(type, "content_block_stop"))
		return stop_block(r, e->index);
	return span_is(type, "message_stop") ? stop_message(r) : NULL;
}

static void take(struct reader *r, const struct event *e, span type, const struct reader_mark *mark)
{
	const char *wrong = take_in_order(r, e, type);
	if (wrong) {
		reader_take_back(r, mark);
		reader_give_up(r, "the order of events is broken: %s", wrong);
		return;
	}
	if (r->additions && !span_starts(type, SPAN("content_block_")))
		reader_take_back(r, mark);
	r->feeds_idle = !span_is(type, "ping");
	if (e->tool)
		reader_add_tool(r);
	if (e->stop[0])
		reader_end_choice(r, 0, span_str(e->stop), object_is_failing(span_str(e->stop)));
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct event e = {.index = -1};
	struct reader_mark mark = reader_mark(r);
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&e.object, r, data, members, OBJECT_COUNT(members)))
		take(r, &e, e.type[0] ? span_str(e.type) : event->name, &mark);
	else {
		reader_take_back(r, &mark); /* an error has no text here */
		r->seen.meaning |= r->seen.error;
	}
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"type\":\"error\",\"error\":{\"type\":"));
	voice_put_type(out, f, voice_kind(f, "api_error"));
	buf_put(out, SPAN(",\"message\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN("}}"));
}

/* System messages have a place of their own; the server wants a limit on its answer. */
struct asked {
	struct buf system, messages;
};

static bool take_message(void *of, const struct message *m)
{
	struct asked *a = of;
	struct buf *list = question_is_system(m) ? &a->system : &a->messages;
	buf_put(list, list->n ? SPAN(",") : SPAN(""));
	if (question_is_system(m))
		return question_put_parts(list, m, "{\"type\":\"text\",\"text\":", "}");
	buf_put(list, m->json);
	return strcmp(m->role, "user") == 0 || strcmp(m->role, "assistant") == 0;
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	struct asked a = {0};
	bool good = question_each_message(q, take_message, &a) && !a.system.failed && !a.messages.failed;
	buf_put(out, SPAN("\"max_tokens\":4096,"));
	if (a.system.n) {
		buf_put(out, SPAN("\"system\":["));
		buf_put(out, buf_span(&a.system));
		buf_put(out, SPAN("],"));
	}
	buf_put(out, SPAN("\"messages\":["));
	buf_put(out, buf_span(&a.messages));
	buf_put(out, SPAN("],\"stream\":true"));
	buf_finish(&a.system);
	buf_finish(&a.messages);
	return good;
}

const struct dialect dialect_anthropic = {
	.name = "anthropic",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.terminator = SPAN("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("event: error\ndata: "),
	.frame_end = SPAN("\n\n"),
	.put_error = put_error,
	.raising = {.event = "error", .type = "error", .object = "error"},
	.credential = "x-api-key: ",
	.fields = "anthropic-version: 2023-06-01\r\n",
	.own = "max_tokens",
	.put_question = put_question,
};
