/* dialect/tgi: frames and what is read in them. */
#include "reading.h"

static const struct reading one = {&dialect_tgi, NULL, 1};

#define ASSERT_ROWS(how, rows) reading_assert_rows(how, rows, sizeof(rows) / sizeof *(rows))

static void whole_answers(void **state)
{
	static const struct reading_row rows[] = {
		ROW("TGI",
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"Hel\",\"logprob\":-0.1,\"special\":false},"
		    "\"generated_text\":null,\"details\":null}\n\n"
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"lo\",\"logprob\":-0.1,\"special\":false},\"gen"
		    "erated_text\":null,\"details\":null}\n\n"
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"</s>\",\"logprob\":-0.1,\"special\":true},"
		    "\"generated_text\":\"Hello\",\"details\":{\"finish_reason\":\"eos_token\",\"generated_tokens"
		    "\":3}}\n\n",
		    "Hello||fed=3 text meaning terminator finish=eos_token 1/1 usage=-1/3"),
		ROW("without details",
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"a\",\"logprob\":-0.1,\"special\":false},\"gene"
		    "rated_text\":null,\"details\":null}\n\n"
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"b\",\"logprob\":-0.1,\"special\":false},\"gene"
		    "rated_text\":\"ab\",\"details\":null}\n\n",
		    "ab||fed=2 text meaning terminator"),
		ROW("an empty answer",
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"</s>\",\"logprob\":-0.1,\"special\":true},"
		    "\"generated_text\":\"\",\"details\":null}\n\n",
		    "||fed=1 meaning terminator"),
		ROW("special before text",
		    "data: {\"token\":{\"special\":true,\"text\":\"<s>\"},\"generated_text\":null}\n\n",
		    "||fed=1"),
		ROW("no space",
		    "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\"a\",\"logprob\":-0.1,\"special\":false},\"gener"
		    "ated_text\":null,\"details\":null}\n\n",
		    "a||fed=1 text meaning"),
		ROW("escapes",
		    "data: {\"token\":{\"text\":\"\\n\\u00e9\",\"special\":false}}\n\n",
		    "\n\303\251||fed=1 text meaning"),
		ROW("no end",
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"a\",\"logprob\":-0.1,\"special\":false},\"gene"
		    "rated_text\":null,\"details\":null}\n\n",
		    "a||fed=1 text meaning"),
	};
	ASSERT_ROWS(&one, rows);
}

static void errors_and_what_cannot_be_read(void **state)
{
	static const struct reading_row rows[] = {
		ROW("generation",
		    "data: {\"index\":1,\"token\":{\"id\":5,\"text\":\"a\",\"logprob\":-0.1,\"special\":false},\"gene"
		    "rated_text\":null,\"details\":null}\n\n"
		    "data: {\"error\":\"Request failed\",\"error_type\":\"generation\"}\n\n",
		    "a||fed=2 text meaning error(generation,,Request failed)"),
		ROW("validation",
		    "data: {\"error\":\"too long\",\"error_type\":\"validation\"}\n\n",
		    "||fed=1 meaning error(validation,,too long)"),
		ROW("no JSON",
		    "data: x\n\n",
		    "||fed=0 unreadable(invalid JSON at byte 0 of an event: expected a value)"),
		ROW("odd types",
		    "data: {\"token\":\"a\",\"generated_text\":7,\"details\":[]}\n\n",
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
