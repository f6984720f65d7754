/* dialect/ai-ui: parts and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_ai_ui, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("AI SDK",
		    "data: {\"type\":\"start\",\"messageId\":\"m\"}\n\n"
		    "data: {\"type\":\"start-step\"}\n\n"
		    "data: {\"type\":\"text-start\",\"id\":\"t\"}\n\n"
		    "data: {\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\"Hel\"}\n\n"
		    "data: {\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\"lo\"}\n\n"
		    "data: {\"type\":\"text-end\",\"id\":\"t\"}\n\n"
		    "data: {\"type\":\"finish-step\"}\n\n"
		    "data: {\"type\":\"finish\",\"finishReason\":\"stop\"}\n\n"
		    "data: [DONE]\n\n",
		    "Hello||fed=9 text meaning terminator finish=stop 1/1"),
		ROW("without a reason",
		    "data: {\"type\":\"text-delta\",\"delta\":\"a\"}\n\n"
		    "data: {\"type\":\"finish\"}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=3 text meaning terminator"),
		ROW("no [DONE]",
		    "data: {\"type\":\"text-delta\",\"delta\":\"a\"}\n\n"
		    "data: {\"type\":\"finish\",\"finishReason\":\"length\"}\n\n",
		    "a||fed=2 text meaning finish=length 1/1"),
		ROW("no finish",
		    "data: {\"type\":\"text-delta\",\"delta\":\"a\"}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning terminator"),
		ROW("delta before type",
		    "data: {\"delta\":\"x\",\"id\":\"t\",\"type\":\"text-delta\"}\n\n",
		    "x||fed=1 text meaning"),
		ROW("reasoning",
		    "data: {\"type\":\"reasoning-delta\",\"delta\":\"hm\"}\n\n",
		    "|hm|fed=1 meaning"),
		ROW("tools",
		    "data: {\"type\":\"tool-input-start\",\"toolCallId\":\"c\"}\n\n"
		    "data: {\"type\":\"tool-output-available\",\"output\":{}}\n\n",
		    "||tools=2 fed=2 meaning"),
		ROW("other parts",
		    "data: {\"type\":\"data-weather\",\"data\":{\"delta\":\"x\"},\"delta\":\"x\"}\n\n"
		    "data: {\"type\":\"source-url\",\"url\":\"u\"}\n\n"
		    "data: {\"type\":\"reset-step\"}\n\n",
		    "||fed=3"),
	};
	ASSERT_ROWS(&one, rows);
}

static void bad_ends(void **state)
{
	static const struct reading_row rows[] = {
		ROW("an error",
		    "data: {\"type\":\"text-delta\",\"delta\":\"a\"}\n\n"
		    "data: {\"type\":\"error\",\"errorText\":\"m\"}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning error(,,m)"),
		ROW("an abort",
		    "data: {\"type\":\"text-delta\",\"delta\":\"a\"}\n\n"
		    "data: {\"type\":\"abort\"}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning failing finish=abort 1/1"),
		ROW("a finish that is an error",
		    "data: {\"type\":\"finish\",\"finishReason\":\"error\"}\n\n",
		    "||fed=1 meaning failing finish=error 1/1"),
		ROW("no JSON",
		    "data: x\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("odd types",
		    "data: {\"type\":[\"text-delta\"],\"delta\":\"x\"}\n\n"
		    "data: {\"type\":\"text-delta\",\"delta\":7}\n\n",
		    "||fed=2"),
	};
	ASSERT_ROWS(&one, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(bad_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
