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
#include "gateway/render.h"

#include <libdeflate.h>
#include <stdlib.h>

/* What the scratch buffer holds. */
struct printed {
	const struct face *face;
	uint32_t from, to;
};

static _Thread_local struct printed printed;

static void free_viewer(void *p)
{
	struct viewer *v = p;
	cursor_close(&v->cursor);
	free(v);
}

static void leave(struct viewer *v)
{
	struct worker *w = v->audience->worker;
	alarm_clear(&v->heartbeat);
	if (printed.face == v->face)
		printed.face = NULL; /* its address may be another stream's soon */
	LIST_REMOVE(v, link);
	audience_left(v->audience);
	w->metrics.viewers--;
	loop_free_later(&w->loop, v, free_viewer);
	worker_look_drained(w);
}

static void beat(void *owner)
{
	struct viewer *v = owner;
	uint64_t every = v->face->config->heartbeat_ms;
	alarm_set(&v->heartbeat, every);
	if (exchange_room(v->exchange))
		exchange_put(v->exchange, RENDER_HEARTBEAT);
}

static void put(struct viewer *v, span bytes)
{
	exchange_put(v->exchange, bytes);
	if (v->face->config->heartbeat_ms)
		alarm_set(&v->heartbeat, v->face->config->heartbeat_ms);
}

/* Prints events from the cursor on until `room` is filled; returns false when memory ran out. */
static bool print_due(struct viewer *v, size_t room)
{
	const struct face *f = v->face;
	struct buf *out = &v->audience->worker->scratch;
	uint32_t from = v->cursor.next;
	enum journal_kind kind;
	span text;
	buf_clear(out);
	while (out->n < room && cursor_read(&v->cursor, &kind, &text))
		render_event(out, face_id(f), v->cursor.next - 1, kind, f->route->json, text);
	printed = (struct printed){f, from, v->cursor.next};
	return !out->failed;
}

/* The scratch holds exactly what this viewer needs: everything from its place to the journal's end. */
static bool can_share(const struct viewer *v, size_t room)
{
	return printed.face == v->face && printed.from == v->cursor.next
		&& printed.to == journal_count(v->face->journal) + 1 &&
	       v->audience->worker->scratch.n <= room;
}

static void skip_to(struct viewer *v, uint32_t next)
{
	enum journal_kind kind;
	span text;
	while (v->cursor.next < next && cursor_read(&v->cursor, &kind, &text))
		;
}

static bool put_due(struct viewer *v)
{
	size_t room = exchange_room(v->exchange);
	uint32_t next = journal_count(v->face->journal) + 1;
	if (!room || v->cursor.next >= next)
		return true;
	if (can_share(v, room))
		skip_to(v, printed.to);
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
	struct buf out = {0};
	if (queue < 0 || v->told_queue == queue)
		return;
	v->told_queue = queue;
	render_progress(&out, queue);
	if (!out.failed)
		put(v, buf_span(&out));
	buf_finish(&out);
}

static void say_last_word(struct viewer *v, const struct last_word *word)
{
	struct buf out = {0};
	render_last_word(&out, face_id(v->face), word);
	if (out.failed) {
		buf_finish(&out);
		viewer_cut(v);
		return;
	}
	struct exchange *x = v->exchange;
	exchange_put(x, buf_span(&out));
	buf_finish(&out);
	leave(v);
	exchange_end(x);
}

void viewer_pull(struct viewer *v)
{
	tell_queue(v);
	if (!put_due(v)) {
		viewer_cut(v);
		return;
	}
	const struct last_word *word = journal_last_word(v->face->journal);
	if (word && v->cursor.next == journal_count(v->face->journal) + 1)
		say_last_word(v, word);
	else if (v->cursor.next <= journal_count(v->face->journal))
		exchange_room(v->exchange); /* asks to be told when there is some */
}

void viewer_cut(struct viewer *v)
{
	struct exchange *x = v->exchange;
	leave(v);
	exchange_break(x);
}

static void on_room(void *owner) { viewer_pull(owner); }
static void on_gone(void *owner) { leave(owner); }

static const struct exchange_events events = {.on_room = on_room, .on_gone = on_gone};

/* An HTTP/1.0 viewer, most often a proxy with its defaults, cannot see a break: its bodies end by close. Said once for
 * each address (of the last 64). */
static void warn_of_http10(struct viewer *v)
{
	struct worker *w = v->audience->worker;
	const char *peer = exchange_peer(v->exchange), *colon = strrchr(peer, ':');
	span address = span_of(peer, colon ? (size_t)(colon - peer) : strlen(peer));
	uint32_t hash = libdeflate_crc32(0, address.p, address.n),
		*slot = &w->old_peers[hash % (sizeof w->old_peers / sizeof *w->old_peers)];
	if (exchange_head(v->exchange)->minor >= 1 || *slot == hash)
		return;
	*slot = hash;
	log_say(LOG_WARN, "http_1_0",
		"%.*s reads a stream over HTTP/1.0, where a break looks like an end; a proxy should speak HTTP/1.1 to lastword", SPAN_ARG(address));
}

static void begin(struct viewer *v, uint32_t taken)
{
	const struct face *f = v->face;
	struct buf first = {0};
	warn_of_http10(v);
	exchange_field(v->exchange, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_field(v->exchange, "X-Accel-Buffering", SPAN("no"));
	exchange_field(v->exchange, "Lastword-Stream", face_id(f));
	exchange_field(v->exchange, "Lastword-Data", f->route->json ? SPAN("json") : SPAN("text"));
	exchange_begin(v->exchange, 200, "text/event-stream", -1);
	render_first(&first, f->config->retry_ms, face_id(f), taken);
	put(v, buf_span(&first));
	buf_finish(&first);
}

void viewer_open(struct exchange *x, struct audience *a, uint32_t taken)
{
	struct viewer *v = calloc(1, sizeof *v);
	const struct route *route = a->face->route;
	if (!v) {
		audience_left(a);
		exchange_refuse(x, 503, "overloaded", "There is no memory for another viewer now.");
		return;
	}
	*v = (struct viewer){.audience = a, .face = a->face, .exchange = x, .told_queue = -1};
	alarm_init(&v->heartbeat, &a->worker->loop, beat, v);
	cursor_open(&v->cursor, a->face->journal, taken + 1);
	exchange_set_owner(x, &events, v);
	exchange_set_write_timeout(x, route->write_timeout_ms);
	if (route->half_close)
		exchange_tolerate_half_close(x);
	LIST_INSERT_HEAD(&a->viewers, v, link);
	a->worker->metrics.viewers++;
	begin(v, taken);
	viewer_pull(v);
}
