/* dialect/sglang-generate: texts that grow, and what is new in them. */
#include "reading.h"

static const struct reading one = {&dialect_sglang_generate, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("cumulative",
		    "data: {\"text\":\"Hel\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"Hello\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens"
		    "\":4,\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"Hello you\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens"
		    "\":4,\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"Hello you\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":{\"type\":\"stop"
		    "\",\"matched\":2},\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n"
		    "data: [DONE]\n\n",
		    "Hello you||fed=5 text meaning terminator finish=stop 1/1 usage=4/2"),
		ROW("incremental",
		    "data: {\"text\":\"Hel\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"lo\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"lo\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":{\"type\":\"length\",\"length"
		    "\":3},\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n"
		    "data: [DONE]\n\n",
		    "Hellolo||fed=5 text meaning terminator finish=length 1/1 usage=4/2"),
		ROW("once incremental, always",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"b\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"text\":\"abc\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n",
		    "ababc||fed=3 text meaning usage=4/2"),
		ROW("escapes",
		    "data: {\"text\":\"a\\n\"}\n\n"
		    "data: {\"text\":\"a\\nb\\\"\\u00e9\"}\n\n",
		    "a\nb\"\303\251||fed=2 text meaning"),
		ROW("a finish that is a word",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":\"stop\",\"prompt_tokens"
		    "\":4,\"completion_tokens\":2}}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning terminator finish=stop 1/1 usage=4/2"),
		ROW("abort",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":{\"type\":\"abort\",\"messag"
		    "e\":\"m\"},\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=1 text meaning failing finish=abort 1/1 usage=4/2"),
		ROW("no finish",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning terminator usage=4/2"),
		ROW("another choice",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2},\"index\":0}\n\n"
		    "data: {\"text\":\"b\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2},\"index\":1}\n\n"
		    "data: {\"text\":\"ab\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2},\"index\":0}\n\n",
		    "ab||fed=3 text meaning 0/2 usage=4/2"),
		ROW("an index too large",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2},\"index\":128}\n\n",
		    "||fed=0 unreadable(expected an index from 0 to 127) usage=4/2"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_and_what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("an error",
		    "data: {\"text\":\"a\",\"meta_info\":{\"id\":\"x\",\"finish_reason\":null,\"prompt_tokens\":4,"
		    "\"completion_tokens\":2}}\n\n"
		    "data: {\"error\":{\"message\":\"m\"}}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning error(,,m) usage=4/2"),
		ROW("no JSON",
		    "data: x\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("odd types",
		    "data: {\"text\":7,\"meta_info\":\"x\",\"index\":null}\n\n",
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
