/* dialect/mould: events that repeat but for their text are read by their shape, and read no differently. */
#include "reading.h"

static void read_data(struct reader *r, const char *name, const char *data)
{
	struct sse_event event = {.data = span_str(data), .has_data = true};
	event.name = span_str(name);
	event.has_name = name != NULL;
	reader_read(r, &event);
}

static bool has_shape(const struct reader *r) { return r->mould.head > 0; }

static void assert_text(const struct reader *r, const char *text)
{
	assert_true(span_is(buf_span(&r->text), text));
	assert_true(r->feeds_idle);
}

#define PIECE(text) "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}]}"

static void a_shape_is_taken_from_the_second_piece(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	read_data(&r, NULL, PIECE("a"));
	assert_false(has_shape(&r)); /* it was the first text: that is evidence */
	read_data(&r, NULL, PIECE("b"));
	assert_true(has_shape(&r));
	read_data(&r, NULL, PIECE("c and more"));
	assert_text(&r, "c and more");
	assert_int_equal(r.mould.casts, 0);
	read_data(&r, NULL, PIECE(""));
	assert_text(&r, "");
	assert_true(has_shape(&r));
	reader_finish(&r);
}

/* A string that must be decoded is read as ever. */
static void what_does_not_fit_is_read(void **state)
{
	static const char *const others[][2] = {
		{PIECE("x\\ny"), "x\ny"}, {PIECE("\\\""), "\""}, {PIECE("\\ud83d\\ude00"), "\U0001f600"},
		{"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"\"}]}", "x"},
		{"{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}", ""},
		{"{\"choices\":[]}", ""},
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct reader r;
		reader_init(&r, &dialect_openai_chat, NULL, 1);
		read_data(&r, NULL, PIECE("a"));
		read_data(&r, NULL, PIECE("b"));
		assert_true(has_shape(&r));
		read_data(&r, NULL, others[i][0]);
		assert_text(&r, others[i][1]);
		read_data(&r, NULL, PIECE("c"));
		assert_text(&r, "c");
		reader_finish(&r);
	}
}

static void what_is_broken_stays_unreadable(void **state)
{
	static const char *const broken[] = {
		PIECE("x\ny"), PIECE("x\"y"), PIECE("x\\"), PIECE("\\q"), PIECE("x") "}",
		"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"}",
	};
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		struct reader r;
		reader_init(&r, &dialect_openai_chat, NULL, 1);
		for (int n = 0; n < 3; n++)
			read_data(&r, NULL, PIECE("a"));
		assert_true(has_shape(&r));
		read_data(&r, NULL, broken[i]);
		assert_true(r.seen.unreadable);
		reader_finish(&r);
	}
}

static void characters_are_joined_across_a_shape(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	read_data(&r, NULL, PIECE("a"));
	read_data(&r, NULL, PIECE("b"));
	read_data(&r, NULL, PIECE("\xE2\x82"));
	assert_text(&r, "");
	read_data(&r, NULL, PIECE("\xAC"));
	assert_text(&r, "\u20ac");
	assert_int_equal(r.replaced, 0);
	reader_finish(&r);
}

#define DELTA "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}"

/* What the order of events forbids is not let in by a shape. */
static void other_events_break_it(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_anthropic, NULL, 1);
	read_data(&r, "message_start", "{\"type\":\"message_start\"}");
	read_data(&r, "content_block_start", "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{}}");
	for (int i = 0; i < 3; i++)
		read_data(&r, "content_block_delta", DELTA);
	assert_true(has_shape(&r));
	read_data(&r, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
	assert_false(has_shape(&r));
	read_data(&r, "content_block_delta", DELTA);
	assert_true(r.seen.unreadable);
	reader_finish(&r);
}

static void the_name_is_part_of_it(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	for (int i = 0; i < 3; i++)
		read_data(&r, NULL, PIECE("a"));
	read_data(&r, "ping", PIECE("b"));
	assert_int_equal(r.text.n, 0);
	assert_false(r.feeds_idle);
	for (int i = 0; i < 3; i++)
		read_data(&r, "x", PIECE("a"));
	assert_true(has_shape(&r));
	read_data(&r, "error", PIECE("b"));
	assert_true(r.seen.error);
	reader_finish(&r);
}

static void reasoning_has_its_shape_too(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	for (int i = 0; i < 4; i++) {
		read_data(&r, NULL, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}");
		assert_true(span_is(buf_span(&r.reasoning), "hm"));
		assert_int_equal(r.text.n, 0);
	}
	assert_true(has_shape(&r));
	reader_finish(&r);
}

/* A text that grows repeats its head and means something else each time. */
static void a_dialect_with_a_memory_has_none(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_sglang_generate, NULL, 1);
	read_data(&r, NULL, "{\"text\":\"a\"}");
	read_data(&r, NULL, "{\"text\":\"ab\"}");
	read_data(&r, NULL, "{\"text\":\"abc\"}");
	assert_text(&r, "c");
	assert_false(has_shape(&r));
	reader_finish(&r);
}

static void dialect_text_has_none(void **state)
{
	struct reader r;
	reader_init(&r, &dialect_text, NULL, 1);
	for (int i = 0; i < 4; i++)
		read_data(&r, NULL, "say \"a\" and \"b\"");
	assert_false(has_shape(&r));
	reader_finish(&r);
}

static void events_that_are_numbered_are_tried_less_often(void **state)
{
	struct reader r;
	struct buf data = {0};
	int casts = 0;
	reader_init(&r, &dialect_openai_responses, NULL, 1);
	for (int i = 0; i < 100; i++) {
		buf_clear(&data);
		buf_printf(&data, "{\"type\":\"response.output_text.delta\",\"n\":%d,\"delta\":\"x\"}", i);
		read_data(&r, NULL, buf_cstr(&data));
		assert_text(&r, "x");
		casts += has_shape(&r);
	}
	assert_in_range(casts, 8, 24);
	buf_finish(&data);
	reader_finish(&r);
}

static void a_large_event_is_not_kept(void **state)
{
	struct reader r;
	struct buf data = {0};
	reader_init(&r, &dialect_openai_chat, NULL, 1);
	buf_put(&data, SPAN("{\"padding\":\""));
	for (int i = 0; i < 3000; i++)
		buf_put_byte(&data, 'x');
	buf_put(&data, SPAN("\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}"));
	for (int i = 0; i < 3; i++)
		read_data(&r, NULL, buf_cstr(&data));
	assert_text(&r, "a");
	assert_false(has_shape(&r));
	buf_finish(&data);
	reader_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shape_is_taken_from_the_second_piece),
		cmocka_unit_test(what_does_not_fit_is_read),
		cmocka_unit_test(what_is_broken_stays_unreadable),
		cmocka_unit_test(characters_are_joined_across_a_shape),
		cmocka_unit_test(other_events_break_it),
		cmocka_unit_test(the_name_is_part_of_it),
		cmocka_unit_test(reasoning_has_its_shape_too),
		cmocka_unit_test(a_dialect_with_a_memory_has_none),
		cmocka_unit_test(dialect_text_has_none),
		cmocka_unit_test(events_that_are_numbered_are_tried_less_often),
		cmocka_unit_test(a_large_event_is_not_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
