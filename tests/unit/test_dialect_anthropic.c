/* dialect/anthropic: bodies of several servers and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_anthropic, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("Anthropic",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: ping\ndata: {\"type\":\"ping\"}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"Hel\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"lo\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn"
		    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n"
		    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		    "Hello||fed=7 text meaning terminator finish=end_turn 1/1 usage=9/4"),
		ROW("thinking and tools",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"signature_delta\",\"signature\":\"s\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block"
		    "\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"typ"
		    "e\":\"input_json_delta\",\"partial_json\":\"{\\\"a\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use"
		    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n"
		    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		    "|hm|tools=2 fed=10 meaning terminator finish=tool_use 1/1 usage=9/4"),
		ROW("a block that begins with text",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"A\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"b\"}}\n\n",
		    "Ab||fed=3 text meaning usage=9/1"),
		ROW("blocks that overlap",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"b\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens"
		    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n"
		    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		    "ab||fed=9 text meaning terminator finish=max_tokens 1/1 usage=9/4"),
		ROW("an index that comes last",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "data: {\"delta\":{\"text\":\"x\",\"type\":\"text_delta\"},\"index\":0,\"type\":\"content_block_d"
		    "elta\"}\n\n",
		    "x||fed=3 text meaning usage=9/1"),
		ROW("names of events alone",
		    "event: message_start\ndata: {\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,\"output_to"
		    "kens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"index\":0,\"content_block\":{\"type\":\"text\"}}\n\n"
		    "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"text\":\"x\"}}\n\n",
		    "x||fed=3 text meaning usage=9/1"),
		ROW("no message_stop",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn"
		    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n",
		    "a||fed=5 text meaning finish=end_turn 1/1 usage=9/4"),
		ROW("no stop_reason",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null,\"stop_s"
		    "equence\":null},\"usage\":{\"output_tokens\":4}}\n\n"
		    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		    "a||fed=6 text meaning terminator usage=9/4"),
		ROW("[DONE] instead of message_stop",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn"
		    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n"
		    "data: [DONE]\n\n",
		    "||fed=3 meaning terminator finish=end_turn 1/1 usage=9/4"),
		ROW("a new kind of event",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: message_mood\ndata: {\"type\":\"message_mood\",\"delta\":{\"text\":\"no text\"}}\n\n"
		    "event: x\ndata: {\"type\":\"x\"}\n\n",
		    "||fed=3 usage=9/1"),
		ROW("a pair over two events",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"\\ud83d\"}}\n\n"
		    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"\\ude00\"}}\n\n",
		    "\360\237\230\200||fed=4 text meaning usage=9/1"),
	};
	ASSERT_ROWS(&one, rows);
}

static void pings_and_what_has_no_meaning(void **state)
{
	static const struct reading_row rows[] = {
		ROW("before the start",
		    "event: ping\ndata: {\"type\":\"ping\"}\n\n"
		    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
		    "||fed=0"),
		ROW("without a name",
		    "data: {\"type\":\"ping\"}\n\n",
		    "||fed=0"),
		ROW("a start",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
		    "||fed=1 usage=9/1"),
		ROW("an empty delta",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"\"}}\n\n",
		    "||fed=3 usage=9/1"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_in_all_shapes(void **state)
{
	static const struct reading_row rows[] = {
		ROW("overloaded",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n"
		    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message"
		    "\":\"try later\"}}\n\n",
		    "a||fed=4 text meaning error(overloaded_error,,try later) usage=9/1"),
		ROW("as the first event",
		    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message"
		    "\":\"m\"}}\n\n",
		    "||fed=1 meaning error(overloaded_error,,m)"),
		ROW("without its name",
		    "data: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}\n\n",
		    "||fed=1 meaning error(api_error,,m)"),
		ROW("llama.cpp: bare",
		    "event: error\ndata: {\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}\n\n",
		    "||fed=1 meaning error(server_error,500,m)"),
		ROW("vLLM: then [DONE]",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"internal_error\",\"message"
		    "\":\"m\"}}\n\n"
		    "data: [DONE]\n\n",
		    "||fed=2 meaning error(internal_error,,m) usage=9/1"),
		ROW("a sentence",
		    "event: error\ndata: dead\n\n",
		    "||fed=1 meaning error(,,dead)"),
	};
	ASSERT_ROWS(&one, rows);
}

static void a_broken_order_is_unreadable(void **state)
{
	static const struct reading_row rows[] = {
		ROW("a delta before the start",
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n",
		    "||fed=0 unreadable(the order of events is broken: an event of a message before message_start)"),
		ROW("a stop before the start",
		    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		    "||fed=0 unreadable(the order of events is broken: an event of a message before message_start)"),
		ROW("a second start",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
		    "||fed=1 unreadable(the order of events is broken: a second message_start) usage=9/1"),
		ROW("a delta without its block",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n",
		    "||fed=1 unreadable(the order of events is broken: content_block_delta of a block that is not ope"
		    "n) usage=9/1"),
		ROW("a delta behind its block",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n",
		    "a||fed=4 text meaning unreadable(the order of events is broken: content_block_delta of a block t"
		    "hat is not open) usage=9/1"),
		ROW("a delta of no block",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text"
		    "\":\"x\"}}\n\n",
		    "||fed=2 unreadable(the order of events is broken: content_block_delta of a block that is not ope"
		    "n) usage=9/1"),
		ROW("a block begun twice",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
		    "||fed=2 unreadable(the order of events is broken: content_block_start of a block that is open) u"
		    "sage=9/1"),
		ROW("a block ended twice",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
		    "||fed=3 unreadable(the order of events is broken: content_block_stop of a block that is not open"
		    ") usage=9/1"),
		ROW("a message that stops inside a block",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"typ"
		    "e\":\"text_delta\",\"text\":\"a\"}}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn"
		    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n"
		    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		    "a||fed=4 text meaning unreadable(the order of events is broken: message_stop while a content blo"
		    "ck is open) finish=end_turn 1/1 usage=9/4"),
		ROW("an index too large",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1024,\"content_blo"
		    "ck\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
		    "||fed=1 unreadable(the order of events is broken: content_block_start without an index from 0 to"
		    " 1023) usage=9/1"),
		ROW("no index",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"content_block\":{}}\n\n",
		    "||fed=1 unreadable(the order of events is broken: content_block_start without an index from 0 to"
		    " 1023) usage=9/1"),
		ROW("the last index",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1023,\"content_blo"
		    "ck\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1023,\"delta"
		    "\":{\"type\":\"text_delta\",\"text\":\"z\"}}\n\n"
		    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1023}\n\n",
		    "z||fed=4 text meaning usage=9/1"),
	};
	ASSERT_ROWS(&one, rows);
}

static void what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("no JSON",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "data: x\n\n",
		    "||fed=1 unreadable(invalid JSON at byte 0 of an event: expected a value) usage=9/1"),
		ROW("a broken delta",
		    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage"
		    "\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block"
		    "\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"x\"}\n\n",
		    "||fed=2 unreadable(invalid JSON at byte 60 of an event: expected ',' or '}') usage=9/1"),
	};
	ASSERT_ROWS(&one, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(pings_and_what_has_no_meaning),
		cmocka_unit_test(errors_in_all_shapes),
		cmocka_unit_test(a_broken_order_is_unreadable),
		cmocka_unit_test(what_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
