/* dialect/openai-responses: bodies of several servers and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_openai_responses, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("OpenAI",
		    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":1,\"response"
		    "\":{\"id\":\"r\",\"status\":\"in_progress\",\"error\":null}}\n\n"
		    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_num"
		    "ber\":1,\"item\":{\"type\":\"message\"}}\n\n"
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"Hel\"}\n\n"
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"lo\"}\n\n"
		    "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_numbe"
		    "r\":1,\"text\":\"Hello\"}\n\n"
		    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"respon"
		    "se\":{\"id\":\"r\",\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"usage"
		    "\":{\"input_tokens\":5,\"output_tokens\":2}}}\n\n",
		    "Hello||fed=6 text meaning terminator finish=completed 1/1 usage=5/2"),
		ROW("incomplete",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n"
		    "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"sequence_number\":1,\"resp"
		    "onse\":{\"id\":\"r\",\"status\":\"incomplete\",\"error\":null,\"incomplete_details\":{\"reason"
		    "\":\"max_output_tokens\"},\"usage\":{\"input_tokens\":5,\"output_tokens\":2}}}\n\n",
		    "a||fed=2 text meaning terminator finish=max_output_tokens 1/1 usage=5/2"),
		ROW("without a word",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n"
		    "data: {\"type\":\"response.completed\"}\n\n",
		    "a||fed=2 text meaning terminator"),
		ROW("by the name of the event",
		    "event: response.output_text.delta\ndata: {\"delta\":\"x\"}\n\n",
		    "x||fed=1 text meaning"),
		ROW("type behind delta",
		    "data: {\"delta\":\"x\",\"type\":\"response.output_text.delta\"}\n\n",
		    "x||fed=1 text meaning"),
		ROW("refusal",
		    "event: response.refusal.delta\ndata: {\"type\":\"response.refusal.delta\",\"sequence_number\":1,"
		    "\"delta\":\"No\"}\n\n",
		    "No||fed=1 text meaning"),
		ROW("reasoning",
		    "event: response.reasoning_text.delta\ndata: {\"type\":\"response.reasoning_text.delta\",\"sequen"
		    "ce_number\":1,\"delta\":\"hm\"}\n\n"
		    "event: response.reasoning_summary_text.delta\ndata: {\"type\":\"response.reasoning_summary_text."
		    "delta\",\"sequence_number\":1,\"delta\":\" so\"}\n\n",
		    "|hm so|fed=2 meaning"),
		ROW("tools",
		    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_argument"
		    "s.delta\",\"sequence_number\":1,\"delta\":\"{\"}\n\n"
		    "event: response.custom_tool_call_input.delta\ndata: {\"type\":\"response.custom_tool_call_input."
		    "delta\",\"sequence_number\":1,\"delta\":\"x\"}\n\n"
		    "event: response.mcp_call_arguments.delta\ndata: {\"type\":\"response.mcp_call_arguments.delta"
		    "\",\"sequence_number\":1,\"delta\":\"\"}\n\n",
		    "||tools=3 fed=3 meaning"),
		ROW("escapes, a pair over two events",
		    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\\n\\ud83d\"}\n\n"
		    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\\ude00\"}\n\n",
		    "\n\360\237\230\200||fed=2 text meaning"),
		ROW("no terminal event",
		    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":1,\"response"
		    "\":{\"id\":\"r\",\"status\":\"in_progress\",\"error\":null}}\n\n"
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n",
		    "a||fed=2 text meaning"),
		ROW("[DONE] behind it",
		    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"respon"
		    "se\":{\"id\":\"r\",\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"usage"
		    "\":{\"input_tokens\":5,\"output_tokens\":2}}}\n\n"
		    "data: [DONE]\n\n",
		    "||fed=1 meaning terminator finish=completed 1/1 usage=5/2"),
		ROW("[DONE] instead of it",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning terminator"),
	};
	ASSERT_ROWS(&one, rows);
}

static void what_has_no_meaning(void **state)
{
	static const struct reading_row rows[] = {
		ROW("progress",
		    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":1,\"response"
		    "\":{\"id\":\"r\",\"status\":\"in_progress\",\"error\":null}}\n\n"
		    "event: response.queued\ndata: {\"type\":\"response.queued\",\"sequence_number\":1}\n\n"
		    "event: response.web_search_call.searching\ndata: {\"type\":\"response.web_search_call.searching"
		    "\",\"sequence_number\":1}\n\n",
		    "||fed=3"),
		ROW("pings",
		    "data: {\"type\":\"keepalive\",\"sequence_number\":3}\n\n"
		    "event: keepalive\ndata: {}\n\n",
		    "||fed=0"),
		ROW("an empty delta",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"\"}\n\n",
		    "||fed=1"),
		ROW("a delta of another type",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"delta\":{\"x\":1}}\n\n"
		    "event: response.audio.delta\ndata: {\"type\":\"response.audio.delta\",\"sequence_number\":1,"
		    "\"delta\":\"x\"}\n\n",
		    "||fed=2"),
		ROW("odd types",
		    "data: {\"type\":7,\"delta\":[],\"response\":[1],\"sequence_number\":\"1\"}\n\n"
		    "data: {\"type\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxx\"}\n\n",
		    "||fed=2"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_in_all_shapes(void **state)
{
	static const struct reading_row rows[] = {
		ROW("flat",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n"
		    "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null,\"sequence_"
		    "number\":4}\n\n",
		    "a||fed=2 text meaning error(,server_error,m)"),
		ROW("flat, named",
		    "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\"}\n\n",
		    "||fed=1 meaning error(,server_error,m)"),
		ROW("nested",
		    "data: {\"type\":\"error\",\"error\":{\"type\":\"t\",\"code\":\"c\",\"message\":\"m\"},\"sequence"
		    "_number\":2}\n\n",
		    "||fed=1 meaning error(t,c,m)"),
		ROW("nested, type last",
		    "data: {\"error\":{\"type\":\"t\",\"code\":\"c\",\"message\":\"m\"},\"type\":\"error\"}\n\n",
		    "||fed=1 meaning error(t,c,m)"),
		ROW("failed",
		    "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":1,\"response"
		    "\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}}"
		    "\n\n",
		    "||fed=1 meaning error(,rate_limit_exceeded,slow)"),
		ROW("failed without words",
		    "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":1}\n\n",
		    "||fed=1 meaning error(,,)"),
		ROW("llama.cpp: unnamed",
		    "data: {\"error\":{\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}}\n\n",
		    "||fed=1 meaning error(server_error,500,m)"),
		ROW("null is none",
		    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"error\":null}\n\n",
		    "a||fed=1 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("no JSON",
		    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_num"
		    "ber\":1,\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n"
		    "data: x\n\n",
		    "a||fed=1 text meaning unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("an array",
		    "data: []\n\n",
		    "||fed=0 unreadable(expected a JSON object, at byte 1 of an event)"),
		ROW("a bad escape in a delta",
		    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\\q\"}\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 47 of an event: expected one of \"\\/bfnrtu behind a bac"
		    "kslash)"),
	};
	ASSERT_ROWS(&one, rows);
}

static void the_last_sequence_number_is_kept(void **state)
{
	struct reader r;
	struct sse_event event = {.data = SPAN("{\"type\":\"response.created\",\"sequence_number\":7}"),
		.has_data = true};
	reader_init(&r, &dialect_openai_responses, NULL, 1);
	assert_int_equal(r.seen.sequence, -1);
	reader_read(&r, &event);
	assert_int_equal(r.seen.sequence, 7);
	reader_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(what_has_no_meaning),
		cmocka_unit_test(errors_in_all_shapes),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(the_last_sequence_number_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
