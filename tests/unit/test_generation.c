/* Generations: transcripts cut at every byte, and the rules of generation.h one by one. The expected endings of the
 * cuts are computed from the list of frames that the transcript was built from, never by parsing it. */
#include "play.h"

#include "failing_malloc.h"

#include <stdio.h>

#define CHUNK(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"
#define FINISH(word) "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}"

enum role { EVENT, COMMENT, LAST_FINISH, TERMINATOR };

struct frame {
	const char *lines[3]; /* without their ends */
	const char *text;     /* what comes out of it, as play_print prints it */
	const char *tail;     /* what would come out if the answer ended here */
	enum role role;
};

struct transcript {
	const struct dialect *dialect;
	const struct frame *frame; /* up to one without lines */
};

static const struct frame text_frames[] = {
	{{": hello"}, "", "", COMMENT},
	{{"event: progress", "data: 50%"}, "", "", EVENT},
	{{"data: Hel"}, "Hel|", "", EVENT},
	{{"data:lo"}, "lo|", "", EVENT},
	{{"data:"}, "", "", EVENT},
	{{": ping"}, "", "", COMMENT},
	{{"id: 7", "data:  two", "data: lines "}, " two\nlines |", "", EVENT},
	{{"event: message", "data: caf\xc3"}, "caf|", "\xef\xbf\xbd|", EVENT},
	{{":"}, "", "\xef\xbf\xbd|", COMMENT},
	{{"data: \xa9!"}, "\xc3\xa9!|", "", EVENT},
	{{"data: \xf0\x9f"}, "", "\xef\xbf\xbd|", EVENT},
	{{NULL}, NULL, NULL, EVENT},
};

static const struct frame closed_frames[] = {
	{{"retry: 10", "data: a"}, "a|", "", EVENT},
	{{"data:", "data:"}, "\n|", "", EVENT},
	{{"data: \xe2\x82"}, "", "\xef\xbf\xbd|", EVENT},
	{{"event: close", "data: bye"}, "", "\xef\xbf\xbd|", TERMINATOR},
	{{"event: error", "data: too late"}, "", "", EVENT},
	{{"data: too late"}, "", "", EVENT},
	{{NULL}, NULL, NULL, EVENT},
};

static const struct frame openai_frames[] = {
	{{"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}"}, "", "", EVENT},
	{{CHUNK("Hi")}, "Hi|", "", EVENT},
	{{": OPENROUTER PROCESSING"}, "", "", COMMENT},
	{{CHUNK("\\ud83d")}, "", "\xef\xbf\xbd|", EVENT},
	{{CHUNK("\\ude00 you\\n")}, "\xf0\x9f\x98\x80 you\n|", "", EVENT},
	{{FINISH("stop")}, "", "", LAST_FINISH},
	{{"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}"}, "", "", EVENT},
	{{"data: [DONE]"}, "", "", TERMINATOR},
	{{CHUNK("too late")}, "", "", EVENT},
	{{NULL}, NULL, NULL, EVENT},
};

/* A transcript as bytes, and what is known of it at each frame. */
enum { FRAMES = 16 };

struct script {
	struct buf bytes;
	size_t begins[FRAMES], dispatched[FRAMES]; /* offsets: its first byte, and the byte behind what closes it */
	size_t frames;
};

static void write_script(struct script *s, const struct transcript *t, const char *line_end)
{
	*s = (struct script){0};
	for (const struct frame *f = t->frame; f->lines[0]; f++) {
		s->begins[s->frames] = s->bytes.n;
		for (size_t i = 0; i < 3 && f->lines[i]; i++) {
			buf_put(&s->bytes, span_str(f->lines[i]));
			buf_put(&s->bytes, span_str(line_end));
		}
		s->dispatched[s->frames++] = s->bytes.n + 1; /* a CR closes, whatever follows */
		buf_put(&s->bytes, span_str(line_end));
	}
	assert_false(s->bytes.failed);
}

struct expectation {
	enum cause cause;
	enum proof proof;
	int line;
	struct buf events;
};

static void judge_text(struct expectation *x, enum ending_body how, bool inside, bool has_text)
{
	if (inside)
		*x = (struct expectation){CAUSE_TRUNCATED, PROOF_NULL, 8, x->events};
	else if (!has_text)
		*x = (struct expectation){CAUSE_TRUNCATED, PROOF_NULL, 10, x->events};
	else if (how == BODY_FRAMED)
		*x = (struct expectation){CAUSE_FINISHED, PROOF_FRAMING, 10, x->events};
	else
		*x = (struct expectation){CAUSE_UNPROVEN, PROOF_NULL, 10, x->events};
}

static void judge_openai(struct expectation *x, bool inside, bool finished)
{
	if (finished)
		*x = (struct expectation){CAUSE_FINISHED, PROOF_FINISH, 7, x->events};
	else
		*x = (struct expectation){CAUSE_TRUNCATED, PROOF_NULL, inside ? 8 : 9, x->events};
}

/* What must come of the first `cut` bytes. */
static struct expectation foresee(const struct transcript *t, const struct script *s, size_t cut, enum ending_body how)
{
	struct expectation x = {0};
	const char *tail = "";
	bool inside = false, finished = false, has_text = false, terminated = false;
	for (size_t i = 0; i < s->frames && cut > s->begins[i] && !terminated; i++) {
		const struct frame *f = &t->frame[i];
		if (cut < s->dispatched[i]) {
			inside = f->role != COMMENT;
			break;
		}
		buf_put(&x.events, span_str(f->text));
		tail = f->tail;
		has_text |= *f->text || *f->tail;
		finished |= f->role == LAST_FINISH;
		terminated |= f->role == TERMINATOR;
	}
	buf_put(&x.events, span_str(tail));
	if (terminated)
		x = (struct expectation){CAUSE_FINISHED, PROOF_MARKER, 3, x.events};
	else if (how == BODY_BROKEN)
		x = (struct expectation){CAUSE_CUT, PROOF_NULL, 6, x.events};
	else if (t->dialect == &dialect_text)
		judge_text(&x, how, inside, has_text);
	else
		judge_openai(&x, inside, finished);
	assert_non_null(buf_cstr(&x.events));
	return x;
}

static void play_cut(const struct transcript *t, const struct script *s, size_t cut, enum ending_body how, size_t slice)
{
	struct generation_rules rules = play_rules(t->dialect);
	struct expectation x = foresee(t, s, cut, how);
	struct play p;
	play_open(&p, &rules);
	play_head(&p);
	play_body(&p, span_first(buf_span(&s->bytes), cut), slice);
	generation_body_end(&p.g, how, NULL);
	play_expect_events(&p, x.events.p);
	const struct last_word *word = play_expect_end(&p, x.cause, x.proof);
	assert_int_equal(p.g.verdict.line, x.line);
	assert_int_equal(word->detail[0] != 0, x.cause != CAUSE_FINISHED);
	play_close(&p);
	buf_finish(&x.events);
}

static void cut_at_every_byte(const struct transcript *t)
{
	static const char *const line_ends[] = {"\n", "\r\n", "\r"};
	for (size_t e = 0; e < 3; e++) {
		struct script s;
		write_script(&s, t, line_ends[e]);
		for (size_t cut = 0; cut <= s.bytes.n; cut++)
			for (int how = BODY_FRAMED; how <= BODY_BROKEN; how++)
				for (size_t slice = 0; slice <= 1; slice++)
					play_cut(t, &s, cut, (enum ending_body)how, slice);
		for (size_t slice = 2; slice < s.bytes.n; slice++)
			play_cut(t, &s, s.bytes.n, BODY_FRAMED, slice);
		buf_finish(&s.bytes);
	}
}

static void test_text_cut_at_every_byte(void **state)
{
	cut_at_every_byte(&(struct transcript){&dialect_text, text_frames});
}

static void test_text_with_close_cut_at_every_byte(void **state)
{
	cut_at_every_byte(&(struct transcript){&dialect_text, closed_frames});
}

static void test_openai_chat_cut_at_every_byte(void **state)
{
	cut_at_every_byte(&(struct transcript){&dialect_openai_chat, openai_frames});
}

/* The head. */

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

static void open_auto(struct play *p)
{
	struct generation_rules rules = play_rules(NULL);
	play_open(p, &rules);
}

static void expect_detail(const struct play *p, enum cause cause, const char *detail)
{
	assert_string_equal(play_expect_end(p, cause, PROOF_NULL)->detail, detail);
}

static void expect_media(const struct dialect *dialect, const char *type, bool answered)
{
	struct generation_rules rules = play_rules(dialect);
	struct play p;
	play_open(&p, &rules);
	generation_head(&p.g, 200, span_str(type), (span){0});
	assert_int_equal(p.g.answered, answered);
	assert_int_equal(p.g.ended, !answered);
	if (!answered)
		play_expect_end(&p, CAUSE_PROTOCOL, PROOF_NULL);
	play_close(&p);
}

static void test_media_types(void **state)
{
	expect_media(&dialect_text, "text/event-stream", true);
	expect_media(&dialect_text, "Text/Event-Stream;charset=UTF-8", true);
	expect_media(&dialect_openai_chat, "text/event-stream ; x", true);
	expect_media(NULL, "text/event-stream", true);
	expect_media(NULL, "application/x-ndjson", true);
	expect_media(&dialect_text, "application/x-ndjson", false);
	expect_media(&dialect_openai_chat, "application/x-ndjson", false);
	expect_media(&dialect_text, "text/event-stream2", false);
	expect_media(&dialect_text, "text/plain", false);
	expect_media(NULL, "", false);
}

static void test_a_wrong_media_type_is_named(void **state)
{
	struct play p;
	open_text(&p);
	generation_head(&p.g, 200, SPAN("text/html; charset=<x>"), (span){0});
	expect_detail(&p, CAUSE_PROTOCOL,
	              "The model server answered with text/html; charset=‹x›, which is not the stream that was asked "
	              "for.");
	play_close(&p);
	open_text(&p);
	generation_head(&p.g, 200, (span){0}, (span){0});
	expect_detail(&p, CAUSE_PROTOCOL, "The model server answered without a Content-Type.");
	play_close(&p);
}

static void test_compressed_answers_are_refused(void **state)
{
	struct play p;
	open_text(&p);
	generation_head(&p.g, 200, SPAN("text/event-stream"), SPAN("gzip"));
	expect_detail(&p, CAUSE_PROTOCOL,
	              "The model server compressed its answer (gzip) although it was asked not to.");
	play_close(&p);
	open_text(&p);
	generation_head(&p.g, 200, SPAN("text/event-stream"), SPAN(" Identity "));
	play_expect_open(&p);
	play_close(&p);
}

/* JSON instead of a stream. */

static void open_json(struct play *p, const struct dialect *dialect)
{
	struct generation_rules rules = play_rules(dialect);
	play_open(p, &rules);
	generation_head(&p->g, 200, SPAN("application/json; charset=utf-8"), (span){0});
	play_expect_open(p);
	assert_false(p->g.answered);
}

static void test_a_json_body_may_be_an_error(void **state)
{
	static const char body[] = "{\"error\":{\"message\":\"no such model\",\"type\":\"not_found\"}}";
	const struct dialect *const dialects[] = {&dialect_openai_chat, &dialect_text, NULL};
	for (size_t i = 0; i < 3; i++)
		for (size_t slice = 0; slice <= 1; slice++) {
			struct play p;
			open_json(&p, dialects[i]);
			play_body(&p, span_str(body), slice);
			play_expect_open(&p);
			generation_body_end(&p.g, BODY_FRAMED, NULL);
			expect_detail(&p, CAUSE_ERROR,
			              "The model server reported an error: \"no such model\" (type not_found).");
			play_close(&p);
		}
}

static const char not_a_stream[] =
	"The model server answered with application/json, which is not the stream that was asked for.";

static void test_any_other_json_body_is_protocol(void **state)
{
	static const char *const bodies[] = {"", "{}", "{\"choices\":[]}", "[1]", "{\"error\":{\"message\":\"cut"};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct play p;
		open_json(&p, &dialect_openai_chat);
		play_say(&p, bodies[i]);
		generation_body_end(&p.g, BODY_CLOSED, NULL);
		expect_detail(&p, CAUSE_PROTOCOL, not_a_stream);
		play_close(&p);
	}
}

static void test_a_json_body_that_breaks_is_cut(void **state)
{
	struct play p;
	open_json(&p, &dialect_openai_chat);
	play_say(&p, "{\"error\":\"x\"}");
	generation_body_end(&p.g, BODY_BROKEN, NULL);
	play_expect_end(&p, CAUSE_CUT, PROOF_NULL);
	play_close(&p);
}

static void test_64_KiB_of_json_are_waited_for(void **state)
{
	struct buf body = {0};
	struct play p;
	buf_put(&body, SPAN("{\"error\":\"x\"}"));
	while (body.n < 64 * 1024)
		buf_put_byte(&body, ' ');
	open_json(&p, &dialect_openai_chat);
	play_body(&p, buf_span(&body), 1000);
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	play_expect_end(&p, CAUSE_ERROR, PROOF_NULL);
	play_close(&p);
	buf_put_byte(&body, ' ');
	open_json(&p, &dialect_openai_chat);
	play_body(&p, buf_span(&body), 1000);
	expect_detail(&p, CAUSE_PROTOCOL, not_a_stream);
	play_close(&p);
	buf_finish(&body);
}

/* auto. */

static void test_auto_knows_openai_by_its_first_event(void **state)
{
	struct play p;
	open_auto(&p);
	play_head(&p);
	play_say(&p, ": hi\n\nevent: ping\n\n" CHUNK("a") "\n\n" FINISH("stop") "\n\n");
	play_expect_open(&p);
	generation_body_end(&p.g, BODY_CLOSED, NULL);
	play_expect_end(&p, CAUSE_FINISHED, PROOF_FINISH);
	play_expect_events(&p, "a|");
	play_close(&p);
}

static void test_auto_takes_anything_else_for_text(void **state)
{
	struct play p;
	open_auto(&p);
	play_head(&p);
	play_say(&p, "data: a\n\n" CHUNK("b") "\n\ndata: [DONE]\n\n");
	play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
	play_expect_events(&p, "a|{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}|");
	play_close(&p);
}

static void test_auto_recognises_every_dialect(void **state)
{
	struct play p;
	open_auto(&p);
	play_head(&p);
	play_say(&p, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\ndata: x\n\ndata: y\n\n");
	expect_detail(&p, CAUSE_PROTOCOL, "An event of the answer could not be read, before the first text: "
	              "invalid JSON at byte 0 of an event: expected a value.");
	assert_true(p.g.ignored_bytes == 9);
	play_expect_events(&p, "");
	play_close(&p);
}

static void test_auto_that_never_saw_an_event_is_truncated(void **state)
{
	struct play p;
	open_auto(&p);
	play_head(&p);
	play_say(&p, ": x\n\n");
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	expect_detail(&p, CAUSE_TRUNCATED, "The answer ended without any text.");
	play_close(&p);
}

static void test_auto_understands_an_end_without_data(void **state)
{
	struct play p;
	open_auto(&p);
	play_head(&p);
	play_say(&p, "event: close\n\n");
	play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
	play_close(&p);
}

static void open_ndjson(struct play *p)
{
	open_auto(p);
	generation_head(&p->g, 200, SPAN("application/x-ndjson"), (span){0});
}

static void test_auto_recognises_ndjson(void **state)
{
	struct play p;
	open_ndjson(&p);
	play_say(&p, "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n");
	play_expect_events(&p, "a|");
	play_say(&p, "{\"error\":\"gone\"}\n");
	play_expect_end(&p, CAUSE_ERROR, PROOF_NULL);
	play_close(&p);
}

static void expect_last_line(const char *body, enum ending_body how, enum cause cause, const char *events)
{
	struct play p;
	open_ndjson(&p);
	play_say(&p, body);
	generation_body_end(&p.g, how, NULL);
	play_expect_end(&p, cause, cause == CAUSE_FINISHED ? PROOF_FRAMING : PROOF_NULL);
	play_expect_events(&p, events);
	play_close(&p);
}

static void test_a_last_ndjson_line_without_its_end_is_whole_if_framing_and_json_say_so(void **state)
{
	expect_last_line("{\"x\":1}\n[2]", BODY_FRAMED, CAUSE_FINISHED, "{\"x\":1}|[2]|");
	expect_last_line("{\"x\":1}\n[2]  ", BODY_FRAMED, CAUSE_FINISHED, "{\"x\":1}|[2]  |");
	expect_last_line("{\"x\":1}\n", BODY_FRAMED, CAUSE_FINISHED, "{\"x\":1}|");
	expect_last_line("{\"x\":1}\n[2", BODY_FRAMED, CAUSE_TRUNCATED, "{\"x\":1}|");
	expect_last_line("{\"x\":1}\noops", BODY_FRAMED, CAUSE_TRUNCATED, "{\"x\":1}|");
	expect_last_line("{\"x\":1}\n[2]]", BODY_FRAMED, CAUSE_TRUNCATED, "{\"x\":1}|");
	expect_last_line("{\"x\":1}\n[2]", BODY_CLOSED, CAUSE_TRUNCATED, "{\"x\":1}|");
	expect_last_line("{\"x\":1}\n[2]", BODY_BROKEN, CAUSE_CUT, "{\"x\":1}|");
}

static void test_a_last_ndjson_line_may_prove_the_end(void **state)
{
	struct play p;
	open_ndjson(&p);
	play_say(&p, "{\"message\":{\"content\":\"a\"},\"done\":true}");
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
	play_expect_events(&p, "a|");
	play_close(&p);
}

/* Text. */

static void expect_line_ends(bool json, const char *expected)
{
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	struct play p;
	rules.json = json;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, CHUNK("a\\r\\nb\\rc\\r") "\n\n" CHUNK("\\n") "\n\n" CHUNK("d\\r") "\n\n");
	play_say(&p, CHUNK("e\\r") "\n\n" CHUNK("\\r") "\n\n");
	play_say(&p, CHUNK("\\n\\nf") "\n\n" CHUNK("\\n") "\n\n");
	play_expect_events(&p, expected);
	play_close(&p);
}

static void test_cr_and_crlf_become_lf_also_when_they_are_split(void **state)
{
	expect_line_ends(false, "a\nb\nc\n|d\n|e\n|\n|\nf|\n|");
}

static void test_json_mode_keeps_text_exactly(void **state)
{
	expect_line_ends(true, "a\r\nb\rc\r|\n|d\r|e\r|\r|\n\nf|\n|");
}

static void test_reasoning_goes_before_text_and_has_its_own_line_ends(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, "data: {\"choices\":[{\"delta\":{\"content\":\"a\\r\",\"reasoning_content\":\"hm\"}}]}\n\n"
	             "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"\\nh\"}}]}\n\n"
	             "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\nb\"}}]}\n\n");
	play_expect_events(&p, "{hm}|a\n|{\nh}|b|");
	play_close(&p);
}

static void test_what_has_meaning_begins_and_what_is_an_event_feeds(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, ": ping\n\n");
	assert_true(!p.g.began && p.g.fed == 0);
	play_say(&p, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n");
	assert_true(!p.g.began && p.g.fed == 1);
	play_say(&p, CHUNK("a") "\n\n");
	assert_true(p.g.began && p.g.fed == 2);
	play_close(&p);
}

static void test_queue_comments(void **state)
{
	static const struct {
		const char *body;
		int queue;
	} cases[] = {
		{": queue 3\n", 3}, {": queue 3\n: queue 0\n", 0}, {": queue 999999\n", 999999},
		{":queue 3\n", -1}, {": queue\n", -1}, {": queue \n", -1}, {": queue 3 \n", -1},
		{": queue -1\n", -1}, {": queue x\n", -1}, {": queue 1000000\n", -1}, {":  queue 3\n", -1},
		{"data: queue 3\n\n", -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int understood = 0; understood < 2; understood++) {
			struct generation_rules rules = play_rules(&dialect_text);
			struct play p;
			rules.queue_comments = understood;
			play_open(&p, &rules);
			play_head(&p);
			play_body(&p, span_str(cases[i].body), 1);
			assert_int_equal(p.g.queue, understood ? cases[i].queue : -1);
			play_close(&p);
		}
}

/* The end. */

static void test_what_follows_the_end_is_counted_and_ignored(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, CHUNK("a") "\n\n" FINISH("stop") "\n\ndata: [DONE]\n\ndata: {\"error\":\"x\"}\n\n");
	play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
	assert_true(p.g.ignored_bytes == 21);
	play_say(&p, "12345");
	assert_true(p.g.ignored_bytes == 26);
	generation_body_end(&p.g, BODY_BROKEN, NULL);
	generation_end(&p.g, CAUSE_IDLE_TIMEOUT, NULL);
	generation_no_connection(&p.g, CAUSE_REFUSED, NULL);
	generation_head(&p.g, 500, (span){0}, (span){0});
	play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
	play_expect_events(&p, "a|");
	play_close(&p);
}

static void test_lines_that_are_no_field_are_counted(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\nb\nc\n\n");
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	assert_true(p.g.no_field_lines == 2);
	play_close(&p);
}

static void test_a_finish_is_printable_ascii(void **state)
{
	struct play p;
	open_openai(&p);
	play_say(&p, CHUNK("a") "\n\n" FINISH("st\\u0007\xc3\xa9p") "\n\ndata: [DONE]\n\n");
	const struct last_word *word = play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
	for (const char *c = word->finish; *c; c++)
		assert_in_range(*c, 0x20, 0x7e);
	assert_int_equal(word->finish[0], 's');
	play_close(&p);
}

static void test_no_detail_repeats_the_secret(void **state)
{
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	struct play p;
	rules.secret = SPAN("sk-canary");
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, "data: {\"error\":{\"message\":\"bad key sk-canary, sk-canary\",\"code\":\"sk-canary\"}}\n\n");
	expect_detail(&p, CAUSE_ERROR, "The model server reported an error: \"bad key …, …\" (code …).");
	play_close(&p);
}

/* Ellipses are shorter than what they stand for, so more of a long message is seen, up to where it was cut. */
static void test_no_detail_repeats_half_of_the_secret(void **state)
{
	for (int before = 1; before < DIALECT_SENTENCE; before++) {
		struct generation_rules rules = play_rules(&dialect_openai_chat);
		struct buf event = {0};
		struct play p;
		rules.secret = SPAN("sk-canary");
		buf_printf(&event, "data: {\"error\":{\"message\":\"%*s", before, "~");
		while (event.n < 2 * DIALECT_SENTENCE)
			buf_put(&event, SPAN("sk-canary"));
		buf_put(&event, SPAN("\"}}\n\n"));
		play_open(&p, &rules);
		play_head(&p);
		play_say(&p, buf_cstr(&event));
		assert_null(strstr(play_expect_end(&p, CAUSE_ERROR, PROOF_NULL)->detail, "sk"));
		buf_finish(&event);
		play_close(&p);
	}
}

/* Of a media type some is quoted. */
static void test_no_quoted_type_repeats_half_of_the_secret(void **state)
{
	for (int before = 1; before < 120; before++) {
		struct generation_rules rules = play_rules(&dialect_openai_chat);
		struct buf type = {0};
		struct play p;
		rules.secret = SPAN("sk-canary");
		buf_printf(&type, "text/%*s sk-canary it is", before, "~");
		play_open(&p, &rules);
		generation_head(&p.g, 200, buf_span(&type), (span){0});
		assert_null(strstr(play_expect_end(&p, CAUSE_PROTOCOL, PROOF_NULL)->detail, "sk-"));
		play_close(&p);
		play_open(&p, &rules);
		generation_head(&p.g, 200, SPAN("text/event-stream"), buf_span(&type));
		assert_null(strstr(play_expect_end(&p, CAUSE_PROTOCOL, PROOF_NULL)->detail, "sk-"));
		play_close(&p);
		buf_finish(&type);
	}
}

static void test_a_long_detail_is_cut_at_a_whole_character(void **state)
{
	for (size_t shift = 0; shift < 4; shift++) {
		struct play p;
		struct buf detail = {0};
		for (size_t i = 0; i < shift; i++)
			buf_put_byte(&detail, 'x');
		for (size_t i = 0; i < 300; i++)
			buf_put(&detail, SPAN("é€"));
		open_openai(&p);
		generation_body_end(&p.g, BODY_BROKEN, buf_cstr(&detail));
		const struct last_word *word = play_expect_end(&p, CAUSE_CUT, PROOF_NULL);
		assert_true(utf8_is_valid(span_str(word->detail)));
		assert_in_range(strlen(word->detail), DIALECT_SENTENCE - 4, DIALECT_SENTENCE - 1);
		play_close(&p);
		buf_finish(&detail);
	}
}

static void test_a_detail_of_any_bytes_is_one_clean_line(void **state)
{
	struct play p;
	open_openai(&p);
	generation_body_end(&p.g, BODY_BROKEN, "a\r\n\tb\x7f\xc2\x9b<c>\xff\xed\xa0\x80");
	expect_detail(&p, CAUSE_CUT, "a   b  ‹c›????. That was before the first text.");
	play_close(&p);
}

static void test_an_event_that_cannot_be_kept_proves_nothing(void **state)
{
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	struct play p;
	rules.stream_limit = 3;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, CHUNK("abc") "\n\n"
	             "data: {\"choices\":[{\"delta\":{\"content\":\"d\"},\"finish_reason\":\"abort\"}]}\n\n");
	assert_string_equal(play_expect_end(&p, CAUSE_STREAM_TOO_LARGE, PROOF_NULL)->finish, "");
	play_expect_events(&p, "abc|");
	play_close(&p);
}

static void test_a_tail_that_cannot_be_kept_is_no_whole_answer(void **state)
{
	for (int limit = 4; limit <= 6; limit++) {
		struct generation_rules rules = play_rules(&dialect_text);
		struct play p;
		rules.stream_limit = (uint64_t)limit;
		play_open(&p, &rules);
		play_head(&p);
		play_say(&p, "data: abc\xe2\x82\n\nevent: close\n\n");
		if (limit < 6) {
			play_expect_end(&p, CAUSE_STREAM_TOO_LARGE, PROOF_NULL);
			play_expect_events(&p, "abc|");
		} else {
			play_expect_end(&p, CAUSE_FINISHED, PROOF_MARKER);
			play_expect_events(&p, "abc|\xef\xbf\xbd|");
		}
		play_close(&p);
	}
}

static void test_the_stream_limit_counts_reasoning_too(void **state)
{
	struct generation_rules rules = play_rules(&dialect_openai_chat);
	struct play p;
	rules.stream_limit = 4;
	play_open(&p, &rules);
	play_head(&p);
	play_say(&p, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abc\",\"reasoning\":\"hm\"}}]}\n\n");
	play_expect_end(&p, CAUSE_STREAM_TOO_LARGE, PROOF_NULL);
	play_expect_events(&p, "{hm}|");
	play_close(&p);
}

static void test_a_generation_that_nobody_ended_is_a_bug_and_says_so(void **state)
{
	struct play p;
	open_text(&p);
	play_head(&p);
	play_say(&p, "data: a\n\n");
	generation_finish(&p.g);
	const struct last_word *word = journal_last_word(p.journal);
	assert_non_null(word);
	assert_int_equal(word->cause, CAUSE_INTERNAL);
	play_close(&p);
}

/* Half a character that was held back at the end came out as U+FFFD. */
static span without_tail(span events)
{
	const span tail = SPAN("\xef\xbf\xbd|");
	bool has_tail = events.n >= tail.n && span_eq(span_from(events, events.n - tail.n), tail);
	return has_tail ? span_first(events, events.n - tail.n) : events;
}

/* Memory that ends after n allocations: all of the answer, or a prefix and a failure. It is `overloaded` unless it was
 * a dialect's scratch memory that was missing: then an event may seem unreadable, or say less than it did. */
static bool survives(const struct transcript *t, const struct script *s, const char *all, long n)
{
	struct generation_rules rules = play_rules(t->dialect);
	struct play p;
	struct buf got = {0};
	play_open(&p, &rules);
	play_head(&p);
	allocations_left = n;
	for (size_t i = 0; i < s->bytes.n; i++)
		generation_body(&p.g, span_of(s->bytes.p + i, 1));
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	allocations_left = LONG_MAX;
	play_print(&p, &got);
	const struct last_word *word = journal_last_word(p.journal);
	bool whole = word->cause == CAUSE_FINISHED;
	if (whole) {
		assert_string_equal(got.p, all);
	} else {
		play_expect_tally(&p);
		assert_int_equal(cause_row(word->cause)->end, END_FAILED);
		assert_true(word->cause == CAUSE_OVERLOADED || t->dialect != &dialect_text);
		assert_true(span_starts(span_str(all), without_tail(buf_span(&got))));
	}
	buf_finish(&got);
	play_close(&p);
	return whole;
}

static void test_without_memory_a_stream_fails_and_is_never_called_whole(void **state)
{
	static const struct transcript transcripts[] = {
		{&dialect_text, closed_frames}, {&dialect_openai_chat, openai_frames},
	};
	for (size_t i = 0; i < 2; i++) {
		struct script s;
		write_script(&s, &transcripts[i], "\n");
		struct expectation x = foresee(&transcripts[i], &s, s.bytes.n, BODY_FRAMED);
		long n = 0;
		while (!survives(&transcripts[i], &s, x.events.p, n))
			n++;
		assert_in_range(n, 3, 1000);
		buf_finish(&x.events);
		buf_finish(&s.bytes);
	}
}

static void test_without_memory_a_json_body_is_overloaded(void **state)
{
	struct play p;
	open_json(&p, &dialect_openai_chat);
	allocations_left = 0;
	generation_body(&p.g, SPAN("{}"));
	allocations_left = LONG_MAX;
	play_expect_end(&p, CAUSE_OVERLOADED, PROOF_NULL);
	play_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_cut_at_every_byte),
		cmocka_unit_test(test_text_with_close_cut_at_every_byte),
		cmocka_unit_test(test_openai_chat_cut_at_every_byte),
		cmocka_unit_test(test_media_types),
		cmocka_unit_test(test_a_wrong_media_type_is_named),
		cmocka_unit_test(test_compressed_answers_are_refused),
		cmocka_unit_test(test_a_json_body_may_be_an_error),
		cmocka_unit_test(test_any_other_json_body_is_protocol),
		cmocka_unit_test(test_a_json_body_that_breaks_is_cut),
		cmocka_unit_test(test_64_KiB_of_json_are_waited_for),
		cmocka_unit_test(test_auto_knows_openai_by_its_first_event),
		cmocka_unit_test(test_auto_takes_anything_else_for_text),
		cmocka_unit_test(test_auto_recognises_every_dialect),
		cmocka_unit_test(test_auto_that_never_saw_an_event_is_truncated),
		cmocka_unit_test(test_auto_understands_an_end_without_data),
		cmocka_unit_test(test_auto_recognises_ndjson),
		cmocka_unit_test(test_a_last_ndjson_line_without_its_end_is_whole_if_framing_and_json_say_so),
		cmocka_unit_test(test_a_last_ndjson_line_may_prove_the_end),
		cmocka_unit_test(test_cr_and_crlf_become_lf_also_when_they_are_split),
		cmocka_unit_test(test_json_mode_keeps_text_exactly),
		cmocka_unit_test(test_reasoning_goes_before_text_and_has_its_own_line_ends),
		cmocka_unit_test(test_what_has_meaning_begins_and_what_is_an_event_feeds),
		cmocka_unit_test(test_queue_comments),
		cmocka_unit_test(test_what_follows_the_end_is_counted_and_ignored),
		cmocka_unit_test(test_lines_that_are_no_field_are_counted),
		cmocka_unit_test(test_a_finish_is_printable_ascii),
		cmocka_unit_test(test_no_detail_repeats_the_secret),
		cmocka_unit_test(test_no_detail_repeats_half_of_the_secret),
		cmocka_unit_test(test_no_quoted_type_repeats_half_of_the_secret),
		cmocka_unit_test(test_a_long_detail_is_cut_at_a_whole_character),
		cmocka_unit_test(test_a_detail_of_any_bytes_is_one_clean_line),
		cmocka_unit_test(test_an_event_that_cannot_be_kept_proves_nothing),
		cmocka_unit_test(test_a_tail_that_cannot_be_kept_is_no_whole_answer),
		cmocka_unit_test(test_the_stream_limit_counts_reasoning_too),
		cmocka_unit_test(test_a_generation_that_nobody_ended_is_a_bug_and_says_so),
		cmocka_unit_test(test_without_memory_a_stream_fails_and_is_never_called_whole),
		cmocka_unit_test(test_without_memory_a_json_body_is_overloaded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
