/* Dialect tgi: /generate_stream of Hugging Face's Text Generation Inference, a token a frame.
 *
 * The last token's frame has `generated_text`, the whole answer once more, and this is the end: there is no `[DONE]`.
 * Every failure comes inside a 200, even that of a request that was wrong.
 *
 * 1. `generated_text` that is not null is the finish and the terminator; the word is details.finish_reason, which comes
 *    only when the request asked for details.
 * 2. Special tokens (`</s>` and the like) are not text. `special` may stand behind the text, which therefore waits.
 * 3. `error` is a sentence, `error_type` its kind.
 *
 * The server's OpenAI routes speak openai-chat. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

struct frame {
	struct object object;
	span text; /* JSON */
	bool special, ends;
	char finish[DIALECT_WORD];
};

static bool read_text(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_raw(s, &f->text);
}

static bool read_special(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_flag(s, &f->special);
}

static bool read_token(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("text"), read_text},
		{SPAN("special"), read_special},
	};
	struct frame *f = of;
	f->object.has_answer = true;
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_generated_text(void *of, struct json *s, span name)
{
	struct frame *f = of;
	enum json_token token = json_next(s);
	f->ends = token == JSON_STRING;
	return json_skip(s, token);
}

static bool read_finish(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_clean(s, f->finish, sizeof f->finish);
}

static bool read_details(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("finish_reason"), read_finish},
		{SPAN("generated_tokens"), object_read_completion_tokens},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static const struct json_member members[] = {
	{SPAN("token"), read_token},
	{SPAN("generated_text"), read_generated_text},
	{SPAN("details"), read_details},
	OBJECT_ERROR_MEMBERS,
};

static void take(struct reader *r, const struct frame *f)
{
	if (!f->special)
		object_add_raw(r, f->text, reader_add_text);
	if (!f->ends)
		return;
	reader_end_all(r, span_str(f->finish), object_is_failing(span_str(f->finish)));
	reader_end_stream(r);
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct frame f = {0};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&f.object, r, data, members, OBJECT_COUNT(members)))
		take(r, &f);
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"error\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN(",\"error_type\":"));
	voice_put_type(out, f, voice_kind(f, "incomplete_generation_stream"));
	buf_put(out, SPAN("}"));
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	return question_put_prompt(out, q, "inputs");
}

static const struct json_edit unfinish[] = {
	{{SPAN("generated_text")}, SPAN("null")},
	{{SPAN("details")}, SPAN("null")},
	{{SPAN("error")}, {0}},
	{{SPAN("error_type")}, {0}},
	{{SPAN("object")}, {0}},
};

const struct dialect dialect_tgi = {
	.name = "tgi",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.put_error = put_error,
	.raising = {.string = "error"},
	.unfinish = unfinish,
	.unfinishes = OBJECT_COUNT(unfinish),
	.stream_path = "/generate_stream",
	.own = "inputs",
	.put_question = put_question,
};
