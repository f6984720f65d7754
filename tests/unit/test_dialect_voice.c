/* What lastword says and asks in each dialect, byte for byte. */
#include "dialect/dialect.h"
#include "json/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct dialect *const all[] = {&dialect_text, &dialect_openai_chat, &dialect_openai_completions,
	&dialect_openai_responses, &dialect_anthropic, &dialect_gemini, &dialect_ollama_chat, &dialect_ollama_generate,
	&dialect_llamacpp, &dialect_tgi, &dialect_sglang_generate, &dialect_ai_ui};

enum { DIALECTS = sizeof all / sizeof *all };

static const struct failure ours = {.cause = CAUSE_TRUNCATED, .sentence = "No \"end\".", .sequence = 6};
static const struct failure theirs = {.cause = CAUSE_ERROR, .sentence = "It said: m.", .type = "overloaded",
	.code = "529",
	.message = "m", .sequence = -1};


#define OURS_OPENAI "{\"error\":{\"message\":\"No \\\"end\\\".\",\"type\":\"upstream_error\",\"param\":null," \
	"\"code\":\"lastword_truncated\"}," \
	"\"lastword\":{\"end\":\"failed\",\"cause\":\"truncated\"}}"
#define THEIRS_OPENAI "{\"error\":{\"message\":\"m\",\"type\":\"overloaded\",\"param\":null,\"code\":\"529\"}," \
	"\"lastword\":{\"end\":\"failed\",\"cause\":\"error\"}}"

static void failures(void **state)
{
	static const struct {
		const struct dialect *dialect;
		const char *frame, *body;
	} rows[] = {
		{&dialect_text, "event: error\ndata: " OURS_OPENAI "\n\n", THEIRS_OPENAI},
		{&dialect_openai_chat, "data: " OURS_OPENAI "\n\n", THEIRS_OPENAI},
		{&dialect_openai_completions, "data: " OURS_OPENAI "\n\n", THEIRS_OPENAI},
		{&dialect_openai_responses, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":7,"
			"\"code\":\"lastword_truncated\","
		 "\"message\":\"No \\\"end\\\".\",\"param\":null,\"error\":{\"message\":\"No \\\"end\\\".\","
		 "\"type\":\"upstream_error\","
		 "\"param\":null,\"code\":\"lastword_truncated\"}}\n\n", THEIRS_OPENAI},
		{&dialect_anthropic, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
			"\"message\":\"No \\\"end\\\".\"}}\n\n",
		 "{\"type\":\"error\",\"error\":{\"type\":\"overloaded\",\"message\":\"m\"}}"},
		{&dialect_gemini, "data: {\"error\":{\"code\":502,\"message\":\"No \\\"end\\\".\","
			"\"status\":\"UNAVAILABLE\"}}\n\n",
		 "{\"error\":{\"code\":529,\"message\":\"m\",\"status\":\"overloaded\"}}"},
		{&dialect_ollama_chat, "{\"error\":\"No \\\"end\\\".\"}\n", "{\"error\":\"m\"}"},
		{&dialect_ollama_generate, "{\"error\":\"No \\\"end\\\".\"}\n", "{\"error\":\"m\"}"},
		{&dialect_llamacpp, "data: {\"error\":{\"code\":502,\"message\":\"No \\\"end\\\".\","
			"\"type\":\"server_error\"}}\n\n",
		 "{\"error\":{\"code\":529,\"message\":\"m\",\"type\":\"overloaded\"}}"},
		{&dialect_tgi, "data: {\"error\":\"No \\\"end\\\".\",\"error_type\":\"incomplete_generation_stream\""
			"}\n\n",
		 "{\"error\":\"m\",\"error_type\":\"overloaded\"}"},
		{&dialect_sglang_generate, "data: {\"error\":{\"message\":\"No \\\"end\\\".\"}}\n\n",
			"{\"error\":{\"message\":\"m\"}}"},
		{&dialect_ai_ui, "data: {\"type\":\"error\",\"errorText\":\"No \\\"end\\\".\"}\n\n",
		 "{\"type\":\"error\",\"errorText\":\"m\"}"},
	};
	assert_int_equal(sizeof rows / sizeof *rows, DIALECTS);
	for (size_t i = 0; i < DIALECTS; i++) {
		struct buf out = {0};
		dialect_put_failure(&out, rows[i].dialect, &ours);
		assert_string_equal(buf_cstr(&out), rows[i].frame);
		buf_clear(&out);
		dialect_put_error_body(&out, rows[i].dialect, &theirs);
		assert_string_equal(buf_cstr(&out), rows[i].body);
		buf_finish(&out);
	}
}

static void clocks_and_words_that_are_no_status(void **state)
{
	const struct failure late = {.cause = CAUSE_IDLE_TIMEOUT, .code = "soon", .sequence = -1},
		busy = {.cause = CAUSE_OVERLOADED, .code = "0504", .status = 429};
	struct buf out = {0};
	dialect_put_error_body(&out, &dialect_gemini, &late);
	assert_string_equal(buf_cstr(&out), "{\"error\":{\"code\":504,\"message\":\"The model server fell silent in"
		" the middle of the answer.\",\"status\":\"DEADLINE_EXCEEDED\"}}");
	buf_clear(&out);
	dialect_put_error_body(&out, &dialect_llamacpp, &busy);
	assert_string_equal(buf_cstr(&out), "{\"error\":{\"code\":429,\"message\":\"The gateway has no room for thi"
		"s answer.\",\"type\":\"server_error\"}}");
	buf_clear(&out);
	dialect_put_failure(&out, &dialect_openai_responses, &late);
	assert_non_null(strstr(buf_cstr(&out), "\"sequence_number\":0,\"code\":\"soon\""));
	buf_finish(&out);
}

/* The gateway's own refusals of who calls, in the words that the dialect's clients know. */
static void a_caller_without_a_key_and_one_at_its_limits(void **state)
{
	static const struct failure unknown = {.status = 401, .sentence = "No.", .code = "invalid_api_key", .sequence = -1},
		late = {.cause = CAUSE_QUOTA, .sentence = "Later.", .sequence = -1};
	static const struct {
		const struct dialect *dialect;
		const char *unknown, *late;
	} rows[] = {
		{&dialect_openai_chat, "{\"error\":{\"message\":\"No.\",\"type\":\"authentication_error\",\"param\":null,"
			"\"code\":\"invalid_api_key\"}}",
		 "{\"error\":{\"message\":\"Later.\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"lastword_quota\"},"
			"\"lastword\":{\"end\":\"failed\",\"cause\":\"quota\"}}"},
		{&dialect_anthropic, "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"No.\"}}",
		 "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Later.\"}}"},
		{&dialect_gemini, "{\"error\":{\"code\":401,\"message\":\"No.\",\"status\":\"UNAUTHENTICATED\"}}",
		 "{\"error\":{\"code\":429,\"message\":\"Later.\",\"status\":\"RESOURCE_EXHAUSTED\"}}"},
		{&dialect_ollama_chat, "{\"error\":\"No.\"}", "{\"error\":\"Later.\"}"},
		{&dialect_llamacpp, "{\"error\":{\"code\":401,\"message\":\"No.\",\"type\":\"authentication_error\"}}",
		 "{\"error\":{\"code\":429,\"message\":\"Later.\",\"type\":\"server_error\"}}"},
		{&dialect_tgi, "{\"error\":\"No.\",\"error_type\":\"authentication_error\"}",
		 "{\"error\":\"Later.\",\"error_type\":\"rate_limit_error\"}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		dialect_put_error_body(&out, rows[i].dialect, &unknown);
		assert_string_equal(buf_cstr(&out), rows[i].unknown);
		buf_clear(&out);
		dialect_put_error_body(&out, rows[i].dialect, &late);
		assert_string_equal(buf_cstr(&out), rows[i].late);
		buf_finish(&out);
	}
}

/* What is said is understood: each frame, read by the dialect's own reader, is an error with the same words. */
static void a_failure_reads_as_an_error(void **state)
{
	for (size_t i = 0; i < DIALECTS; i++) {
		struct sse p;
		struct reader r;
		struct buf out = {0};
		dialect_put_failure(&out, all[i], &theirs);
		sse_init(&p, all[i]->syntax, 0);
		reader_init(&r, all[i], NULL, 1);
		span in = buf_span(&out);
		assert_int_equal(sse_next(&p, &in), SSE_EVENT);
		reader_read(&r, &p.event);
		assert_true(r.seen.error);
		assert_string_equal(r.seen.error_message, "m");
		assert_int_equal(sse_next(&p, &in), SSE_MORE);
		assert_false(sse_is_inside_event(&p));
		reader_finish(&r);
		sse_finish(&p);
		buf_finish(&out);
	}
}

/* The terminator that may be supplied is one, and a heartbeat is nothing. */
static void terminators_and_heartbeats(void **state)
{
	static const struct {
		const struct dialect *dialect;
		const char *terminator, *heartbeat;
	} rows[] = {
		{&dialect_text, "", ":\n"},
		{&dialect_openai_chat, "data: [DONE]\n\n", ":\n"},
		{&dialect_openai_completions, "data: [DONE]\n\n", ":\n"},
		{&dialect_openai_responses, "", ":\n"},
		{&dialect_anthropic, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", ":\n"},
		{&dialect_gemini, "", "\n"},
		{&dialect_ollama_chat, "", ""},
		{&dialect_ollama_generate, "", ""},
		{&dialect_llamacpp, "", ":\n"},
		{&dialect_tgi, "", ":\n"},
		{&dialect_sglang_generate, "data: [DONE]\n\n", ":\n"},
		{&dialect_ai_ui, "data: [DONE]\n\n", ":\n"},
	};
	assert_int_equal(sizeof rows / sizeof *rows, DIALECTS);
	for (size_t i = 0; i < DIALECTS; i++) {
		assert_true(span_is(rows[i].dialect->terminator, rows[i].terminator));
		assert_true(span_is(rows[i].dialect->heartbeat, rows[i].heartbeat));
	}
}

static void a_supplied_terminator_is_understood(void **state)
{
	for (size_t i = 0; i < DIALECTS; i++) {
		struct sse p;
		struct reader r;
		span in = all[i]->terminator;
		if (in.n == 0)
			continue;
		sse_init(&p, all[i]->syntax, 0);
		reader_init(&r, all[i], NULL, 1);
		r.state.phase = all[i] == &dialect_anthropic; /* a message was started */
		assert_int_equal(sse_next(&p, &in), SSE_EVENT);
		reader_read(&r, &p.event);
		assert_true(r.seen.terminator);
		reader_finish(&r);
		sse_finish(&p);
	}
}

#define MESSAGES "[{\"role\":\"system\",\"content\":\"Be <brief>.\"},{\"role\":\"user\",\"content\":\"Hi \\u00e9\"}," \
	"{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}" \
		"]}," \
	"{\"role\":\"user\",\"content\":\"go on\"}]"

static const struct {
	const struct dialect *dialect;
	const char *prompt, *messages; /* NULL: it cannot be said */
} questions[] = {
	{&dialect_openai_chat, "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\\n\\\"you\\\"\"}],\"stream\":true",
	 "\"messages\":" MESSAGES ",\"stream\":true"},
	{&dialect_openai_completions, "\"prompt\":\"Hi\\n\\\"you\\\"\",\"stream\":true", NULL},
	{&dialect_openai_responses, "\"input\":\"Hi\\n\\\"you\\\"\",\"stream\":true",
		"\"input\":" MESSAGES ",\"stream\":true"},
	{&dialect_anthropic, "\"max_tokens\":4096,\"messages\":[{\"role\":\"user\","
		"\"content\":\"Hi\\n\\\"you\\\"\"}],\"stream\":true",
	 "\"max_tokens\":4096,\"system\":[{\"type\":\"text\",\"text\":\"Be <brief>.\"}],"
	 	"\"messages\":[{\"role\":\"user\",\"content\":\"Hi \\u00e9\"},"
	 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},"
	 "{\"role\":\"user\",\"content\":\"go on\"}],\"stream\":true"},
	{&dialect_gemini, "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Hi\\n\\\"you\\\"\"}]}]",
	 "\"systemInstruction\":{\"parts\":[{\"text\":\"Be <brief>.\"}]},\"contents\":[{\"role\":\"user\","
	 	"\"parts\":[{\"text\":\"Hi \\u00e9\"}]},"
	 "{\"role\":\"model\",\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},{\"role\":\"user\","
	 	"\"parts\":[{\"text\":\"go on\"}]}]"},
	{&dialect_ollama_chat, "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\\n\\\"you\\\"\"}],\"stream\":true",
	 "\"messages\":" MESSAGES ",\"stream\":true"},
	{&dialect_ollama_generate, "\"prompt\":\"Hi\\n\\\"you\\\"\",\"stream\":true", NULL},
	{&dialect_llamacpp, "\"prompt\":\"Hi\\n\\\"you\\\"\",\"stream\":true", NULL},
	{&dialect_tgi, "\"inputs\":\"Hi\\n\\\"you\\\"\"", NULL},
	{&dialect_sglang_generate, "\"text\":\"Hi\\n\\\"you\\\"\",\"stream\":true", NULL},
	{&dialect_ai_ui, "\"id\":\"lastword\",\"trigger\":\"submit-message\",\"messages\":[{\"id\":\"m1\","
		"\"role\":\"user\","
	 "\"parts\":[{\"type\":\"text\",\"text\":\"Hi\\n\\\"you\\\"\"}]}]",
	 "\"id\":\"lastword\",\"trigger\":\"submit-message\",\"messages\":[{\"id\":\"m1\",\"role\":\"system\","
	 	"\"parts\":[{\"type\":\"text\",\"text\":\"Be <brief>.\"}]},"
	 "{\"id\":\"m2\",\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"text\":\"Hi \\u00e9\"}]},"
	 "{\"id\":\"m3\",\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
	 	"\"text\":\"b\"}]},"
	 "{\"id\":\"m4\",\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"text\":\"go on\"}]}]"},
};

enum { QUESTIONS = sizeof questions / sizeof *questions };

static void assert_is_object(const struct buf *members)
{
	struct buf body = {0};
	struct json s;
	buf_put_byte(&body, '{');
	buf_put(&body, buf_span(members));
	buf_put_byte(&body, '}');
	json_init(&s);
	json_feed(&s, buf_span(&body), true);
	assert_true(json_pass(&s));
	assert_int_equal(json_next(&s), JSON_END);
	json_finish(&s);
	buf_finish(&body);
}

static void assert_asks(const struct dialect *d, const struct dialect_question *q, const char *expected)
{
	struct buf out = {0};
	bool said = d->put_question(&out, q);
	assert_int_equal(said, expected != NULL);
	if (expected) {
		assert_string_equal(buf_cstr(&out), expected);
		assert_is_object(&out);
	}
	buf_finish(&out);
}

static void questions_of_every_dialect(void **state)
{
	const struct dialect_question prompt = {.prompt = SPAN("Hi\n\"you\"")}, messages = {.messages = SPAN(MESSAGES)};
	assert_null(dialect_text.put_question);
	assert_int_equal(QUESTIONS, DIALECTS - 1);
	for (size_t i = 0; i < QUESTIONS; i++) {
		assert_asks(questions[i].dialect, &prompt, questions[i].prompt);
		assert_asks(questions[i].dialect, &messages, questions[i].messages);
	}
	assert_true(span_is(dialect_gemini.query, "alt=sse"));
}

/* Half a question is no question. */
static void what_cannot_be_said_is_refused(void **state)
{
	static const span messages[] = {
		SPAN("[{\"role\":\"tool\",\"content\":\"x\"}]"), SPAN("[{\"role\":\"user\"}]"),
			SPAN("[{\"content\":\"x\"}]"),
		SPAN("[{\"role\":\"user\",\"content\":null}]"), SPAN("[{\"role\":\"user\",\"content\":{}}]"),
			SPAN("[7]"),
		SPAN("[{\"role\":\"a role that is longer than any\",\"content\":\"x\"}]"), SPAN("{}"),
		SPAN("[{\"role\":\"user\",\"content\":\"x\"},null]"),
	};
	static const span parts[] = {
		SPAN("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]"),
		SPAN("[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]"),
			SPAN("[{\"role\":\"user\",\"content\":[]}]"),
		SPAN("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":7}]}]"),
			SPAN("[{\"role\":\"user\",\"content\":[\"x\"]}]"),
	};
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		const struct dialect_question q = {.messages = messages[i]};
		assert_asks(&dialect_anthropic, &q, NULL);
		assert_asks(&dialect_gemini, &q, NULL);
		assert_asks(&dialect_ai_ui, &q, NULL);
	}
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const struct dialect_question q = {.messages = parts[i]};
		assert_asks(&dialect_gemini, &q, NULL);
		assert_asks(&dialect_ai_ui, &q, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures),
		cmocka_unit_test(clocks_and_words_that_are_no_status),
		cmocka_unit_test(a_caller_without_a_key_and_one_at_its_limits),
		cmocka_unit_test(a_failure_reads_as_an_error),
		cmocka_unit_test(terminators_and_heartbeats),
		cmocka_unit_test(a_supplied_terminator_is_understood),
		cmocka_unit_test(questions_of_every_dialect),
		cmocka_unit_test(what_cannot_be_said_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
