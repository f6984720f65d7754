/* Dialect llamacpp: the native /completion of llama.cpp's server.
 *
 * Its last frame is its own end, `"stop": true`, and there is no `[DONE]`. The frames between carry much that is only
 * of interest to tuners (timings, settings, progress of the prompt), so nothing but the piece and the stop is read.
 *
 * 1. `stop: true` is the finish and the terminator; the word is stop_type (eos, limit, word), absent in old builds.
 * 2. An error is an object under `error` or, in builds of before 2026, an SSE field of that name.
 * 3. Counts of tokens are taken from the last frame only; on the way they are progress.
 *
 * The server's OpenAI and Anthropic routes speak those dialects. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

struct frame {
	struct object object;
	bool stop;
	char stop_type[DIALECT_WORD];
	int64_t prompt_tokens, completion_tokens;
};

static bool read_content(void *of, struct json *s, span name)
{
	struct frame *f = of;
	f->object.has_answer = true;
	return object_take_text(s, f->object.reader, reader_add_text);
}

static bool read_stop(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_flag(s, &f->stop);
}

static bool read_stop_type(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_clean(s, f->stop_type, sizeof f->stop_type);
}

static bool read_tokens_evaluated(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_count(s, &f->prompt_tokens);
}

static bool read_tokens_predicted(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_count(s, &f->completion_tokens);
}

static const struct json_member members[] = {
	{SPAN("content"), read_content},
	{SPAN("stop"), read_stop},
	{SPAN("stop_type"), read_stop_type},
	{SPAN("tokens_evaluated"), read_tokens_evaluated},
	{SPAN("tokens_predicted"), read_tokens_predicted},
	OBJECT_ERROR_MEMBERS,
};

static void take_stop(struct reader *r, const struct frame *f)
{
	r->seen.prompt_tokens = f->prompt_tokens;
	r->seen.completion_tokens = f->completion_tokens;
	reader_end_all(r, span_str(f->stop_type), object_is_failing(span_str(f->stop_type)));
	reader_end_stream(r);
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct frame f = {.prompt_tokens = -1, .completion_tokens = -1};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&f.object, r, data, members, OBJECT_COUNT(members)) && f.stop)
		take_stop(r, &f);
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"error\":{\"code\":"));
	voice_put_number(out, f);
	buf_put(out, SPAN(",\"message\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN(",\"type\":"));
	voice_put_type(out, f, voice_status(f) == 401 ? "authentication_error" : "server_error");
	buf_put(out, SPAN("}}"));
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	if (!question_put_prompt(out, q, "prompt"))
		return false;
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

static const struct json_edit unfinish[] = {
	{{SPAN("stop")}, SPAN("false")},
	{{SPAN("stop_type")}, {0}},
	{{SPAN("error")}, {0}},
	{{SPAN("object")}, {0}},
};

const struct dialect dialect_llamacpp = {
	.name = "llamacpp",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.put_error = put_error,
	.raising = {.object = "error"},
	.unfinish = unfinish,
	.unfinishes = OBJECT_COUNT(unfinish),
	.put_question = put_question,
};
