/* Dialect openai-completions: the older /v1/completions, kept by every self-hosted server because it takes a prompt
 * as it is.
 *
 * Its answers differ from openai-chat's in one place: a piece stands in `choices[].text` instead of
 * `choices[].delta.content`. Choices, finish reasons, usage, errors and `[DONE]` are the same, and servers share the
 * code that writes them; so the reader is shared too (openai_chat.c), and reads either member. How a server is asked
 * is what is different. */
#include "dialect/openai_chat.h"

#include "dialect/reader.h"
#include "dialect/question.h"
#include "dialect/voice.h"

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	if (!question_put_prompt(out, q, "prompt"))
		return false;
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

static const struct json_edit unfinish[] = {
	{{SPAN("choices"), SPAN("[]"), SPAN("finish_reason")}, SPAN("null")},
	{{SPAN("error")}, {0}},
	{{SPAN("object")}, SPAN("\"text_completion\"")},
};

const struct dialect dialect_openai_completions = {
	.name = "openai-completions",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = openai_chat_read,
	.read_error_body = reader_take_error_body,
	.terminator = SPAN("data: [DONE]\n\n"),
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.put_error = voice_put_openai_error,
	.raising = {.object = "error", .never = "choices"},
	.unfinish = unfinish,
	.unfinishes = sizeof unfinish / sizeof *unfinish,
	.put_question = put_question,
};
