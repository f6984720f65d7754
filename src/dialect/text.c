/* Dialect text: an event stream whose data is the text itself, as tutorials write it (FastAPI, Flask, the proxy of a
 * weekend). It has no finish reasons and perhaps no terminator, so what proves its end is mostly the route's choice.
 *
 * Which names end or fail a stream is configuration, because people invent them; the defaults are the words that were
 * seen most. Other names (progress, tool status, a server's own) carry no text but show that someone is working.
 * A line `error: …` is not read as an error here, as it is for JSON dialects: data in which a server forgot to split a
 * newline leaves such lines behind, and a model that prints a log is no failure.
 *
 * 1. Bytes of data are text, exactly: no trimming, and only data that equals a word of end_data ends the stream.
 * 2. A name of end_events or error_events counts with or without data, which a browser would not even dispatch.
 * 3. Empty data is no text and no sign of life.
 *
 * Characters that are split over events are joined by the reader. */
#include "dialect/reader.h"
#include "dialect/voice.h"

static bool is_one_of(span s, const char *const *words, size_t n)
{
	for (size_t i = 0; s.n && i < n; i++)
		if (s.p[0] == words[i][0] && span_is(s, words[i]))
			return true;
	return false;
}

static bool is_in(span s, const struct words *w) { return is_one_of(s, (const char *const *)w->word, w->n); }

static bool is_end_name(const struct reader *r, span name)
{
	static const char *const words[] = {"close", "end", "done"};
	return r->rules ? is_in(name, &r->rules->end_events) : is_one_of(name, words, 3);
}

static bool is_end_data(const struct reader *r, span data)
{
	return r->rules ? is_in(data, &r->rules->end_data) : span_is(data, "[DONE]");
}

static bool is_error_name(const struct reader *r, span name)
{
	static const char *const words[] = {"error", "failed"};
	return r->rules ? is_in(name, &r->rules->error_events) : is_one_of(name, words, 2);
}

static void read_text(struct reader *r, span data)
{
	if (data.n == 0)
		return;
	r->feeds_idle = true;
	if (is_end_data(r, data))
		reader_end_stream(r);
	else
		reader_add_text(r, data);
}

static APART void read_named(struct reader *r, const struct sse_event *event)
{
	struct fault f = {0};
	if (is_error_name(r, event->name)) {
		fault_read_data(&f, event->data);
		reader_fail(r, &f);
	} else if (is_end_name(r, event->name)) {
		reader_end_stream(r);
	} else {
		r->feeds_idle = event->has_data && !reader_is_ping(event);
	}
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	span name = event->name;
	bool message = span_is(name, "message") && !is_end_name(r, name) && !is_error_name(r, name);
	if (name.n == 0 || message)
		read_text(r, event->data);
	else
		read_named(r, event);
}

const struct dialect dialect_text = {
	.name = "text",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = false,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("event: error\ndata: "),
	.frame_end = SPAN("\n\n"),
	.put_error = voice_put_openai_error,
	.raising = {.event = "error"},
};
