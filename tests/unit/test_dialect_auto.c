/* dialect: names, and guesses by path and by first event. */
#include "dialect/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_guess(const struct dialect *d, const char *name, span from)
{
	if (!name != !d || (name && strcmp(name, d->name) != 0))
		fail_msg("%.*s: got %s, want %s", SPAN_ARG(from), d ? d->name : "nothing", name ? name : "nothing");
}

static void names(void **state)
{
	static const char *const all[] = {"text", "openai-chat", "openai-completions", "openai-responses", "anthropic", "gemini",
		"ollama-chat", "ollama-generate", "llamacpp", "tgi", "sglang-generate", "ai-ui"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		assert_string_equal(dialect_by_name(span_str(all[i]))->name, all[i]);
	assert_ptr_equal(dialect_by_name(SPAN("openai-chat")), &dialect_openai_chat);
	assert_null(dialect_by_name(SPAN("auto")));
	assert_null(dialect_by_name(SPAN("openai")));
	assert_null(dialect_by_name(SPAN("")));
}

struct row {
	span from;
	const char *name;
};

static void by_path(void **state)
{
	static const struct row rows[] = {
		{SPAN("/v1/chat/completions"), "openai-chat"}, {SPAN("/chat/completions"), "openai-chat"},
		{SPAN("/openai/deployments/gpt/chat/completions?api-version=1"), "openai-chat"},
		{SPAN("/v1/completions"), "openai-completions"}, {SPAN("/v1/responses"), "openai-responses"},
		{SPAN("/v1/messages"), "anthropic"},
		{SPAN("/v1beta/models/gemini-pro:streamGenerateContent?alt=sse"), "gemini"},
		{SPAN("/api/chat"), "ollama-chat"}, {SPAN("/api/generate"), "ollama-generate"},
		{SPAN("/completion"), "llamacpp"},
		{SPAN("/generate_stream"), "tgi"},
		{SPAN("/generate"), NULL}, {SPAN("/"), NULL}, {SPAN(""), NULL}, {SPAN("/v1/chat/completions/"), NULL},
		{SPAN("/v1/embeddings"), NULL},
		{SPAN("/x?to=/v1/chat/completions"), NULL}, {SPAN("/mychat/completions2"), NULL},
		{SPAN("/my-completion"), NULL}, {SPAN("/v2chat/completions"), NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_guess(dialect_by_path(rows[i].from), rows[i].name, rows[i].from);
}

static void by_the_first_event(void **state)
{
	static const struct row rows[] = {
		{SPAN("{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}"), "openai-chat"},
		{SPAN("{\"choices\":[]}"), "openai-chat"},
		{SPAN("{\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\"}]}"), "openai-completions"},
		{SPAN("{\"error\":{\"message\":\"m\"}}"), "openai-chat"}, {SPAN("{\"error\":\"m\"}"), "openai-chat"},
		{SPAN("{\"object\":\"error\",\"message\":\"m\"}"), "openai-chat"},
		{SPAN("{\"type\":\"response.created\",\"response\":{}}"), "openai-responses"},
		{SPAN("{\"type\":\"error\",\"code\":\"x\",\"message\":\"m\",\"sequence_number\":0}"), "openai-responses"},
		{SPAN("{\"type\":\"message_start\",\"message\":{}}"), "anthropic"},
		{SPAN("{\"type\":\"ping\"}"), "anthropic"},
		{SPAN("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"), "anthropic"},
		{SPAN("{\"type\":\"start\",\"messageId\":\"m\"}"), "ai-ui"},
		{SPAN("{\"type\":\"error\",\"errorText\":\"m\"}"), "ai-ui"},
		{SPAN("{\"candidates\":[{\"content\":{}}]}"), "gemini"},
		{SPAN("{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}"), "gemini"},
		{SPAN("{\"index\":1,\"token\":{\"text\":\"a\"},\"generated_text\":null}"), "tgi"},
		{SPAN("{\"content\":\"a\",\"stop\":false}"), "llamacpp"},
		{SPAN("{\"text\":\"a\",\"meta_info\":{}}"), "sglang-generate"},
		{SPAN("Hello"), NULL}, {SPAN(""), NULL}, {SPAN("\"Hello\""), NULL}, {SPAN("{}"), NULL},
		{SPAN("[]"), NULL}, {SPAN("[DONE]"), NULL},
		{SPAN("{\"content\":\"a\"}"), NULL}, {SPAN("{\"type\":\"dog\"}"), NULL},
		{SPAN("{\"type\":\"a type longer than any that is known\"}"), NULL},
		{SPAN("{\"choices\":\"many\"}"), NULL}, {SPAN("{\"token\":\"a\"}"), NULL},
		{SPAN("{\"choices\":[]"), NULL}, {SPAN("{\"choices\":[]} and text"), NULL},
		{SPAN("{\"x\":{\"choices\":[]}}"), NULL}, {SPAN("{\"error\":null}"), NULL},
		{SPAN("{\"c\\u0068oices\":[]}"), "openai-chat"},
		{SPAN("{\"a member's name that is longer than all\":[],\"\":1}"), NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sse_event event = {.data = rows[i].from, .has_data = true};
		assert_guess(dialect_by_event(SSE_EVENT_STREAM, &event), rows[i].name, rows[i].from);
	}
}

static void by_the_first_line(void **state)
{
	static const struct row rows[] = {
		{SPAN("{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":false}"), "ollama-chat"},
		{SPAN("{\"model\":\"m\",\"response\":\"a\",\"done\":false}"), "ollama-generate"},
		{SPAN("{\"error\":\"busy\"}"), "ollama-chat"}, {SPAN("{\"choices\":[]}"), NULL},
		{SPAN("{\"done\":1}"), NULL}, {SPAN("{\"done\":true}"), NULL}, {SPAN("x"), NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sse_event event = {.data = rows[i].from, .has_data = true};
		assert_guess(dialect_by_event(SSE_NDJSON, &event), rows[i].name, rows[i].from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(by_path),
		cmocka_unit_test(by_the_first_event),
		cmocka_unit_test(by_the_first_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
