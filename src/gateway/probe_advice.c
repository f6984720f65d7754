/* Facts in, advice out: what a route onto this upstream should say, and what is wrong with the upstream.
 *
 * A list of small rules in the order in which a person wants to read them: what hinders an answer at all, then what is
 * wrong with its end, then what is only worth knowing. A rule looks at facts alone and adds a sentence, or a change of
 * the route, or both. Whether a setting would change the verdict is not known here: stream/ending is asked again with
 * that setting, so an advice cannot promise what a route would not keep.
 *
 *	1. Pure and total: any facts give an advice, the empty one included.
 *	2. The route in the advice never believes more than the one that was asked, but by `finish: optional`, whose
 *	   price is said beside it. `end_marker: none` is mentioned, never set.
 *	3. A dialect that was only recognised by its events is not written into the route: a route that names a JSON
 *	   dialect asks by POST, and this upstream answered a GET. */
#include "gateway/probe_parts.h"

#include <stdarg.h>
#include <stdio.h>

enum { MARKER_BYTES = 24 }; /* longer data in brackets is text */

static void say(struct probe_advice *a, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct probe_advice *a, const char *format, ...)
{
	va_list args;
	if (a->sentences == PROBE_SENTENCES)
		return;
	va_start(args, format);
	vsnprintf(a->sentence[a->sentences++], PROBE_SENTENCE, format, args);
	va_end(args);
}

static bool has_cause(const struct probe_facts *f, enum cause cause) { return f->verdict.cause == cause; }
static bool is_text(const struct probe_facts *f) { return f->evidence->is_text; }

/* What the verdict would be under other settings. */
static bool would_be_whole(const struct probe_facts *f, bool finish_optional, enum end_marker end_marker)
{
	struct evidence e = *f->evidence;
	struct verdict v;
	e.finish_optional = finish_optional;
	e.end_marker = end_marker;
	return ending_judge(&e, &v) && v.cause == CAUSE_FINISHED;
}

/* No answer. */

static void advise_no_connection(struct probe_advice *a, const struct probe_facts *f)
{
	if (has_cause(f, CAUSE_REFUSED))
		say(a, "Is the server running, and is this the address that it listens on? In a container 127.0.0.1 is the "
			"container itself.");
	if (has_cause(f, CAUSE_CONNECT_TIMEOUT))
		say(a, "Nothing answered at all, not even a refusal: a firewall that drops packets, or a wrong address.");
	if (has_cause(f, CAUSE_TLS))
		say(a, "If the certificate comes from an authority of your own, name its file: --ca FILE here, `ca:` in the "
			"route. There is no way to skip the check; if the server speaks no TLS, write http://.");
}

enum method { BY_GET = 1, BY_POST = 2, EITHER = 3 };

static const struct {
	int from, to;
	enum method asked;
	const char *sentence;
} statuses[] = {
	{401, 401, EITHER, "It wants a credential: --auth env:NAME or --auth file:PATH here, `auth:` in the route."},
	{403, 403, EITHER, "It does not let us in. Does it want a credential (--auth env:NAME here, `auth:` in the "
		"route)?"},
	{404, 404, BY_GET, "There is nothing at this path. Servers with OpenAI's protocol answer at /v1/chat/completions, "
		"Ollama at /api/chat."},
	{404, 404, BY_POST, "There is nothing at this path, or no such model: name it by --model NAME (request: { model: "
		"NAME } in the route)."},
	{405, 405, BY_GET, "It does not take a question by GET, so it speaks a protocol in JSON: say which by --dialect, "
		"such as openai-chat."},
	{405, 405, BY_POST, "It does not take a POST. Are path and dialect right?"},
	{400, 422, BY_GET, "It was asked by GET with ?prompt=TEXT and wants something else: a parameter of another name, "
		"or JSON (--dialect)."},
	{400, 422, BY_POST, "It did not like the question: many servers insist on --model NAME, others on more members "
		"(--request JSON)."},
	{429, 429, EITHER, "It has no room for a question now. Ask again later."},
	{503, 503, EITHER, "It has no room for a question now, or is not ready yet. Ask again later."},
	{500, 599, EITHER, "The fault is the server's own, or of a proxy before it; its log knows more."},
	{100, 499, EITHER, "Is this the URL that answers with a stream?"},
};

static void advise_status(struct probe_advice *a, const struct probe_facts *f)
{
	const int status = f->evidence->status;
	const enum method asked = f->by_get ? BY_GET : BY_POST;
	size_t i = 0, n = sizeof statuses / sizeof *statuses;
	if (!has_cause(f, CAUSE_STATUS))
		return;
	while (i < n && (status < statuses[i].from || status > statuses[i].to || !(statuses[i].asked & asked)))
		i++;
	if (status / 100 == 3 && f->look->location[0])
		say(a, "Redirects are not followed: they would carry the prompt and the credential elsewhere. It points to "
			"%s, so check that URL.", f->look->location);
	else if ((status == 401 || status == 403) && f->route->auth_value)
		say(a, "It does not accept this credential. Is it the right one, and in the right header? --auth-header NAME "
			"says another.");
	else if (i < n)
		say(a, "%s", statuses[i].sentence);
}

static void advise_compressed(struct probe_advice *a, const struct probe_facts *f)
{
	if (f->evidence->unusable && f->look->encoding[0])
		say(a, "It was asked for an answer without compression. Switch it off for this path: compression holds tokens "
			"back (FastAPI: no GZipMiddleware; nginx: gzip off).");
}

static bool is_media(const struct probe_facts *f, const char *name)
{
	return span_is_nocase(headers_media_type(span_str(f->look->type)), name);
}

static void advise_media_type(struct probe_advice *a, const struct probe_facts *f)
{
	const struct probe_look *l = f->look;
	if (!f->evidence->unusable || l->encoding[0])
		return;
	if (is_media(f, "application/json"))
		say(a, "It answered in one piece, not by a stream: it does not know how this dialect asks for one, or speaks "
			"another (--dialect).");
	else if (is_media(f, "text/html"))
		say(a, "That is a web page. Is this the port and the path of the model server, and is there no login before "
			"it?");
	else if (l->guessed || l->events)
		say(a, "The body is a stream in all but its name: let the server send Content-Type: %s.",
			l->sse.syntax == SSE_NDJSON ? "application/x-ndjson" : "text/event-stream");
	else
		say(a, "The body is no event stream either. Is this the path that streams?");
}

static void advise_other_dialect(struct probe_advice *a, const struct probe_facts *f)
{
	const char *guess = f->look->guess ? f->look->guess->name : NULL, *read = f->dialect->name;
	bool is_whole = has_cause(f, CAUSE_FINISHED) && !is_text(f);
	if (f->evidence->status != 200 || !guess || strcmp(guess, read) == 0 || is_whole)
		return;
	a->has_route = false;
	say(a, "It was read as %s, but its first event looks like %s: check again with --dialect %s.", read, guess,
		guess);
}

static void advise_unreadable(struct probe_advice *a, const struct probe_facts *f)
{
	if (!has_cause(f, CAUSE_PROTOCOL) || !f->evidence->seen->unreadable)
		return;
	a->has_route = false;
	say(a, "Either the server writes broken events, or they are of another dialect than %s (--dialect).",
		f->dialect->name);
}

/* An answer with a bad end. */

static void advise_own_words(struct probe_advice *a, const struct probe_facts *f)
{
	if (has_cause(f, CAUSE_CUT))
		say(a, "It ended inside the answer, as when a server dies, its generator raises an exception, or a proxy "
			"loses patience. The server's log of this moment tells which.");
	if (has_cause(f, CAUSE_ERROR) || has_cause(f, CAUSE_ABORTED))
		say(a, "That is the upstream's own word, said inside the answer; a page is told it by `failed`. Its log knows "
			"more.");
	if (f->evidence->body == BODY_MALFORMED && has_cause(f, CAUSE_PROTOCOL))
		say(a, "Is this a server of HTTP/1.1, and not of HTTP/2 alone, or of another protocol?");
	if (has_cause(f, CAUSE_FIRST_EVENT_TIMEOUT) || has_cause(f, CAUSE_TOTAL_TIMEOUT))
		say(a, "If it is only slow, give it more time: --timeout here, first_event:, idle: and total: in the route.");
	if (has_cause(f, CAUSE_TRUNCATED) && f->evidence->half_event)
		say(a, "Its last event is not closed. An event ends with an empty line.\nyield f\"data: {token}\\n\\n\"");
}

/* Lines 4 and 9 of the table of ends: dialects that have finish reasons. */
static void advise_finish(struct probe_advice *a, const struct probe_facts *f)
{
	if (f->verdict.line == 4 && would_be_whole(f, true, f->evidence->end_marker)) {
		a->route.finish_optional = true;
		say(a, "It sends its end marker without a finish reason. `finish: optional` takes the marker alone as proof. "
			"Its price: if this server sends the marker after a failure too, as some do, such an answer is called "
			"whole.");
	} else if (f->verdict.proof == PROOF_TERMINATOR) {
		say(a, "This end rests on `finish: optional`: a marker that comes after a failure too would be believed.");
	} else if (f->verdict.line == 9 && has_cause(f, CAUSE_TRUNCATED)) {
		say(a, "%s has a finish reason, and neither that nor an end marker came. No option can tell such an answer "
			"from one that was cut: the server must send them.", f->dialect->name);
	} else if (f->verdict.line == 9 && has_cause(f, CAUSE_UNPROVEN)) {
		say(a, "The finish reason came, but the body is not framed. Let the server answer by HTTP/1.1, with chunks.");
	}
}

/* Text. */

static void advise_no_text(struct probe_advice *a, const struct probe_facts *f)
{
	const struct probe_look *l = f->look;
	if (!probe_is_stream(f) || !is_text(f) || f->evidence->seen->text || !f->body_ended)
		return;
	if (l->named)
		say(a, "Its events have names, the last one \"%s\", and text is read from events without one.\n"
			"yield f\"data: {token}\\n\\n\"", l->last.name);
	else if (l->bytes && !l->events)
		say(a, "%llu bytes came, and no event in them.\nyield f\"data: {token}\\n\\n\"", (unsigned long long)l->bytes);
	else
		say(a, "Nothing that came is text. Did the server fail before its first token, and hide that?");
}

static bool looks_like_a_marker(span s)
{
	static const char *const words[] = {"DONE", "END", "EOS", "EOF", "STOP"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (span_is_nocase(s, words[i]))
			return true;
	bool bracketed = s.n > 2 && ((s.p[0] == '[' && s.p[s.n - 1] == ']') || (s.p[0] == '<' && s.p[s.n - 1] == '>'));
	return bracketed && s.n <= MARKER_BYTES && span_find(s, ' ') == s.n && span_find(s, '"') == s.n;
}

/* A word that can stand in a list of the configuration as it is. */
static bool is_plain_word(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")] == 0;
}

static void advise_marker(struct probe_advice *a, const struct probe_facts *f)
{
	const struct probe_last *last = &f->look->last;
	if (f->evidence->seen->text && is_plain_word(last->name) && strcmp(last->name, "message") != 0)
		say(a, "Its last event is named \"%s\". If that comes after whole answers only, write `end_events: [%s]` and "
			"`end_marker: required`.", last->name, last->name);
	else if (!last->name[0] && looks_like_a_marker(span_str(last->data)))
		say(a, "Its last data is \"%s\", which this route takes for text. If that comes after whole answers only, "
			"write `end_data: [\"%s\"]` and `end_marker: required`.", last->data, last->data);
	else
		say(a, "Let the server say a last word after its last token, and only then; with `end_marker: required` in "
			"the route nothing else counts as an end.\nyield \"event: close\\ndata: finished\\n\\n\"");
}

static void advise_unproven_text(struct probe_advice *a, const struct probe_facts *f)
{
	if (f->evidence->body == BODY_CLOSED)
		say(a, "The body is not framed: it ends as the connection does, and a crash ends it in the same way. HTTP/1.1 "
			"with chunks would show a break.");
	advise_marker(a, f);
	if (f->verdict.proof == PROOF_NULL && would_be_whole(f, false, END_MARKER_NONE))
		say(a, "If the server cannot be changed, `end_marker: none` believes every clean close, a crashed server's "
			"too.");
}

static void advise_text(struct probe_advice *a, const struct probe_facts *f)
{
	if (!is_text(f))
		return;
	if (f->verdict.proof == PROOF_MARKER) {
		a->route.end_marker = END_MARKER_REQUIRED;
	} else if (f->verdict.proof == PROOF_FRAMING) {
		say(a, "Only the framing says that the answer is whole: a server that gives up politely looks the same.");
		advise_marker(a, f);
	} else if (f->evidence->seen->text && f->verdict.line == 10) {
		advise_unproven_text(a, f);
	}
}

static void advise_newlines(struct probe_advice *a, const struct probe_facts *f)
{
	uint64_t lines = probe_look_raw_newlines(f->look);
	if (lines && f->look->sse.syntax == SSE_EVENT_STREAM && f->evidence->status == 200)
		say(a, "%llu line%s of the stream %s no field, so text is lost: the server writes raw newlines inside data:. "
			"Each line of a token needs a data: of its own.\n"
			"yield \"\".join(f\"data: {line}\\n\" for line in token.split(\"\\n\")) + "
			"\"\\n\"", (unsigned long long)lines,
			lines == 1 ? "" : "s", lines == 1 ? "is" : "are");
}

/* Worth knowing. */

static void advise_exactness(struct probe_advice *a, const struct probe_facts *f)
{
	if (!f->has_cr)
		return;
	a->route.json = true;
	say(a, "Its text has carriage returns, which an event stream cannot carry: `data: json` keeps them, otherwise "
		"they become newlines.");
}

static void advise_finish_word(struct probe_advice *a, const struct probe_facts *f)
{
	const struct seen *s = f->evidence->seen;
	bool by_limit = span_is_nocase(span_str(s->finish), "length") || span_is_nocase(span_str(s->finish), "max_tokens");
	if (has_cause(f, CAUSE_FINISHED) && by_limit)
		say(a, "The model stopped at its limit of tokens, not at its own end. On the wire that is a whole answer; the "
			"limit is the request's (max_tokens and the like) or the server's.");
	else if (has_cause(f, CAUSE_FINISHED) && !s->text)
		say(a, "The answer is whole and has no text.");
}

/* Twice what was measured, in whole seconds. */
static uint64_t room_for(int64_t ms) { return ms > 0 ? ((uint64_t)ms * 2 + 999) / 1000 * 1000 : 0; }

static void advise_clocks(struct probe_advice *a, const struct probe_facts *f)
{
	const uint64_t first = room_for(f->first_ms), idle = room_for(f->gap_ms);
	a->slow_first = f->route->first_event_ms && first > f->route->first_event_ms;
	a->slow_idle = f->route->idle_ms && idle > f->route->idle_ms;
	if (a->slow_first)
		a->route.first_event_ms = first;
	if (a->slow_idle)
		a->route.idle_ms = idle;
	if (a->slow_first || a->slow_idle)
		say(a, "It is slow: the lines below leave it twice the time that it took.");
}

static void advise_tail(struct probe_advice *a, const struct probe_facts *f)
{
	if (f->evidence->seen->terminator && !f->body_ended)
		say(a, "The body went on, or stayed open, for two seconds after the end marker. The gateway does not wait for "
			"it; other clients may.");
}

/* Seen: asyncio's servers, Node's and Go's close when a client's side is shut; threaded ones in Python write on. */
static void advise_leaving(struct probe_advice *a, const struct probe_facts *f)
{
	if (f->busy == BUSY_FELL_LATER)
		say(a, "It noticed only when the connection was closed whole. That is what the gateway does, so it is enough.");
	else if (f->busy == BUSY_STAYED)
		say(a, "It goes on computing for nobody after its client has left: stopped answers cost as much as whole "
			"ones.");
	else if (f->leaving == LEAVING_WENT_ON || f->leaving == LEAVING_STAYED)
		say(a, "It does not look whether its client is still there. When the gateway closes the connection whole, "
			"such a server notices only as it fails to write its next token; while it writes nothing, it computes for "
			"nobody.");
}

static void settle_dialect(struct probe_advice *a, const struct probe_facts *f)
{
	if (f->known == KNOWN_BY_PATH || (f->known == KNOWN_NOT && probe_is_stream(f) && is_text(f))) {
		a->route.dialect_auto = false;
		a->route.dialect = f->dialect;
	}
}

void probe_advise(struct probe_advice *a, const struct probe_facts *f)
{
	static void (*const rules[])(struct probe_advice *, const struct probe_facts *) = {
		settle_dialect, advise_no_connection, advise_status, advise_compressed, advise_media_type,
		advise_other_dialect, advise_unreadable, advise_own_words, advise_finish, advise_no_text, advise_text,
		advise_newlines, advise_exactness, advise_finish_word, advise_clocks, advise_tail, advise_leaving,
	};
	*a = (struct probe_advice){.route = *f->route, .has_route = probe_is_stream(f)};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		rules[i](a, f);
}
