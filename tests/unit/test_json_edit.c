/* json/edit: what changes is what was asked for, to the byte. */
#include "json/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect_edit(const char *text, const struct json_edit *edits, size_t n, const char *expected)
{
	struct buf out = {0};
	buf_put(&out, SPAN("before "));
	assert_true(json_edit(&out, span_str(text), edits, n));
	assert_non_null(buf_cstr(&out));
	assert_string_equal(out.p + 7, expected);
	buf_finish(&out);
}

static void expect_merge(const char *text, const char *members, const char *expected)
{
	struct buf out = {0};
	bool good = json_merge(&out, span_str(text), span_str(members));
	assert_true(good == (expected != NULL));
	assert_non_null(buf_cstr(&out));
	assert_string_equal(out.p, expected ? expected : "");
	buf_finish(&out);
}

#define NO_FINISH {{SPAN("choices"), SPAN("[]"), SPAN("finish_reason")}, SPAN("null")}
#define NO_ERROR {{SPAN("error")}, {0}}

static void a_value_is_replaced_where_it_stands(void **state)
{
	static const struct json_edit edits[] = {NO_FINISH};
	expect_edit("{ \"choices\" : [ {\"finish_reason\" : \"abort\", \"n\":1.50e3}, {\"x\":[]} ], \"s\":\"\\ud83d<\\/\" }\r\n", edits, 1,
		"{ \"choices\" : [ {\"finish_reason\":null, \"n\":1.50e3}, {\"x\":[]} ], \"s\":\"\\ud83d<\\/\" }\r\n");
	expect_edit("{\"choices\":[{\"finish_reason\":{\"deep\":[1,{}]}},{\"finish_reason\":7}]}", edits, 1,
		"{\"choices\":[{\"finish_reason\":null},{\"finish_reason\":null}]}");
}

static void a_path_that_leads_nowhere_changes_nothing(void **state)
{
	static const struct json_edit edits[] = {NO_FINISH, NO_ERROR};
	static const char *const same[] = {"{}", "[]", " 7 ", "\"choices\"", "{\"choices\":{\"finish_reason\":1}}",
		"{\"finish_reason\":1}", "{\"choices\":[\"finish_reason\",[{\"finish_reason\":1}]]}", "[{\"error\":1}]"};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		expect_edit(same[i], edits, 2, same[i]);
}

static void a_member_is_taken_out_with_its_comma(void **state)
{
	static const struct json_edit edits[] = {NO_ERROR, {{SPAN("gone")}, {0}}};
	static const char *const pairs[][2] = {
		{"{\"error\":{\"a\":[1,2]}}", "{}"},
		{"{\"error\":1,\"a\":2}", "{\"a\":2}"},
		{"{\"a\":2,\"error\":1}", "{\"a\":2}"},
		{"{\"a\":2,\"error\":1,\"b\":3}", "{\"a\":2,\"b\":3}"},
		{"{\"error\":1,\"gone\":2}", "{}"},
		{"{\"error\":1,\"gone\":2,\"a\":3}", "{\"a\":3}"},
		{"{\"error\":1,\"a\":3,\"gone\":2}", "{\"a\":3}"},
		{"{\"a\":1,\"error\":1,\"gone\":2,\"b\":[{\"error\":1}]}", "{\"a\":1,\"b\":[{\"error\":1}]}"},
		{"{\"error\":1,\"a\":\"\\u0065rror\",\"\\u0065rror\":1}", "{\"a\":\"\\u0065rror\"}"},
		{"{ \"error\" : 1 , \"a\" : 2 , \"error\" : 3 }", "{ \"a\" : 2 }"},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		expect_edit(pairs[i][0], edits, 2, pairs[i][1]);
}

static void what_is_no_whole_json_is_refused(void **state)
{
	static const struct json_edit edits[] = {NO_FINISH, NO_ERROR};
	static const char *const bad[] = {"", "{", "{\"error\":}", "{\"error\":1", "{\"a\":1}{}", "{\"choices\":[{]}", "nul",
		"{\"error\":1,}", "{\"choices\":[{\"finish_reason\":}]}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf out = {0};
		buf_put(&out, SPAN("kept"));
		assert_false(json_edit(&out, span_str(bad[i]), edits, 2));
		assert_true(span_is(buf_span(&out), "kept"));
		buf_finish(&out);
	}
}

static void members_are_merged_and_never_doubled(void **state)
{
	expect_merge("{\"model\":\"a\",\"n\":1}", "{\"model\":\"b\"}", "{\"model\":\"b\",\"n\":1}");
	expect_merge("{\"n\":1}", "{\"model\" : \"b\" , \"t\":0.2}", "{\"n\":1,\"model\": \"b\",\"t\":0.2}");
	expect_merge("{}", "{\"model\":\"b\"}", "{\"model\":\"b\"}");
	expect_merge(" { } \n", "{\"a\":{\"b\":[]},\"c\":null}", " { \"a\":{\"b\":[]},\"c\":null} \n");
	expect_merge("{\"m\":1,\"m\":2,\"x\":3}", "{\"m\":4}", "{\"m\":4,\"x\":3}");
	expect_merge("{\"\":1}", "{\"\":2}", "{\"\":2}");
	expect_merge("{\"a\":1}", "{}", "{\"a\":1}");
}

static void what_cannot_be_merged_is_refused(void **state)
{
	expect_merge("[]", "{\"a\":1}", NULL);
	expect_merge("7", "{\"a\":1}", NULL);
	expect_merge("{\"a\":1", "{\"a\":1}", NULL);
	expect_merge("{\"a\":1}", "[1]", NULL);
	expect_merge("{\"a\":1}", "{\"a\":", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_replaced_where_it_stands),
		cmocka_unit_test(a_path_that_leads_nowhere_changes_nothing),
		cmocka_unit_test(a_member_is_taken_out_with_its_comma),
		cmocka_unit_test(what_is_no_whole_json_is_refused),
		cmocka_unit_test(members_are_merged_and_never_doubled),
		cmocka_unit_test(what_cannot_be_merged_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
