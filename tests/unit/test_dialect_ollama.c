/* dialect/ollama-chat and ollama-generate: lines and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_ollama_chat, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("chat",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Hel\"},\"done\":false}"
		    "\n{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"lo\"},\"done\":false}"
		    "\n{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_re"
		    "ason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":2}\n",
		    "Hello||fed=3 text meaning terminator finish=stop 1/1 usage=9/2"),
		ROW("generate",
		    "{\"model\":\"m\",\"response\":\"Hel\",\"done\":false}\n{\"model\":\"m\",\"response"
		    "\":\"lo\",\"done\":false}\n{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason"
		    "\":\"length\",\"context\":[1,2]}\n",
		    "Hello||fed=3 text meaning terminator finish=length 1/1"),
		ROW("text on the last line",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":true,\"done_rea"
		    "son\":\"stop\"}\n",
		    "x||fed=1 text meaning terminator finish=stop 1/1"),
		ROW("no reason",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n",
		    "||fed=1 meaning terminator"),
		ROW("load",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reas"
		    "on\":\"load\"}\n",
		    "||fed=1 meaning terminator finish=load 1/1"),
		ROW("unload",
		    "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"unload\"}\n",
		    "||fed=1 meaning terminator finish=unload 1/1"),
		ROW("thinking",
		    "{\"message\":{\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n{\"response\":\"\",\"thinki"
		    "ng\":\" so\",\"done\":false}\n",
		    "|hm so|fed=2 meaning"),
		ROW("tools",
		    "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]},\"done\":false}"
		    "\n",
		    "||tools=1 fed=1 meaning"),
		ROW("CRLF and blank lines",
		    "\r\n{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}"
		    "\r\n\n"
		    " \n{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n",
		    "a||fed=2 text meaning terminator"),
		ROW("behind the end",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n{\"model"
		    "\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":false}\n",
		    "||fed=1 meaning terminator"),
		ROW("no end",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n",
		    "a||fed=1 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_and_what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("an error",
		    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n{\"erro"
		    "r\":\"runner died\"}\n",
		    "a||fed=2 text meaning error(,,runner died)"),
		ROW("an empty error",
		    "{\"error\":\"\"}\n",
		    "||fed=1 meaning error(,,)"),
		ROW("an empty error beside an answer",
		    "{\"message\":{\"content\":\"a\"},\"done\":false,\"error\":\"\"}\n",
		    "a||fed=1 text meaning"),
		ROW("a status and a word",
		    "{\"error\":\"m\",\"status\":500}\n",
		    "||fed=1 meaning error(,,m)"),
		ROW("no JSON",
		    "oops\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("half an object",
		    "{\"message\":{\"content\":\"a\"}\n",
		    "||fed=0 unreadable(invalid JSON at byte 26 of an event: expected ',' or '}')"),
		ROW("a list",
		    "[1]\n",
		    "||fed=0 unreadable(expected a JSON object, at byte 1 of an event)"),
		ROW("odd types",
		    "{\"message\":\"x\",\"response\":7,\"done\":\"true\",\"done_reason\":1}\n",
		    "||fed=1"),
	};
	ASSERT_ROWS(&one, rows);
}

static void both_names_read_alike(void **state)
{
	static const struct reading generate = {&dialect_ollama_generate, NULL, 1};
	static const struct reading_row rows[] = {
		ROW("generate", "{\"response\":\"a\",\"done\":false}\n{\"done\":true}\n",
			"a||fed=2 text meaning terminator"),
	};
	ASSERT_ROWS(&generate, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(errors_and_what_cannot_be_read),
		cmocka_unit_test(both_names_read_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
