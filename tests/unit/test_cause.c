/* Every cause that can end a stream, met in a stream, with what people are told about it; and the table itself. */
#include "play.h"

#include <string.h>

static bool met[CAUSES];

/* The stream ended so, and says so. */
static const struct last_word *expect(struct play *p, enum cause cause, const char *detail)
{
	bool complete = cause == CAUSE_FINISHED;
	const struct last_word *word = journal_last_word(p->journal);
	assert_non_null(word);
	play_expect_end(p, cause, complete ? word->proof : PROOF_NULL);
	assert_string_equal(word->detail, detail);
	met[cause] = true;
	return word;
}

static void open_text(struct play *p)
{
	struct generation_rules rules = play_rules(&dialect_text);
	play_open(p, &rules);
}

static void open_openai(struct play *p)
{
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	play_open(p, &rules);
	play_head(p);
}

#define CHUNK(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FINISH(word) "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

static void test_finished(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, CHUNK("a") FINISH("length") DONE);
	const struct last_word *word = expect(&p, CAUSE_FINISHED, "");
	assert_int_equal(word->proof, PROOF_MARKER);
	assert_string_equal(word->finish, "length");
	play_close(&p);
}

static void test_stopped(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\n");
	generation_end(&p.g, CAUSE_STOPPED, NULL);
	expect(&p, CAUSE_STOPPED, "");
	play_close(&p);
}

static void test_refused(void **state)
{
	struct play p;
	open_text(&p);
	generation_no_connection(&p.g, CAUSE_REFUSED, "127.0.0.1:9 refused the connection.");
	expect(&p, CAUSE_REFUSED, "127.0.0.1:9 refused the connection.");
	play_close(&p);
	open_text(&p);
	generation_no_connection(&p.g, CAUSE_REFUSED, NULL);
	expect(&p, CAUSE_REFUSED, "The model server could not be reached.");
	play_close(&p);
}

static void test_tls(void **state)
{
	struct play p;
	open_text(&p);
	generation_no_connection(&p.g, CAUSE_TLS, NULL);
	expect(&p, CAUSE_TLS, "No trustworthy TLS connection to the model server.");
	play_close(&p);
}

static void expect_status(int status, const char *detail)
{
	struct play p;
	open_text(&p);
	generation_head(&p.g, status, SPAN("text/html"), SPAN("gzip"));
	assert_int_equal(expect(&p, CAUSE_STATUS, detail)->upstream_status, status);
	assert_false(p.g.answered);
	play_close(&p);
}

static void test_status(void **state)
{
	expect_status(503, "The model server answered 503 Service Unavailable.");
	expect_status(401, "The model server answered 401 Unauthorized.");
	expect_status(204, "The model server answered 204 No Content.");
	expect_status(799, "The model server answered 799.");
}

static void test_protocol(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, CHUNK("a") CHUNK("b"));
	generation_body_end(&p.g, BODY_MALFORMED, NULL);
	expect(&p, CAUSE_PROTOCOL, "The model server broke the rules of HTTP after 2 events.");
	play_close(&p);
	open_text(&p);
	generation_body_end(&p.g, BODY_MALFORMED, NULL);
	expect(&p, CAUSE_PROTOCOL, "The model server broke the rules of HTTP before it answered.");
	play_close(&p);
	open_openai(&p);
	play_say(&p, CHUNK("a") "data: {\"choices\": oops}\n\n");
	const struct last_word *word = journal_last_word(p.journal);
	assert_non_null(word);
	assert_memory_equal(word->detail, "An event of the answer could not be read, after 1 event: ", 57);
	expect(&p, CAUSE_PROTOCOL, word->detail);
	play_close(&p);
}

static void test_error(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, CHUNK("a"));
	play_say(&p, "data: {\"error\":{\"message\":\"try\\nlater <b>\","
	             "\"type\":\"overloaded_error\",\"code\":529}}\n\n");
	expect(&p, CAUSE_ERROR,
	       "The model server reported an error: \"try later ‹b›\" (type overloaded_error, code 529).");
	play_close(&p);
	open_openai(&p);
	play_say(&p, "data: {\"error\":{\"message\":\"no\",\"type\":\"t\"}}\n\n");
	expect(&p, CAUSE_ERROR, "The model server reported an error: \"no\" (type t).");
	play_close(&p);
	open_openai(&p);
	play_say(&p, "data: {\"error\":{\"code\":\"c\"}}\n\n");
	expect(&p, CAUSE_ERROR, "The model server reported an error (code c) and said no more.");
	play_close(&p);
	open_text(&p);
	play_head(&p);
	play_say(&p, "event: error\n\n");
	expect(&p, CAUSE_ERROR, "The model server reported an error and said no more.");
	play_close(&p);
}

static void test_aborted(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, CHUNK("a") FINISH("abort") DONE);
	const struct last_word *word;
	word = expect(&p, CAUSE_ABORTED, "The model server gave up after 1 event: its finish reason is \"abort\".");
	assert_string_equal(word->finish, "abort");
	play_close(&p);
}

static void test_cut(void **state)
{
	struct play p;
	open_text(&p);
	generation_body_end(&p.g, BODY_BROKEN, NULL);
	expect(&p, CAUSE_CUT, "The connection broke before the model server answered.");
	play_close(&p);
	open_text(&p);
	play_head(&p);
	generation_body_end(&p.g, BODY_BROKEN, NULL);
	expect(&p, CAUSE_CUT, "The connection broke before the first text.");
	play_close(&p);
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\ndata: b\n\n");
	generation_body_end(&p.g, BODY_BROKEN, NULL);
	expect(&p, CAUSE_CUT, "The connection broke after 2 events.");
	play_close(&p);
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\ndata: b\n");
	generation_body_end(&p.g, BODY_BROKEN, NULL);
	expect(&p, CAUSE_CUT, "The connection broke after 1 event, in the middle of an event.");
	play_close(&p);
}

static void test_cut_for_a_known_reason_says_how_far_the_answer_came(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\ndata: b\n");
	generation_body_end(&p.g, BODY_BROKEN, "The connection was reset.");
	expect(&p, CAUSE_CUT, "The connection was reset. That was after 1 event, in the middle of an event.");
	play_close(&p);
	open_text(&p);
	play_head(&p);
	generation_body_end(&p.g, BODY_MALFORMED, "chunk size is not hexadecimal");
	expect(&p, CAUSE_PROTOCOL,
	       "The model server broke the rules of HTTP: chunk size is not hexadecimal. That was before the first "
	       "text.");
	play_close(&p);
	open_text(&p);
	generation_body_end(&p.g, BODY_BROKEN, "The head broke off");
	expect(&p, CAUSE_CUT, "The head broke off.");
	play_close(&p);
}

static void expect_truncated(const char *body, const char *detail)
{
	struct play p;
	open_openai(&p);
	play_say(&p, body);
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	expect(&p, CAUSE_TRUNCATED, detail);
	play_close(&p);
}

static void test_truncated(void **state)
{
	expect_truncated(CHUNK("a") CHUNK("b"), "The answer ended after 2 events, without a finish reason.");
	expect_truncated(CHUNK("a") "data: {", "The answer ended after 1 event, in the middle of an event.");
	expect_truncated(CHUNK("a") DONE, "The end marker came after 1 event, without a finish reason.");
	expect_truncated(CHUNK("a") FINISH("stop") "data: {\"choices\":[{\"index\":1,\"delta\":{}}]}\n\n" DONE,
	                 "The end marker came after 1 event, without a finish reason for choice 1.");
	expect_truncated("", "The answer ended before the first text, without a finish reason.");
}

static void test_truncated_text(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	expect(&p, CAUSE_TRUNCATED, "The answer ended without any text.");
	play_close(&p);
	struct generation_rules rules = play_rules(&dialect_text);
	rules.end_marker = END_MARKER_REQUIRED;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, "data: a\n\n");
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	expect(&p, CAUSE_TRUNCATED, "The answer ended after 1 event, without the end marker that this route asks for.");
	play_close(&p);
}

static void test_unproven(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\n");
	generation_body_end(&p.g, BODY_CLOSED, NULL);
	expect(&p, CAUSE_UNPROVEN,
	       "The connection was simply closed after 1 event: nothing proves that the answer is whole.");
	play_close(&p);
}

/* A cause of ours, in the middle of an answer. */
static void expect_ours(enum cause cause, const char *detail)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\n");
	generation_end(&p.g, cause, NULL);
	expect(&p, cause, detail);
	play_expect_events(&p, "a|");
	play_close(&p);
}

static void test_connect_timeout(void **state)
{
	struct play p;
	open_text(&p);
	generation_end(&p.g, CAUSE_CONNECT_TIMEOUT, NULL);
	expect(&p, CAUSE_CONNECT_TIMEOUT, "No connection to the model server in time.");
	play_close(&p);
}

static void test_first_event_timeout(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	generation_end(&p.g, CAUSE_FIRST_EVENT_TIMEOUT, NULL);
	expect(&p, CAUSE_FIRST_EVENT_TIMEOUT, "The model server did not begin its answer in time.");
	play_close(&p);
}

static void test_idle_timeout(void **state)
{
	expect_ours(CAUSE_IDLE_TIMEOUT, "The model server fell silent after 1 event.");
}

static void test_total_timeout(void **state)
{
	expect_ours(CAUSE_TOTAL_TIMEOUT, "The answer took longer than is allowed here; time was over after 1 event.");
}

static void test_event_too_large(void **state)
{
	struct play p;
	struct generation_rules rules = play_rules(&dialect_text);
	rules.event_limit = 20;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, "data: a\n\ndata: this one is larger\n\ndata: b\n\n");
	expect(&p, CAUSE_EVENT_TOO_LARGE,
	       "The answer was cut off after 1 event: the next event is larger than the 20 bytes that are allowed "
	       "here.");
	play_expect_events(&p, "a|");
	play_close(&p);
}

static void test_stream_too_large(void **state)
{
	struct play p;
	struct generation_rules rules = play_rules(&dialect_text);
	rules.stream_limit = 4;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, "data: ab\n\ndata: cd\n\ndata: e\n\n");
	expect(&p, CAUSE_STREAM_TOO_LARGE,
	       "The answer was cut off after 2 events: it is larger than the 4 bytes that are allowed here.");
	play_expect_events(&p, "ab|cd|");
	play_close(&p);
	expect_ours(CAUSE_STREAM_TOO_LARGE, "The answer was larger than is allowed here.");
}

static void test_abandoned(void **state) { expect_ours(CAUSE_ABANDONED, "Nobody was watching any more."); }

static void test_overloaded(void **state) { expect_ours(CAUSE_OVERLOADED, "The gateway has no room for this answer."); }

static void test_shutdown(void **state)
{
	expect_ours(CAUSE_SHUTDOWN, "The gateway was shut down before the answer was whole.");
}

static void test_owner_lost(void **state)
{
	expect_ours(CAUSE_OWNER_LOST, "The gateway that was writing this answer died.");
}

static void test_internal(void **state) { expect_ours(CAUSE_INTERNAL, "A bug in the gateway ended this answer."); }

/* Runs after all others: a new row needs a test here, unless no generation can end so. */
static void test_every_cause_that_ends_a_stream_was_met(void **state)
{
	for (int cause = CAUSE_NONE + 1; cause < CAUSES; cause++)
		assert_int_equal(met[cause], cause != CAUSE_FORGOTTEN && cause != CAUSE_QUOTA);
}

static void test_rows_are_fit_for_wire_and_people(void **state)
{
	for (int a = CAUSE_NONE + 1; a < CAUSES; a++) {
		const struct cause_row *row = cause_row((enum cause)a);
		assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
		assert_int_equal(row->sentence[strlen(row->sentence) - 1], '.');
		assert_null(strpbrk(row->sentence, "<>\"\n"));
		assert_int_equal(row->end == END_COMPLETE, a == CAUSE_FINISHED);
		assert_int_equal(row->end == END_STOPPED, a == CAUSE_STOPPED);
		assert_true(row->status == 0 || (row->status >= 400 && row->status < 600));
		for (int b = CAUSE_NONE + 1; b < a; b++)
			assert_string_not_equal(row->name, cause_name((enum cause)b));
	}
}

static void test_statuses_before_the_first_byte(void **state)
{
	assert_int_equal(cause_row(CAUSE_CUT)->status, 502);
	assert_int_equal(cause_row(CAUSE_IDLE_TIMEOUT)->status, 504);
	assert_int_equal(cause_row(CAUSE_OVERLOADED)->status, 503);
	assert_int_equal(cause_row(CAUSE_QUOTA)->status, 429);
	assert_int_equal(cause_row(CAUSE_FORGOTTEN)->status, 0);
	assert_int_equal(cause_row(CAUSE_INTERNAL)->status, 500);
	assert_string_equal(cause_side_name(cause_row(CAUSE_QUOTA)->side), "viewer");
	assert_string_equal(cause_end_name(cause_row(CAUSE_QUOTA)->end), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finished),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_aborted),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_for_a_known_reason_says_how_far_the_answer_came),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_truncated_text),
		cmocka_unit_test(test_unproven),
		cmocka_unit_test(test_connect_timeout),
		cmocka_unit_test(test_first_event_timeout),
		cmocka_unit_test(test_idle_timeout),
		cmocka_unit_test(test_total_timeout),
		cmocka_unit_test(test_event_too_large),
		cmocka_unit_test(test_stream_too_large),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_overloaded),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_owner_lost),
		cmocka_unit_test(test_internal),
		cmocka_unit_test(test_every_cause_that_ends_a_stream_was_met),
		cmocka_unit_test(test_rows_are_fit_for_wire_and_people),
		cmocka_unit_test(test_statuses_before_the_first_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
