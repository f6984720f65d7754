/* Reading a stream over an exchange.
 *
 * viewer_pull is the only place that puts anything: it is called at the end of each turn in which the journal grew,
 * and when the exchange has room again. What it prints lands in the worker's scratch buffer; viewers of one stream
 * that stand at the same event and have room for it take the same bytes (the key beside the scratch says what is in
 * it).
 *
 * Invariants
 * 1. Events go out in order, each whole, none twice; the last word only after the last event.
 * 2. After the last word, or after on_gone, there is no viewer; its memory goes at the end of the turn. */
#include "gateway/viewer.h"

#include "base/log.h"
#include "gateway/client.h"
#include "gateway/render.h"
#include "gateway/stream.h"

#include <libdeflate.h>
#include <stdlib.h>

/* What the scratch buffer holds. */
struct printed {
	const struct face *face;
	enum form_kind form;
	uint32_t from, to;
};

static _Thread_local struct printed printed;

static void free_viewer(void *p)
{
	struct viewer *v = p;
	form_close(&v->form);
	free(v->media_type);
	free(v);
}

static void leave(struct viewer *v)
{
	struct worker *w = v->audience->worker;
	alarm_clear(&v->heartbeat);
	alarm_clear(&v->later);
	if (printed.face == v->face)
		printed.face = NULL; /* its address may be another stream's soon */
	LIST_REMOVE(v, link);
	audience_left(v->audience);
	w->metrics.viewers--;
	loop_free_later(&w->loop, &v->garbage, v, free_viewer);
}

static void beat(void *owner)
{
	struct viewer *v = owner;
	uint64_t every = v->face->config->heartbeat_ms;
	alarm_set(&v->heartbeat, every);
	span bytes = form_heartbeat(&v->form);
	if (bytes.n && exchange_room(v->exchange))
		exchange_put(v->exchange, bytes);
}

static void put(struct viewer *v, span bytes)
{
	if (!bytes.n)
		return;
	exchange_put(v->exchange, bytes);
	if (v->face->config->heartbeat_ms)
		alarm_set(&v->heartbeat, v->face->config->heartbeat_ms);
}

/* Prints events from its place on until `room` is filled; returns false when memory ran out. */
static bool print_due(struct viewer *v, size_t room)
{
	struct buf *out = &v->audience->worker->scratch;
	uint32_t from = form_next(&v->form);
	buf_clear(out);
	bool good = form_print(&v->form, out, room);
	printed = (struct printed){v->face, v->form.kind, from, form_next(&v->form)};
	return good;
}

/* The scratch holds exactly what this viewer needs: everything from its place to the journal's end. */
static bool can_share(const struct viewer *v, size_t room)
{
	return v->form.kind != FORM_RETOLD && printed.face == v->face && printed.form == v->form.kind
		&& printed.from == form_next(&v->form) && printed.to == journal_count(v->face->journal) + 1
		&& v->audience->worker->scratch.n <= room;
}

static bool put_due(struct viewer *v)
{
	size_t room = exchange_room(v->exchange);
	if (!room || !form_is_due(&v->form))
		return true;
	if (can_share(v, room))
		form_skip_to(&v->form, printed.to);
	else if (!print_due(v, room)) {
		printed.face = NULL;
		return false;
	}
	put(v, buf_span(&v->audience->worker->scratch));
	return true;
}

static void tell_queue(struct viewer *v)
{
	int queue = atomic_load_explicit(&v->face->queue, memory_order_relaxed);
	if (queue < 0 || v->told_queue == queue || v->form.kind == FORM_FRAMES)
		return;
	struct buf out = {0};
	v->told_queue = queue;
	render_progress(&out, queue);
	if (!out.failed)
		put(v, buf_span(&out));
	buf_finish(&out);
}

static void say_last_word(struct viewer *v, const struct last_word *word)
{
	struct buf out = {0};
	if (!form_print_end(&v->form, &out, word)) {
		buf_finish(&out);
		viewer_cut(v);
		return;
	}
	struct exchange *x = v->exchange;
	put(v, buf_span(&out));
	buf_finish(&out);
	leave(v);
	exchange_end(x);
}

/* Asking once more would pay a second time for what the upstream has begun. */
static bool pays_twice(const struct generation *g)
{
	switch (g->verdict.cause) {
	case CAUSE_CUT:
	case CAUSE_TRUNCATED:
	case CAUSE_UNPROVEN:
	case CAUSE_ABORTED:
	case CAUSE_FIRST_EVENT_TIMEOUT:
	case CAUSE_IDLE_TIMEOUT:
	case CAUSE_TOTAL_TIMEOUT:
	case CAUSE_EVENT_TOO_LARGE:
	case CAUSE_STREAM_TOO_LARGE:
		return g->evidence.status == 200;
	default:
		return false;
	}
}

/* Nothing was put yet: an HTTP error, in the dialect. */
static void answer_failure(struct viewer *v, const struct generation *g)
{
	struct exchange *x = v->exchange;
	struct buf body = {0};
	int status = cause_row(g->verdict.cause)->status;
	generation_put_error_body(g, &body);
	if (pays_twice(g))
		exchange_field(x, "x-should-retry", SPAN("false"));
	if (status == 503)
		exchange_retry_after(x, 1);
	leave(v);
	exchange_answer_printed(x, status ? status : 502, "application/json", &body);
	buf_finish(&body);
}

static void begin(struct viewer *v);

/* True when the viewer may read. False: it waits on, or was answered and is gone. */
static bool settle(struct viewer *v)
{
	CHECK(v->audience->worker == v->audience->home); /* whoever may wait has started the stream */
	const struct generation *g = &v->audience->stream->generation;
	if (g->delivers)
		begin(v);
	else if (g->ended)
		answer_failure(v, g);
	return g->delivers;
}

/* Some is left that was not put: when there is room again, or when others have had their turn. */
static void ask_for_more(struct viewer *v)
{
	if (exchange_room(v->exchange))
		alarm_set(&v->later, 0);
}

void viewer_pull(struct viewer *v)
{
	if (v->is_held && !settle(v))
		return;
	tell_queue(v);
	if (!put_due(v)) {
		viewer_cut(v);
		return;
	}
	const struct last_word *word = journal_last_word(v->face->journal);
	if (form_is_due(&v->form))
		ask_for_more(v);
	else if (word)
		say_last_word(v, word);
}

void viewer_cut(struct viewer *v)
{
	struct exchange *x = v->exchange;
	leave(v);
	exchange_break(x);
}

static void on_later(void *owner)
{
	struct viewer *v = owner;
	if (v->is_held)
		begin(v);
	viewer_pull(v);
}

static void on_room(void *owner) { viewer_pull(owner); }
static void on_gone(void *owner) { leave(owner); }

static const struct exchange_events events = {.on_room = on_room, .on_gone = on_gone};

/* An HTTP/1.0 viewer, most often a proxy with its defaults, cannot see a break: its bodies end by close. Said once for
 * each address (of the last 64) by each worker; of a proxy that is trusted once too, not for each of its clients. */
static void warn_of_http10(struct viewer *v)
{
	struct worker *w = v->audience->worker;
	struct client by;
	const char *peer = exchange_peer(v->exchange), *colon = strrchr(peer, ':');
	span address = span_of(peer, colon ? (size_t)(colon - peer) : strlen(peer));
	uint32_t hash = libdeflate_crc32(0, address.p, address.n),
		*slot = &w->old_peers[hash % (sizeof w->old_peers / sizeof *w->old_peers)];
	if (exchange_head(v->exchange)->minor >= 1 || *slot == hash)
		return;
	*slot = hash;
	client_read(&by, v->face->config, v->exchange);
	bool is_proxy = by.way.hops > 1;
	log_say(LOG_WARN, "http_1_0", "%.*s%s%s reads a stream over HTTP/1.0, where a break looks like an end; a proxy "
		"should speak HTTP/1.1 to lastword", SPAN_ARG(address), is_proxy ? " for " : "", is_proxy ? by.name : "");
}

static void begin(struct viewer *v)
{
	const struct face *f = v->face;
	struct buf first = {0};
	v->is_held = false;
	alarm_clear(&v->later);
	warn_of_http10(v);
	exchange_field(v->exchange, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_field(v->exchange, "X-Accel-Buffering", SPAN("no"));
	exchange_field(v->exchange, "Lastword-Stream", face_id(f));
	if (v->form.kind != FORM_FRAMES)
		exchange_field(v->exchange, "Lastword-Data", f->route->json ? SPAN("json") : SPAN("text"));
	exchange_begin(v->exchange, 200, v->media_type ? v->media_type : form_media_type(&v->form), -1);
	form_print_first(&v->form, &first);
	exchange_put_printed(v->exchange, &first);
	buf_finish(&first);
	if (f->config->heartbeat_ms && !v->heartbeat.set)
		alarm_set(&v->heartbeat, f->config->heartbeat_ms);
}

/* NULL: there was no memory, and the exchange is answered. */
static struct viewer *create(struct exchange *x, struct seat *seat, bool as_upstream)
{
	struct viewer *v = calloc(1, sizeof *v);
	struct audience *a = seat->audience;
	const struct route *route = a->face->route;
	if (!v || !form_open(&v->form, a->face, as_upstream, seat->taken, &seat->cursor)) {
		free(v);
		audience_give_back(seat);
		exchange_refuse(x, 503, "overloaded", "There is no memory for another viewer now.");
		return NULL;
	}
	v->audience = a;
	v->face = a->face;
	v->exchange = x;
	v->told_queue = -1;
	alarm_init(&v->heartbeat, &a->worker->loop, beat, v);
	alarm_init(&v->later, &a->worker->loop, on_later, v);
	exchange_set_owner(x, &events, v);
	exchange_set_write_timeout(x, route->write_timeout_ms);
	if (route->half_close)
		exchange_tolerate_half_close(x);
	LIST_INSERT_HEAD(&a->viewers, v, link);
	a->worker->metrics.viewers++;
	return v;
}

static void start(struct viewer *v)
{
	if (!v)
		return;
	begin(v);
	viewer_pull(v);
}

void viewer_open(struct exchange *x, struct seat *seat) { start(create(x, seat, false)); }

void viewer_open_frames(struct exchange *x, struct seat *seat) { start(create(x, seat, true)); }

void viewer_open_held(struct exchange *x, struct seat *seat, uint64_t hold_ms, span content_type)
{
	struct viewer *v = create(x, seat, true);
	if (!v)
		return;
	v->is_held = true;
	v->media_type = strndup(content_type.p, content_type.n);
	alarm_set(&v->later, hold_ms);
}
