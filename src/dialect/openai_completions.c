/* Dialect openai-completions: the older /v1/completions, kept by every self-hosted server because it takes a prompt as it
 * is.
 *
 * Its answers differ from openai-chat's in one place: a piece stands in `choices[].text` instead of
 * `choices[].delta.content`. Choices, finish reasons, usage, errors and `[DONE]` are the same, and servers share the code
 * that writes them; so the reader is shared too (openai_chat.c), and reads either member. How a server is asked is what
 * is different. */
#include "dialect/openai_chat.h"

#include "dialect/reader.h"

const struct dialect dialect_openai_completions = {
	.name = "openai-completions",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = openai_chat_read,
	.read_error_body = reader_take_error_body,
};
