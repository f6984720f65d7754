/* What `lastword check` found, for a person at a bad hour: the verdict in one sentence, what was seen, what to do
 * about it, and the route to copy.
 *
 * What the upstream said of itself is printed only in the forms in which facts hold it: printable ASCII, or a sentence
 * that stream/detail has made safe. So nothing that a server sends moves a cursor. Lines are wrapped, but the route
 * never is: it is there to be copied. */
#include "gateway/probe_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { WIDTH = 98, FACT_AT = 15 };

/* Lines. */

static size_t count_chars(span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Words from column `at` on; the line has been begun up to there. */
static void put_wrapped(struct buf *out, size_t at, span text)
{
	size_t column = at;
	for (bool first = true; text.n; first = false) {
		span word = span_first(text, span_find(text, ' '));
		text = span_from(text, word.n + 1);
		if (!first && column + 1 + count_chars(word) > WIDTH) {
			buf_printf(out, "\n%*s", (int)at, "");
			column = at;
		} else if (!first) {
			buf_put_byte(out, ' ');
			column++;
		}
		buf_put(out, word);
		column += count_chars(word);
	}
	buf_put_byte(out, '\n');
}

static void put_fact(struct buf *out, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);

static void put_fact(struct buf *out, const char *name, const char *format, ...)
{
	char text[800];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	buf_printf(out, "  %-*s", FACT_AT - 2, name);
	put_wrapped(out, FACT_AT, span_str(text));
}

/* The verdict. */

static const char *whole(const struct probe_facts *f)
{
	switch (f->verdict.proof) {
	case PROOF_MARKER:
		return "complete: the answer is whole, and its end marker proves it.";
	case PROOF_TERMINATOR:
		return "complete: its end marker says that the answer is whole, though no finish reason came (finish: "
			"optional).";
	case PROOF_FINISH:
		return f->evidence->has_terminator
			? "complete: the answer is whole by its finish reason, though no end marker came."
			: "complete: the answer is whole, and its finish reason proves it.";
	case PROOF_FRAMING:
		return "complete: the answer is whole, by its framing alone.";
	default:
		return "not proved: the answer ended, and only `end_marker: none` calls it whole.";
	}
}

static void put_verdict(struct buf *out, const struct probe_facts *f)
{
	if (f->verdict.cause == CAUSE_FINISHED)
		put_wrapped(out, 0, span_str(whole(f)));
	else {
		struct buf line = {0};
		buf_printf(&line, "%s: %s", f->verdict.cause == CAUSE_UNPROVEN ? "not proved" : "failed", f->detail);
		put_wrapped(out, 0, buf_span(&line));
		buf_finish(&line);
	}
}

/* Facts. */

static const char *knowledge(enum probe_known known)
{
	static const char *const words[] = {
		[KNOWN_NOT] = "nothing names another", [KNOWN_BY_NAME] = "as you said",
		[KNOWN_BY_PATH] = "by its path", [KNOWN_BY_EVENT] = "by its first event"};
	return words[known];
}

static void put_question(struct buf *out, const struct probe_facts *f)
{
	const struct upstream *u = &f->route->upstream[0];
	put_fact(out, "question", "%s %s", f->by_get ? "GET" : "POST", u->text);
	put_fact(out, "dialect", "%s (%s)", f->dialect->name, knowledge(f->known));
}

static void put_answer(struct buf *out, const struct probe_facts *f)
{
	const struct probe_look *l = f->look;
	char framing[64] = "no body";
	if (l->status == 0) {
		put_fact(out, "answer", "none");
		return;
	}
	if (l->framing == HTTP_LENGTH)
		snprintf(framing, sizeof framing, "Content-Length: %" PRIu64, l->length);
	else if (l->framing == HTTP_CHUNKED)
		snprintf(framing, sizeof framing, "chunked");
	else if (l->framing == HTTP_UNTIL_CLOSE)
		snprintf(framing, sizeof framing, "not framed: its body ends as the connection does");
	put_fact(out, "answer", "%d, %s, %s%s%s", l->status, l->type[0] ? l->type : "no Content-Type", framing,
		l->encoding[0] ? ", compressed: " : "", l->encoding);
	if (f->message[0])
		put_fact(out, "its words", "%s", f->message);
}

static void put_time(struct buf *out, const char *what, int64_t ms)
{
	if (ms >= 0)
		buf_printf(out, "%s%s %" PRId64, out->n ? ", " : "", what, ms);
}

static void put_times(struct buf *out, const struct probe_facts *f)
{
	struct buf text = {0};
	put_time(&text, "connected", f->connect_ms);
	put_time(&text, "answered", f->head_ms);
	put_time(&text, "first token", f->first_ms);
	put_time(&text, "verdict", f->end_ms);
	put_time(&text, "body over", f->body_end_ms);
	put_fact(out, "times", "%.*s (ms)", SPAN_ARG(buf_span(&text)));
	out->failed |= text.failed;
	buf_finish(&text);
}

static void put_count(struct buf *out, uint64_t n, const char *one)
{
	buf_printf(out, "%s%" PRIu64 " %s%s", out->n ? ", " : "", n, one, n == 1 ? "" : "s");
}

static void put_events(struct buf *out, const struct probe_facts *f)
{
	const struct probe_look *l = f->look;
	struct buf text = {0};
	put_count(&text, l->events, "event");
	put_count(&text, l->comments, "comment");
	put_count(&text, l->pings, "ping");
	put_count(&text, l->bytes, "byte");
	put_fact(out, "stream", "%.*s", SPAN_ARG(buf_span(&text)));
	put_fact(out, "text", "%" PRIu64 " event%s, %" PRIu64 " byte%s", f->text_events, f->text_events == 1 ? "" : "s",
		f->text_bytes, f->text_bytes == 1 ? "" : "s");
	text.n = 0;
	put_count(&text, probe_look_raw_newlines(l), "line");
	put_fact(out, "raw newlines", "%.*s", SPAN_ARG(probe_look_raw_newlines(l) ? buf_span(&text) : SPAN("none")));
	out->failed |= text.failed;
	buf_finish(&text);
}

static void put_end(struct buf *out, const struct probe_facts *f)
{
	const struct evidence *e = f->evidence;
	const struct seen *s = e->seen;
	char finish[DIALECT_WORD];
	probe_look_copy(finish, sizeof finish, span_str(s->finish));
	put_fact(out, "finish", "%s", finish[0] ? finish : e->has_finish ? "none came" : "this dialect has none");
	put_fact(out, "end marker", "%s", s->terminator ? "came" : e->has_terminator ? "none came" : "this dialect has "
		"none");
	if (s->prompt_tokens >= 0 || s->completion_tokens >= 0)
		put_fact(out, "usage", "%" PRId64 " tokens in, %" PRId64 " out", s->prompt_tokens < 0 ? 0 : s->prompt_tokens,
			s->completion_tokens < 0 ? 0 : s->completion_tokens);
	else
		put_fact(out, "usage", "not told");
}

static void put_word(struct buf *out, const struct probe_facts *f)
{
	const struct cause_row *row = cause_row(f->verdict.cause);
	const char *proof = proof_name(f->verdict.proof);
	put_fact(out, "last word", "%s: cause %s%s%s", row->end == END_FAILED ? "failed" : "close", row->name,
		proof ? ", proof " : "", proof ? proof : "");
}

static void put_left(struct buf *out, const struct probe_facts *f, const char *what, const char *behind)
{
	put_fact(out, "leaving", "asked again, and left after the first token: %s %" PRIu64 " event%s and %" PRId64 " ms "
		"later%s", what,
		f->leaving_events, f->leaving_events == 1 ? "" : "s", f->leaving_ms, behind);
}

static void put_leaving(struct buf *out, const struct probe_facts *f)
{
	switch (f->leaving) {
	case LEAVING_NOT_TRIED:
		break;
	case LEAVING_FAILED:
		put_fact(out, "leaving", "cannot be told: asked again, it sent no token");
		break;
	case LEAVING_TOO_SHORT:
		put_fact(out, "leaving", "cannot be told: the answer was over too soon. Ask for a longer one by --prompt");
		break;
	case LEAVING_CLOSED:
		put_left(out, f, "it closed its side", ": it noticed");
		break;
	case LEAVING_WENT_ON:
		put_left(out, f, "it sent its answer to the end,", "");
		break;
	case LEAVING_STAYED:
		put_left(out, f, "it was still there", ", when we closed");
		break;
	}
}

static void put_busy(struct buf *out, const struct probe_facts *f)
{
	switch (f->busy) {
	case BUSY_UNKNOWN:
		if (f->leaving == LEAVING_CLOSED || f->leaving == LEAVING_STAYED)
			put_fact(out, "computing", "whether its model stopped cannot be seen from here: ask the server's log or "
				"metrics");
		break;
	case BUSY_FELL:
		put_fact(out, "computing", "stopped within %" PRId64 " ms of our leaving: %s says one request "
			"less", f->busy_ms, f->busy_by);
		break;
	case BUSY_FELL_LATER:
		put_fact(out, "computing", "stopped only when the connection was closed whole, within %" PRId64 " ms of our "
			"leaving: %s says one request less", f->busy_ms, f->busy_by);
		break;
	case BUSY_STAYED:
		put_fact(out, "computing", "goes on: %s says as many requests as before", f->busy_by);
		break;
	}
}

/* The route. */

static void put_option(struct buf *out, const struct route *r, const char *indent, const char *name)
{
	buf_put(out, span_str(indent));
	config_print_option(r, name, out);
	buf_put_byte(out, '\n');
}

void probe_print_route(const struct probe_advice *a, struct buf *out)
{
	const struct route *r = &a->route;
	const struct {
		bool wanted;
		const char *name;
	} options[] = {
		{true, "upstream"}, {true, "dialect"}, {r->finish_optional, "finish"},
		{r->end_marker != END_MARKER_OPTIONAL, "end_marker"}, {r->json, "data"}, {r->request, "request"},
		{r->auth != AUTH_NONE, "auth"}, {r->auth_header, "auth_header"}, {r->ca, "ca"}, {a->slow_first, "first_event"},
		{a->slow_idle, "idle"},
	};
	put_option(out, r, "  - ", "path");
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].wanted)
			put_option(out, r, "    ", options[i].name);
}

/* What stands behind a line break is there to be copied. */
static void put_sentence(struct buf *out, span s)
{
	size_t words = span_find(s, '\n');
	buf_put(out, SPAN("  - "));
	put_wrapped(out, 4, span_first(s, words));
	if (words < s.n)
		buf_printf(out, "        %.*s\n", SPAN_ARG(span_from(s, words + 1)));
}

void probe_print(const struct probe_facts *f, const struct probe_advice *a, struct buf *out)
{
	put_verdict(out, f);
	buf_put_byte(out, '\n');
	put_question(out, f);
	put_answer(out, f);
	put_times(out, f);
	if (probe_is_stream(f) || f->look->events)
		put_events(out, f);
	if (probe_is_stream(f))
		put_end(out, f);
	put_word(out, f);
	put_leaving(out, f);
	put_busy(out, f);
	if (a->sentences)
		buf_put(out, SPAN("\nWhat to do\n"));
	for (size_t i = 0; i < a->sentences; i++)
		put_sentence(out, span_str(a->sentence[i]));
	if (!a->has_route)
		return;
	buf_printf(out, "\nThe route%s\nroutes:\n", probe_is_proved(f) ? "" : ", as far as it can be told");
	probe_print_route(a, out);
}
