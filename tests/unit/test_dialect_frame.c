/* dialect/frame: which errors go on as they are, and what remains of an event without its end. */
#include "reading.h"

static const struct dialect *const all[] = {&dialect_text, &dialect_openai_chat, &dialect_openai_completions,
	&dialect_openai_responses, &dialect_anthropic, &dialect_gemini, &dialect_ollama_chat, &dialect_ollama_generate,
	&dialect_llamacpp, &dialect_tgi, &dialect_sglang_generate, &dialect_ai_ui};

enum { DIALECTS = sizeof all / sizeof *all };

/* The first event of a body. */
struct first {
	struct sse parser;
	struct sse_event *event;
};

static void read_first(struct first *f, const struct dialect *d, span body)
{
	sse_init(&f->parser, d->syntax, 0);
	assert_int_equal(sse_next(&f->parser, &body), SSE_EVENT);
	f->event = &f->parser.event;
}

static bool raises(const struct dialect *d, const char *body)
{
	struct first f;
	read_first(&f, d, span_str(body));
	bool it_does = dialect_event_raises(d, f.event);
	sse_finish(&f.parser);
	return it_does;
}

/* What is said here must be what is let through, or the two disagree about what clients do. */
static void our_own_failures_raise(void **state)
{
	static const struct failure failures[] = {
		{.cause = CAUSE_TRUNCATED, .sentence = "No \"end\".", .sequence = -1},
		{.cause = CAUSE_ERROR, .type = "t", .code = "200", .message = "m", .sequence = 3},
		{.cause = CAUSE_ERROR, .type = "t", .code = "insufficient_quota", .message = "", .sequence = 3},
	};
	for (size_t i = 0; i < DIALECTS; i++)
		for (size_t k = 0; k < sizeof failures / sizeof *failures; k++) {
			struct buf out = {0};
			dialect_put_failure(&out, all[i], &failures[k]);
			assert_non_null(buf_cstr(&out));
			if (!raises(all[i], out.p))
				fail_msg("%s: %s", all[i]->name, out.p);
			buf_finish(&out);
		}
}

static void what_clients_pass_over_does_not_raise(void **state)
{
	static const struct {
		const struct dialect *dialect;
		const char *body;
		bool raises;
	} rows[] = {
		{&dialect_openai_chat, "data: {\"error\":{\"message\":\"m\",\"code\":500}}\n\n", true},
		{&dialect_openai_chat, "data: {\"error\":\"m\"}\n\n", false},
		{&dialect_openai_chat, "data: {\"object\":\"error\",\"message\":\"m\"}\n\n", false},
		{&dialect_openai_chat, "data: {\"error\":{\"message\":\"m\"},\"choices\":[]}\n\n", false},
		{&dialect_openai_chat, "event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n", false},
		{&dialect_openai_chat, "error: {\"message\":\"m\"}\n\n", false},
		{&dialect_openai_chat, "{\"error\":{\"message\":\"m\"}}\n\n", false},
		{&dialect_anthropic, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n", true},
		{&dialect_anthropic, "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n", false},
		{&dialect_anthropic, "event: error\ndata: {\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}\n\n", false},
		{&dialect_openai_responses, "event: error\ndata: {\"type\":\"error\",\"message\":\"m\",\"code\":null}\n\n", false},
		{&dialect_openai_responses, "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"m\"}}\n\n", false},
		{&dialect_openai_responses, "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{}}\n\n", false},
		{&dialect_gemini, "data: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n", true},
		{&dialect_gemini, "data: {\"error\":{\"code\":14,\"message\":\"m\"}}\n\n", false},
		{&dialect_gemini, "data: {\"error\":{\"message\":\"m\"}}\n\n", false},
		{&dialect_ollama_chat, "{\"error\":\"m\"}\n", true},
		{&dialect_ollama_chat, "{\"error\":{\"message\":\"m\"}}\n", false},
		{&dialect_ollama_chat, "{\"error\":\"\"}\n", false},
		{&dialect_ai_ui, "data: {\"type\":\"error\",\"errorText\":\"m\"}\n\n", true},
		{&dialect_ai_ui, "data: {\"type\":\"abort\"}\n\n", false},
		{&dialect_text, "event: error\ndata: no JSON\n\n", true},
		{&dialect_text, "event: failed\ndata: {}\n\n", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (raises(rows[i].dialect, rows[i].body) != rows[i].raises)
			fail_msg("%s: %s", rows[i].dialect->name, rows[i].body);
}

static void expect_unfinished(const struct dialect *d, const char *body, const char *frame)
{
	struct first f;
	struct buf out = {0};
	read_first(&f, d, span_str(body));
	assert_true(dialect_put_unfinished(&out, d, f.event) == (frame != NULL));
	assert_non_null(buf_cstr(&out));
	assert_string_equal(out.p, frame ? frame : "");
	buf_finish(&out);
	sse_finish(&f.parser);
	if (!frame)
		return;
	struct buf line = {0};
	reading_run(&line, &(struct reading){.dialect = d, .n = 1}, span_str(frame), 1);
	assert_true(span_starts(buf_span(&line), SPAN("Hi|")));
	assert_null(strstr(buf_cstr(&line), "terminator"));
	assert_null(strstr(line.p, "failing"));
	assert_null(strstr(line.p, "error("));
	assert_null(strstr(line.p, "finish="));
	buf_finish(&line);
}

static void what_an_event_says_goes_on_without_its_end(void **state)
{
	expect_unfinished(&dialect_openai_chat,
		"id: 7\nevent: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"abort\"}],\ndata: \"error\":{\"message\":\"m\"}}\n\n",
		"id: 7\nevent: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n");
	expect_unfinished(&dialect_openai_completions,
		"data: {\"choices\":[{\"text\":\"Hi\",\"finish_reason\":\"error\"}]}\r\n\r\n",
		"data: {\"choices\":[{\"text\":\"Hi\",\"finish_reason\":null}]}\n\n");
	expect_unfinished(&dialect_gemini,
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"finishReason\":\"ERROR\"}],\"error\":{\"code\":500}}\n\n",
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"finishReason\":null}]}\n\n");
	expect_unfinished(&dialect_ollama_chat,
		"{\"message\":{\"content\":\"Hi\"},\"done\":true,\"done_reason\":\"abort\"}\n",
		"{\"message\":{\"content\":\"Hi\"},\"done\":false}\n");
	expect_unfinished(&dialect_ollama_generate,
		"{\"error\":\"m\",\"response\":\"Hi\",\"done\":false}\n", "{\"response\":\"Hi\",\"done\":false}\n");
	expect_unfinished(&dialect_llamacpp,
		"data: {\"content\":\"Hi\",\"stop\":true,\"stop_type\":\"error\"}\n\n",
		"data: {\"content\":\"Hi\",\"stop\":false}\n\n");
	expect_unfinished(&dialect_tgi,
		"data: {\"token\":{\"text\":\"Hi\",\"special\":false},\"generated_text\":\"Hi\",\"details\":{\"finish_reason\":\"error\"}}\n\n",
		"data: {\"token\":{\"text\":\"Hi\",\"special\":false},\"generated_text\":null,\"details\":null}\n\n");
	expect_unfinished(&dialect_sglang_generate,
		"data: {\"text\":\"Hi\",\"meta_info\":{\"finish_reason\":{\"type\":\"abort\"}}}\n\n",
		"data: {\"text\":\"Hi\",\"meta_info\":{\"finish_reason\":null}}\n\n");
}

static void what_cannot_be_divided_is_not(void **state)
{
	expect_unfinished(&dialect_text, "event: error\ndata: Hi\n\n", NULL);
	expect_unfinished(&dialect_openai_chat, "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"\n\n", NULL);
	expect_unfinished(&dialect_openai_chat, "error: {}\n\n", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_failures_raise),
		cmocka_unit_test(what_clients_pass_over_does_not_raise),
		cmocka_unit_test(what_an_event_says_goes_on_without_its_end),
		cmocka_unit_test(what_cannot_be_divided_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
