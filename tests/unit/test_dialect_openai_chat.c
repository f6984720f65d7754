/* dialect/openai-chat: bodies of many servers and what is read in them (reading.h). */
#include "reading.h"

#define CHUNK(members) "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\"," members "}\n\n"
#define CHOICE(delta, finish) "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish "}]"
#define TEXT(text) CHUNK(CHOICE("\"content\":\"" text "\"", "null"))
#define FINISH(word) CHUNK(CHOICE("", "\"" word "\""))
#define DONE "data: [DONE]\n\n"

static const struct reading one = {&dialect_openai_chat, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("OpenAI", CHUNK(CHOICE("\"role\":\"assistant\",\"content\":\"\"", "null")) TEXT("Hel") TEXT("lo")
		    FINISH("stop") DONE,
		    "Hello||fed=5 text meaning terminator finish=stop 1/1"),
		ROW("usage at the end", TEXT("a") FINISH("length")
		    CHUNK("\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}") DONE,
		    "a||fed=4 text meaning terminator finish=length 1/1 usage=9/2"),
		ROW("vLLM: text with the finish", CHUNK(CHOICE("\"content\":\"last\"", "\"stop\"") ",\"usage\":null")
		    DONE,
		    "last||fed=2 text meaning terminator finish=stop 1/1"),
		ROW("finish before the delta",
		    "data: {\"choices\":[{\"finish_reason\":\"stop\",\"delta\":{\"content\":\"x\"},\"index\":0}]}\n\n",
		    "x||fed=1 text meaning finish=stop 1/1"),
		ROW("transformers serve: usage with the finish, no [DONE]", TEXT("a") CHUNK(CHOICE("",
		    "\"stop\"") ",\"usage\":{\"completion_tokens\":1,\"prompt_tokens\":4}"),
		    "a||fed=2 text meaning finish=stop 1/1 usage=4/1"),
		ROW("refusal", CHUNK(CHOICE("\"refusal\":\"I cannot\"", "null"))
		    FINISH("stop"), "I cannot||fed=2 text meaning finish=stop 1/1"),
		ROW("content filter", TEXT("a") FINISH("content_filter")
		    DONE, "a||fed=3 text meaning terminator finish=content_filter 1/1"),
		ROW("behind the terminator", DONE TEXT("x"), "||fed=1 terminator"),
		ROW("CRLF and no space",
		    "data:{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\r\n\r\ndata:[DONE]\r\n\r\n",
		    "x||fed=2 text meaning terminator"),
		ROW("pretty JSON over several lines",
		    "data: {\"choices\": [\ndata:  {\"delta\": {\"content\": \"x\"}}\ndata: ]}\n\n",
		    "x||fed=1 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void what_has_no_meaning(void **state)
{
	static const struct reading_row rows[] = {
		ROW("a role", CHUNK(CHOICE("\"role\":\"assistant\",\"content\":\"\"", "null")), "||fed=1"),
		ROW("null content",
		    CHUNK(CHOICE("\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":null,\"function_call\":null", "null")), "||fed=1"),
		ROW("usage", CHUNK("\"choices\":[],\"usage\":{\"prompt_tokens\":1}"), "||fed=1 usage=1/-1"),
		ROW("odd usage",
		    CHUNK("\"choices\":[],\"usage\":{\"prompt_tokens\":1.5,\"completion_tokens\":\"7\",\"completion_tokens_details\":{\"reasoning_tokens\":3}}"), "||fed=1"),
		ROW("no choices", CHUNK("\"choices\":null") CHUNK("\"x\":[]") "data: {}\n\n", "||fed=3"),
		ROW("an empty finish", FINISH(""), "||fed=1"),
		ROW("odd types",
		    CHUNK("\"choices\":[7,{\"delta\":[1,{}],\"finish_reason\":false,\"index\":null}],\"usage\":[]"), "||fed=1 0/2"),
		ROW("empty tool calls", CHUNK(CHOICE("\"tool_calls\":[],\"function_call\":{}", "null")), "||fed=1"),
		ROW("no data", "event: x\n\nid: 1\n\ndata:\n\ndata:  \n\n: c\n\n", "||fed=0"),
		ROW("pings", "event: ping\ndata: {}\n\nevent: keepalive\ndata: x\n\n", "||fed=0"),
		ROW("a name of an event means nothing", "event: close\ndata: {}\n\n", "||fed=1"),
		ROW("obfuscation, timings",
		    CHUNK("\"obfuscation\":\"xyz\",\"timings\":{\"error\":1,\"choices\":[]},\"choices\":[]"), "||fed=1"),
		ROW("an error that is none", CHUNK(CHOICE("\"content\":\"a\"",
		    "null") ",\"error\":null"), "a||fed=1 text meaning"),
		ROW("an empty error beside choices", CHUNK(CHOICE("\"content\":\"a\"",
		    "null") ",\"error\":\"\""), "a||fed=1 text meaning"),
		ROW("message and code alone", CHUNK("\"choices\":[],\"message\":\"hi\",\"code\":3"), "||fed=1"),
	};
	ASSERT_ROWS(&one, rows);
}

static void reasoning_and_tools(void **state)
{
	static const struct reading_row rows[] = {
		ROW("DeepSeek", CHUNK(CHOICE("\"content\":null,\"reasoning_content\":\"hm\"", "null"))
		    TEXT("a"), "a|hm|fed=2 text meaning"),
		ROW("vLLM", CHUNK(CHOICE("\"reasoning\":\"hm\"", "null")), "|hm|fed=1 meaning"),
		ROW("both names, once", CHUNK(CHOICE("\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"",
		    "null")), "|hm|fed=1 meaning"),
		ROW("both names, one empty", CHUNK(CHOICE("\"reasoning\":\"\",\"reasoning_content\":\"hm\"",
		    "null")), "|hm|fed=1 meaning"),
		ROW("Mistral's parts",
		    CHUNK(CHOICE("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":\"a\"},3]", "null")),
		    "a|hm|fed=1 text meaning"),
		ROW("tool calls",
		    CHUNK(CHOICE("\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"content\\\":\"}}]", "null"))
		    CHUNK(CHOICE("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]", "null"))
		    FINISH("tool_calls") DONE,
		    "||tools=2 fed=4 meaning terminator finish=tool_calls 1/1"),
		ROW("function call", CHUNK(CHOICE("\"function_call\":{\"arguments\":\"x\"}",
		    "null")), "||tools=1 fed=1 meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void characters_may_be_split(void **state)
{
	static const struct reading_row rows[] = {
		ROW("a pair in one event", TEXT("\\ud83d\\ude00"), "\U0001f600||fed=1 text meaning"),
		ROW("a pair over two events", TEXT("a\\ud83d") CHUNK(CHOICE("", "null"))
		    TEXT("\\uDE00b"), "a\U0001f600b||fed=3 text meaning"),
		ROW("a pair over text and reasoning", TEXT("\\ud83d") CHUNK(CHOICE("\"reasoning\":\"\\ude00\"",
		    "null")), "\uFFFD|\uFFFD|fed=2 text meaning"),
		ROW("half a pair, never whole", TEXT("\\ud83d") FINISH("stop")
		    DONE, "\uFFFD||fed=3 text meaning terminator finish=stop 1/1"),
		ROW("raw bytes over two events", TEXT("\xE2\x82") TEXT("\xAC"), "\u20ac||fed=2 text meaning"),
		ROW("bad bytes", TEXT("a\xFFz"), "a\uFFFDz||fed=1 text meaning"),
		ROW("escapes", TEXT("\\n\\t\\\"\\u0000\\u00e9"), "\n\t\"\0\u00e9||fed=1 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void terminators(void **state)
{
	static const struct reading_row rows[] = {
		ROW("with a space behind", "data: [DONE] \n\n", "||fed=1 terminator"),
		ROW("without a space", "data:[DONE]\n\n", "||fed=1 terminator"),
		ROW("with a name", "event: close\ndata: [DONE]\n\n", "||fed=1 terminator"),
		ROW("inside text", TEXT("[DONE]"), "[DONE]||fed=1 text meaning"),
		ROW("inside an array", "data: [\"DONE\"]\n\n",
		    "||fed=0 unreadable(expected a JSON object, at byte 1 of an event)"),
		ROW("with something behind", "data: [DONE] x\n\n",
		    "||fed=0 unreadable(expected a JSON object, at byte 1 of an event)"),
		ROW("in a second line", TEXT("a") "data: [DONE]\ndata: [DONE]\n\n",
		    "a||fed=1 text meaning unreadable(expected a JSON object, at byte 1 of an event)"),
		ROW("without its blank line", TEXT("a") "data: [DONE]\n", "a||fed=1 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_in_all_shapes(void **state)
{
	static const struct reading_row rows[] = {
		ROW("vLLM: an object, then [DONE]",
		    TEXT("a") "data: {\"error\":{\"message\":\"gone\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\n" DONE,
		    "a||fed=2 text meaning error(InternalServerError,500,gone)"),
		ROW("transformers serve: a string", "data: {\"error\": \"bad luck\"}\n\n",
		    "||fed=1 meaning error(,,bad luck)"),
		ROW("the same, unescaped", "data: {\"error\": \"no \"such\" thing\"}\n\n",
		    "||fed=1 meaning error(,,{\"error\": \"no \"such\" thing\"})"),
		ROW("an empty string", "data: {\"error\": \"\"}\n\n", "||fed=1 meaning error(,,)"),
		ROW("an empty object", "data: {\"error\": {}}\n\n", "||fed=1 meaning error(,,)"),
		ROW("SGLang: flat",
		    "data: {\"object\":\"error\",\"message\":\"m\",\"type\":\"BadRequest\",\"param\":null,\"code\":400}\n\n", "||fed=1 meaning error(BadRequest,400,m)"),
		ROW("SGLang: wrapped",
		    "data: {\"error\":{\"object\":\"error\",\"message\":\"m\",\"type\":\"T\",\"code\":400}}\n\n"
		    FINISH("stop") DONE, "||fed=1 meaning error(T,400,m)"),
		ROW("TGI", "data: {\"error\":{\"message\":\"m\",\"http_status_code\":422}}\n\n"
		    DONE, "||fed=1 meaning error(,422,m)"),
		ROW("TGI, native", "data: {\"error\":\"Request failed\",\"error_type\":\"generation\"}\n\n",
		    "||fed=1 meaning error(generation,,Request failed)"),
		ROW("llama.cpp",
		    "data: {\"error\":{\"code\":500,\"message\":\"slot\",\"type\":\"server_error\"}}\n\n",
		    "||fed=1 meaning error(server_error,500,slot)"),
		ROW("old llama.cpp: a field",
		    TEXT("a") "error: {\"code\":500,\"message\":\"slot\",\"type\":\"server_error\"}\n\n"
		    DONE, "a||fed=1 text meaning error(server_error,500,slot)"),
		ROW("a field with a sentence", "error: slot gone\n\n", "||fed=0 meaning error(,,slot gone)"),
		ROW("an empty field", "error:\n\n", "||fed=0 meaning error(,,)"),
		ROW("event: error", "event: error\ndata: {\"message\":\"m\",\"type\":\"t\"}\n\n",
		    "||fed=1 meaning error(t,,m)"),
		ROW("event: error, a sentence", "event: error\ndata: dead\n\n", "||fed=1 meaning error(,,dead)"),
		ROW("event: error without data", "event: error\n\n", "||fed=0 meaning error(,,)"),
		ROW("Anthropic's",
		    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"try later\"}}\n\n",
		    "||fed=1 meaning error(overloaded_error,,try later)"),
		ROW("the same, members turned",
		    "event: error\ndata: {\"error\":{\"type\":\"overloaded_error\",\"message\":\"try later\"},\"type\":\"error\",\"code\":1}\n\n",
		    "||fed=1 meaning error(overloaded_error,1,try later)"),
		ROW("OpenRouter: with choices",
		    CHUNK("\"error\":{\"code\":\"server_error\",\"message\":\"down\"}," CHOICE("\"content\":\"\"",
		    "\"error\"")),
		    "||fed=1 meaning failing error(,server_error,down) finish=error 1/1"),
		ROW("text, a finish and an error", CHUNK(CHOICE("\"content\":\"x\"",
		    "\"stop\"") ",\"error\":\"e\""), "x||fed=1 text meaning error(,,e) finish=stop 1/1"),
		ROW("behind a finish", TEXT("a") FINISH("stop") "data: {\"error\":{\"message\":\"late\"}}\n\n"
		    DONE, "a||fed=3 text meaning error(,,late) finish=stop 1/1"),
		ROW("a number", "data: {\"error\":503}\n\n", "||fed=1 meaning error(,,503)"),
		ROW("detail", "data: {\"error\":{\"detail\":\"d\",\"type\":null}}\n\n", "||fed=1 meaning error(,,d)"),
	};
	ASSERT_ROWS(&one, rows);
}

static void failing_finishes(void **state)
{
	static const struct reading_row rows[] = {
		ROW("abort", TEXT("a") FINISH("abort") DONE, "a||fed=2 text meaning failing finish=abort 1/1"),
		ROW("aborted", FINISH("aborted"), "||fed=1 meaning failing finish=aborted 1/1"),
		ROW("error, with text", CHUNK(CHOICE("\"content\":\"x\"",
		    "\"error\"")), "x||fed=1 text meaning failing finish=error 1/1"),
		ROW("a word that only looks like it", FINISH("Abort"), "||fed=1 meaning finish=Abort 1/1"),
		ROW("of another choice",
		    FINISH("stop") "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"abort\"},{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n",
		    "||fed=2 meaning failing finish=abort 2/2"),
	};
	ASSERT_ROWS(&one, rows);
}

static void several_choices(void **state)
{
	static const struct reading two = {&dialect_openai_chat, NULL, 2};
	static const struct reading_row asked[] = {
		ROW("one of two", TEXT("a") FINISH("stop") DONE, "a||fed=3 text meaning terminator finish=stop 1/2"),
		ROW("both",
		    "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"length\"},{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n", "||fed=1 meaning finish=stop 2/2"),
	};
	static const struct reading_row seen[] = {
		ROW("the other's text is not shown",
		    TEXT("a") "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n",
		    "a||fed=2 text meaning 0/2"),
		ROW("nor when the index comes last",
		    TEXT("a\\ud83d") "data: {\"choices\":[{\"delta\":{\"content\":\"b\",\"reasoning\":\"r\"},\"index\":2}]}\n\n" TEXT("\\ude00"),
		    "a\U0001f600||fed=3 text meaning 0/3"),
		ROW("only the other's text", "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"index\":1}]}\n\n",
		    "||fed=1 text meaning 0/2"),
		ROW("only the other's reasoning",
		    "data: {\"choices\":[{\"delta\":{\"reasoning\":\"b\"},\"index\":1}]}\n\n", "||fed=1 meaning 0/2"),
		ROW("the other's tools", "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]},\"index\":1}]}\n\n",
		    "||tools=1 fed=1 meaning 0/2"),
		ROW("both in one event",
		    "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"index\":1},{\"delta\":{\"content\":\"a\"},\"index\":0}]}\n\n", "a||fed=1 text meaning 0/2"),
		ROW("without an index: by place",
		    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}\n\n",
		    "a||fed=1 text meaning 0/2"),
		ROW("a finish twice counts once", FINISH("stop") FINISH("stop"), "||fed=2 meaning finish=stop 1/1"),
		ROW("finish of the other", "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"stop\"}]}\n\n",
		    "||fed=1 meaning 1/2"),
		ROW("the last index", "data: {\"choices\":[{\"index\":127,\"finish_reason\":\"stop\"}]}\n\n",
		    "||fed=1 meaning 1/128"),
		ROW("beyond it", "data: {\"choices\":[{\"index\":128}]}\n\n",
		    "||fed=0 unreadable(expected an index from 0 to 127 in each of `choices`, at byte 24 of an event)"),
		ROW("below it", "data: {\"choices\":[{\"index\":-1}]}\n\n",
		    "||fed=0 unreadable(expected an index from 0 to 127 in each of `choices`, at byte 23 of an event)"),
	};
	ASSERT_ROWS(&two, asked);
	ASSERT_ROWS(&one, seen);
}

static void what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("no JSON", TEXT("a") "data: hello\n\n" TEXT("b")
		    DONE, "a||fed=1 text meaning unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("half an object", "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 36 of an event: expected ',' or '}')"),
		ROW("its text is not taken",
		    TEXT("a\xE2\x82") "data: {\"choices\":[{\"delta\":{\"content\":\"\xAC\"}}]\n\n",
		    "a\uFFFD||fed=1 text meaning unreadable(invalid JSON at byte 38 of an event: expected ',' or '}')"),
		ROW("two objects", "data: {}{}\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 2 of an event: expected nothing but white space behind the value)"),
		ROW("an array", "data: []\n\n", "||fed=0 unreadable(expected a JSON object, at byte 1 of an event)"),
		ROW("null", "data: null\n\n", "||fed=0 unreadable(expected a JSON object, at byte 4 of an event)"),
		ROW("a bad escape in a skipped member", "data: {\"x\":\"\\q\"}\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 7 of an event: expected one of \"\\/bfnrtu behind a backslash)"),
	};
	ASSERT_ROWS(&one, rows);
}

static void an_event_cut_at_any_byte_says_nothing(void **state)
{
	const span whole = SPAN("{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
		"\"reasoning\":\"b\",\"refusal\":\"c\",\"tool_calls\":[{\"index\":0}],\"x\":[]},\"finish_reason\":\"stop\"},"
		"{\"index\":1,\"delta\":null}],\"usage\":{\"prompt_tokens\":1,\"y\":{}}}");
	for (size_t n = 1; n <= whole.n; n++) {
		struct reader r;
		struct sse_event event = {.data = span_first(whole, n), .has_data = true};
		reader_init(&r, &dialect_openai_chat, NULL, 1);
		reader_read(&r, &event);
		assert_int_equal(r.seen.unreadable, n < whole.n);
		assert_int_equal(r.seen.text, n == whole.n);
		assert_int_equal(r.text.n, n == whole.n ? 2 : 0);
		assert_int_equal(r.reasoning.n, n == whole.n ? 1 : 0);
		reader_flush(&r);
		assert_int_equal(r.text.n + r.reasoning.n, 0);
		reader_finish(&r);
	}
}

static void more_choices_than_any_server_offers(void **state)
{
	struct buf body = {0}, out = {0};
	buf_put(&body, SPAN("data: {\"choices\":[{}"));
	for (int i = 1; i < DIALECT_CHOICES; i++)
		buf_put(&body, SPAN(",{}"));
	size_t whole = body.n;
	buf_put(&body, SPAN("]}\n\n"));
	reading_run(&out, &one, buf_span(&body), body.n);
	assert_true(span_is(buf_span(&out), "||fed=1 0/128"));
	body.n = whole;
	out.n = 0;
	buf_put(&body, SPAN(",{}]}\n\n"));
	reading_run(&out, &one, buf_span(&body), body.n);
	assert_true(span_starts(buf_span(&out), SPAN("||fed=0 unreadable(expected an index from 0 to 127")));
	buf_finish(&body);
	buf_finish(&out);
}

static void deep_nesting_ends_it(void **state)
{
	struct buf body = {0}, out = {0};
	buf_put(&body, SPAN("data: {\"x\":"));
	for (int i = 0; i < 100000; i++)
		buf_put_byte(&body, '[');
	buf_put(&body, SPAN("\n\n"));
	reading_run(&out, &one, buf_span(&body), body.n);
	assert_true(span_is(buf_span(&out), "||fed=0 unreadable(invalid JSON at byte 68 of an event: expected at most 64 levels of nesting)"));
	buf_finish(&body);
	buf_finish(&out);
}

static void a_body_that_is_an_error(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	assert_false(dialect_openai_chat.read_error_body(&r, SPAN("{\"choices\":[{\"message\":{\"content\":\"error\"}}]}")));
	assert_false(r.seen.error);
	assert_true(dialect_openai_chat.read_error_body(&r, SPAN("{\"error\":{\"message\":\"no such model\",\"type\":\"invalid_request_error\",\"code\":\"model_not_found\"}}")));
	assert_true(r.seen.error);
	assert_string_equal(r.seen.error_code, "model_not_found");
	assert_string_equal(r.seen.error_message, "no such model");
	reader_finish(&r);
}

static void a_text_that_memory_cannot_hold_has_failed(void **state)
{
	struct reader r;
	struct sse_event event = {.data = SPAN("{\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}"), .has_data = true};
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	r.reasoning.failed = true;
	reader_read(&r, &event);
	assert_true(r.text.failed);
	reader_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(what_has_no_meaning),
		cmocka_unit_test(reasoning_and_tools),
		cmocka_unit_test(characters_may_be_split),
		cmocka_unit_test(terminators),
		cmocka_unit_test(errors_in_all_shapes),
		cmocka_unit_test(failing_finishes),
		cmocka_unit_test(several_choices),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(an_event_cut_at_any_byte_says_nothing),
		cmocka_unit_test(more_choices_than_any_server_offers),
		cmocka_unit_test(deep_nesting_ends_it),
		cmocka_unit_test(a_body_that_is_an_error),
		cmocka_unit_test(a_text_that_memory_cannot_hold_has_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
