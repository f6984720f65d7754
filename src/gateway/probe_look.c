/* What an answer looks like from outside, whatever it means.
 *
 * The generation reads the same bytes, but stops at the first that it may not believe: a media type, a status, a
 * dialect's broken event. What went wrong is often plain to see behind that place (an event stream that calls itself
 * text/plain, the sentence of an error), so this looks at all of them, believes nothing and decides nothing.
 *
 *	1. Words that are kept are printable ASCII: they end on a terminal.
 *	2. Bounded, whatever comes: words by their arrays, the body by PROBE_BODY, an event by EVENT_BYTES. */
#include "gateway/probe_parts.h"

enum { EVENT_BYTES = 1024 * 1024 }; /* as a route's own default */

void probe_look_copy(char *to, size_t size, span text)
{
	size_t n = 0;
	for (; n < text.n && n + 1 < size; n++)
		to[n] = text.p[n] >= 0x20 && text.p[n] <= 0x7e ? text.p[n] : '?';
	to[n] = 0;
}

static enum sse_syntax syntax_of(span type, enum sse_syntax asked)
{
	span media = headers_media_type(type);
	if (span_is_nocase(media, "application/x-ndjson") || span_is_nocase(media, "application/jsonl"))
		return SSE_NDJSON;
	return span_is_nocase(media, "text/event-stream") ? SSE_EVENT_STREAM : asked;
}

void probe_look_head(struct probe_look *l, const struct http_head *head, enum sse_syntax syntax)
{
	span type = headers_get(head, "content-type");
	l->status = head->status;
	l->framing = head->framing;
	l->length = head->length;
	probe_look_copy(l->type, sizeof l->type, type);
	probe_look_copy(l->encoding, sizeof l->encoding, headers_get(head, "content-encoding"));
	probe_look_copy(l->location, sizeof l->location, headers_get(head, "location"));
	sse_init(&l->sse, syntax_of(type, syntax), EVENT_BYTES);
}

static bool is_ping(span name)
{
	return span_is(name, "ping") || span_is(name, "keepalive") || span_is(name, "keep-alive") ||
		span_is(name, "heartbeat");
}

static void look_at_event(struct probe_look *l, const struct sse_event *event)
{
	if (!event->has_data && !event->has_name)
		return;
	l->events++;
	l->pings += is_ping(event->name);
	l->named += event->name.n && !is_ping(event->name) && !span_is(event->name, "message");
	probe_look_copy(l->last.name, sizeof l->last.name, event->name);
	probe_look_copy(l->last.data, sizeof l->last.data, event->data.n < sizeof l->last.data ? event->data : (span){0});
	if (event->has_data && !l->guessed) {
		l->guess = dialect_by_event(l->sse.syntax, event);
		l->guessed = true;
	}
}

void probe_look_body(struct probe_look *l, span bytes)
{
	l->bytes += bytes.n;
	if (l->kept.n < PROBE_BODY)
		buf_put(&l->kept, span_first(bytes, PROBE_BODY - l->kept.n));
	for (;;)
		switch (sse_next(&l->sse, &bytes)) {
		case SSE_EVENT:
			look_at_event(l, &l->sse.event);
			break;
		case SSE_COMMENT:
			l->comments++;
			break;
		case SSE_TOO_LARGE:
		case SSE_NO_MEMORY:
			break;
		case SSE_MORE:
			return;
		}
}

void probe_look_finish(struct probe_look *l)
{
	sse_finish(&l->sse);
	buf_finish(&l->kept);
}
