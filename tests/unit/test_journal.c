#include "stream/journal.h"

#include "failing_malloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

static void append(struct journal *j, enum journal_kind kind, span text)
{
	assert_int_equal(journal_append(j, kind, text), CAUSE_NONE);
}

static void expect(struct cursor *c, enum journal_kind kind, span text)
{
	enum journal_kind got_kind;
	span got;
	assert_true(cursor_read(c, &got_kind, &got));
	assert_int_equal(got_kind, kind);
	assert_int_equal(got.n, text.n);
	assert_memory_equal(got.p, text.p, text.n);
}

static void expect_nothing(struct cursor *c)
{
	enum journal_kind kind;
	span text;
	assert_false(cursor_read(c, &kind, &text));
}

static void test_events_are_read_in_order_as_they_were_written(void **state)
{
	struct journal *j = journal_create();
	struct cursor c;
	cursor_open(&c, j, 1);
	expect_nothing(&c);
	append(j, JOURNAL_TEXT, SPAN("Hello"));
	append(j, JOURNAL_REASONING, SPAN("hm\n"));
	assert_int_equal(journal_count(j), 2);
	expect(&c, JOURNAL_TEXT, SPAN("Hello"));
	expect(&c, JOURNAL_REASONING, SPAN("hm\n"));
	expect_nothing(&c);
	append(j, JOURNAL_TEXT, span_of("\0 \xff", 3));
	expect(&c, JOURNAL_TEXT, span_of("\0 \xff", 3));
	expect_nothing(&c);
	cursor_close(&c);
	journal_drop(j);
}

static void test_a_cursor_opens_at_any_place(void **state)
{
	struct journal *j = journal_create();
	char text[16];
	for (uint32_t i = 1; i <= 1000; i++)
		append(j, JOURNAL_TEXT, span_of(text, (size_t)sprintf(text, "%u", i)));
	for (uint32_t i = 1; i <= 1001; i++) {
		struct cursor c;
		cursor_open(&c, j, i);
		if (i <= 1000)
			expect(&c, JOURNAL_TEXT, span_of(text, (size_t)sprintf(text, "%u", i)));
		assert_int_equal(c.next, i <= 1000 ? i + 1 : i);
		if (i >= 1000)
			expect_nothing(&c);
		cursor_close(&c);
	}
	journal_drop(j);
}

/* Event i of a journal whose events have every size around the segments' sizes. */
static size_t size_of(uint32_t i)
{
	static const size_t sizes[] = {0, 1, 3, 995, 30, 1019, 2000, 7, 65536, 5, 40000, 40000, 300, 200000, 65507, 1};
	return sizes[i % (sizeof sizes / sizeof *sizes)] + i % 5;
}

static void fill(char *p, size_t n, uint32_t i)
{
	for (size_t k = 0; k < n; k++)
		p[k] = (char)(i * 31 + k * 7);
}

static void test_bytes_never_move(void **state)
{
	enum { N = 300, LARGEST = 200004 };
	struct journal *j = journal_create();
	char *expected = malloc(LARGEST);
	span first_seen[N + 1];
	struct cursor c;
	cursor_open(&c, j, 1);
	for (uint32_t i = 1; i <= N; i++) {
		enum journal_kind kind;
		fill(expected, size_of(i), i);
		append(j, i % 3 ? JOURNAL_TEXT : JOURNAL_REASONING, span_of(expected, size_of(i)));
		assert_true(cursor_read(&c, &kind, &first_seen[i]));
	}
	cursor_close(&c);
	cursor_open(&c, j, 1);
	for (uint32_t i = 1; i <= N; i++) {
		enum journal_kind kind;
		span text;
		fill(expected, size_of(i), i);
		assert_true(cursor_read(&c, &kind, &text));
		assert_ptr_equal(text.p, first_seen[i].p);
		assert_int_equal(kind, i % 3 ? JOURNAL_TEXT : JOURNAL_REASONING);
		assert_int_equal(text.n, size_of(i));
		assert_memory_equal(text.p, expected, text.n);
	}
	cursor_close(&c);
	journal_drop(j);
	free(expected);
}

static void test_the_tally_counts_text_and_only_text(void **state)
{
	struct journal *j = journal_create();
	struct last_word word = {0};
	journal_tally(j, &word);
	assert_true(word.events == 0 && word.bytes == 0 && word.crc32 == 0);
	append(j, JOURNAL_TEXT, SPAN("Hello"));
	append(j, JOURNAL_REASONING, SPAN("not counted"));
	append(j, JOURNAL_TEXT, (span){0});
	append(j, JOURNAL_TEXT, SPAN("two\nlines"));
	journal_tally(j, &word);
	assert_true(word.events == 3);
	assert_true(word.bytes == 14);
	assert_int_equal(word.crc32, crc32(0, (const unsigned char *)"Hellotwo\nlines", 14));
	assert_int_equal(word.crc32, 0xb961ed77);
	journal_drop(j);
}

static void test_the_last_word_comes_with_the_seal(void **state)
{
	struct journal *j = journal_create();
	append(j, JOURNAL_TEXT, SPAN("Hello"));
	assert_null(journal_last_word(j));
	struct last_word said = {
		.cause = CAUSE_STATUS, .upstream_status = 503, .finish = "length",
		.detail = "why", .events = 99, .bytes = 99,
	};
	journal_seal(j, &said);
	const struct last_word *word = journal_last_word(j);
	assert_non_null(word);
	assert_int_equal(word->cause, CAUSE_STATUS);
	assert_int_equal(word->upstream_status, 503);
	assert_string_equal(word->finish, "length");
	assert_string_equal(word->detail, "why");
	assert_true(word->events == 1);
	assert_true(word->bytes == 5);
	assert_int_equal(word->crc32, crc32(0, (const unsigned char *)"Hello", 5));
	journal_drop(j);
}

static void test_a_reader_holds_all_of_it(void **state)
{
	struct journal *j = journal_create();
	struct cursor c;
	append(j, JOURNAL_TEXT, SPAN("Hello"));
	cursor_open(&c, j, 1);
	journal_drop(j);
	expect(&c, JOURNAL_TEXT, SPAN("Hello"));
	struct journal *again = journal_hold(c.journal);
	cursor_close(&c);
	assert_int_equal(journal_count(again), 1);
	journal_drop(again);
	cursor_close(&c); /* a closed cursor is a zeroed one */
}

/* Memory but for the texts, in bytes for each event: an event of 16 bytes, and larger ones. */
static double overhead_of(size_t text_bytes, uint32_t events)
{
	struct journal *j = journal_create();
	char text[1024] = {0};
	uint64_t before = journal_memory(j);
	for (uint32_t i = 0; i < events; i++)
		append(j, JOURNAL_TEXT, span_of(text, text_bytes));
	uint64_t grown = journal_memory(j) - before;
	journal_drop(j);
	return ((double)grown - (double)text_bytes * events) / events;
}

static void test_an_event_costs_at_most_8_bytes_more_than_its_text(void **state)
{
	assert_true(overhead_of(1, 100000) <= 8);
	assert_true(overhead_of(16, 100000) <= 8);
	assert_true(overhead_of(200, 100000) <= 8);
}

static void test_memory_is_what_was_allocated(void **state)
{
	struct journal *j = journal_create();
	uint64_t empty = journal_memory(j);
	assert_in_range(empty, 1, 1024);
	append(j, JOURNAL_TEXT, SPAN("x"));
	assert_true(journal_memory(j) == empty + 1024);
	char *large = calloc(1, 1000000);
	append(j, JOURNAL_TEXT, span_of(large, 1000000));
	assert_in_range(journal_memory(j), empty + 1024 + 1000000, empty + 1024 + 1000000 + 100);
	free(large);
	journal_drop(j);
}

/* The length is refused before a byte is looked at. */
static void test_4_GiB_of_text_and_index_is_too_large(void **state)
{
	struct journal *j = journal_create();
	uint64_t empty = journal_memory(j);
	assert_int_equal(journal_append(j, JOURNAL_TEXT, span_of("", SIZE_MAX)), CAUSE_STREAM_TOO_LARGE);
	assert_int_equal(journal_append(j, JOURNAL_TEXT, span_of("", UINT32_MAX)), CAUSE_STREAM_TOO_LARGE);
	assert_int_equal(journal_append(j, JOURNAL_TEXT, span_of("", UINT32_MAX - 4)), CAUSE_STREAM_TOO_LARGE);
	assert_true(journal_memory(j) == empty);
	append(j, JOURNAL_TEXT, SPAN("0123456789"));
	assert_int_equal(journal_append(j, JOURNAL_TEXT, span_of("", UINT32_MAX - 19)), CAUSE_STREAM_TOO_LARGE);
	allocations_left = 0; /* one byte less is a matter of memory */
	assert_int_equal(journal_append(j, JOURNAL_TEXT, span_of("", UINT32_MAX - 20)), CAUSE_OVERLOADED);
	allocations_left = LONG_MAX;
	assert_int_equal(journal_count(j), 1);
	append(j, JOURNAL_TEXT, SPAN("and it goes on"));
	journal_drop(j);
}

static void test_without_memory_the_journal_stays_as_it_was(void **state)
{
	struct last_word before = {0}, after = {0};
	struct cursor c;
	allocations_left = 0;
	assert_null(journal_create());
	allocations_left = 1;
	struct journal *j = journal_create();
	assert_non_null(j);
	assert_int_equal(journal_append(j, JOURNAL_TEXT, SPAN("a")), CAUSE_OVERLOADED);
	allocations_left = 1;
	append(j, JOURNAL_TEXT, SPAN("b"));
	append(j, JOURNAL_TEXT, SPAN("c")); /* there is room */
	journal_tally(j, &before);
	uint64_t memory = journal_memory(j);
	char large[2000] = {0};
	assert_int_equal(journal_append(j, JOURNAL_TEXT, span_of(large, sizeof large)), CAUSE_OVERLOADED);
	journal_tally(j, &after);
	assert_memory_equal(&before, &after, sizeof before);
	assert_true(journal_memory(j) == memory);
	append(j, JOURNAL_TEXT, SPAN("d"));
	journal_seal(j, &(struct last_word){.cause = CAUSE_OVERLOADED});
	allocations_left = LONG_MAX;
	cursor_open(&c, j, 1);
	expect(&c, JOURNAL_TEXT, SPAN("b"));
	expect(&c, JOURNAL_TEXT, SPAN("c"));
	expect(&c, JOURNAL_TEXT, SPAN("d"));
	expect_nothing(&c);
	cursor_close(&c);
	journal_drop(j);
}

/* The journal's memory when only its newest segment is left, which holds an event of SEGMENT bytes alone. */
enum { SEGMENT = 100000 };

static void append_segments(struct journal *j, int n)
{
	char *text = calloc(1, SEGMENT);
	for (int i = 0; i < n; i++)
		append(j, JOURNAL_TEXT, span_of(text, SEGMENT));
	free(text);
}

static int segments_of(const struct journal *j) { return (int)(journal_memory(j) / SEGMENT); }

static void read_segments(struct cursor *c, int n)
{
	enum journal_kind kind;
	span text;
	for (int i = 0; i < n; i++) {
		assert_true(cursor_read(c, &kind, &text));
		assert_int_equal(text.n, SEGMENT);
	}
}

static void test_what_nobody_reads_is_given_up_but_for_the_newest(void **state)
{
	struct journal *j = journal_create();
	struct last_word before = {0}, after = {0};
	uint64_t empty = journal_memory(j);
	journal_give_up(j, UINT64_MAX);
	assert_true(journal_memory(j) == empty);
	assert_int_equal(journal_first(j), 1);
	append(j, JOURNAL_TEXT, SPAN("a"));
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(journal_first(j), 1);
	append_segments(j, 5);
	assert_int_equal(segments_of(j), 5);
	journal_tally(j, &before);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(segments_of(j), 1);
	assert_true(journal_memory(j) - empty < SEGMENT + 100);
	assert_int_equal(journal_first(j), 6);
	assert_int_equal(journal_count(j), 6);
	assert_int_equal(journal_told(j), 6);
	journal_tally(j, &after);
	assert_memory_equal(&before, &after, sizeof before);
	append(j, JOURNAL_TEXT, SPAN("b"));
	journal_seal(j, &(struct last_word){.cause = CAUSE_FINISHED});
	assert_true(journal_last_word(j)->events == 7);
	assert_true(journal_last_word(j)->bytes == 5 * SEGMENT + 2);
	journal_drop(j);
}

static void test_no_more_is_given_up_than_is_asked_for(void **state)
{
	struct journal *j = journal_create();
	append_segments(j, 6);
	journal_give_up(j, 0);
	assert_int_equal(segments_of(j), 6);
	journal_give_up(j, 1);
	assert_int_equal(segments_of(j), 5);
	assert_int_equal(journal_first(j), 2);
	journal_give_up(j, SEGMENT + 1000);
	assert_int_equal(segments_of(j), 3);
	assert_int_equal(journal_first(j), 4);
	journal_drop(j);
}

static void test_a_reader_goes_on_behind_what_was_given_up(void **state)
{
	struct journal *j = journal_create();
	struct cursor c, late;
	append_segments(j, 3);
	cursor_open(&c, j, 1);
	read_segments(&c, 3);
	append_segments(j, 2);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(journal_first(j), 3); /* where it stands: it has not looked for another event yet */
	cursor_open(&late, j, 4);
	read_segments(&c, 2);
	expect_nothing(&c);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(journal_first(j), 4);
	read_segments(&late, 2);
	expect_nothing(&late);
	cursor_close(&c);
	cursor_close(&late);
	journal_drop(j);
}

static void test_the_slowest_reader_keeps_all_that_it_has_not_passed(void **state)
{
	struct journal *j = journal_create();
	struct cursor quick, slow;
	cursor_open(&slow, j, 1); /* before there was anything */
	cursor_open(&quick, j, 1);
	append_segments(j, 4);
	read_segments(&quick, 4);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(segments_of(j), 4);
	read_segments(&slow, 2);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(segments_of(j), 3);
	cursor_close(&slow);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(segments_of(j), 1);
	cursor_close(&quick);
	journal_drop(j);
}

static void test_a_cursor_goes_from_hand_to_hand(void **state)
{
	struct journal *j = journal_create();
	struct cursor first, second;
	append_segments(j, 2);
	cursor_open(&first, j, 1);
	second = cursor_take(&first);
	cursor_close(&first);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(segments_of(j), 2);
	read_segments(&second, 2);
	cursor_close(&second);
	journal_give_up(j, UINT64_MAX);
	assert_int_equal(segments_of(j), 1);
	journal_drop(j);
}

enum { READERS = 40, ROUNDS = 1000, EVENTS = READERS * ROUNDS };

static size_t spelled(char text[32], uint32_t i) { return (size_t)sprintf(text, "event %u", i); }

static bool is_event(span text, uint32_t i)
{
	char expected[32];
	return span_eq(text, span_of(expected, spelled(expected, i)));
}

/* Reads until the seal; counts what was wrong. The cursor was opened by the writer. */
static void *read_all(void *cursor)
{
	struct cursor *c = cursor;
	uintptr_t wrong = 0;
	uint32_t i = c->next;
	for (;;) {
		enum journal_kind kind;
		span text;
		bool sealed = journal_last_word(c->journal) != NULL;
		for (; cursor_read(c, &kind, &text); i++)
			wrong += kind != (enum journal_kind)(i % 2) || !is_event(text, i);
		if (sealed)
			break;
		sched_yield();
	}
	wrong += i != EVENTS + 1;
	cursor_close(c);
	return (void *)wrong;
}

/* Any place that is still there. */
static uint32_t some_place(const struct journal *j)
{
	uint32_t first = journal_first(j);
	return first + (uint32_t)rand() % (journal_count(j) + 2 - first);
}

static void append_a_round(struct journal *j, bool gives_up)
{
	char text[32];
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t n = journal_count(j) + 1;
		append(j, (enum journal_kind)(n % 2), span_of(text, spelled(text, n)));
		if (gives_up)
			journal_give_up(j, UINT64_MAX);
	}
}

/* Readers come one after the other while the writer goes on. */
static void read_in_other_threads(bool gives_up)
{
	struct journal *j = journal_create();
	struct cursor c[READERS];
	pthread_t reader[READERS];
	for (int i = 0; i < READERS; i++) {
		cursor_open(&c[i], j, some_place(j));
		assert_int_equal(pthread_create(&reader[i], NULL, read_all, &c[i]), 0);
		append_a_round(j, gives_up);
	}
	journal_seal(j, &(struct last_word){.cause = CAUSE_FINISHED, .proof = PROOF_MARKER});
	for (int i = 0; i < READERS; i++) {
		void *wrong;
		assert_int_equal(pthread_join(reader[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(gives_up || journal_first(j) == 1);
	journal_give_up(j, UINT64_MAX);
	assert_true(journal_memory(j) < 70000); /* all have gone: the last segment is left */
	journal_drop(j);
}

static void test_readers_in_other_threads_see_every_event_whole(void **state) { read_in_other_threads(false); }
static void test_nothing_is_given_up_under_readers_in_other_threads(void **state) { read_in_other_threads(true); }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_are_read_in_order_as_they_were_written),
		cmocka_unit_test(test_a_cursor_opens_at_any_place),
		cmocka_unit_test(test_bytes_never_move),
		cmocka_unit_test(test_the_tally_counts_text_and_only_text),
		cmocka_unit_test(test_the_last_word_comes_with_the_seal),
		cmocka_unit_test(test_a_reader_holds_all_of_it),
		cmocka_unit_test(test_an_event_costs_at_most_8_bytes_more_than_its_text),
		cmocka_unit_test(test_memory_is_what_was_allocated),
		cmocka_unit_test(test_4_GiB_of_text_and_index_is_too_large),
		cmocka_unit_test(test_without_memory_the_journal_stays_as_it_was),
		cmocka_unit_test(test_what_nobody_reads_is_given_up_but_for_the_newest),
		cmocka_unit_test(test_no_more_is_given_up_than_is_asked_for),
		cmocka_unit_test(test_a_reader_goes_on_behind_what_was_given_up),
		cmocka_unit_test(test_the_slowest_reader_keeps_all_that_it_has_not_passed),
		cmocka_unit_test(test_a_cursor_goes_from_hand_to_hand),
		cmocka_unit_test(test_readers_in_other_threads_see_every_event_whole),
		cmocka_unit_test(test_nothing_is_given_up_under_readers_in_other_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
