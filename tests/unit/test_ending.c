/* The table of ends, line by line, with the neighbours that must not apply; and what holds for all evidence. */
#include "stream/ending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct scene {
	struct seen seen;
	struct evidence e;
};

static void open_text(struct scene *s)
{
	*s = (struct scene){.seen = {.choices = 1}, .e = {.status = 200, .has_terminator = true, .is_text = true}};
	s->e.seen = &s->seen;
}

static void open_openai(struct scene *s)
{
	*s = (struct scene){.seen = {.choices = 1}, .e = {.status = 200, .has_finish = true, .has_terminator = true}};
	s->e.seen = &s->seen;
}

/* Finish reasons, but nothing that says that it is over. */
static void open_gemini(struct scene *s)
{
	open_openai(s);
	s->e.has_terminator = false;
}

static void expect(const struct scene *s, int line, enum cause cause, enum proof proof)
{
	struct verdict v = {0};
	assert_true(ending_judge(&s->e, &v));
	assert_int_equal(v.line, line);
	assert_int_equal(v.cause, cause);
	assert_int_equal(v.proof, proof);
}

static void expect_open(const struct scene *s)
{
	struct verdict v = {.line = 77};
	assert_false(ending_judge(&s->e, &v));
	assert_int_equal(v.line, 77);
}

static void test_nothing_yet_is_no_end(void **state)
{
	struct scene s;
	open_text(&s);
	expect_open(&s);
	s.seen.text = s.seen.meaning = true;
	expect_open(&s);
	open_openai(&s);
	s.seen.finished = 1;
	expect_open(&s); /* a finish alone: usage and [DONE] follow */
	s.e.status = 0;
	expect_open(&s);
}

static void test_line_1_in_band_error_is_failed_even_with_a_terminator(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.error = true;
	expect(&s, 1, CAUSE_ERROR, PROOF_NULL);
	s.seen.terminator = true;
	s.seen.finished = 1;
	expect(&s, 1, CAUSE_ERROR, PROOF_NULL);
	s.seen.failing_finish = true;
	s.e.ours = CAUSE_STOPPED;
	s.e.body = BODY_BROKEN;
	expect(&s, 1, CAUSE_ERROR, PROOF_NULL);
}

static void test_line_2_failing_finish_is_aborted_even_with_a_terminator(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.failing_finish = true;
	s.seen.finished = 1;
	expect(&s, 2, CAUSE_ABORTED, PROOF_NULL);
	s.seen.terminator = true;
	s.e.body = BODY_FRAMED;
	expect(&s, 2, CAUSE_ABORTED, PROOF_NULL);
}

static void test_line_3_terminator_with_every_finish_is_complete(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.terminator = true;
	s.seen.finished = 1;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
	s.seen.choices = s.seen.finished = 3;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
	s.e.body = BODY_BROKEN; /* the evidence ended before the cut */
	s.e.ours = CAUSE_IDLE_TIMEOUT;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
}

static void test_line_3_a_whole_event_is_the_finish_of_every_choice(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.choices = 4;
	s.seen.terminator = s.seen.whole = true;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
}

static void test_line_3_terminator_of_a_dialect_without_finish_reasons_is_complete(void **state)
{
	struct scene s;
	open_text(&s);
	s.seen.terminator = true;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
	s.e.end_marker = END_MARKER_REQUIRED;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
}

static void test_line_3_finish_optional_accepts_the_terminator_alone(void **state)
{
	struct scene s;
	open_openai(&s);
	s.e.finish_optional = s.seen.terminator = true;
	expect(&s, 3, CAUSE_FINISHED, PROOF_TERMINATOR);
	s.seen.finished = 1;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
	s.seen.terminator = false;
	s.seen.finished = 0;
	expect_open(&s);
	s.e.body = BODY_FRAMED;
	expect(&s, 9, CAUSE_TRUNCATED, PROOF_NULL);
}

static void test_line_4_terminator_without_a_finish_is_truncated_at_once(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.terminator = s.seen.text = true;
	expect(&s, 4, CAUSE_TRUNCATED, PROOF_NULL);
	s.e.body = BODY_FRAMED;
	expect(&s, 4, CAUSE_TRUNCATED, PROOF_NULL);
}

static void test_line_4_one_choice_of_two_without_a_finish_is_truncated(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.terminator = true;
	s.seen.choices = 2;
	s.seen.finished = 1;
	expect(&s, 4, CAUSE_TRUNCATED, PROOF_NULL);
	s.seen.finished = 2;
	expect(&s, 3, CAUSE_FINISHED, PROOF_MARKER);
}

static void test_line_4_a_reader_that_never_read_has_no_finish(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.choices = 0;
	s.seen.terminator = true;
	expect(&s, 4, CAUSE_TRUNCATED, PROOF_NULL);
}

static const enum cause ours[] = {
	CAUSE_STOPPED, CAUSE_CONNECT_TIMEOUT, CAUSE_FIRST_EVENT_TIMEOUT, CAUSE_IDLE_TIMEOUT, CAUSE_TOTAL_TIMEOUT,
	CAUSE_EVENT_TOO_LARGE, CAUSE_STREAM_TOO_LARGE, CAUSE_ABANDONED, CAUSE_OVERLOADED, CAUSE_SHUTDOWN,
	CAUSE_OWNER_LOST, CAUSE_INTERNAL,
};

static void test_line_5_what_we_end_has_our_cause(void **state)
{
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		struct scene s;
		open_text(&s);
		s.seen.text = true;
		s.e.ours = ours[i];
		expect(&s, 5, ours[i], PROOF_NULL);
		s.e.body = BODY_FRAMED; /* ours was first: the body's end is no news any more */
		expect(&s, 5, ours[i], PROOF_NULL);
		s.e.status = 0;
		s.e.no_connection = CAUSE_REFUSED;
		expect(&s, 5, ours[i], PROOF_NULL);
	}
}

static void test_line_6_never_connected_is_refused_or_tls(void **state)
{
	struct scene s;
	open_text(&s);
	s.e.status = 0;
	s.e.no_connection = CAUSE_REFUSED;
	expect(&s, 6, CAUSE_REFUSED, PROOF_NULL);
	s.e.no_connection = CAUSE_TLS;
	expect(&s, 6, CAUSE_TLS, PROOF_NULL);
}

static void test_line_6_a_status_other_than_200_is_status(void **state)
{
	static const int statuses[] = {101, 201, 204, 206, 301, 400, 401, 404, 429, 500, 503, 529};
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		struct scene s;
		open_text(&s);
		s.e.status = statuses[i];
		expect(&s, 6, CAUSE_STATUS, PROOF_NULL);
		s.e.body = BODY_BROKEN;
		expect(&s, 6, CAUSE_STATUS, PROOF_NULL);
	}
}

static void test_line_6_broken_off_is_cut_even_with_every_finish(void **state)
{
	struct scene s;
	open_openai(&s);
	s.e.body = BODY_BROKEN;
	expect(&s, 6, CAUSE_CUT, PROOF_NULL);
	s.seen.finished = 1;
	expect(&s, 6, CAUSE_CUT, PROOF_NULL);
	s.e.status = 0;
	expect(&s, 6, CAUSE_CUT, PROOF_NULL);
	open_text(&s);
	s.seen.text = true;
	s.e.end_marker = END_MARKER_NONE;
	s.e.body = BODY_BROKEN;
	expect(&s, 6, CAUSE_CUT, PROOF_NULL);
}

static void test_line_6_what_cannot_be_read_is_protocol(void **state)
{
	struct scene s;
	open_openai(&s);
	s.e.body = BODY_MALFORMED;
	expect(&s, 6, CAUSE_PROTOCOL, PROOF_NULL);
	open_openai(&s);
	s.e.unusable = true;
	expect(&s, 6, CAUSE_PROTOCOL, PROOF_NULL);
	open_openai(&s);
	s.seen.unreadable = true;
	expect(&s, 6, CAUSE_PROTOCOL, PROOF_NULL);
}

static void test_line_7_every_finish_but_no_terminator_is_complete_by_finish(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.finished = 1;
	s.e.body = BODY_FRAMED;
	expect(&s, 7, CAUSE_FINISHED, PROOF_FINISH);
	s.e.body = BODY_CLOSED;
	expect(&s, 7, CAUSE_FINISHED, PROOF_FINISH);
	s.e.half_event = true; /* half a [DONE] */
	expect(&s, 7, CAUSE_FINISHED, PROOF_FINISH);
	s.seen.choices = 2;
	expect(&s, 8, CAUSE_TRUNCATED, PROOF_NULL);
	s.e.half_event = false;
	expect(&s, 9, CAUSE_TRUNCATED, PROOF_NULL);
}

static void test_line_8_half_an_event_left_over_is_truncated(void **state)
{
	struct scene s;
	for (int closed = 0; closed < 2; closed++) {
		open_text(&s);
		s.seen.text = s.e.half_event = true;
		s.e.end_marker = END_MARKER_NONE;
		expect_open(&s);
		s.e.body = closed ? BODY_CLOSED : BODY_FRAMED;
		expect(&s, 8, CAUSE_TRUNCATED, PROOF_NULL);
		open_gemini(&s);
		s.seen.finished = 1;
		s.e.half_event = true;
		s.e.body = closed ? BODY_CLOSED : BODY_FRAMED;
		expect(&s, 8, CAUSE_TRUNCATED, PROOF_NULL);
	}
}

static void test_line_9_finish_missing_is_truncated(void **state)
{
	struct scene s;
	open_openai(&s);
	s.seen.text = true;
	s.e.body = BODY_FRAMED;
	expect(&s, 9, CAUSE_TRUNCATED, PROOF_NULL);
	s.e.body = BODY_CLOSED;
	expect(&s, 9, CAUSE_TRUNCATED, PROOF_NULL);
	open_gemini(&s);
	s.e.body = BODY_FRAMED;
	expect(&s, 9, CAUSE_TRUNCATED, PROOF_NULL);
}

static void test_line_9_finish_in_a_dialect_without_terminator_needs_framing(void **state)
{
	struct scene s;
	open_gemini(&s);
	s.seen.finished = 1;
	expect_open(&s);
	s.e.body = BODY_FRAMED;
	expect(&s, 9, CAUSE_FINISHED, PROOF_FINISH);
	s.e.body = BODY_CLOSED;
	expect(&s, 9, CAUSE_UNPROVEN, PROOF_NULL);
}

static void test_line_10_no_text_at_all_is_truncated(void **state)
{
	for (int marker = END_MARKER_OPTIONAL; marker <= END_MARKER_NONE; marker++)
		for (int body = BODY_FRAMED; body <= BODY_CLOSED; body++) {
			struct scene s;
			open_text(&s);
			s.e.end_marker = (enum end_marker)marker;
			s.e.body = (enum ending_body)body;
			expect(&s, 10, CAUSE_TRUNCATED, PROOF_NULL);
		}
}

static void expect_text(enum end_marker marker, enum ending_body body, enum cause cause, enum proof proof)
{
	struct scene s;
	open_text(&s);
	s.seen.text = true;
	s.e.end_marker = marker;
	s.e.body = body;
	expect(&s, 10, cause, proof);
}

static void test_line_10_text_ends_as_its_end_marker_asks(void **state)
{
	expect_text(END_MARKER_REQUIRED, BODY_FRAMED, CAUSE_TRUNCATED, PROOF_NULL);
	expect_text(END_MARKER_REQUIRED, BODY_CLOSED, CAUSE_TRUNCATED, PROOF_NULL);
	expect_text(END_MARKER_OPTIONAL, BODY_FRAMED, CAUSE_FINISHED, PROOF_FRAMING);
	expect_text(END_MARKER_OPTIONAL, BODY_CLOSED, CAUSE_UNPROVEN, PROOF_NULL);
	expect_text(END_MARKER_NONE, BODY_FRAMED, CAUSE_FINISHED, PROOF_FRAMING);
	expect_text(END_MARKER_NONE, BODY_CLOSED, CAUSE_FINISHED, PROOF_NONE);
}

static void test_line_10_another_dialect_without_finish_reasons_needs_its_terminator(void **state)
{
	struct scene s;
	open_text(&s);
	s.e.is_text = false;
	s.seen.text = true;
	s.e.end_marker = END_MARKER_NONE;
	s.e.body = BODY_FRAMED;
	expect(&s, 10, CAUSE_TRUNCATED, PROOF_NULL);
}

/* Takes a number apart: the next digit, base `of`. */
static int pick(uint32_t *number, uint32_t of)
{
	int digit = (int)(*number % of);
	*number /= of;
	return digit;
}

static void imagine(struct scene *s, uint32_t number)
{
	static const int statuses[] = {200, 0, 503};
	*s = (struct scene){0};
	s->seen.error = pick(&number, 2);
	s->seen.failing_finish = pick(&number, 2);
	s->seen.terminator = pick(&number, 2);
	s->seen.unreadable = pick(&number, 2);
	s->seen.text = pick(&number, 2);
	s->seen.whole = pick(&number, 2);
	s->seen.choices = 1 + (unsigned)pick(&number, 2);
	s->seen.finished = (unsigned)pick(&number, 2);
	s->e.ours = pick(&number, 2) ? CAUSE_STOPPED : CAUSE_NONE;
	s->e.no_connection = pick(&number, 2) ? CAUSE_TLS : CAUSE_NONE;
	s->e.unusable = pick(&number, 2);
	s->e.half_event = pick(&number, 2);
	s->e.has_finish = pick(&number, 2);
	s->e.has_terminator = pick(&number, 2);
	s->e.is_text = pick(&number, 2);
	s->e.finish_optional = pick(&number, 2);
	s->e.status = statuses[pick(&number, 3)];
	s->e.body = (enum ending_body)pick(&number, 5);
	s->e.end_marker = (enum end_marker)pick(&number, 3);
	s->e.seen = &s->seen;
}

enum { IMAGINABLE = (1 << 16) * 3 * 5 * 3 };

/* Whatever the evidence: a body that is over has a verdict, success has its proof, failure has none, and nothing that
 * says "failed" is ever called complete. */
static void test_all_evidence_has_one_sound_verdict(void **state)
{
	for (uint32_t i = 0; i < IMAGINABLE; i++) {
		struct scene s;
		struct verdict v = {0};
		imagine(&s, i);
		bool ended = ending_judge(&s.e, &v);
		if (!ended) {
			assert_int_equal(s.e.body, BODY_OPEN);
			assert_false(seen_decides(&s.seen) || s.e.ours || s.e.no_connection);
			assert_false(s.e.unusable || s.e.status == 503);
			continue;
		}
		assert_in_range(v.line, 1, 10);
		bool complete = v.cause == CAUSE_FINISHED;
		assert_int_equal(complete, v.proof != PROOF_NULL);
		if (!complete)
			continue;
		assert_false(s.seen.error || s.seen.failing_finish);
		if (!s.seen.terminator) {
			assert_true(s.e.body == BODY_FRAMED || s.e.body == BODY_CLOSED);
			assert_false(s.e.ours || s.e.no_connection || s.e.unusable);
			assert_false(s.seen.unreadable || s.e.status == 503);
		}
	}
}

static void test_proofs_have_names(void **state)
{
	assert_null(proof_name(PROOF_NULL));
	assert_string_equal(proof_name(PROOF_MARKER), "marker");
	assert_string_equal(proof_name(PROOF_TERMINATOR), "terminator");
	assert_string_equal(proof_name(PROOF_FINISH), "finish");
	assert_string_equal(proof_name(PROOF_FRAMING), "framing");
	assert_string_equal(proof_name(PROOF_NONE), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_yet_is_no_end),
		cmocka_unit_test(test_line_1_in_band_error_is_failed_even_with_a_terminator),
		cmocka_unit_test(test_line_2_failing_finish_is_aborted_even_with_a_terminator),
		cmocka_unit_test(test_line_3_terminator_with_every_finish_is_complete),
		cmocka_unit_test(test_line_3_a_whole_event_is_the_finish_of_every_choice),
		cmocka_unit_test(test_line_3_terminator_of_a_dialect_without_finish_reasons_is_complete),
		cmocka_unit_test(test_line_3_finish_optional_accepts_the_terminator_alone),
		cmocka_unit_test(test_line_4_terminator_without_a_finish_is_truncated_at_once),
		cmocka_unit_test(test_line_4_one_choice_of_two_without_a_finish_is_truncated),
		cmocka_unit_test(test_line_4_a_reader_that_never_read_has_no_finish),
		cmocka_unit_test(test_line_5_what_we_end_has_our_cause),
		cmocka_unit_test(test_line_6_never_connected_is_refused_or_tls),
		cmocka_unit_test(test_line_6_a_status_other_than_200_is_status),
		cmocka_unit_test(test_line_6_broken_off_is_cut_even_with_every_finish),
		cmocka_unit_test(test_line_6_what_cannot_be_read_is_protocol),
		cmocka_unit_test(test_line_7_every_finish_but_no_terminator_is_complete_by_finish),
		cmocka_unit_test(test_line_8_half_an_event_left_over_is_truncated),
		cmocka_unit_test(test_line_9_finish_missing_is_truncated),
		cmocka_unit_test(test_line_9_finish_in_a_dialect_without_terminator_needs_framing),
		cmocka_unit_test(test_line_10_no_text_at_all_is_truncated),
		cmocka_unit_test(test_line_10_text_ends_as_its_end_marker_asks),
		cmocka_unit_test(test_line_10_another_dialect_without_finish_reasons_needs_its_terminator),
		cmocka_unit_test(test_all_evidence_has_one_sound_verdict),
		cmocka_unit_test(test_proofs_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
