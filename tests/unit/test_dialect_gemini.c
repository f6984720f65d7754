/* dialect/gemini: bodies and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_gemini, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("Gemini",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hel\"}],\"role\":\"model\"},\"index"
		    "\":0}],\"usageMetadata\":{\"promptTokenCount\":4}}\r\n\r\ndata: {\"candidates\":[{\"content"
		    "\":{\"parts\":[{\"text\":\"l\"},{\"text\":\"o\"}],\"role\":\"model\"},\"finishReason\":\"STOP"
		    "\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":2,\"thoughts"
		    "TokenCount\":3}}\r\n\r\n",
		    "Hello||fed=2 text meaning finish=STOP 1/1 usage=4/5"),
		ROW("a finish without content",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index"
		    "\":0}]}\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"MAX_TOKENS\",\"index\":0}]}\r\n\r\n",
		    "a||fed=2 text meaning finish=MAX_TOKENS 1/1"),
		ROW("STOP on every chunk",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"finishRe"
		    "ason\":\"STOP\",\"index\":0}]}\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text"
		    "\":\"b\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}]}\r\n\r\ndata: {\"candidat"
		    "es\":[{\"content\":{\"parts\":[{\"text\":\"c\"}],\"role\":\"model\"},\"finishReason\":\"MAX_TOKE"
		    "NS\",\"index\":0}]}\r\n\r\n",
		    "abc||fed=3 text meaning finish=MAX_TOKENS 1/1"),
		ROW("thoughts",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true},{\"text"
		    "\":\"a\",\"thought\":false}],\"role\":\"model\"},\"index\":0}]}\r\n\r\ndata: {\"candidates\":[{"
		    "\"content\":{\"parts\":[{\"thought\":true,\"text\":\"so\"}],\"role\":\"model\"},\"index\":0}]}"
		    "\r\n\r\n",
		    "a|hmso|fed=2 text meaning"),
		ROW("a tool",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]"
		    ",\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}]}\r\n\r\n",
		    "||tools=1 fed=1 meaning finish=STOP 1/1"),
		ROW("a prompt that is blocked",
		    "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount"
		    "\":4}}\n\n",
		    "||fed=1 meaning finish=SAFETY 1/1 usage=4/-1"),
		ROW("feedback that blocks nothing",
		    "data: {\"promptFeedback\":{\"safetyRatings\":[]}}\n\n",
		    "||fed=1"),
		ROW("[DONE], which some add",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"finishRe"
		    "ason\":\"STOP\",\"index\":0}]}\r\n\r\ndata: [DONE]\n\n",
		    "a||fed=2 text meaning terminator finish=STOP 1/1"),
		ROW("an unspecified finish is none",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"finishRe"
		    "ason\":\"FINISH_REASON_UNSPECIFIED\",\"index\":0}]}\r\n\r\n",
		    "a||fed=1 text meaning"),
		ROW("no finish",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index"
		    "\":0}]}\r\n\r\n",
		    "a||fed=1 text meaning"),
		ROW("escapes, a pair over two events",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\\"\\ud83d\"}]}}]}\n\n"
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\ude00\"}]}}]}\n\n",
		    "\"\360\237\230\200||fed=2 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void several_candidates(void **state)
{
	static const struct reading_row rows[] = {
		ROW("the other is not shown",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"index\":1},{\"content"
		    "\":{\"parts\":[{\"text\":\"a\"}]},\"index\":0}]}\n\n",
		    "a||fed=1 text meaning 0/2"),
		ROW("each has its finish",
		    "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":1},{\"finishReason\":\"STOP\"}]}\n\n",
		    "||fed=1 meaning finish=STOP 2/2"),
		ROW("beyond what anyone offers",
		    "data: {\"candidates\":[{\"index\":128}]}\n\n",
		    "||fed=0 unreadable(expected an index from 0 to 127 in each of `candidates`, at byte 27 of an eve"
		    "nt)"),
	};
	ASSERT_ROWS(&one, rows);
}

static void what_has_no_meaning(void **state)
{
	static const struct reading_row rows[] = {
		ROW("nothing",
		    "data: {}\n\n"
		    "data: {\"candidates\":[]}\n\n"
		    "data: {\"candidates\":[7,{}]}\n\n"
		    "data: {\"candidates\":{\"content\":1}}\n\n",
		    "||fed=4"),
		ROW("odd types",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[1,{\"text\":7},{\"text\":null,\"thought"
		    "\":\"x\"},{\"functionCall\":{}}]},\"finishReason\":1}]}\n\n",
		    "||fed=1"),
		ROW("no data",
		    ": c\n\n"
		    "data:\n\n",
		    "||fed=0"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_in_all_shapes(void **state)
{
	static const struct reading_row rows[] = {
		ROW("data",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index"
		    "\":0}]}\r\n\r\ndata: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n",
		    "a||fed=2 text meaning error(UNAVAILABLE,503,m)"),
		ROW("behind a finish",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"finishRe"
		    "ason\":\"STOP\",\"index\":0}]}\r\n\r\ndata: {\"error\":{\"code\":503,\"message\":\"m\",\"status"
		    "\":\"UNAVAILABLE\"}}\n\n",
		    "a||fed=2 text meaning error(UNAVAILABLE,503,m) finish=STOP 1/1"),
		ROW("bare JSON",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index"
		    "\":0}]}\r\n\r\n{\"error\": {\"code\": 503, \"message\": \"m\", \"status\": \"UNAVAILABLE\"}}\n\n",
		    "a||fed=1 text meaning error(UNAVAILABLE,503,m)"),
		ROW("bare JSON over lines",
		    "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"m: x\",\n    \"status\": \"UNAVAILABLE"
		    "\"\n  }\n}\n\n",
		    "||fed=0 meaning error(UNAVAILABLE,503,m: x)"),
		ROW("bare JSON that is no error",
		    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n",
		    "||fed=0"),
		ROW("details",
		    "data: {\"error\":{\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{"
		    "\"@type\":\"x\",\"reason\":\"r\"}]}}\n\n",
		    "||fed=1 meaning error(INVALID_ARGUMENT,400,m)"),
	};
	ASSERT_ROWS(&one, rows);
}

static void what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("no JSON",
		    "data: x\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("broken behind text",
		    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 52 of an event: expected ',' or '}')"),
	};
	ASSERT_ROWS(&one, rows);
}

static void assert_body(span body, bool is_error, const char *type)
{
	struct reader r;
	reader_init(&r, &dialect_gemini, NULL, 1);
	assert_int_equal(dialect_gemini.read_error_body(&r, body), is_error);
	assert_int_equal(r.seen.error, is_error);
	assert_string_equal(r.seen.error_type, type);
	reader_finish(&r);
}

static void a_body_that_is_an_error(void **state)
{
	assert_body(SPAN("{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"}}"), true,
		"RESOURCE_EXHAUSTED");
	assert_body(SPAN("[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"}}\n]\n"),
		true, "RESOURCE_EXHAUSTED");
	assert_body(SPAN("[{\"candidates\":[]}]"), false, "");
	assert_body(SPAN("[]"), false, "");
	assert_body(SPAN("{\"candidates\":[]}"), false, "");
	assert_body(SPAN(""), false, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(several_candidates),
		cmocka_unit_test(what_has_no_meaning),
		cmocka_unit_test(errors_in_all_shapes),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(a_body_that_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
