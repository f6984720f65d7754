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
	const struct stream *stream;
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
	struct worker *w = v->stream->worker;
	alarm_clear(&v->heartbeat);
	if (printed.stream == v->stream)
		printed.stream = NULL; /* its address may be another stream's soon */
	stream_leave(v->stream, v);
	w->metrics.viewers--;
	loop_free_later(&w->loop, v, free_viewer);
	worker_look_drained(w);
}

static void beat(void *owner)
{
	struct viewer *v = owner;
	uint64_t every = v->stream->config->heartbeat_ms;
	alarm_set(&v->heartbeat, every);
	if (exchange_room(v->exchange))
		exchange_put(v->exchange, RENDER_HEARTBEAT);
}

static void put(struct viewer *v, span bytes)
{
	exchange_put(v->exchange, bytes);
	if (v->stream->config->heartbeat_ms)
		alarm_set(&v->heartbeat, v->stream->config->heartbeat_ms);
}

/* Prints events from the cursor on until `room` is filled; returns false when memory ran out. */
static bool print_due(struct viewer *v, size_t room)
{
	struct stream *s = v->stream;
	struct buf *out = &s->worker->scratch;
	uint32_t from = v->cursor.next;
	enum journal_kind kind;
	span text;
	buf_clear(out);
	while (out->n < room && cursor_read(&v->cursor, &kind, &text))
		render_event(out, stream_id(s), v->cursor.next - 1, kind, s->route->json, text);
	printed = (struct printed){s, from, v->cursor.next};
	return !out->failed;
}

/* The scratch holds exactly what this viewer needs: everything from its place to the journal's end. */
static bool can_share(const struct viewer *v, size_t room)
{
	return printed.stream == v->stream && printed.from == v->cursor.next
		&& printed.to == journal_count(v->stream->journal) + 1 &&
	       v->stream->worker->scratch.n <= room;
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
	uint32_t next = journal_count(v->stream->journal) + 1;
	if (!room || v->cursor.next >= next)
		return true;
	if (can_share(v, room))
		skip_to(v, printed.to);
	else if (!print_due(v, room)) {
		printed.stream = NULL;
		return false;
	}
	put(v, buf_span(&v->stream->worker->scratch));
	return true;
}

static void tell_queue(struct viewer *v)
{
	struct generation *g = &v->stream->generation;
	struct buf out = {0};
	if (g->queue < 0 || g->began || g->ended || v->told_queue == g->queue)
		return;
	v->told_queue = g->queue;
	render_progress(&out, g->queue);
	if (!out.failed)
		put(v, buf_span(&out));
	buf_finish(&out);
}

static void say_last_word(struct viewer *v, const struct last_word *word)
{
	struct buf out = {0};
	render_last_word(&out, stream_id(v->stream), word);
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
	const struct last_word *word = journal_last_word(v->stream->journal);
	if (word && v->cursor.next == journal_count(v->stream->journal) + 1)
		say_last_word(v, word);
	else if (v->cursor.next <= journal_count(v->stream->journal))
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
	struct worker *w = v->stream->worker;
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
	struct stream *s = v->stream;
	struct buf first = {0};
	warn_of_http10(v);
	exchange_field(v->exchange, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_field(v->exchange, "X-Accel-Buffering", SPAN("no"));
	exchange_field(v->exchange, "Lastword-Stream", stream_id(s));
	exchange_field(v->exchange, "Lastword-Data", s->route->json ? SPAN("json") : SPAN("text"));
	exchange_begin(v->exchange, 200, "text/event-stream", -1);
	render_first(&first, s->config->retry_ms, stream_id(s), taken);
	put(v, buf_span(&first));
	buf_finish(&first);
}

void viewer_open(struct exchange *x, struct stream *s, uint32_t taken)
{
	struct viewer *v = calloc(1, sizeof *v);
	if (!v) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for another viewer now.");
		return;
	}
	*v = (struct viewer){.stream = s, .exchange = x, .told_queue = -1};
	alarm_init(&v->heartbeat, &s->worker->loop, beat, v);
	cursor_open(&v->cursor, s->journal, taken + 1);
	exchange_set_owner(x, &events, v);
	exchange_set_write_timeout(x, s->route->write_timeout_ms);
	if (s->route->half_close)
		exchange_tolerate_half_close(x);
	stream_join(s, v);
	s->worker->metrics.viewers++;
	begin(v, taken);
	viewer_pull(v);
}
