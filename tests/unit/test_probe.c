/* The pure parts of `lastword check`: what is seen in bytes, how busy a page says that a server is, and above all that
 * the advice follows from the facts, for every verdict that there is. */
#include "gateway/probe_parts.h"
#include "stream/ending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Facts about an answer that came, without fault so far; a test changes what it is about, and judges. */
struct scene {
	struct route route;
	struct probe_look look;
	struct seen seen;
	struct evidence evidence;
	struct probe_facts facts;
	struct probe_advice advice;
};

static void open_scene(struct scene *s, const struct dialect *d)
{
	*s = (struct scene){
		.route = {.dialect_auto = true, .first_event_ms = 60000, .idle_ms = 60000},
		.look = {.status = 200, .type = "text/event-stream"},
		.seen = {.choices = 1, .text = true, .prompt_tokens = -1, .completion_tokens = -1},
		.evidence = {.status = 200, .body = BODY_FRAMED, .has_finish = d->has_finish,
			.has_terminator = d->has_terminator, .is_text = d == &dialect_text},
		.facts = {.dialect = d, .detail = "", .message = "", .body_ended = true, .first_ms = 10},
	};
	s->evidence.seen = &s->seen;
	s->facts.route = &s->route;
	s->facts.look = &s->look;
	s->facts.evidence = &s->evidence;
	s->facts.by_get = d == &dialect_text;
	s->facts.known = d == &dialect_text ? KNOWN_NOT : KNOWN_BY_PATH;
}

static void advise(struct scene *s)
{
	assert_true(ending_judge(&s->evidence, &s->facts.verdict));
	probe_advise(&s->advice, &s->facts);
}

static bool says(const struct scene *s, const char *words)
{
	for (size_t i = 0; i < s->advice.sentences; i++)
		if (strstr(s->advice.sentence[i], words))
			return true;
	return false;
}

static void expect(const struct scene *s, size_t sentences, const char *words)
{
	if (s->advice.sentences != sentences || (words && !says(s, words)))
		for (size_t i = 0; i < s->advice.sentences; i++)
			print_error("%s\n", s->advice.sentence[i]);
	assert_int_equal(s->advice.sentences, sentences);
	assert_true(!words || says(s, words));
}

static void test_nothing_is_advised_where_nothing_is_wrong(void **state)
{
	struct scene s;
	open_scene(&s, &dialect_openai_chat);
	s.seen.terminator = true;
	s.seen.finished = 1;
	advise(&s);
	expect(&s, 0, NULL);
	assert_ptr_equal(s.advice.route.dialect, &dialect_openai_chat);
	assert_false(s.advice.route.dialect_auto);
	assert_false(s.advice.route.finish_optional);
	assert_int_equal(s.advice.route.end_marker, END_MARKER_OPTIONAL);
}

static void test_a_marker_of_text_becomes_required(void **state)
{
	struct scene s;
	open_scene(&s, &dialect_text);
	s.seen.terminator = true;
	advise(&s);
	expect(&s, 0, NULL);
	assert_int_equal(s.advice.route.end_marker, END_MARKER_REQUIRED);
}

static void test_finish_optional_is_advised_only_where_it_helps(void **state)
{
	struct scene s;
	open_scene(&s, &dialect_openai_chat);
	s.seen.terminator = true;
	advise(&s);
	expect(&s, 1, "price");
	assert_true(s.advice.route.finish_optional);

	open_scene(&s, &dialect_openai_chat); /* neither finish nor marker: no option helps */
	advise(&s);
	expect(&s, 1, "No option");
	assert_false(s.advice.route.finish_optional);

	open_scene(&s, &dialect_openai_chat); /* an error, and then the marker */
	s.seen.error = s.seen.terminator = true;
	advise(&s);
	expect(&s, 1, "upstream's own word");
	assert_false(s.advice.route.finish_optional);
}

static void test_a_dialect_that_only_events_told_is_not_written(void **state)
{
	struct scene s;
	open_scene(&s, &dialect_openai_chat);
	s.seen.terminator = true;
	s.seen.finished = 1;
	s.facts.known = KNOWN_BY_EVENT;
	s.facts.by_get = true;
	advise(&s);
	assert_true(s.advice.route.dialect_auto);
}

static void test_text_without_proof(void **state)
{
	struct scene s;
	open_scene(&s, &dialect_text);
	s.evidence.body = BODY_CLOSED;
	advise(&s);
	expect(&s, 3, "`end_marker: none`");
	assert_true(says(&s, "not framed"));
	assert_int_equal(s.advice.route.end_marker, END_MARKER_OPTIONAL); /* mentioned, never set */

	s.evidence.end_marker = s.route.end_marker = END_MARKER_NONE;
	advise(&s);
	assert_false(probe_is_proved(&s.facts));

	open_scene(&s, &dialect_text);
	advise(&s);
	expect(&s, 2, "Only the framing");
}

static void expect_marker(const char *name, const char *data, const char *words)
{
	struct scene s;
	open_scene(&s, &dialect_text);
	strcpy(s.look.last.name, name);
	strcpy(s.look.last.data, data);
	advise(&s);
	expect(&s, 2, words);
}

static void test_the_servers_own_marker_is_found_and_text_is_not_taken_for_one(void **state)
{
	expect_marker("complete", "{}", "end_events: [complete]");
	expect_marker("", "[END]", "end_data: [\"[END]\"]");
	expect_marker("", "<|eot|>", "end_data: [\"<|eot|>\"]");
	expect_marker("", "done", "end_data: [\"done\"]");
	expect_marker("message", "bye", "event: close");
	expect_marker("", "[see below]", "event: close");
	expect_marker("", "[\"]", "event: close");
	expect_marker("", " world", "event: close");
	expect_marker("a, b]", "", "event: close"); /* would not be a word in a list */
}

static void test_every_status_of_a_refusal_has_its_sentence(void **state)
{
	static const int statuses[] = {201, 204, 301, 307, 400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503, 599};
	for (int by_get = 0; by_get < 2; by_get++)
		for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
			struct scene s;
			open_scene(&s, by_get ? &dialect_text : &dialect_openai_chat);
			s.evidence.status = s.look.status = statuses[i];
			s.seen.text = false;
			strcpy(s.look.location, "/elsewhere");
			advise(&s);
			expect(&s, 1, NULL);
		}
}

static void test_a_credential_that_was_sent_is_doubted(void **state)
{
	struct scene s;
	char secret[] = "canary";
	open_scene(&s, &dialect_openai_chat);
	s.evidence.status = 401;
	advise(&s);
	expect(&s, 1, "--auth env:NAME");
	s.route.auth_value = secret;
	advise(&s);
	expect(&s, 1, "does not accept");
	assert_false(says(&s, secret));
}

static void test_slow_upstreams_get_longer_clocks(void **state)
{
	struct scene s;
	open_scene(&s, &dialect_openai_chat);
	s.seen.terminator = true;
	s.seen.finished = 1;
	s.facts.first_ms = 30000;
	advise(&s);
	expect(&s, 0, NULL);
	s.facts.first_ms = 40100;
	s.facts.gap_ms = 31000;
	advise(&s);
	expect(&s, 1, "slow");
	assert_true(s.advice.slow_first && s.advice.slow_idle);
	assert_int_equal(s.advice.route.first_event_ms, 81000);
	assert_int_equal(s.advice.route.idle_ms, 62000);
}

/* A route never believes more by an advice than it was asked with, whatever the evidence, but by finish: optional. */
static void test_no_advice_makes_a_route_more_credulous(void **state)
{
	static const struct dialect *const dialects[] = {&dialect_text, &dialect_openai_chat, &dialect_gemini,
		&dialect_ollama_chat};
	for (unsigned bits = 0; bits < 1u << 9; bits++)
		for (int body = BODY_FRAMED; body <= BODY_MALFORMED; body++) {
			struct scene s;
			open_scene(&s, dialects[bits & 3]);
			s.evidence.body = (enum ending_body)body;
			s.seen.text = bits >> 2 & 1;
			s.seen.terminator = bits >> 3 & 1;
			s.seen.finished = bits >> 4 & 1;
			s.seen.error = bits >> 5 & 1;
			s.evidence.half_event = bits >> 6 & 1;
			s.evidence.unusable = bits >> 7 & 1;
			s.seen.failing_finish = bits >> 8 & 1;
			advise(&s);
			struct verdict after;
			s.evidence.finish_optional = s.advice.route.finish_optional;
			s.evidence.end_marker = s.advice.route.end_marker;
			assert_true(ending_judge(&s.evidence, &after));
			if (s.facts.verdict.cause != CAUSE_FINISHED && after.cause == CAUSE_FINISHED)
				assert_true(s.advice.route.finish_optional && after.proof == PROOF_TERMINATOR && says(&s, "price"));
			if (s.facts.verdict.cause == CAUSE_FINISHED)
				assert_int_equal(after.cause, CAUSE_FINISHED);
			else
				assert_true(s.advice.sentences > 0); /* a failure is explained */
		}
}

/* Looking. */

static void look_at(struct probe_look *l, const char *type, const char *body, size_t step)
{
	struct http_field field = {span_str("Content-Type"), span_str(type)};
	struct http_head head = {.status = 200, .framing = HTTP_CHUNKED, .fields = &field, .fields_n = 1};
	*l = (struct probe_look){0};
	probe_look_head(l, &head, SSE_EVENT_STREAM);
	for (span rest = span_str(body); rest.n; rest = span_from(rest, step))
		probe_look_body(l, span_first(rest, step));
}

static void test_a_look_is_the_same_however_bytes_are_sliced(void **state)
{
	static const char body[] = ": hello\n\nevent: ping\ndata: {}\n\ndata: one\ntwo\n\n"
		"event: \x1b[2J\ndata: \xff bye\n\n";
	for (size_t step = 1; step <= sizeof body; step++) {
		struct probe_look l;
		look_at(&l, "text/plain; charset=utf-8", body, step);
		assert_int_equal(l.events, 3);
		assert_int_equal(l.comments, 1);
		assert_int_equal(l.pings, 1);
		assert_int_equal(l.named, 1);
		assert_int_equal(probe_look_raw_newlines(&l), 1);
		assert_string_equal(l.last.name, "?[2J");
		assert_string_equal(l.last.data, "? bye");
		assert_int_equal(l.bytes, sizeof body - 1);
		probe_look_finish(&l);
	}
}

static void test_lines_of_json_are_events(void **state)
{
	struct probe_look l;
	look_at(&l, "application/x-ndjson", "{\"message\":{},\"done\":false}\n{\"message\":{},\"done\":true}\n", 7);
	assert_int_equal(l.events, 2);
	assert_string_equal(l.guess->name, "ollama-chat");
	probe_look_finish(&l);
}

/* Gauges. */

static int64_t busy(size_t gauge, const char *page) { return probe_gauge_read(gauge, span_str(page)); }

static void test_how_busy_a_server_says_that_it_is(void **state)
{
	assert_int_equal(busy(0, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{a=\"1\"} 2.0\n"), 2);
	assert_int_equal(busy(0, "sglang:num_running_reqs{x=\"}\"} 1\nsglang:num_running_reqs{x=\"b\"} 3.0 1700000000"), 4);
	assert_int_equal(busy(0, "llamacpp:requests_processing 0"), 0);
	assert_int_equal(busy(0, "llamacpp:requests_processing_total 5\nother 1\n"), -1);
	assert_int_equal(busy(0, "llamacpp:requests_processing NaN\n"), -1);
	assert_int_equal(busy(0, "llamacpp:requests_processing -3\n"), -1);
	assert_int_equal(busy(0, "<html>"), -1);
	assert_int_equal(busy(1, "[{\"is_processing\":true},{\"is_processing\":false},{\"state\":1},{\"state\":0}]"), 2);
	assert_int_equal(busy(1, "[]"), -1);
	assert_int_equal(busy(1, "{\"error\":{}}"), -1);
	assert_int_equal(busy(2, "{\"busy\":4}"), 4);
	assert_int_equal(busy(2, "{\"status\":\"ok\"}"), -1);
	assert_int_equal(busy(2, ""), -1);
	for (size_t i = 0; i < PROBE_GAUGES; i++)
		assert_true(probe_gauge_path(i)[0] == '/');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_advised_where_nothing_is_wrong),
		cmocka_unit_test(test_a_marker_of_text_becomes_required),
		cmocka_unit_test(test_finish_optional_is_advised_only_where_it_helps),
		cmocka_unit_test(test_a_dialect_that_only_events_told_is_not_written),
		cmocka_unit_test(test_text_without_proof),
		cmocka_unit_test(test_the_servers_own_marker_is_found_and_text_is_not_taken_for_one),
		cmocka_unit_test(test_every_status_of_a_refusal_has_its_sentence),
		cmocka_unit_test(test_a_credential_that_was_sent_is_doubted),
		cmocka_unit_test(test_slow_upstreams_get_longer_clocks),
		cmocka_unit_test(test_no_advice_makes_a_route_more_credulous),
		cmocka_unit_test(test_a_look_is_the_same_however_bytes_are_sliced),
		cmocka_unit_test(test_lines_of_json_are_events),
		cmocka_unit_test(test_how_busy_a_server_says_that_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
