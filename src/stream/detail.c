/* The sentence of a bad end.
 *
 * A person reads it on a page, in a log or in an SDK's exception, mostly at a bad hour. It says how far the answer
 * came, and where in the upstream's answer the trouble lies, because "upstream error" sends the reader to the wrong
 * machine. The cause's own sentence (cause.def) is what remains when no more is known.
 *
 * Half of the words may be the upstream's: an error's message, a finish reason, a media type. They are hostile until
 * `detail_clean` has copied them, which is the only way into `out`:
 *
 *	1. Valid UTF-8, one line, no control characters; what is neither becomes '?' or a space.
 *	2. No "<" and no ">": a page that forgets to escape still shows text. Guillemets stand in for them, so that
 *	   "expected <int>" stays readable.
 *	3. The credential that we sent up, which some servers repeat when they refuse it, becomes an ellipsis.
 *	4. Cut at a whole character to DIALECT_SENTENCE.
 *
 * Pure, any thread. Not here: which cause it is (stream/ending), and JSON escaping (sse/print). */
#include "stream/detail.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { RAW = 2 * DIALECT_SENTENCE + 4 * DIALECT_WORD }; /* more than any sentence below; snprintf cuts what is not */

struct draft {
	char text[RAW];
};

static void say(struct draft *d, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct draft *d, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(d->text, sizeof d->text, format, args);
	va_end(args);
}

/* The reasons of RFC 9110 that a model server or a proxy before it gives, and two that are common without an RFC. */
static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {301, "Moved Permanently"}, {302, "Found"},
		{303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
		{400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"},
		{404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"},
		{409, "Conflict"}, {410, "Gone"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
		{422, "Unprocessable Content"}, {425, "Too Early"}, {429, "Too Many Requests"},
		{499, "Client Closed Request"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
		{502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {529, "Overloaded"},
	};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return NULL;
}

struct progress {
	char text[48];
};

static struct progress progress_of(uint64_t events)
{
	struct progress p;
	if (events == 0)
		snprintf(p.text, sizeof p.text, "before the first text");
	else
		snprintf(p.text, sizeof p.text, "after %" PRIu64 " event%s", events, events == 1 ? "" : "s");
	return p;
}

/* " for choice 1", the first that has no finish; nothing where there is only one choice. */
static struct progress unfinished_of(const struct seen *s)
{
	struct progress p = {""};
	unsigned i = 0;
	while (i < s->choices && s->finished_set[i / 8] >> i % 8 & 1)
		i++;
	if (s->choices > 1)
		snprintf(p.text, sizeof p.text, " for choice %u", i);
	return p;
}

static const char *inside_of(const struct evidence *e) { return e->half_event ? ", in the middle of an event" : ""; }

static void say_status(struct draft *d, int status)
{
	const char *reason = reason_of(status);
	say(d, "The model server answered %d%s%s.", status, reason ? " " : "", reason ? reason : "");
}

static void say_protocol(struct draft *d, const struct detail_facts *f, const char *progress)
{
	const struct evidence *e = f->evidence;
	if (e->body == BODY_MALFORMED)
		say(d, "The model server broke the rules of HTTP %s.", e->status ? progress : "before it answered");
	else if (e->seen->unreadable)
		say(d, "An event of the answer could not be read, %s: %s.", progress, e->seen->why);
	else
		say(d, "%s", cause_row(CAUSE_PROTOCOL)->sentence);
}

static void say_error(struct draft *d, const struct seen *s)
{
	struct draft kind = {""};
	if (*s->error_type && *s->error_code)
		say(&kind, " (type %s, code %s)", s->error_type, s->error_code);
	else if (*s->error_type)
		say(&kind, " (type %s)", s->error_type);
	else if (*s->error_code)
		say(&kind, " (code %s)", s->error_code);
	if (*s->error_message)
		say(d, "The model server reported an error: \"%s\"%.200s.", s->error_message, kind.text);
	else
		say(d, "The model server reported an error%.200s and said no more.", kind.text);
}

static void say_cut(struct draft *d, const struct evidence *e, const char *progress)
{
	if (e->status == 0)
		say(d, "The connection broke before the model server answered.");
	else
		say(d, "The connection broke %s%s.", progress, inside_of(e));
}

static void say_truncated(struct draft *d, const struct detail_facts *f, const char *progress)
{
	const struct evidence *e = f->evidence;
	if (f->verdict.line == 4)
		say(d, "The end marker came %s, without a finish reason%s.", progress, unfinished_of(e->seen).text);
	else if (f->verdict.line == 8)
		say(d, "The answer ended %s, in the middle of an event.", progress);
	else if (f->verdict.line == 9)
		say(d, "The answer ended %s, without a finish reason%s.", progress, unfinished_of(e->seen).text);
	else if (!e->seen->text)
		say(d, "The answer ended without any text.");
	else
		say(d, "The answer ended %s, without the end marker that this route asks for.", progress);
}

/* limit 0: not the route's, but what memory or a journal can hold at all. */
static void say_too_large(struct draft *d, enum cause cause, const char *progress, uint64_t limit)
{
	const char *what = cause == CAUSE_EVENT_TOO_LARGE ? "the next event" : "it";
	if (limit)
		say(d, "The answer was cut off %s: %s is larger than the %" PRIu64 " bytes that are allowed here.",
		    progress, what, limit);
	else
		say(d, "%s", cause_row(cause)->sentence);
}

/* Who knows why it happened does not know how far the answer had come. A parser gives its complaint, not a sentence. */
static void say_given(struct draft *d, const struct detail_facts *f)
{
	const struct evidence *e = f->evidence;
	const size_t n = strlen(f->given);
	const char *stop = n && f->given[n - 1] == '.' ? "" : ".";
	const char *lead = e->body == BODY_MALFORMED ? "The model server broke the rules of HTTP: " : "";
	struct draft place = {""};
	if (e->status == 200 && !e->unusable)
		say(&place, " That was %s%s.", progress_of(f->events).text, inside_of(e));
	say(d, "%s%.*s%s%.99s", lead, DIALECT_SENTENCE, f->given, stop, place.text);
}

static void say_known(struct draft *d, const struct detail_facts *f)
{
	const struct progress progress = progress_of(f->events);
	const struct seen *seen = f->evidence->seen;
	switch (f->verdict.cause) {
	case CAUSE_STATUS:
		say_status(d, f->evidence->status);
		break;
	case CAUSE_PROTOCOL:
		say_protocol(d, f, progress.text);
		break;
	case CAUSE_ERROR:
		say_error(d, seen);
		break;
	case CAUSE_ABORTED:
		say(d, "The model server gave up %s: its finish reason is \"%s\".", progress.text, seen->finish);
		break;
	case CAUSE_CUT:
		say_cut(d, f->evidence, progress.text);
		break;
	case CAUSE_TRUNCATED:
		say_truncated(d, f, progress.text);
		break;
	case CAUSE_UNPROVEN:
		say(d, "The connection was simply closed %s: nothing proves that the answer is whole.", progress.text);
		break;
	case CAUSE_IDLE_TIMEOUT:
		say(d, "The model server fell silent %s.", progress.text);
		break;
	case CAUSE_TOTAL_TIMEOUT:
		say(d, "The answer took longer than is allowed here; time was over %s.", progress.text);
		break;
	case CAUSE_EVENT_TOO_LARGE:
		say_too_large(d, CAUSE_EVENT_TOO_LARGE, progress.text, f->event_limit);
		break;
	case CAUSE_STREAM_TOO_LARGE:
		say_too_large(d, CAUSE_STREAM_TOO_LARGE, progress.text, f->stream_limit);
		break;
	default:
		say(d, "%s", cause_row(f->verdict.cause)->sentence);
	}
}

/* Bytes of the valid character at the front of s, which is not empty; 0 when there is none. */
static size_t character_bytes(span s)
{
	for (size_t n = 1; n <= 4 && n <= s.n; n++)
		if (utf8_is_valid(span_first(s, n)))
			return n;
	return 0;
}

/* The length of the control character at p, 0 when there is none: C0 and DEL, or C1, which a terminal obeys as well. */
static size_t control_bytes(const unsigned char *p, size_t n)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	return n > 1 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

/* What stands in for the front of s, and how much of s that is. */
static span clean_one(span s, span secret, size_t *taken)
{
	*taken = 1;
	if (secret.n && span_starts(s, secret)) {
		*taken = secret.n;
		return SPAN("…");
	}
	*taken = control_bytes((const unsigned char *)s.p, s.n);
	if (*taken)
		return SPAN(" ");
	*taken = 1;
	if (s.p[0] == '<')
		return SPAN("‹");
	if (s.p[0] == '>')
		return SPAN("›");
	size_t n = character_bytes(s);
	if (n == 0)
		return SPAN("?");
	*taken = n;
	return span_first(s, n);
}

void detail_clean(char out[DIALECT_SENTENCE], span s, span secret)
{
	size_t n = 0, taken;
	for (; s.n; s = span_from(s, taken)) {
		span put = clean_one(s, secret, &taken);
		if (n + put.n >= DIALECT_SENTENCE)
			break;
		memcpy(out + n, put.p, put.n);
		n += put.n;
	}
	out[n] = 0;
}

void detail_write(char out[DIALECT_SENTENCE], const struct detail_facts *f)
{
	struct draft d;
	out[0] = 0;
	if (cause_row(f->verdict.cause)->end != END_FAILED)
		return;
	if (f->given)
		say_given(&d, f);
	else
		say_known(&d, f);
	detail_clean(out, span_str(d.text), f->secret);
}
