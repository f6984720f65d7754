/* Every JSON dialect as a whole generation: its transcript is cut at every byte, by framing,
	by close and by a break, and
 * what must come of it is computed from the list of frames, never by reading them. */
#include "failing_malloc.h"
#include "play.h"

enum role { NOTHING, FINISH, END }; /* what a frame proves, besides its text: END is the terminator, finish included */

struct frame {
	const char *bytes; /* with its closing newline or blank line */
	const char *text;  /* as play_print prints it */
	enum role role;
};

struct transcript {
	const struct dialect *dialect;
	struct frame frame[10];
};

#define DATA(json) "data: " json "\n\n"
#define NAMED(name, members) "event: " name "\ndata: {\"type\":\"" name "\"" members "}\n\n"

static const struct transcript transcripts[] = {
	{&dialect_openai_chat, {
		{DATA("{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}"), "",
			NOTHING},
		{DATA("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}"), "Hi|", NOTHING},
		{DATA("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\" \\u00e9\"}}]}"), " \xc3\xa9|", NOTHING},
		{DATA("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}"), "", FINISH},
		{DATA("[DONE]"), "", END},
	}},
	{&dialect_openai_completions, {
		{DATA("{\"choices\":[{\"index\":0,\"text\":\"Hi\"}]}"), "Hi|", NOTHING},
		{DATA("{\"choices\":[{\"index\":0,\"text\":\" you\"}]}"), " you|", NOTHING},
		{DATA("{\"choices\":[{\"index\":0,\"text\":\"!\",\"finish_reason\":\"length\"}]}"), "!|", FINISH},
		{DATA("[DONE]"), "", END},
	}},
	{&dialect_openai_responses, {
		{NAMED("response.created", ",\"sequence_number\":0,\"response\":{\"status\":\"in_progress\"}"), "",
			NOTHING},
		{NAMED("response.output_text.delta", ",\"delta\":\"Hi\""), "Hi|", NOTHING},
		{NAMED("response.reasoning_text.delta", ",\"delta\":\"hm\""), "{hm}|", NOTHING},
		{NAMED("response.output_text.delta", ",\"delta\":\" you\""), " you|", NOTHING},
		{NAMED("response.completed", ",\"response\":{\"status\":\"completed\"}"), "", END},
	}},
	{&dialect_anthropic, {
		{NAMED("message_start", ",\"message\":{\"usage\":{\"input_tokens\":3}}"), "", NOTHING},
		{NAMED("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}"),
			"", NOTHING},
		{NAMED("ping", ""), "", NOTHING},
		{NAMED("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}"),
			"Hi|", NOTHING},
		{NAMED("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" you\"}"
			""), " you|", NOTHING},
		{NAMED("content_block_stop", ",\"index\":0"), "", NOTHING},
		{NAMED("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}"
			""), "", FINISH},
		{NAMED("message_stop", ""), "", END},
	}},
	{&dialect_gemini, {
		{DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}]}"), "Hi|", NOTHING},
		{DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}]}}]}"),
			"{hm}|", NOTHING},
		{DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" you\"}]},\"finishReason\":\"STOP\"}]}"
			""), " you|", FINISH},
		{DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"!\"}]},\"finishReason\":\"STOP\"}]}"),
			"!|", FINISH},
	}},
	{&dialect_ollama_chat, {
		{"{\"message\":{\"content\":\"Hi\"},\"done\":false}\n", "Hi|", NOTHING},
		{"{\"message\":{\"content\":\" you\"},\"done\":false}\n", " you|", NOTHING},
		{"{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n", "", END},
	}},
	{&dialect_ollama_generate, {
		{"{\"response\":\"\",\"thinking\":\"hm\",\"done\":false}\n", "{hm}|", NOTHING},
		{"{\"response\":\"Hi\",\"done\":false}\n", "Hi|", NOTHING},
		{"{\"response\":\"!\",\"done\":true}\n", "!|", END},
	}},
	{&dialect_llamacpp, {
		{DATA("{\"content\":\"Hi\",\"stop\":false}"), "Hi|", NOTHING},
		{DATA("{\"content\":\" you\",\"stop\":false}"), " you|", NOTHING},
		{DATA("{\"content\":\"\",\"stop\":true,\"stop_type\":\"eos\"}"), "", END},
	}},
	{&dialect_tgi, {
		{DATA("{\"token\":{\"text\":\"Hi\",\"special\":false},\"generated_text\":null}"), "Hi|", NOTHING},
		{DATA("{\"token\":{\"text\":\" you\",\"special\":false},\"generated_text\":null}"), " you|", NOTHING},
		{DATA("{\"token\":{\"text\":\"</s>\",\"special\":true},\"generated_text\":\"Hi you\"}"), "", END},
	}},
	{&dialect_sglang_generate, {
		{DATA("{\"text\":\"Hi\",\"meta_info\":{\"finish_reason\":null}}"), "Hi|", NOTHING},
		{DATA("{\"text\":\"Hi you\",\"meta_info\":{\"finish_reason\":null}}"), " you|", NOTHING},
		{DATA("{\"text\":\"Hi you\",\"meta_info\":{\"finish_reason\":{\"type\":\"stop\"}}}"), "", FINISH},
		{DATA("[DONE]"), "", END},
	}},
	{&dialect_ai_ui, {
		{DATA("{\"type\":\"start\"}"), "", NOTHING},
		{DATA("{\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\"Hi\"}"), "Hi|", NOTHING},
		{DATA("{\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\" you\"}"), " you|", NOTHING},
		{DATA("{\"type\":\"finish\",\"finishReason\":\"stop\"}"), "", FINISH},
		{DATA("[DONE]"), "", END},
	}},
};

enum { TRANSCRIPTS = sizeof transcripts / sizeof *transcripts };

static void write_bytes(const struct transcript *t, struct buf *out)
{
	for (const struct frame *f = t->frame; f->bytes; f++)
		buf_put(out, span_str(f->bytes));
	assert_false(out->failed);
}

struct expectation {
	struct buf events;
	enum cause cause;
	enum proof proof;
};

/* A frame counts when its last byte is there; a last line of NDJSON also without its newline, when framing says that it
 * was the last. */
static bool is_there(const struct transcript *t, size_t frame, size_t cut, enum ending_body how)
{
	bool line = t->dialect->syntax == SSE_NDJSON && how == BODY_FRAMED;
	return cut >= frame - line;
}

static struct expectation foresee(const struct transcript *t, size_t cut, enum ending_body how)
{
	struct expectation x = {.cause = CAUSE_TRUNCATED, .proof = PROOF_NULL};
	enum role role = NOTHING;
	size_t end = 0, rest = cut;
	for (const struct frame *f = t->frame; f->bytes && role != END; f++) {
		end += strlen(f->bytes);
		if (!is_there(t, end, cut, how))
			break;
		rest = cut > end ? cut - end : 0;
		buf_put(&x.events, span_str(f->text));
		if (f->role)
			role = f->role;
	}
	if (role == END)
		x.cause = CAUSE_FINISHED, x.proof = PROOF_MARKER;
	else if (how == BODY_BROKEN)
		x.cause = CAUSE_CUT;
	else if (role == FINISH && t->dialect->has_terminator)
		x.cause = CAUSE_FINISHED, x.proof = PROOF_FINISH;
	else if (role == FINISH && rest == 0 && how == BODY_FRAMED)
		x.cause = CAUSE_FINISHED, x.proof = PROOF_FINISH;
	else if (role == FINISH && rest == 0)
		x.cause = CAUSE_UNPROVEN;
	assert_non_null(buf_cstr(&x.events));
	return x;
}

static void open_play(struct play *p, const struct dialect *dialect, enum sse_syntax syntax)
{
	struct generation_rules rules = play_rules(dialect);
	play_open(p, &rules);
	generation_head(&p->g, 200, syntax == SSE_NDJSON ? SPAN("application/x-ndjson") : SPAN("text/event-stream"
		""), (span){0});
}

static void play_cut(const struct transcript *t, span bytes, size_t cut, enum ending_body how, size_t slice)
{
	struct expectation x = foresee(t, cut, how);
	struct play p;
	open_play(&p, t->dialect, t->dialect->syntax);
	play_body(&p, span_first(bytes, cut), slice);
	generation_body_end(&p.g, how, NULL);
	play_expect_events(&p, x.events.p);
	play_expect_end(&p, x.cause, x.proof);
	play_close(&p);
	buf_finish(&x.events);
}

static void cut_at_every_byte(void **state)
{
	for (const struct transcript *t = transcripts; t < transcripts + TRANSCRIPTS; t++) {
		struct buf bytes = {0};
		write_bytes(t, &bytes);
		for (size_t cut = 0; cut <= bytes.n; cut++)
			for (int how = BODY_FRAMED; how <= BODY_BROKEN; how++)
				for (size_t slice = 0; slice <= 1; slice++)
					play_cut(t, buf_span(&bytes), cut, (enum ending_body)how, slice);
		buf_finish(&bytes);
	}
}

static void sliced_in_every_size(void **state)
{
	for (const struct transcript *t = transcripts; t < transcripts + TRANSCRIPTS; t++) {
		struct buf bytes = {0};
		write_bytes(t, &bytes);
		for (size_t slice = 2; slice < bytes.n; slice++)
			play_cut(t, buf_span(&bytes), bytes.n, BODY_FRAMED, slice);
		buf_finish(&bytes);
	}
}

/* Nobody's clients mind them, so no dialect does. */
static void pings_and_empty_events_change_nothing(void **state)
{
	for (const struct transcript *t = transcripts; t < transcripts + TRANSCRIPTS; t++) {
		struct buf bytes = {0};
		struct play p;
		if (t->dialect->syntax == SSE_NDJSON)
			continue;
		write_bytes(t, &bytes);
		struct expectation x = foresee(t, bytes.n, BODY_FRAMED);
		open_play(&p, t->dialect, t->dialect->syntax);
		play_say(&p, ": hi\n\nevent: ping\ndata: {}\n\ndata:\n\nevent: keepalive\ndata: not JSON\n\n");
		play_expect_open(&p);
		assert_false(p.g.began);
		play_body(&p, buf_span(&bytes), 0);
		generation_body_end(&p.g, BODY_FRAMED, NULL);
		play_expect_events(&p, x.events.p);
		play_expect_end(&p, x.cause, x.proof);
		play_close(&p);
		buf_finish(&x.events);
		buf_finish(&bytes);
	}
}

/* `event: error` ends every dialect's answer, whatever its data. */
static void an_event_named_error_is_one_in_every_dialect(void **state)
{
	for (const struct transcript *t = transcripts; t < transcripts + TRANSCRIPTS; t++) {
		struct play p;
		if (t->dialect->syntax == SSE_NDJSON)
			continue;
		open_play(&p, t->dialect, t->dialect->syntax);
		play_say(&p, t->frame[0].bytes);
		play_say(&p, "event: error\ndata: it broke\n\n");
		generation_body_end(&p.g, BODY_FRAMED, NULL);
		play_expect_end(&p, CAUSE_ERROR, PROOF_NULL);
		assert_string_equal(p.g.reader.seen.error_message, "it broke");
		play_close(&p);
	}
}

/* Memory that ends after n allocations: a good end is the answer's own, with all that was said. */
static bool survives(const struct transcript *t, span body, long n)
{
	struct expectation x = foresee(t, body.n, BODY_FRAMED);
	struct play p;
	open_play(&p, t->dialect, t->dialect->syntax);
	allocations_left = n;
	generation_body(&p.g, body);
	generation_body_end(&p.g, BODY_FRAMED, NULL);
	allocations_left = LONG_MAX;
	bool good = journal_last_word(p.journal)->cause == CAUSE_FINISHED;
	if (good) {
		play_expect_events(&p, x.events.p);
		play_expect_end(&p, x.cause, x.proof);
	}
	buf_finish(&x.events);
	play_close(&p);
	return good;
}

static void without_memory_nothing_is_called_whole(void **state)
{
	for (const struct transcript *t = transcripts; t < transcripts + TRANSCRIPTS; t++) {
		struct buf bytes = {0};
		long n = 0;
		write_bytes(t, &bytes);
		while (!survives(t, buf_span(&bytes), n))
			n++;
		for (size_t cut = 0; cut < bytes.n; cut += 3)
			for (long k = 0; k <= n; k++)
				(void)survives(t, span_first(buf_span(&bytes), cut), k);
		assert_in_range(n, 1, 100);
		buf_finish(&bytes);
	}
}

/* `auto` finds each dialect by its first event, but for the two that look like openai-chat or ollama-chat. */
static void auto_reads_the_same(void **state)
{
	for (const struct transcript *t = transcripts; t < transcripts + TRANSCRIPTS; t++) {
		struct buf bytes = {0};
		write_bytes(t, &bytes);
		struct expectation x = foresee(t, bytes.n, BODY_FRAMED);
		struct play p;
		open_play(&p, NULL, t->dialect->syntax);
		play_body(&p, buf_span(&bytes), 0);
		if (!p.g.ended)
			generation_body_end(&p.g, BODY_FRAMED, NULL);
		play_expect_events(&p, x.events.p);
		play_expect_end(&p, x.cause, x.proof);
		play_close(&p);
		buf_finish(&x.events);
		buf_finish(&bytes);
	}
}

static void expect_gemini(const char *body, enum ending_body how, enum cause cause, const char *events)
{
	struct play p;
	open_play(&p, &dialect_gemini, SSE_EVENT_STREAM);
	play_say(&p, DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}"));
	play_say(&p, body);
	generation_body_end(&p.g, how, NULL);
	play_expect_end(&p, cause, PROOF_NULL);
	play_expect_events(&p, events);
	play_close(&p);
}

static void an_error_without_data_needs_no_blank_line(void **state)
{
	expect_gemini("{\"error\":{\"code\":503,\"message\":\"m\"}}", BODY_FRAMED, CAUSE_ERROR, "a|");
	expect_gemini("{\n\"error\": {\n\"code\": 503\n}\n}\n", BODY_FRAMED, CAUSE_ERROR, "a|");
	expect_gemini("{\n\"error\": {\n\"code\": 503\n}\n}\n\n", BODY_BROKEN, CAUSE_ERROR, "a|");
	expect_gemini("{\"error\":{\"code\":503,\"message\":\"m\"}}", BODY_CLOSED, CAUSE_TRUNCATED, "a|");
	expect_gemini("{\"error\":{\"code\":503,", BODY_FRAMED, CAUSE_TRUNCATED, "a|");
	expect_gemini("{\"x\":1}", BODY_FRAMED, CAUSE_TRUNCATED, "a|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(pings_and_empty_events_change_nothing),
		cmocka_unit_test(an_event_named_error_is_one_in_every_dialect),
		cmocka_unit_test(without_memory_nothing_is_called_whole),
		cmocka_unit_test(sliced_in_every_size),
		cmocka_unit_test(auto_reads_the_same),
		cmocka_unit_test(an_error_without_data_needs_no_blank_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
