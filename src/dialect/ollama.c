/* Dialects ollama-chat and ollama-generate: a JSON object a line, the last one with `done: true`.
 *
 * The two differ in where a piece stands, `message.content` or `response`, and no line has both; so one table reads
 * either, and the two names only say how a server is asked.
 *
 * 1. `done: true` is the finish and the terminator, whatever its reason: stop, length, load, unload, or none at all.
 * 2. `{"error": …}` is an error, wherever it comes.
 * 3. Some failures of the server end the body cleanly without either; that is truncated, and stream/ending says so.
 *
 * A last line without its newline is sse/parse's and stream/generation's business. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

struct line {
	struct object object;
	bool done, tool;
	char reason[DIALECT_WORD];
};

static bool read_content(void *of, struct json *s, span name)
{
	struct line *l = of;
	return object_take_text(s, l->object.reader, reader_add_text);
}

static bool read_thinking(void *of, struct json *s, span name)
{
	struct line *l = of;
	return object_take_text(s, l->object.reader, reader_add_reasoning);
}

static bool read_tool_calls(void *of, struct json *s, span name)
{
	struct line *l = of;
	return object_take_filled(s, &l->tool);
}

static bool read_message(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("content"), read_content},
		{SPAN("thinking"), read_thinking},
		{SPAN("tool_calls"), read_tool_calls},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_done(void *of, struct json *s, span name)
{
	struct line *l = of;
	l->object.has_answer = true;
	return object_take_flag(s, &l->done);
}

static bool read_done_reason(void *of, struct json *s, span name)
{
	struct line *l = of;
	return object_take_clean(s, l->reason, sizeof l->reason);
}

static const struct json_member members[] = {
	{SPAN("message"), read_message},
	{SPAN("response"), read_content},
	{SPAN("thinking"), read_thinking},
	{SPAN("done"), read_done},
	{SPAN("done_reason"), read_done_reason},
	{SPAN("prompt_eval_count"), object_read_prompt_tokens},
	{SPAN("eval_count"), object_read_completion_tokens},
	OBJECT_ERROR_MEMBERS,
};

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct line l = {0};
	span data;
	if (object_is_done(r, event, &data) || !object_read(&l.object, r, data, members, OBJECT_COUNT(members)))
		return;
	if (l.tool)
		reader_add_tool(r);
	if (!l.done)
		return;
	reader_end_all(r, span_str(l.reason), object_is_failing(span_str(l.reason)));
	reader_end_stream(r);
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"error\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN("}"));
}

static bool put_chat_question(struct buf *out, const struct dialect_question *q)
{
	question_put_messages(out, q, "messages");
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

static bool put_generate_question(struct buf *out, const struct dialect_question *q)
{
	if (!question_put_prompt(out, q, "prompt"))
		return false;
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

static const struct json_edit unfinish[] = {
	{{SPAN("done")}, SPAN("false")},
	{{SPAN("done_reason")}, {0}},
	{{SPAN("error")}, {0}},
	{{SPAN("object")}, {0}},
};

const struct dialect dialect_ollama_chat = {
	.name = "ollama-chat",
	.syntax = SSE_NDJSON,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.frame_end = SPAN("\n"),
	.put_error = put_error,
	.raising = {.string = "error"},
	.unfinish = unfinish,
	.unfinishes = OBJECT_COUNT(unfinish),
	.streams_by_default = true,
	.put_question = put_chat_question,
};

const struct dialect dialect_ollama_generate = {
	.name = "ollama-generate",
	.syntax = SSE_NDJSON,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.frame_end = SPAN("\n"),
	.put_error = put_error,
	.raising = {.string = "error"},
	.unfinish = unfinish,
	.unfinishes = OBJECT_COUNT(unfinish),
	.streams_by_default = true,
	.put_question = put_generate_question,
};
