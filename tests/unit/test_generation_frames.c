/* A journal of frames: byte for byte what came, up to the end and our word for it; and told to a browser, the same events
 * as a browser route would have kept. */
#include "failing_malloc.h"
#include "play.h"

#include "sse/print.h"
#include "stream/retell.h"

struct row {
	const char *what;
	const struct dialect *dialect;
	const char *body;
	const char *frames; /* NULL: the body itself */
	enum cause cause;
	enum proof proof;
};

#define CHAT(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}]}\n\n"
#define STOP "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"
#define FAILED(cause) "data: {\"error\":{\"message\":\"DETAIL\",\"type\":\"upstream_error\",\"param\":null," \
	"\"code\":\"lastword_" cause "\"},\"lastword\":{\"end\":\"failed\",\"cause\":\"" cause "\"}}\n\n"
#define LINE(text, rest) "{\"message\":{\"content\":\"" text "\"}," rest "}\n"

static const struct row rows[] = {
	{"good", &dialect_openai_chat, CHAT("") CHAT("a\\r\\nb") CHAT("\\ud83d") CHAT("\\ude00") STOP DONE, NULL,
		CAUSE_FINISHED, PROOF_MARKER},
	{"comments, ids, retry and blank lines belong to it", &dialect_openai_chat,
		": ping\n\nretry: 5\nid: 1\n" CHAT("a") "\n\n:\n" CHAT("b") ": x\n" STOP "event: message\n" DONE, NULL,
		CAUSE_FINISHED, PROOF_MARKER},
	{"nothing behind the end", &dialect_openai_chat, CHAT("a") STOP DONE CHAT("late") ": x\n", CHAT("a") STOP DONE,
		CAUSE_FINISHED, PROOF_MARKER},
	{"CRLF", &dialect_openai_chat, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\n: x\r\n\r\n"
		"data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n", NULL,
		CAUSE_FINISHED, PROOF_MARKER},
	{"CR", &dialect_openai_chat, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\r"
		"data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\r\rdata: [DONE]\r\r", NULL,
		CAUSE_FINISHED, PROOF_MARKER},
	{"a terminator is supplied", &dialect_openai_chat, CHAT("a") STOP ": bye\n\n", CHAT("a") STOP ": bye\n\n" DONE,
		CAUSE_FINISHED, PROOF_FINISH},
	{"no finish", &dialect_openai_chat, CHAT("a") CHAT("\\ud83d"), CHAT("a") CHAT("\\ud83d") FAILED("truncated"),
		CAUSE_TRUNCATED, PROOF_NULL},
	{"half an event", &dialect_openai_chat, CHAT("a") "data: {\"choi", CHAT("a") FAILED("truncated"),
		CAUSE_TRUNCATED, PROOF_NULL},
	{"a false terminator", &dialect_openai_chat, CHAT("a") DONE, CHAT("a") FAILED("truncated"),
		CAUSE_TRUNCATED, PROOF_NULL},
	{"a failing finish with text", &dialect_openai_chat,
		CHAT("a") "id: 9\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"abort\"}]}\n\n" DONE,
		CHAT("a") "id: 9\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":null}]}\n\n" FAILED("aborted"),
		CAUSE_ABORTED, PROOF_NULL},
	{"an error that raises", &dialect_openai_chat, CHAT("a") ": x\ndata: {\"error\":{\"message\":\"m\",\"code\":1}}\n\n" DONE,
		CHAT("a") ": x\ndata: {\"error\":{\"message\":\"m\",\"code\":1}}\n\n", CAUSE_ERROR, PROOF_NULL},
	{"an error that does not", &dialect_openai_chat, CHAT("a") "data: {\"error\":\"m\"}\n\n" DONE,
		CHAT("a") "data: {\"error\":{\"message\":\"m\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"lastword_error\"},"
		"\"lastword\":{\"end\":\"failed\",\"cause\":\"error\"}}\n\n", CAUSE_ERROR, PROOF_NULL},
	{"an unreadable event", &dialect_openai_chat, CHAT("a") "data: {\n\n" STOP, CHAT("a") FAILED("protocol"),
		CAUSE_PROTOCOL, PROOF_NULL},
	{"a good line of NDJSON without its end", &dialect_ollama_chat,
		LINE("a", "\"done\":false") "\n" LINE("b", "\"done\":false") "{\"done\":true,\"done_reason\":\"stop\"}", NULL,
		CAUSE_FINISHED, PROOF_MARKER},
	{"a line of NDJSON without its end, and no end", &dialect_ollama_chat,
		LINE("a", "\"done\":false") "{\"message\":{\"content\":\"b\"},\"done\":false}",
		LINE("a", "\"done\":false") "{\"message\":{\"content\":\"b\"},\"done\":false}\n{\"error\":\"DETAIL\"}\n",
		CAUSE_TRUNCATED, PROOF_NULL},
	{"half a line of NDJSON", &dialect_ollama_chat,
		LINE("a", "\"done\":false") "{\"message\":{\"content\":\"b",
		LINE("a", "\"done\":false") "{\"error\":\"DETAIL\"}\n", CAUSE_TRUNCATED, PROOF_NULL},
	{"done by a failure", &dialect_ollama_chat, LINE("a", "\"done\":false") LINE("b", "\"done\":true,\"done_reason\":\"error\""),
		LINE("a", "\"done\":false") LINE("b", "\"done\":false") "{\"error\":\"DETAIL\"}\n", CAUSE_ABORTED, PROOF_NULL},
	{"gemini's raw error", &dialect_gemini,
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n{\"error\":{\"code\":503,\"message\":\"m\"}}",
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n"
		"data: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n", CAUSE_ERROR, PROOF_NULL},
	{"half a line behind the finish", &dialect_openai_chat, CHAT("a") STOP "d", CHAT("a") STOP DONE,
		CAUSE_FINISHED, PROOF_FINISH},
	{"half an event behind a comment", &dialect_openai_chat,
		CHAT("a") STOP ": c\n\ndata: x\n", CHAT("a") STOP ": c\n\n" DONE, CAUSE_FINISHED, PROOF_FINISH},
	{"a comment before a failure", &dialect_openai_chat, CHAT("a") ": c\n\n", CHAT("a") ": c\n\n" FAILED("truncated"),
		CAUSE_TRUNCATED, PROOF_NULL},
	{"gemini's clients lose an event behind a comment's line", &dialect_gemini,
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n: c\n",
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"
		"data: {\"error\":{\"code\":502,\"message\":\"DETAIL\",\"status\":\"UNAVAILABLE\"}}\n\n",
		CAUSE_TRUNCATED, PROOF_NULL},
	{"half a line of NDJSON", &dialect_ollama_chat, LINE("a", "\"done\":false") "{\"mess",
		LINE("a", "\"done\":false") "{\"error\":\"DETAIL\"}\n", CAUSE_TRUNCATED, PROOF_NULL},
	{"an error in NDJSON without its line's end", &dialect_ollama_chat,
		LINE("a", "\"done\":false") "{\"error\":\"m\"}", NULL, CAUSE_ERROR, PROOF_NULL},
	{"the error is numbered behind what went on", &dialect_openai_responses,
		"data: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"delta\":\"a\"}\n\n"
		"data: {\"type\":\"response.failed\",\"sequence_number\":5,\"response\":{\"error\":{\"code\":\"c\",\"message\":\"m\"}}}\n\n",
		"data: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"delta\":\"a\"}\n\n"
		"event: error\ndata: {\"type\":\"error\",\"sequence_number\":5,\"code\":\"c\",\"message\":\"m\",\"param\":null,"
		"\"error\":{\"message\":\"m\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"c\"}}\n\n", CAUSE_ERROR, PROOF_NULL},
	{"plain text", &dialect_text, "data: a\r\ndata: b\r\n\r\nevent: close\r\ndata: x\r\n\r\n", NULL, CAUSE_FINISHED, PROOF_MARKER},
};

enum { ROWS = sizeof rows / sizeof *rows };

static void open_play(struct play *p, const struct row *row, bool frames)
{
	struct generation_rules rules = play_rules(row->dialect);
	rules.keeps_frames = frames;
	play_open(p, &rules);
	generation_head(&p->g, 200, row->dialect->syntax == SSE_NDJSON ? SPAN("application/x-ndjson") : SPAN("text/event-stream"),
		(span){0});
}

static void play_through(struct play *p, const struct row *row, bool frames, span body, size_t slice, enum ending_body how)
{
	open_play(p, row, frames);
	play_body(p, body, slice);
	generation_body_end(&p->g, how, NULL);
	assert_true(p->g.ended);
}

static void print_frames(const struct play *p, struct buf *out)
{
	struct cursor c;
	enum journal_kind kind;
	span frame;
	cursor_open(&c, p->journal, 1);
	while (cursor_read(&c, &kind, &frame)) {
		assert_int_equal(kind, JOURNAL_FRAME);
		buf_put(out, frame);
	}
	cursor_close(&c);
	assert_non_null(buf_cstr(out));
}

static void print_retold(const struct play *p, const struct row *row, struct buf *out)
{
	struct retell r;
	struct cursor c;
	struct generation_rules rules = play_rules(row->dialect);
	enum journal_kind kind;
	span text;
	cursor_open(&c, p->journal, 1);
	retell_open(&r, &c, row->dialect, &rules.text, false);
	while (retell_read(&r, &kind, &text)) {
		buf_put(out, kind == JOURNAL_REASONING ? SPAN("{") : SPAN(""));
		buf_put(out, text);
		buf_put(out, kind == JOURNAL_REASONING ? SPAN("}|") : SPAN("|"));
	}
	assert_false(r.failed);
	assert_int_equal(r.next - 1, journal_told(p->journal));
	retell_close(&r);
	assert_non_null(buf_cstr(out));
}

/* The word of the end, and what was counted, are those of a browser route over the same bytes; so is what is told. */
static void expect_same_as_text(struct play *p, const struct row *row, span body, enum ending_body how)
{
	struct play plain;
	struct buf told = {0}, kept = {0};
	play_through(&plain, row, false, body, 0, how);
	const struct last_word *a = journal_last_word(p->journal), *b = journal_last_word(plain.journal);
	assert_string_equal(cause_name(a->cause), cause_name(b->cause));
	assert_int_equal(a->proof, b->proof);
	assert_string_equal(a->detail, b->detail);
	assert_int_equal(a->events, b->events);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->crc32, b->crc32);
	print_retold(p, row, &told);
	play_print(&plain, &kept);
	assert_string_equal(told.p, kept.p);
	buf_finish(&told);
	buf_finish(&kept);
	play_close(&plain);
}

/* DETAIL in the expectation stands for the last word's sentence. */
static void expect_frames(const struct row *row, const struct play *p)
{
	struct buf got = {0}, want = {0};
	const char *text = row->frames ? row->frames : row->body, *detail = strstr(text, "DETAIL");
	print_frames(p, &got);
	if (detail) {
		buf_put(&want, span_of(text, (size_t)(detail - text)));
		struct buf quoted = {0};
		sse_print_json_string(&quoted, span_str(journal_last_word(p->journal)->detail));
		buf_put(&want, span_of(quoted.p + 1, quoted.n - 2));
		buf_finish(&quoted);
		text = detail + strlen("DETAIL");
	}
	buf_put(&want, span_str(text));
	assert_non_null(buf_cstr(&want));
	if (strcmp(got.p, want.p) != 0)
		fail_msg("%s:\n%s\ninstead of\n%s", row->what, got.p, want.p);
	buf_finish(&got);
	buf_finish(&want);
}

static void frames_are_kept_to_the_byte(void **state)
{
	for (const struct row *row = rows; row < rows + ROWS; row++)
		for (size_t slice = 0; slice < 9; slice++) {
			struct play p;
			play_through(&p, row, true, span_str(row->body), slice, BODY_FRAMED);
			const struct last_word *word = journal_last_word(p.journal);
			if (word->cause != row->cause || word->proof != row->proof)
				fail_msg("%s: %s", row->what, cause_name(word->cause));
			assert_true(word->is_spoken);
			expect_frames(row, &p);
			expect_same_as_text(&p, row, span_str(row->body), BODY_FRAMED);
			play_close(&p);
		}
}

/* Whatever is cut off: the frames are the whole events that came, and one frame that says so. */
static void an_answer_cut_anywhere(void **state)
{
	for (const struct row *row = rows; row < rows + ROWS; row++)
		for (size_t cut = 0; cut <= strlen(row->body); cut++)
			for (enum ending_body how = BODY_FRAMED; how <= BODY_BROKEN; how++) {
				struct play p;
				struct buf got = {0};
				span body = span_of(row->body, cut);
				play_through(&p, row, true, body, cut % 5, how);
				expect_same_as_text(&p, row, body, how);
				print_frames(&p, &got);
				if (row->frames == NULL && journal_last_word(p.journal)->cause == CAUSE_CUT) {
					span whole = buf_span(&got);
					size_t n = 0;
					while (n < whole.n && n < cut && whole.p[n] == row->body[n])
						n++;
					struct sse s;
					span rest = span_from(whole, n);
					assert_true(rest.n > 0);
					sse_init(&s, row->dialect->syntax, 0);
					enum sse_item item;
					while ((item = sse_next(&s, &whole)) != SSE_MORE)
						if (item == SSE_EVENT && !whole.n)
							assert_true(dialect_event_raises(row->dialect, &s.event));
					assert_false(sse_is_inside_event(&s));
					sse_finish(&s);
				}
				buf_finish(&got);
				play_close(&p);
			}
}

static void nothing_is_delivered_before_a_meaning(void **state)
{
	struct play p;
	struct buf body = {0};
	open_play(&p, &rows[0], true);
	play_say(&p, CHAT(""));
	assert_false(p.g.delivers);
	play_say(&p, "data: {\"error\":{\"message\":\"over \\\"quota\\\"\",\"type\":\"t\",\"code\":\"c\"}}\n\n");
	play_expect_end(&p, CAUSE_ERROR, PROOF_NULL);
	assert_false(p.g.delivers);
	generation_put_error_body(&p.g, &body);
	assert_non_null(buf_cstr(&body));
	assert_string_equal(body.p, "{\"error\":{\"message\":\"over \\\"quota\\\"\",\"type\":\"t\",\"param\":null,\"code\":\"c\"},"
		"\"lastword\":{\"end\":\"failed\",\"cause\":\"error\"}}");
	buf_finish(&body);
	play_close(&p);

	open_play(&p, &rows[0], true);
	play_say(&p, CHAT("a"));
	assert_true(p.g.delivers);
	play_close(&p);
}

/* What a client is told of an error, as a frame and as a body. */
static void tell_error(const char *event, struct buf *got)
{
	struct play p;
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	rules.keeps_frames = true;
	rules.secret = SPAN("sk-1234567890");
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, event);
	play_expect_end(&p, CAUSE_ERROR, PROOF_NULL);
	print_frames(&p, got);
	generation_put_error_body(&p.g, got);
	assert_non_null(buf_cstr(got));
	play_close(&p);
}

static void a_secret_is_not_repeated(void **state)
{
	static const char *const events[] = {
		"data: {\"error\":\"no such key: sk-1234567890!\"}\n\n",
		"data: {\"error\":{\"message\":\"no such key: sk-1234567890!\",\"type\":\"t\",\"code\":\"c\"}}\n\n",
		"data: {\"error\":{\"message\":\"no such key: \",\"type\":\"sk-1234567890\",\"code\":\"for sk-1234567890\"}}\n\n",
	};
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		struct buf got = {0};
		tell_error(events[i], &got);
		assert_null(strstr(got.p, "sk-"));
		assert_non_null(strstr(got.p, "no such key: "));
		buf_finish(&got);
	}
}

/* Wherever the words were cut: no half of it either. */
static void half_a_secret_is_not_repeated(void **state)
{
	for (int before = DIALECT_WORD - 20; before < DIALECT_SENTENCE; before++) {
		struct buf event = {0}, got = {0};
		buf_printf(&event, "data: {\"error\":{\"message\":\"%*s sk-1234567890 it is\",\"type\":\"%*s sk-1234567890 it is\"}}\n\n",
			before, "~", before, "~");
		assert_non_null(buf_cstr(&event));
		tell_error(event.p, &got);
		assert_null(strstr(got.p, "sk"));
		assert_non_null(strstr(got.p, "~"));
		buf_finish(&event);
		buf_finish(&got);
	}
}

/* Words that were not cut end as they did. */
static void the_end_of_a_whole_message_is_no_secret(void **state)
{
	struct buf got = {0};
	tell_error("data: {\"error\":\"no such task\"}\n\ndata: [DONE]\n\n", &got);
	assert_non_null(strstr(got.p, "no such task\""));
	buf_finish(&got);
	tell_error("data: {\"error\":\"no such tas\"}\n\n", &got);
	assert_non_null(strstr(got.p, "no such tas\""));
	buf_finish(&got);
}

static void done_after_an_error_if_it_is_wanted(void **state)
{
	struct play p;
	struct buf got = {0};
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	rules.keeps_frames = rules.done_after_error = true;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, CHAT("a") "data: {\"error\":{\"message\":\"m\"}}\n\n");
	print_frames(&p, &got);
	assert_string_equal(got.p, CHAT("a") "data: {\"error\":{\"message\":\"m\"}}\n\n" DONE);
	buf_finish(&got);
	play_close(&p);
}

static void limits_hold_and_are_told(void **state)
{
	struct play p;
	struct buf got = {0};
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	rules.keeps_frames = true;
	rules.stream_limit = strlen(CHAT("a")) + 5;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, CHAT("a") CHAT("b") STOP DONE);
	const struct last_word *word = journal_last_word(p.journal);
	assert_int_equal(word->cause, CAUSE_STREAM_TOO_LARGE);
	assert_int_equal(word->events, 1);
	print_frames(&p, &got);
	assert_true(span_starts(buf_span(&got), SPAN(CHAT("a") "data: {\"error\":")));
	buf_finish(&got);
	play_close(&p);
}

/* As far as was counted, which is what a viewer asks for: half a character before memory ran out may lie behind that. */
static void expect_counted_is_told(const struct play *p, const struct row *row)
{
	const struct last_word *word = journal_last_word(p->journal);
	struct generation_rules rules = play_rules(row->dialect);
	struct retell r;
	struct cursor c;
	enum journal_kind kind;
	span text;
	uint64_t events = 0;
	uLong crc = crc32(0, NULL, 0);
	cursor_open(&c, p->journal, 1);
	retell_open(&r, &c, row->dialect, &rules.text, false);
	while (r.next <= journal_told(p->journal)) {
		assert_true(retell_read(&r, &kind, &text));
		events += kind == JOURNAL_TEXT;
		if (kind == JOURNAL_TEXT)
			crc = crc32_z(crc, (const unsigned char *)text.p, text.n);
	}
	assert_int_equal(events, word->events);
	assert_int_equal(crc, word->crc32);
	retell_close(&r);
}

/* Memory that ends after n allocations. A good end is the whole answer; any other is said, as an error that raises or by
 * the word that it could not be said. What was counted is what a retelling finds. */
static bool frames_survive(const struct row *row, long n)
{
	struct play p;
	open_play(&p, row, true);
	allocations_left = n;
	for (size_t i = 0; row->body[i]; i++)
		generation_body(&p.g, span_of(row->body + i, 1));
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	allocations_left = LONG_MAX;
	const struct last_word *word = journal_last_word(p.journal);
	bool as_ever = word->cause == row->cause && word->is_spoken;
	expect_counted_is_told(&p, row);
	if (word->cause == CAUSE_FINISHED) {
		assert_int_equal(row->cause, CAUSE_FINISHED);
		assert_int_equal(word->proof, row->proof);
		if (word->is_spoken)
			expect_frames(row, &p);
	}
	play_close(&p);
	return as_ever;
}

static void without_memory_frames_fail_and_are_never_called_whole(void **state)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		long n = 0, good = 0;
		for (; good < 8; n++) /* a failure may be of no consequence */
			good = frames_survive(row, n) ? good + 1 : 0;
		assert_in_range(n, 9, 1000);
	}
}

/* All that was counted is told, or the teller says that it has failed; it never falls silent. */
static bool is_retold(const struct play *p, const struct row *row, const char *all, long n)
{
	struct retell r;
	struct cursor c;
	struct generation_rules rules = play_rules(row->dialect);
	struct buf told = {0};
	enum journal_kind kind;
	span text;
	cursor_open(&c, p->journal, 1);
	retell_open(&r, &c, row->dialect, &rules.text, false);
	for (;;) {
		allocations_left = n; /* for each event: those before it may have made room */
		bool any = retell_read(&r, &kind, &text);
		allocations_left = LONG_MAX;
		if (!any)
			break;
		buf_put(&told, kind == JOURNAL_REASONING ? SPAN("{") : SPAN(""));
		buf_put(&told, text);
		buf_put(&told, kind == JOURNAL_REASONING ? SPAN("}|") : SPAN("|"));
	}
	assert_non_null(buf_cstr(&told));
	bool failed = r.failed;
	if (!failed)
		assert_string_equal(told.p, all);
	retell_close(&r);
	buf_finish(&told);
	return !failed;
}

static void without_memory_a_retelling_says_so(void **state)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		struct play p;
		struct buf all = {0};
		long n = 0;
		play_through(&p, row, true, span_str(row->body), 0, BODY_FRAMED);
		print_retold(&p, row, &all);
		while (!is_retold(&p, row, all.p, n))
			n++;
		assert_in_range(n, 0, 100);
		buf_finish(&all);
		play_close(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_frames_fail_and_are_never_called_whole),
		cmocka_unit_test(without_memory_a_retelling_says_so),
		cmocka_unit_test(frames_are_kept_to_the_byte),
		cmocka_unit_test(an_answer_cut_anywhere),
		cmocka_unit_test(nothing_is_delivered_before_a_meaning),
		cmocka_unit_test(a_secret_is_not_repeated),
		cmocka_unit_test(half_a_secret_is_not_repeated),
		cmocka_unit_test(the_end_of_a_whole_message_is_no_secret),
		cmocka_unit_test(done_after_an_error_if_it_is_wanted),
		cmocka_unit_test(limits_hold_and_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
