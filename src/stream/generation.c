/* A generation: one upstream answer on its way into one journal.
 *
 * Everything that happens to the answer is a call from outside, and every call ends in the same two steps: add to the
 * evidence, ask stream/ending whether that is an end. So there is one place that seals, whatever came first, and a test
 * can play any order of events without a socket or a clock.
 *
 *	1. The journal is sealed exactly once. From then on every call is counted (ignored_bytes) or ignored: what
 *	   comes after the deciding event is no evidence.
 *	2. Only whole events are read, and an event's reasoning goes before its text. What stands in the journal is a
 *	   prefix of what the upstream said: when an event cannot be kept (no memory, over a limit), nothing after it
 *	   is, and what that event proved counts for nothing, or a hole could be called complete.
 *	3. Half a character that is still held back when the end is decided becomes U+FFFD before the journal is
 *	   sealed.
 *	4. How the bytes were sliced changes neither the journal nor the verdict.
 *	5. Of a journal of frames the browser's view is told, not kept (journal_tell): the events are counted here as a
 *	   retelling of the frames will find them. A frame that would end the answer badly is not kept; what it says is,
 *	   without the end, and our own word for the end comes last.
 *	6. `auto` reads as dialect text until the first event with data decides; events without data mean something
 *	   to text only.
 *
 * The driver (upstream/run) owns the socket, the clocks, retries and the choice of upstream, and looks at `ended` after
 * each call; the gateway owns what viewers get. One thread, the stream's home. Not here: what events mean (dialect/),
 * the verdict (stream/ending), its sentence (stream/detail). */
#include "stream/generation.h"

#include "json/scan.h"
#include "sse/print.h"
#include "stream/detail.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	JSON_BODY_MAX = 64 * 1024, /* an error is smaller, and nothing else in JSON is wanted */
	IDLE_BYTES = 16 * 1024,    /* of comments without a blank line, which somebody who sends no events might send for ever */
	QUEUE_DIGITS = 6,
	TYPE_SHOWN = 100,          /* bytes of a strange media type or encoding that are quoted */
};

/* Stands for what was seen when an event was lost. */
static const struct seen nothing;

static void choose_dialect(struct generation *g, const struct dialect *dialect)
{
	reader_init(&g->reader, dialect, &g->rules.text, g->rules.n ? g->rules.n : 1);
	g->reader.secret = g->rules.secret;
	g->evidence.has_finish = dialect->has_finish;
	g->evidence.has_terminator = dialect->has_terminator;
	g->evidence.is_text = dialect == &dialect_text;
}

static void change_dialect(struct generation *g, const struct dialect *dialect)
{
	reader_finish(&g->reader);
	choose_dialect(g, dialect);
}

void generation_init(struct generation *g, const struct generation_rules *rules, struct journal *journal)
{
	CHECK(rules->dialect || !rules->keeps_frames);
	*g = (struct generation){
		.queue = -1,
		.sequence = -1,
		.rules = *rules,
		.journal = journal_hold(journal),
		.is_undecided = !rules->dialect,
		.evidence = {.finish_optional = rules->finish_optional, .end_marker = rules->end_marker},
	};
	g->evidence.seen = &g->reader.seen;
	choose_dialect(g, rules->dialect ? rules->dialect : &dialect_text);
}

void generation_finish(struct generation *g)
{
	if (!g->journal)
		return;
	generation_end(g, CAUSE_INTERNAL, NULL);
	sse_finish(&g->sse);
	reader_finish(&g->reader);
	buf_finish(&g->json_body);
	raw_finish(&g->raw);
	buf_finish(&g->closing);
	journal_drop(g->journal);
	g->journal = NULL;
}

/* Into the journal. */

static bool is_lost(const struct generation *g) { return g->evidence.seen == &nothing; }

static void lose(struct generation *g, enum cause cause)
{
	g->evidence.seen = &nothing;
	g->evidence.ours = cause;
}

static void append(struct generation *g, enum journal_kind kind, span bytes)
{
	bool is_over = g->rules.stream_limit && bytes.n > g->rules.stream_limit - g->stored_bytes;
	enum cause cause = is_over ? CAUSE_STREAM_TOO_LARGE : journal_append(g->journal, kind, bytes);
	if (cause)
		lose(g, cause);
	else
		g->stored_bytes += bytes.n;
}

/* Neither a line of an event stream nor a JSON string without escapes can. */
static bool may_hold_cr(const struct generation *g)
{
	return !g->reader.is_plain && !(g->evidence.is_text && g->sse.syntax == SSE_EVENT_STREAM);
}

static void keep(struct generation *g, enum journal_kind kind, struct buf *said, bool *after_cr)
{
	if ((said->n == 0 && !said->failed) || is_lost(g))
		return;
	if (said->failed) {
		lose(g, CAUSE_OVERLOADED);
		return;
	}
	if (!g->rules.json && (*after_cr || may_hold_cr(g)))
		sse_unify_line_ends(said, after_cr);
	if (said->n == 0)
		return;
	if (g->rules.keeps_frames)
		journal_tell(g->journal, kind, buf_span(said));
	else
		append(g, kind, buf_span(said));
}

static void keep_what_was_said(struct generation *g)
{
	keep(g, JOURNAL_REASONING, &g->reader.reasoning, &g->reasoning_after_cr);
	keep(g, JOURNAL_TEXT, &g->reader.text, &g->text_after_cr);
}

/* Frames. */

static void keep_frame(struct generation *g, span frame)
{
	if (is_lost(g) || (frame.p && !frame.n))
		return;
	if (frame.p)
		append(g, JOURNAL_FRAME, frame);
	else
		lose(g, CAUSE_OVERLOADED);
}

static bool quotes_secret(const struct generation *g)
{
	return g->rules.secret.n && memmem(g->frame.p, g->frame.n, g->rules.secret.p, g->rules.secret.n);
}

/* The event fails the answer. What it says goes on without that; an error that already raises goes on as it is, last, if it
 * does not repeat our credential. */
static void divide_frame(struct generation *g, const struct sse_event *event)
{
	const struct dialect *d = g->reader.dialect;
	struct buf rest = {0};
	bool raises = g->reader.seen.error && !g->reader.says && !quotes_secret(g) && dialect_event_raises(d, event);
	if (!raises)
		keep_frame(g, raw_idle_part(&g->raw, g->frame)); /* as if it had come by itself */
	if (g->reader.says && dialect_put_unfinished(&rest, d, event)) {
		keep_frame(g, buf_span(&rest));
		g->delivers = true;
	} else if (g->reader.says) {
		g->reader.text.n = g->reader.reasoning.n = 0; /* a client cannot have it, so it is not counted either */
	} else if (raises) {
		buf_put(&g->closing, g->frame);
	}
	buf_finish(&rest);
}

/* False: it proves no end. */
static bool relay_event(struct generation *g, const struct sse_event *event)
{
	struct verdict verdict = {0};
	if (g->reader.text.failed)
		lose(g, CAUSE_OVERLOADED); /* or a retelling would find more than was counted */
	bool proves = ending_judge(&g->evidence, &verdict);
	if (proves && verdict.cause != CAUSE_FINISHED) {
		divide_frame(g, event);
		return true;
	}
	keep_frame(g, g->frame);
	g->sequence = g->reader.seen.sequence;
	g->lacks_line_end = g->sse.syntax == SSE_NDJSON && g->frame.n && g->frame.p[g->frame.n - 1] != '\n';
	g->delivers |= g->reader.seen.meaning;
	return proves;
}

/* Between two events: comments need not wait for the next one. */
static void relay_comments(struct generation *g)
{
	if (!g->rules.keeps_frames || !g->raw.held.n || sse_is_inside_event(&g->sse))
		return;
	if (raw_is_idle(&g->raw) || g->raw.held.n > IDLE_BYTES)
		keep_frame(g, raw_close(&g->raw, (span){0}));
}

/* What upstream and model said of the failure, for the dialect to say it. */
static struct failure failure_of(const struct generation *g, const struct last_word *word)
{
	const struct seen *seen = &g->reader.seen;
	struct failure f = {.cause = word->cause, .sentence = word->detail, .sequence = g->sequence};
	if (word->cause != CAUSE_ERROR)
		return f;
	f.type = seen->error_type;
	f.code = seen->error_code;
	f.message = seen->error_message;
	return f;
}

static void put_failure(struct generation *g, const struct last_word *word, struct buf *out)
{
	const struct dialect *d = g->reader.dialect;
	struct failure f = failure_of(g, word);
	if (g->closing.n && word->cause == CAUSE_ERROR)
		buf_put(out, buf_span(&g->closing));
	else
		dialect_put_failure(out, d, &f);
	if (g->rules.done_after_error)
		buf_put(out, d->terminator);
}

/* The last frame: an error, or a terminator that the upstream left out behind a finish. Beyond every limit but memory's:
 * without it the end would not be told. */
static void say_end(struct generation *g, struct last_word *word)
{
	struct buf out = {0};
	if (!seen_decides(g->evidence.seen)) {
		span rest = raw_rest(&g->raw); /* comments behind the last event */
		buf_put(&out, rest);
		out.failed |= !rest.p;
	}
	if (word->cause != CAUSE_FINISHED) {
		buf_put(&out, g->lacks_line_end ? SPAN("\n") : SPAN(""));
		put_failure(g, word, &out);
	} else if (word->proof == PROOF_FINISH) {
		buf_put(&out, g->reader.dialect->terminator);
	}
	word->is_spoken = !out.failed && (!out.n || journal_append(g->journal, JOURNAL_FRAME, buf_span(&out)) == CAUSE_NONE);
	buf_finish(&out);
}

void generation_put_error_body(const struct generation *g, struct buf *out)
{
	const struct last_word *word = journal_last_word(g->journal);
	struct failure f = failure_of(g, word);
	dialect_put_error_body(out, g->reader.dialect, &f);
}

/* The end. */

/* The model's own word, in the form in which it may stand in a header, a log or a page: printable ASCII. */
static void copy_finish(char out[DIALECT_WORD], const char *word)
{
	size_t n = 0;
	for (; word[n] && n < DIALECT_WORD - 1; n++)
		out[n] = word[n] >= 0x20 && word[n] <= 0x7e ? word[n] : '?';
	out[n] = 0;
}

static void seal(struct generation *g, const char *given)
{
	char detail[DIALECT_SENTENCE];
	struct last_word word = {.cause = g->verdict.cause, .proof = g->verdict.proof, .detail = detail};
	journal_tally(g->journal, &word);
	copy_finish(word.finish, g->evidence.seen->finish);
	if (word.cause == CAUSE_STATUS)
		word.upstream_status = g->evidence.status;
	detail_write(detail, &(struct detail_facts){
		.evidence = &g->evidence,
		.verdict = g->verdict,
		.given = given,
		.secret = g->rules.secret,
		.events = word.events,
		.event_limit = g->rules.event_limit,
		.stream_limit = g->rules.stream_limit,
	});
	if (g->rules.keeps_frames)
		say_end(g, &word);
	g->delivers |= word.cause == CAUSE_FINISHED;
	journal_seal(g->journal, &word);
	g->no_field_lines = g->sse.no_field_lines;
	g->ended = true;
}

/* Asks for the verdict, and seals when there is one. The tail that is kept first may be lost: that is a verdict too. */
static void judge(struct generation *g, const char *given)
{
	if (!ending_judge(&g->evidence, &g->verdict))
		return;
	if (!is_lost(g)) {
		reader_flush(&g->reader);
		keep_what_was_said(g);
	}
	CHECK(ending_judge(&g->evidence, &g->verdict));
	seal(g, is_lost(g) ? NULL : given);
}

static void refuse(struct generation *g, const char *format, ...) PRINTF_LIKE(2, 3);

/* There is an answer, and we cannot use it. */
static void refuse(struct generation *g, const char *format, ...)
{
	char why[DIALECT_SENTENCE];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	g->evidence.unusable = true;
	judge(g, why);
}

static void end_ours(struct generation *g, enum cause cause, const char *detail)
{
	g->evidence.ours = cause;
	judge(g, detail);
}

/* The head. */

static bool is_media(span content_type, const char *name)
{
	return span_is_nocase(span_trim(span_first(content_type, span_find(content_type, ';'))), name);
}

/* Some of it, but not the beginning of a credential in it, which nobody would know again. */
static span quote(const struct generation *g, span words)
{
	const span secret = g->rules.secret;
	size_t most = TYPE_SHOWN;
	for (size_t k = 0; secret.n && k < most; k++)
		if (k + secret.n > most && span_starts(span_from(words, k), secret))
			most = k;
	return span_first(words, most);
}

static bool takes(const struct generation *g, enum sse_syntax syntax)
{
	return g->is_undecided || g->reader.dialect->syntax == syntax;
}

static void open_events(struct generation *g, enum sse_syntax syntax)
{
	sse_init(&g->sse, syntax, (size_t)g->rules.event_limit);
	g->raw.syntax = syntax;
	g->answered = true;
}

static void open_body(struct generation *g, span type)
{
	span shown = quote(g, span_trim(type));
	if (is_media(type, "text/event-stream") && takes(g, SSE_EVENT_STREAM))
		open_events(g, SSE_EVENT_STREAM);
	else if (is_media(type, "application/x-ndjson") && takes(g, SSE_NDJSON))
		open_events(g, SSE_NDJSON);
	else if (is_media(type, "application/json"))
		g->is_json_body = true;
	else if (shown.n)
		refuse(g, "The model server answered with %.*s, which is not the stream that was asked for.",
		       SPAN_ARG(shown));
	else
		refuse(g, "The model server answered without a Content-Type.");
}

static bool is_identity(span encoding)
{
	encoding = span_trim(encoding);
	return encoding.n == 0 || span_is_nocase(encoding, "identity");
}

void generation_head(struct generation *g, int status, span content_type, span content_encoding)
{
	if (g->ended)
		return;
	CHECK(g->evidence.status == 0 && status > 0);
	g->evidence.status = status;
	if (status != 200)
		judge(g, NULL);
	else if (!is_identity(content_encoding))
		refuse(g, "The model server compressed its answer (%.*s) although it was asked not to.",
		       SPAN_ARG(quote(g, content_encoding)));
	else
		open_body(g, content_type);
}

/* The body. */

/* `auto` ends here. */
static void decide_dialect(struct generation *g, const struct sse_event *event)
{
	const struct dialect *d = dialect_by_event(g->sse.syntax, event);
	g->is_undecided = false;
	if (d)
		change_dialect(g, d);
}

static void take_event(struct generation *g)
{
	const struct sse_event *event = &g->sse.event;
	if (g->is_undecided && event->has_data)
		decide_dialect(g, event);
	reader_read(&g->reader, event);
	g->fed += g->reader.feeds_idle;
	g->began |= g->reader.seen.meaning;
	bool may_end = !g->rules.keeps_frames || relay_event(g, event);
	keep_what_was_said(g);
	if (may_end || is_lost(g))
		judge(g, NULL);
}

/* `: queue N`, exactly. */
static void take_comment(struct generation *g, span comment)
{
	const span prefix = SPAN(" queue ");
	span digits = span_from(comment, prefix.n);
	int n = 0;
	if (!g->rules.queue_comments || !span_starts(comment, prefix) || digits.n == 0 || digits.n > QUEUE_DIGITS)
		return;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return;
		n = n * 10 + (digits.p[i] - '0');
	}
	g->queue = n;
}

static void take(struct generation *g, enum sse_item item)
{
	switch (item) {
	case SSE_MORE:
		break;
	case SSE_EVENT:
		take_event(g);
		break;
	case SSE_COMMENT:
		take_comment(g, g->sse.comment);
		break;
	case SSE_TOO_LARGE:
		end_ours(g, CAUSE_EVENT_TOO_LARGE, NULL);
		break;
	case SSE_NO_MEMORY:
		end_ours(g, CAUSE_OVERLOADED, NULL);
		break;
	}
}

static void refuse_json(struct generation *g)
{
	refuse(g, "The model server answered with application/json, which is not the stream that was asked for.");
}

static void collect_json(struct generation *g, span bytes)
{
	if (bytes.n > JSON_BODY_MAX - g->json_body.n) {
		g->ignored_bytes += bytes.n;
		refuse_json(g);
		return;
	}
	buf_put(&g->json_body, bytes);
	if (g->json_body.failed)
		end_ours(g, CAUSE_OVERLOADED, NULL);
}

/* bytes: what the parser has used up for the item. */
static void note_bytes(struct generation *g, enum sse_item item, span bytes)
{
	if (item == SSE_EVENT)
		g->frame = raw_close(&g->raw, bytes);
	else
		raw_take(&g->raw, bytes);
}

void generation_body(struct generation *g, span bytes)
{
	if (!g->ended && g->is_json_body) {
		collect_json(g, bytes);
		return;
	}
	CHECK(g->ended || g->answered);
	while (!g->ended) {
		const char *from = bytes.p;
		enum sse_item item = sse_next(&g->sse, &bytes);
		if (g->rules.keeps_frames)
			note_bytes(g, item, span_of(from, (size_t)(bytes.p - from)));
		if (item == SSE_MORE) {
			relay_comments(g);
			return;
		}
		take(g, item);
	}
	g->ignored_bytes += bytes.n;
}

/* The body's end. */

static bool begins_value(enum json_token token)
{
	switch (token) {
	case JSON_OBJECT:
	case JSON_ARRAY:
	case JSON_STRING:
	case JSON_NUMBER:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		return true;
	default:
		return false;
	}
}

static bool is_whole_json(span text)
{
	struct json s;
	json_init(&s);
	json_feed(&s, text, true);
	enum json_token first = json_next(&s);
	bool whole = begins_value(first) && json_skip(&s, first) && json_next(&s) == JSON_END;
	json_finish(&s);
	return whole;
}

/* A last NDJSON line that lacks its LF is an event if the framing says that the body is whole and the line is. */
static void take_last_line(struct generation *g)
{
	enum sse_item item = sse_end(&g->sse);
	if (item == SSE_EVENT && !is_whole_json(g->sse.event.data)) {
		g->evidence.half_event = true;
		return;
	}
	if (item == SSE_EVENT)
		g->frame = raw_close(&g->raw, (span){0});
	take(g, item);
}

/* An error that was written without `data:` mostly lacks its blank line too. Only errors are read in this form;
 * anything else remains half an event. */
static void take_last_stray(struct generation *g)
{
	if (g->is_undecided || sse_end(&g->sse) != SSE_EVENT || !is_whole_json(g->sse.event.stray))
		return;
	g->frame = raw_idle_part(&g->raw, raw_close(&g->raw, (span){0})); /* half an event goes to nobody */
	take_event(g);
}

/* Where the dialect is not known yet, an error is looked for in the shape that nearly every server shares. */
static void read_json_body(struct generation *g)
{
	if (g->is_undecided)
		change_dialect(g, &dialect_openai_chat);
	const struct dialect *d = g->reader.dialect;
	if (d->read_error_body && d->read_error_body(&g->reader, buf_span(&g->json_body)))
		judge(g, NULL);
	else
		refuse_json(g);
}

static void read_end(struct generation *g, bool framed)
{
	if (g->answered && framed && g->sse.syntax == SSE_NDJSON)
		take_last_line(g);
	else if (g->answered)
		g->evidence.half_event = sse_is_inside_event(&g->sse);
	if (g->answered && framed && g->sse.syntax == SSE_EVENT_STREAM)
		take_last_stray(g);
}

void generation_body_end(struct generation *g, enum ending_body how, const char *detail)
{
	if (g->ended)
		return;
	const bool is_end = how == BODY_FRAMED || how == BODY_CLOSED;
	CHECK(how != BODY_OPEN && (g->evidence.status || !is_end));
	read_end(g, how == BODY_FRAMED);
	if (g->ended)
		return;
	if (g->is_json_body && is_end) {
		read_json_body(g);
		return;
	}
	g->evidence.body = how;
	judge(g, detail);
	CHECK(g->ended);
}

void generation_no_connection(struct generation *g, enum cause cause, const char *detail)
{
	CHECK(cause == CAUSE_REFUSED || cause == CAUSE_TLS);
	if (g->ended)
		return;
	g->evidence.no_connection = cause;
	judge(g, detail);
}

static bool is_ours(enum cause cause)
{
	switch (cause) {
	case CAUSE_STOPPED:
	case CAUSE_CONNECT_TIMEOUT:
	case CAUSE_FIRST_EVENT_TIMEOUT:
	case CAUSE_IDLE_TIMEOUT:
	case CAUSE_TOTAL_TIMEOUT:
	case CAUSE_EVENT_TOO_LARGE:
	case CAUSE_STREAM_TOO_LARGE:
	case CAUSE_ABANDONED:
	case CAUSE_OVERLOADED:
	case CAUSE_SHUTDOWN:
	case CAUSE_OWNER_LOST:
	case CAUSE_INTERNAL:
		return true;
	default:
		return false;
	}
}

void generation_end(struct generation *g, enum cause cause, const char *detail)
{
	CHECK(is_ours(cause));
	if (!g->ended)
		end_ours(g, cause, detail);
}
