/* /streams/ID, and coming back. An id is a capability: who has it may read and stop the stream, so nothing here asks
 * where the request comes from. What a place leads to is a table: ended for good (204), live or kept (go on behind
 * it), anything else is forgotten, and paid work is never started a second time. */
#include "gateway/endpoints.h"

#include "gateway/render.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <stdlib.h>

static void answer_forgotten(struct worker *w, struct exchange *x, span place)
{
	struct buf out = {0};
	w->metrics.resumes[RESUME_FORGOTTEN]++;
	render_forgotten(&out, w->config->retry_ms, place);
	exchange_field(x, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_field(x, "X-Accel-Buffering", SPAN("no"));
	exchange_begin(x, 200, "text/event-stream", -1);
	exchange_put(x, buf_span(&out));
	if (out.failed)
		exchange_break(x);
	else
		exchange_end(x);
	buf_finish(&out);
}

bool streams_place(struct exchange *x, struct buf *storage, span *place)
{
	span header = headers_get(exchange_head(x), "last-event-id");
	*place = header.n ? header : (span){0};
	if (place->p)
		return true;
	switch (url_query_get(exchange_target(x)->query, "last_event_id", storage)) {
	case URL_BAD:
		exchange_refuse(x, 400, "bad_last_event_id", "last_event_id is not well percent-encoded.");
		return false;
	case URL_FOUND:
		if (storage->n)
			*place = buf_span(storage);
		return true;
	case URL_ABSENT:
		return true;
	}
	return true;
}

static void go_on(struct worker *w, struct exchange *x, struct stream *s, uint32_t taken)
{
	w->metrics.resumes[s->generation.ended ? RESUME_KEPT : RESUME_LIVE]++;
	w->metrics.attached[ATTACHED_BY_ID]++;
	viewer_open(x, stream_admit(s), taken);
}

void streams_resume(struct worker *w, struct exchange *x, span place)
{
	struct id id;
	uint64_t n = 0;
	struct stream *s;
	switch (id_parse_place(place, &id, &n)) {
	case PLACE_BAD:
		exchange_refuse(x, 400, "bad_last_event_id",
			"That Last-Event-ID was never given out here; expected ID.n or ID.end.");
		return;
	case PLACE_END:
		w->metrics.resumes[RESUME_ENDED]++;
		exchange_answer(x, 204, NULL, (span){0});
		return;
	case PLACE_EVENT:
		s = stream_find(w, span_of(id.text, ID_LENGTH));
		if (s && n <= journal_told(s->face->journal))
			go_on(w, x, s, (uint32_t)n);
		else
			answer_forgotten(w, x, place);
		return;
	case PLACE_FOREIGN:
		answer_forgotten(w, x, place);
		return;
	}
}

static span id_of_path(const struct exchange *x) { return span_from(exchange_target(x)->path, sizeof "/streams/" - 1); }

static void answer_state(struct exchange *x, const struct stream *s)
{
	struct buf out = {0};
	stream_print_state(s, &out);
	exchange_field(x, "Cache-Control", SPAN("no-store"));
	if (out.failed)
		exchange_refuse(x, 503, "overloaded", "There is no memory for this answer now.");
	else
		exchange_answer(x, 200, "application/json", buf_span(&out));
	buf_finish(&out);
}

static void refuse_unknown(struct exchange *x) { exchange_refuse(x, 404, "unknown_stream",
	"No stream of that id is kept here."); }

/* The place belongs to the stream that the URL names. */
static bool is_place_of(span place, span id)
{
	return span_starts(place, id) && place.n > id.n
		&& place.p[id.n] == '.';
}

static void get_stream(struct worker *w, struct exchange *x, span place)
{
	span id = id_of_path(x);
	struct stream *s = stream_find(w, id);
	bool named = headers_accepts(exchange_head(x), "text/event-stream") == ACCEPT_NAMED;
	if (place.p && !is_place_of(place, id))
		exchange_refuse(x, 400, "bad_last_event_id", "That Last-Event-ID belongs to another stream.");
	else if (place.p)
		streams_resume(w, x, place);
	else if (s)
		viewer_open(x, stream_admit(s), 0);
	else if (named && id_is_valid(id)) {
		char first[ID_LENGTH + 3];
		memcpy(first, id.p, ID_LENGTH);
		memcpy(first + ID_LENGTH, ".0", 3);
		answer_forgotten(w, x, span_str(first));
	} else
		refuse_unknown(x);
}

/* JSON is answered to those who ask for it and would not rather read the stream. */
static bool wants_state(const struct http_head *head)
{
	return headers_accepts(head, "application/json") == ACCEPT_NAMED && headers_accepts(head,
		"text/event-stream") != ACCEPT_NAMED;
}

void streams_get(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct http_head *head = exchange_head(x);
	struct stream *s = stream_find(w, id_of_path(x));
	struct buf as = {0}, storage = {0};
	span place;
	if (url_query_get(exchange_target(x)->query, "as", &as) != URL_ABSENT) {
		if (!s)
			refuse_unknown(x);
		else if (!span_is(buf_span(&as), "upstream"))
			exchange_refuse(x, 400, "bad_as", "A stream can be read as=upstream, or without `as`.");
		else if (!s->face->dialect)
			exchange_refuse(x, 406, "not_passthrough",
				"That stream was not started on a passthrough route; there are no upstream frames of it.");
		else
			viewer_open_frames(x, stream_admit(s));
	} else if (wants_state(head)) {
		if (s)
			answer_state(x, s);
		else
			refuse_unknown(x);
	} else if (headers_accepts(head, "text/event-stream") == ACCEPT_NO)
		exchange_refuse(x, 406, NULL, "A stream is text/event-stream, its state application/json.");
	else if (exchange_is_head(x)) {
		if (s) {
			exchange_begin(x, 200, "text/event-stream", -1);
			exchange_end(x);
		} else
			refuse_unknown(x);
	} else if (streams_place(x, &storage, &place))
		get_stream(w, x, place);
	buf_finish(&as);
	buf_finish(&storage);
}

void streams_delete(struct worker *w, struct exchange *x, const struct route *route)
{
	struct stream *s = stream_find(w, id_of_path(x));
	if (!s) {
		refuse_unknown(x);
		return;
	}
	stream_stop(s);
	exchange_answer(x, 204, NULL, (span){0});
}
