/* One request to an upstream.
 *
 * The end of the response is the evidence that lastword exists for, so nothing here repairs or guesses: what the
 * parser says about the framing and what the connection says about its end are put side by side in end_of_connection,
 * and that pair is the report. A request is never sent twice, not even when a kept connection turns out to be dead: it
 * may be paid work.
 *
 * Invariants
 * 1. on_end is called exactly once and last, unless fetch_cancel came first.
 * 2. A connection goes back to the pool only if the request was sent whole, the response was whole and keep-alive,
 *    and not one byte came behind it.
 * 3. Callbacks may cancel the fetch; after each one `over` is looked at before anything else is touched. */
#include "upstream/pool.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	OUT_BYTES = 64 * 1024,
	TAIL_MS = 1000,        /* for the framing behind a last word to come … */
	TAIL_BYTES = 16 * 1024,/* … and what may still come of the body */
};

struct fetch {
	LIST_ENTRY(fetch) link;
	struct pool *pool;
	const struct upstream *upstream; /* until the fetch is left to finish */
	char *upstream_name;             /* for the pool */
	const struct fetch_events *events;
	void *owner;
	struct connect *connect;
	struct conn *conn;
	struct http1 parser;
	struct task begin;
	struct alarm tail;
	struct garbage garbage;
	size_t tail_bytes;
	struct buf out;        /* the request's head and what was put before there was a connection … */
	size_t told;           /* … as far as the loop's gauge knows of it */
	bool chunked_body, body_done, answered, reused, paused, over;
};

static void free_fetch(void *p)
{
	struct fetch *f = p;
	http1_finish(&f->parser);
	buf_finish(&f->out);
	free(f->upstream_name);
	free(f);
}

static void tell_held(struct fetch *f, size_t bytes) { loop_tell_output(f->pool->loop, &f->told, bytes); }

static void let_go(struct fetch *f)
{
	f->over = true;
	tell_held(f, 0);
	LIST_REMOVE(f, link);
	if (f->connect)
		connect_cancel(f->connect);
	if (f->conn)
		conn_close(f->conn);
	f->connect = NULL;
	f->conn = NULL;
	alarm_clear(&f->tail);
	task_cancel(f->pool->loop, &f->begin);
	loop_free_later(f->pool->loop, &f->garbage, f, free_fetch);
}

void fetch_set_owner(struct fetch *f, const struct fetch_events *with, void *owner)
{
	f->events = with;
	f->owner = owner;
}

void fetch_cancel(struct fetch *f)
{
	if (!f->over)
		let_go(f);
}

static void end(struct fetch *f, enum fetch_end how, const char *detail)
{
	const struct fetch_events *events = f->events;
	void *owner = f->owner;
	let_go(f);
	events->on_end(owner, how, detail);
}

static void end_whole(struct fetch *f, bool more_came)
{
	if (f->parser.head.keep_alive && f->body_done && !more_came && !conn_waiting(f->conn)) {
		pool_give(f->pool, f->upstream_name, f->conn);
		f->conn = NULL;
	}
	end(f, FETCH_FRAMED, NULL);
}

static void on_bytes(void *owner, span in)
{
	struct fetch *f = owner;
	f->answered = true;
	while (!f->over)
		switch (http1_next(&f->parser, &in)) {
		case HTTP1_MORE:
			return;
		case HTTP1_HEAD:
			f->events->on_head(f->owner, &f->parser.head);
			http1_forget_head(&f->parser); /* of an answer that may be open for minutes */
			break;
		case HTTP1_BODY:
			f->events->on_body(f->owner, f->parser.body);
			break;
		case HTTP1_END:
			end_whole(f, in.n > 0);
			return;
		case HTTP1_BAD:
			end(f, FETCH_MALFORMED, f->parser.bad.message);
			return;
		}
}

static void end_of_connection(void *owner, enum conn_end how, const char *why)
{
	struct fetch *f = owner;
	char detail[200];
	switch (http1_eof(&f->parser)) {
	case HTTP1_EOF_ENDS:
		if (how == CONN_FIN) {
			end(f, FETCH_CLOSED, NULL);
			return;
		}
		snprintf(detail, sizeof detail, "The connection broke inside the answer: %s.", why);
		break;
	case HTTP1_EOF_IDLE:
		snprintf(detail, sizeof detail, "The model server ended %s connection without answering: %s.", f->reused
			? "a kept" : "the", why);
		break;
	case HTTP1_EOF_HEAD:
		snprintf(detail, sizeof detail, "The connection broke inside the head of the answer: %s.", why);
		break;
	case HTTP1_EOF_CUTS:
		snprintf(detail, sizeof detail, "The connection broke before the last byte of the answer: %s.", why);
		break;
	}
	end(f, FETCH_BROKEN, detail);
}

static void on_drained(void *owner)
{
	struct fetch *f = owner;
	if (f->events->on_room && !f->body_done)
		f->events->on_room(f->owner);
}

static const struct conn_events events = {.on_bytes = on_bytes, .on_end = end_of_connection, .on_drained = on_drained};

static void use(struct fetch *f, struct conn *c)
{
	if (f->out.failed) { /* half a request is none */
		conn_close(c);
		end(f, FETCH_REFUSED, "There is no memory for a request now.");
		return;
	}
	f->conn = c;
	conn_set_owner(c, &events, f);
	conn_put(c, buf_span(&f->out));
	buf_finish(&f->out);
	tell_held(f, 0);
	conn_read(c, !f->paused);
	if (f->events->on_connected)
		f->events->on_connected(f->owner);
}

static void on_connected(void *owner, struct conn *c, enum cause cause, const char *detail)
{
	struct fetch *f = owner;
	f->connect = NULL;
	if (c)
		use(f, c);
	else
		end(f, cause == CAUSE_TLS ? FETCH_TLS : FETCH_REFUSED, detail);
}

static void begin(void *owner)
{
	struct fetch *f = owner;
	struct conn *kept = pool_take(f->pool, f->upstream_name);
	f->reused = kept;
	if (kept)
		use(f, kept);
	else if (!(f->connect = connect_start(f->pool->connector, f->upstream, on_connected, f)))
		end(f, FETCH_REFUSED, "There is no memory for a connection now.");
	else
		tell_held(f, f->out.cap);
}

static void print_head(struct fetch *f, const struct fetch_request *r)
{
	struct buf *out = &f->out;
	buf_put(out, r->method);
	buf_put_byte(out, ' ');
	buf_put(out, r->target);
	buf_put(out, SPAN(" HTTP/1.1\r\nHost: "));
	if (r->upstream->is_model)
		buf_put(out, SPAN("localhost"));
	else
		url_put_authority(out, &r->upstream->url);
	buf_put(out, SPAN("\r\nAccept-Encoding: identity\r\n"));
	buf_put(out, r->fields);
	f->chunked_body = r->body_follows && r->length < 0;
	if (f->chunked_body)
		buf_put(out, SPAN("Transfer-Encoding: chunked\r\n"));
	else if (r->body_follows || r->body.p)
		buf_printf(out, "Content-Length: %lld\r\n", (long long)(r->body_follows ? r->length : (int64_t)r->body.n));
	buf_put(out, SPAN("\r\n"));
	buf_put(out, r->body);
}

struct fetch *fetch_start(struct pool *p, const struct fetch_request *r, const struct fetch_events *events_in,
	void *owner)
{
	struct fetch *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->pool = p;
	f->upstream = r->upstream;
	f->upstream_name = strdup(r->upstream->is_model ? "model" : r->upstream->text);
	f->events = events_in;
	f->owner = owner;
	f->body_done = !r->body_follows;
	http1_init(&f->parser, HTTP1_RESPONSES, (struct http1_limits){0});
	if (span_is(r->method, "HEAD"))
		http1_expect_no_body(&f->parser);
	task_init(&f->begin, begin, f);
	print_head(f, r);
	if (f->out.failed || !f->upstream_name) {
		free_fetch(f);
		return NULL;
	}
	LIST_INSERT_HEAD(&p->fetches, f, link);
	task_queue(p->loop, &f->begin);
	return f;
}

void fetch_hang_up(struct fetch *f)
{
	if (f->conn)
		conn_shutdown(f->conn);
}

static void ignore_head(void *owner, const struct http_head *head) {}
static void ignore_end(void *owner, enum fetch_end how, const char *detail) {}

static void count_tail(void *owner, span piece)
{
	struct fetch *f = owner;
	f->tail_bytes += piece.n;
	if (f->tail_bytes > TAIL_BYTES)
		fetch_cancel(f);
}

static void on_tail_timeout(void *owner) { fetch_cancel(owner); }

void fetch_let_finish(struct fetch *f)
{
	static const struct fetch_events nobody = {.on_head = ignore_head, .on_body = count_tail, .on_end = ignore_end};
	f->upstream = NULL;
	f->events = &nobody;
	f->owner = f;
	alarm_init(&f->tail, f->pool->loop, on_tail_timeout, f);
	alarm_set(&f->tail, TAIL_MS);
}

static void put(struct fetch *f, span bytes)
{
	if (f->conn) {
		conn_put(f->conn, bytes);
		return;
	}
	buf_put(&f->out, bytes);
	if (f->connect)
		tell_held(f, f->out.cap);
}

void fetch_put(struct fetch *f, span body)
{
	char size[24];
	if (f->over || !body.n)
		return;
	if (f->chunked_body)
		put(f, (span){size, (size_t)snprintf(size, sizeof size, "%zx\r\n", body.n)});
	put(f, body);
	if (f->chunked_body)
		put(f, SPAN("\r\n"));
}

void fetch_put_end(struct fetch *f)
{
	if (f->over)
		return;
	if (f->chunked_body)
		put(f, SPAN("0\r\n\r\n"));
	f->body_done = true;
}

size_t fetch_room(const struct fetch *f)
{
	size_t waiting = f->conn ? conn_waiting(f->conn) : f->out.n;
	return waiting < OUT_BYTES ? OUT_BYTES - waiting : 0;
}

void fetch_pause(struct fetch *f, bool paused)
{
	f->paused = paused;
	if (f->conn)
		conn_read(f->conn, !paused);
}

enum cause fetch_stalled(struct fetch *f, char *detail, size_t detail_bytes)
{
	if (f->connect)
		return connect_stalled(f->connect, detail, detail_bytes);
	snprintf(detail, detail_bytes, "nothing was tried");
	return CAUSE_CONNECT_TIMEOUT;
}
