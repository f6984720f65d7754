/* dialect/llamacpp: frames and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_llamacpp, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("llama.cpp",
		    "data: {\"index\":0,\"content\":\"Hel\",\"tokens\":[1],\"stop\":false,\"tokens_predicted\":1}\n\n"
		    "data: {\"index\":0,\"content\":\"lo\",\"tokens\":[1],\"stop\":false,\"tokens_predicted\":2}\n\n"
		    "data: {\"index\":0,\"content\":\"\",\"tokens\":[1],\"stop\":true,\"stop_type\":\"eos\",\"stoppin"
		    "g_word\":\"\",\"timings\":{\"stop\":false},\"tokens_predicted\":2,\"tokens_evaluated\":7,\"gener"
		    "ation_settings\":{\"stop\":[\"x\"]}}\n\n",
		    "Hello||fed=3 text meaning terminator finish=eos 1/1 usage=7/2"),
		ROW("limit",
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}\n\n"
		    "data: {\"index\":0,\"content\":\"\",\"tokens\":[1],\"stop\":true,\"stop_type\":\"limit\"}\n\n",
		    "a||fed=2 text meaning terminator finish=limit 1/1"),
		ROW("word, with text",
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":true,\"stop_type\":\"word\"}\n\n",
		    "a||fed=1 text meaning terminator finish=word 1/1"),
		ROW("old builds",
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}\n\n"
		    "data: {\"index\":0,\"content\":\"\",\"tokens\":[1],\"stop\":true,\"stopped_eos\":true}\n\n",
		    "a||fed=2 text meaning terminator"),
		ROW("stop before content",
		    "data: {\"stop\":true,\"stop_type\":\"eos\",\"content\":\"x\"}\n\n",
		    "x||fed=1 text meaning terminator finish=eos 1/1"),
		ROW("progress of the prompt",
		    "data: {\"index\":0,\"content\":\"\",\"tokens\":[1],\"stop\":false,\"prompt_progress\":{\"total"
		    "\":9,\"processed\":4}}\n\n"
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false,\"stop_type\":\"none\"}\n\n",
		    "a||fed=2 text meaning"),
		ROW("pings",
		    ":\n\n"
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}\n\n",
		    "a||fed=1 text meaning"),
		ROW("no end",
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning terminator"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_and_what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("an error",
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}\n\n"
		    "data: {\"error\":{\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}}\n\n",
		    "a||fed=2 text meaning error(server_error,500,m)"),
		ROW("an old one: a field",
		    "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}\n\n"
		    "error: {\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}\n\n",
		    "a||fed=1 text meaning error(server_error,500,m)"),
		ROW("no JSON",
		    "data: x\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("odd types",
		    "data: {\"content\":[],\"stop\":\"true\",\"stop_type\":7}\n\n",
		    "||fed=1"),
	};
	ASSERT_ROWS(&one, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(errors_and_what_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
