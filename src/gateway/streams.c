/* /streams/ID, and coming back. An id is a capability: who has it may read and stop the stream, so nothing here asks
 * where the request comes from, nor for a key: a native EventSource has none to show. Only who shows the key of another
 * caller than the stream's is told what would be told of an id that never was. What a place leads to is a table: ended
 * for good (204), live or kept (go on behind it), anything else is forgotten, and paid work is never started a second
 * time.
 *
 * The stream may be another worker's. So every question is an errand to its home, which finds the stream, does what is
 * asked for and says what it saw; the answer is given here. A viewer is admitted in the moment in which its stream is
 * found: no grace can run out between the two. */
#include "gateway/endpoints.h"

#include "gateway/crew.h"
#include "gateway/errand.h"
#include "gateway/guard.h"
#include "gateway/render.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <stdio.h>
#include <stdlib.h>

void streams_answer_failed(struct exchange *x, struct buf *printed)
{
	exchange_field(x, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_field(x, "X-Accel-Buffering", SPAN("no"));
	exchange_begin(x, 200, "text/event-stream", -1);
	exchange_put_printed(x, printed);
	exchange_end(x);
	buf_finish(printed);
}

void streams_answer_forgotten(struct worker *w, struct exchange *x, span place)
{
	struct buf out = {0};
	w->metrics.resumes[RESUME_FORGOTTEN]++;
	render_forgotten(&out, w->config->retry_ms, place);
	streams_answer_failed(x, &out);
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

/* A question about the stream of an id. */
struct visit {
	struct errand errand;
	struct id id;
	const struct account *visitor; /* whose key was shown; NULL: none of ours */
	bool is_torn;              /* another one too */
	bool has_place;            /* … behind which to go on */
	uint64_t n;                /* events */
	bool reads_anyway;         /* no place: an unknown stream is said as forgotten, not as 404 */

	/* What its home says. */
	bool found, has_ended;
	bool given_up;             /* for memory: where the viewer would have to begin */
	struct seat seat;          /* the viewer's, who goes on behind seat.taken events */
	struct audience *spare;    /* memory for its audience */
	struct buf state;
};

/* Somebody else's. What was started without a key is everybody's who has its id. */
static bool is_foreign(const struct visit *v, const struct stream *s)
{
	return s->account && v->visitor && (v->is_torn || v->visitor != s->account);
}

static struct stream *find(const struct visit *v)
{
	struct stream *s = stream_find(v->errand.to, span_of(v->id.text, ID_LENGTH));
	return s && !is_foreign(v, s) ? s : NULL;
}

static void look(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	v->found = find(v);
}

static void nothing_to_forget(struct errand *e) {}

static void finish(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	free(v->spare);
	buf_finish(&v->state);
}

/* An id that names no worker is unknown here as well as anywhere. */
static struct visit visit_of(struct worker *w, struct exchange *x, span id)
{
	struct worker *home = crew_home(w->crew, id);
	struct caller_seen seen = guard_visitor(w, x);
	struct visit v = {.errand = {.from = w, .to = home ? home : w, .exchange = x, .run = look,
		.forget = nothing_to_forget, .finish = finish}, .visitor = seen.caller ? seen.caller->account : NULL,
		.is_torn = seen.is_torn};
	if (home)
		memcpy(v.id.text, id.p, ID_LENGTH);
	return v;
}

static void admit(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	struct stream *s = find(v);
	v->found = s && v->n <= journal_told(s->face->journal);
	if (!v->found)
		return;
	v->has_ended = s->generation.ended;
	v->seat.taken = (uint32_t)v->n;
	v->given_up = !stream_admit(s, e->from, &v->seat, &v->spare);
}

static void leave_again(struct errand *e)
{
	audience_give_back(&((struct visit *)e)->seat);
}

static void count_reader(const struct visit *v)
{
	struct metrics *m = &v->errand.from->metrics;
	m->joined_foreign += v->errand.from != v->errand.to;
	if (!v->has_place)
		return;
	m->resumes[v->has_ended ? RESUME_KEPT : RESUME_LIVE]++;
	m->attached[ATTACHED_BY_ID]++;
}

static void refuse_unknown(struct exchange *x) { exchange_refuse(x, 404, "unknown_stream",
	"No stream of that id is kept here."); }

static void refuse_given_up(struct exchange *x) { exchange_refuse(x, 404, "forgotten",
	"The beginning of that stream was given up for memory."); }

static void answer_reader(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	char place[ID_PLACE_MAX];
	snprintf(place, sizeof place, "%s.%llu", v->id.text, (unsigned long long)v->n);
	if (v->seat.audience) {
		count_reader(v);
		viewer_open(e->exchange, &v->seat);
	} else if (v->has_place || v->reads_anyway)
		streams_answer_forgotten(e->from, e->exchange, span_str(place));
	else if (v->given_up)
		refuse_given_up(e->exchange);
	else
		refuse_unknown(e->exchange);
}

/* Sends for the stream, of which the exchange is to become a viewer. */
static void send_for(struct visit *v, void (*run)(struct errand *e), void (*answer)(struct errand *e))
{
	struct errand *e = &v->errand;
	e->run = run;
	e->answer = answer;
	e->forget = leave_again;
	if (e->to != e->from && !(v->spare = malloc(sizeof *v->spare)))
		exchange_refuse(e->exchange, 503, "overloaded", "There is no memory for another viewer now.");
	else
		errand_go(e, sizeof *v);
}

static void resume(struct worker *w, struct exchange *x, const struct id *id, uint64_t n)
{
	struct visit v = visit_of(w, x, span_of(id->text, ID_LENGTH));
	v.id = *id;
	v.has_place = true;
	v.n = n;
	send_for(&v, admit, answer_reader);
}

void streams_resume(struct worker *w, struct exchange *x, span place)
{
	struct id id;
	uint64_t n = 0;
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
		resume(w, x, &id, n);
		return;
	case PLACE_FOREIGN:
		streams_answer_forgotten(w, x, place);
		return;
	}
}

static span id_of_path(const struct exchange *x) { return span_from(exchange_target(x)->path, sizeof "/streams/" - 1); }

static void print_state(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	struct stream *s = find(v);
	v->found = s;
	if (s)
		stream_print_state(s, &v->state);
}

static void answer_state(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	if (!v->found) {
		refuse_unknown(e->exchange);
		return;
	}
	exchange_field(e->exchange, "Cache-Control", SPAN("no-store"));
	if (v->state.failed)
		exchange_refuse(e->exchange, 503, "overloaded", "There is no memory for this answer now.");
	else
		exchange_answer(e->exchange, 200, "application/json", buf_span(&v->state));
}

static void admit_frames(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	struct stream *s = find(v);
	v->found = s;
	if (s && s->face->dialect)
		v->given_up = !stream_admit(s, e->from, &v->seat, &v->spare);
}

static void answer_frames(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	if (!v->found)
		refuse_unknown(e->exchange);
	else if (v->given_up)
		refuse_given_up(e->exchange);
	else if (!v->seat.audience)
		exchange_refuse(e->exchange, 406, "not_passthrough",
			"That stream was not started on a passthrough route; there are no upstream frames of it.");
	else {
		count_reader(v);
		viewer_open_frames(e->exchange, &v->seat);
	}
}

static void answer_as(struct errand *e)
{
	if (((struct visit *)e)->found)
		exchange_refuse(e->exchange, 400, "bad_as", "A stream can be read as=upstream, or without `as`.");
	else
		refuse_unknown(e->exchange);
}

static void answer_head(struct errand *e)
{
	if (!((struct visit *)e)->found) {
		refuse_unknown(e->exchange);
		return;
	}
	exchange_begin(e->exchange, 200, "text/event-stream", -1);
	exchange_end(e->exchange);
}

/* The place belongs to the stream that the URL names. */
static bool is_place_of(span place, span id)
{
	return span_starts(place, id) && place.n > id.n
		&& place.p[id.n] == '.';
}

static void get_stream(struct worker *w, struct exchange *x, span place)
{
	span id = id_of_path(x);
	struct visit v = visit_of(w, x, id);
	if (place.p && !is_place_of(place, id))
		exchange_refuse(x, 400, "bad_last_event_id", "That Last-Event-ID belongs to another stream.");
	else if (place.p)
		streams_resume(w, x, place);
	else {
		v.reads_anyway = id_is_valid(id)
			&& headers_accepts(exchange_head(x), "text/event-stream") == ACCEPT_NAMED;
		if (v.reads_anyway)
			memcpy(v.id.text, id.p, ID_LENGTH);
		send_for(&v, admit, answer_reader);
	}
}

/* JSON is answered to those who ask for it and would not rather read the stream. */
static bool wants_state(const struct http_head *head)
{
	return headers_accepts(head, "application/json") == ACCEPT_NAMED && headers_accepts(head,
		"text/event-stream") != ACCEPT_NAMED;
}

static void ask(struct visit v, void (*run)(struct errand *e), void (*answer)(struct errand *e))
{
	v.errand.run = run;
	v.errand.answer = answer;
	errand_go(&v.errand, sizeof v);
}

static void get_as_browser(struct worker *w, struct exchange *x)
{
	const struct http_head *head = exchange_head(x);
	struct visit v = visit_of(w, x, id_of_path(x));
	struct buf storage = {0};
	span place;
	if (wants_state(head))
		ask(v, print_state, answer_state);
	else if (headers_accepts(head, "text/event-stream") == ACCEPT_NO)
		exchange_refuse(x, 406, NULL, "A stream is text/event-stream, its state application/json.");
	else if (exchange_is_head(x))
		ask(v, look, answer_head);
	else if (streams_place(x, &storage, &place))
		get_stream(w, x, place);
	buf_finish(&storage);
}

void streams_get(struct worker *w, struct exchange *x, const struct route *route)
{
	struct visit v = visit_of(w, x, id_of_path(x));
	struct buf as = {0};
	if (url_query_get(exchange_target(x)->query, "as", &as) == URL_ABSENT)
		get_as_browser(w, x);
	else if (span_is(buf_span(&as), "upstream"))
		send_for(&v, admit_frames, answer_frames);
	else
		ask(v, look, answer_as);
	buf_finish(&as);
}

static void stop(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	struct stream *s = find(v);
	v->found = s;
	if (s)
		stream_stop(s);
}

static void answer_stop(struct errand *e)
{
	if (((struct visit *)e)->found)
		exchange_answer(e->exchange, 204, NULL, (span){0});
	else
		refuse_unknown(e->exchange);
}

void streams_delete(struct worker *w, struct exchange *x, const struct route *route)
{
	ask(visit_of(w, x, id_of_path(x)), stop, answer_stop);
}
