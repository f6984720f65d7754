/* dialect/openai-completions: what differs from openai-chat. */
#include "reading.h"

static const struct reading one = {&dialect_openai_completions, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void pieces_stand_in_text(void **state)
{
	static const struct reading_row rows[] = {
		ROW("vLLM",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"Hel\",\"index\":0,\"finish_reason"
		    "\":null}]}\n\n"
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"lo\",\"index\":0,\"finish_reason"
		    "\":null}]}\n\n"
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason"
		    "\":\"length\"}]}\n\n"
		    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
		    "data: [DONE]\n\n",
		    "Hello||fed=5 text meaning terminator finish=length 1/1 usage=3/2"),
		ROW("text with the finish",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"x\",\"index\":0,\"finish_reason"
		    "\":\"stop\"}]}\n\n"
		    "data: [DONE]\n\n",
		    "x||fed=2 text meaning terminator finish=stop 1/1"),
		ROW("the index behind the text",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"x\",\"index\":1,\"finish_reason"
		    "\":null}]}\n\n"
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason"
		    "\":null}]}\n\n",
		    "a||fed=2 text meaning 0/2"),
		ROW("no text",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason"
		    "\":null}]}\n\n"
		    "data: {\"choices\":[{\"text\":null,\"index\":0}]}\n\n",
		    "||fed=2"),
		ROW("no finish",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason"
		    "\":null}]}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning terminator"),
		ROW("abort",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason"
		    "\":\"abort\"}]}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=1 text meaning failing finish=abort 1/1"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors(void **state)
{
	static const struct reading_row rows[] = {
		ROW("an object",
		    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason"
		    "\":null}]}\n\n"
		    "data: {\"error\":{\"message\":\"gone\",\"type\":\"x\",\"code\":500}}\n\n"
		    "data: [DONE]\n\n",
		    "a||fed=2 text meaning error(x,500,gone)"),
		ROW("no JSON",
		    "data: x\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
	};
	ASSERT_ROWS(&one, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_stand_in_text),
		cmocka_unit_test(errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
