/* One client's connection, HTTP/1.1: bytes become requests, one after the other, and each request an exchange.
 *
 * A request that comes while another is being answered (pipelining) waits unparsed; a client that sends more than
 * EARLY_BYTES of it is no longer read. A client's FIN means that it left, unless the exchange tolerates half-closed
 * clients: there is no other way to notice that nobody waits for an answer that has not begun. When an answer comes
 * before the whole request was read, the connection ends after it, lingering, because a close with unread input makes
 * the kernel send a reset that can erase the answer on its way.
 *
 * With TLS a session begins with the handshake, under the deadline of a head. Our own end is said by close_notify where
 * what was said is whole, and only there: a break has neither a last chunk nor that. Who speaks plain HTTP to a TLS
 * port is told so in plain HTTP.
 *
 * Invariants
 * 1. One exchange at a time; session->exchange is valid exactly in SESSION_EXCHANGE.
 * 2. The parser is never entered twice: `parsing` guards it, and an exchange that ends inside it goes on in its loop,
 *    one that ends later goes on by the `proceed` task.
 * 3. Every state but SESSION_EXCHANGE has a deadline; in SESSION_EXCHANGE there is one while a body is awaited.
 * 4. session_close is the one exit. Memory goes at the end of the turn. */
#include "server/session.h"

#include "base/log.h"

#include <stdlib.h>

static void parse(struct session *s, span in);
static void end_request(struct session *s);

static void set_state(struct session *s, enum session_state state, uint64_t deadline_ms)
{
	CHECK(s->state != SESSION_CLOSED);
	s->state = state;
	if (deadline_ms)
		alarm_set(&s->alarm, deadline_ms);
	else
		alarm_clear(&s->alarm);
}

static uint64_t head_ms(const struct session *s)
{
	return s->server->limits.head_ms
		? s->server->limits.head_ms : HEAD_MS;
}

static uint64_t idle_ms(const struct session *s)
{
	return s->server->limits.idle_ms
		? s->server->limits.idle_ms : IDLE_MS;
}

static void tell_body(struct session *s, size_t bytes)
{
	gauge_tell(s->server->bodies, &s->exchange.body_told, bytes);
}

static void free_exchange(struct session *s)
{
	buf_finish(&s->exchange.body);
	buf_finish(&s->exchange.fields);
	s->exchange = (struct exchange){0};
}

static void finish_exchange(struct session *s)
{
	tell_body(s, 0);
	free_exchange(s);
}

static void free_session(void *p)
{
	struct session *s = p;
	free_exchange(s);
	http1_finish(&s->parser);
	buf_finish(&s->early);
	free(s);
}

void session_close(struct session *s)
{
	if (s->state == SESSION_CLOSED)
		return;
	bool answering = s->state == SESSION_EXCHANGE;
	set_state(s, SESSION_CLOSED, 0);
	task_cancel(s->server->loop, &s->proceed);
	LIST_REMOVE(s, link);
	quota_give(s->server->quota);
	listener_look(s->server->listener);
	if (s->break_at_end)
		conn_reset(s->conn);
	else
		conn_close(s->conn);
	if (answering && s->exchange.events && s->exchange.events->on_gone)
		s->exchange.events->on_gone(s->exchange.owner);
	tell_body(s, 0); /* now, because the server may go before the session's memory does */
	loop_free_later(s->server->loop, &s->garbage, s, free_session);
}

/* Waits for what was put to reach the kernel; on_drained goes on from there. */
static void flush_then_end(struct session *s)
{
	set_state(s, SESSION_FLUSHING, WRITE_TIMEOUT_MS);
	conn_shutdown(s->conn);
}

void session_linger(struct session *s)
{
	finish_exchange(s);
	buf_finish(&s->early);
	flush_then_end(s);
	if (!s->peer_done)
		set_state(s, SESSION_LINGERING, LINGER_MS);
	conn_read(s->conn, true);
}

/* An answer that has begun is not whole. */
static void linger_unfinished(struct session *s)
{
	session_linger(s);
	conn_cut(s->conn);
}

void session_leave(struct session *s)
{
	if (conn_is_secured(s->conn))
		flush_then_end(s);
	else
		session_close(s);
}

void session_exchange_broken(struct session *s)
{
	s->break_at_end = s->exchange.until_close;
	finish_exchange(s);
	conn_read(s->conn, false);
	set_state(s, SESSION_FLUSHING, WRITE_TIMEOUT_MS);
	if (!s->break_at_end)
		conn_cut(s->conn);
	else if (!conn_waiting(s->conn))
		session_close(s);
}

void session_exchange_over(struct session *s)
{
	bool goes_on = s->keep_alive && s->exchange.request_whole && !s->exchange.until_close && !s->server->draining
		&& !s->peer_done;
	if (!goes_on) {
		session_linger(s);
		return;
	}
	finish_exchange(s);
	set_state(s, SESSION_WAITING, idle_ms(s));
	conn_set_write_timeout(s->conn, WRITE_TIMEOUT_MS);
	conn_read(s->conn, true);
	if (s->early.n && !s->parsing)
		task_queue(s->server->loop, &s->proceed);
}

/* An answer may be open for an hour, and its request is long. */
static void forget_request(struct session *s)
{
	http1_forget_head(&s->parser);
	s->exchange.target = (struct url_target){0};
	buf_finish(&s->exchange.body);
	tell_body(s, 0);
}

static void proceed(void *owner)
{
	struct session *s = owner;
	if (s->state == SESSION_EXCHANGE && s->exchange.phase == PHASE_BEGUN)
		forget_request(s);
	if (s->state != SESSION_WAITING || s->parsing || !s->early.n)
		return;
	struct buf early = s->early;
	s->early = (struct buf){0};
	parse(s, buf_span(&early));
	buf_finish(&early);
}

static bool expects_what_we_cannot(const struct http_head *head)
{
	span expect = headers_get(head, "expect");
	return expect.p && !span_is_nocase(expect, "100-continue");
}

static void begin_exchange(struct session *s)
{
	struct exchange *x = &s->exchange;
	const struct http_head *head = &s->parser.head;
	s->keep_alive = head->keep_alive && head->minor >= 1; /* HTTP/1.0 is answered until close */
	x->head_only = span_is(head->method, "HEAD");
	if (head->framing == HTTP_NO_BODY || (head->framing == HTTP_LENGTH && head->length == 0)) {
		span nothing = {0};
		CHECK(http1_next(&s->parser, &nothing) == HTTP1_END); /* the head stays valid until the next call */
		x->request_whole = true;
	}
	set_state(s, SESSION_EXCHANGE, 0);
	const char *wrong = url_split_target(head->target, &x->target);
	if (wrong)
		exchange_refuse_and_close(x, 400, "bad_target", wrong);
	else if (expects_what_we_cannot(head))
		exchange_refuse_and_close(x, 417, NULL, "The only expectation that is understood here is 100-continue.");
	else
		s->server->site.on_request(s->server->site.owner, x);
	if (s->state == SESSION_EXCHANGE && x->request_whole)
		end_request(s);
}

void session_read_body(struct session *s)
{
	if (s->exchange.request_whole)
		return;
	if (s->parser.head.expect_continue && s->parser.head.minor >= 1 && s->parser.body_bytes == 0)
		conn_put(s->conn, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
	s->body_since_ms = loop_now_ms(s->server->loop);
	s->body_seen = 0;
	alarm_set(&s->alarm, BODY_GRACE_MS);
}

void session_pause(struct session *s, bool paused)
{
	if (s->exchange.request_whole || s->paused == paused)
		return;
	s->paused = paused;
	s->body_since_ms = loop_now_ms(s->server->loop);
	s->body_seen = s->parser.body_bytes;
	conn_read(s->conn, !paused);
}

/* The body cannot be had, and its owner is told. */
static void refuse_body(struct session *s, int status, const char *code, const char *message)
{
	struct exchange *x = &s->exchange;
	const struct exchange_events *events = x->events;
	void *owner = x->owner;
	if (x->phase == PHASE_ASKED)
		exchange_refuse_and_close(x, status, code, message);
	else
		linger_unfinished(s);
	if (events->on_gone)
		events->on_gone(owner);
}

void session_body_too_large(struct session *s)
{
	refuse_body(s, 413, "body_too_large", "The request's body is larger than is allowed here.");
}

static void collect(struct session *s, span piece)
{
	const struct site *site = &s->server->site;
	struct exchange *x = &s->exchange;
	if (site->has_room && !site->has_room(site->owner, x->body.n + piece.n)) {
		exchange_retry_after(x, 1);
		refuse_body(s, 503, "overloaded", "There is no memory for a body of this size now; ask again in a moment.");
		return;
	}
	buf_put(&x->body, piece);
	tell_body(s, x->body.n);
}

static void take_body(struct session *s, span piece)
{
	struct exchange *x = &s->exchange;
	if (x->reading == READING_NOTHING)
		return;
	if (s->parser.body_bytes > x->body_limit) {
		session_body_too_large(s);
		return;
	}
	if (x->reading == READING_PIECES && x->events->on_body)
		x->events->on_body(x->owner, piece);
	else if (x->reading == READING_WHOLE)
		collect(s, piece);
}

static void end_request(struct session *s)
{
	struct exchange *x = &s->exchange;
	if (s->state != SESSION_EXCHANGE)
		return;
	x->request_whole = true;
	alarm_clear(&s->alarm);
	if (x->reading == READING_PIECES && x->events->on_body_end)
		x->events->on_body_end(x->owner);
	else if (x->reading == READING_WHOLE && x->body.failed)
		refuse_body(s, 503, "out_of_memory", "There is no memory for this request now.");
	else if (x->reading == READING_WHOLE)
		x->events->on_request(x->owner, buf_span(&x->body));
}

/* What is left of the input waits for the end of the present exchange. */
static void keep_early(struct session *s, span rest)
{
	buf_put(&s->early, rest);
	if (s->early.failed)
		session_close(s);
	else if (s->early.n >= EARLY_BYTES)
		conn_read(s->conn, false);
}

static void refuse_bad(struct session *s)
{
	int status = s->parser.bad.status;
	const char *message = s->parser.bad.message;
	if (s->state != SESSION_EXCHANGE) {
		exchange_refuse_session(s, status, message);
		return;
	}
	struct exchange gone = s->exchange; /* the request's body broke its framing */
	s->exchange.body = s->exchange.fields = (struct buf){0};
	if (gone.phase == PHASE_ASKED)
		exchange_refuse_session(s, status, message);
	else
		linger_unfinished(s);
	buf_finish(&gone.body);
	buf_finish(&gone.fields);
	if (gone.events && gone.events->on_gone)
		gone.events->on_gone(gone.owner);
}

static bool may_parse(const struct session *s)
{
	return s->state == SESSION_WAITING || s->state == SESSION_HEAD || (s->state == SESSION_EXCHANGE
		&& !s->exchange.request_whole);
}

/* One step of the parser; false when it needs more bytes or must not go on. */
static bool step(struct session *s, span *in)
{
	switch (http1_next(&s->parser, in)) {
	case HTTP1_MORE:
		if (s->state == SESSION_WAITING && http1_in_head(&s->parser))
			set_state(s, SESSION_HEAD, head_ms(s));
		return false;
	case HTTP1_HEAD:
		begin_exchange(s);
		return true;
	case HTTP1_BODY:
		if (s->state == SESSION_EXCHANGE)
			take_body(s, s->parser.body);
		return true;
	case HTTP1_END:
		end_request(s);
		return true;
	case HTTP1_BAD:
		refuse_bad(s);
		return false;
	}
	return false;
}

static void parse(struct session *s, span in)
{
	s->parsing = true;
	while (may_parse(s) && step(s, &in))
		;
	s->parsing = false;
	if (s->state == SESSION_CLOSED || s->state == SESSION_LINGERING || s->state == SESSION_FLUSHING || !in.n)
		return;
	keep_early(s, in);
	if (s->state == SESSION_WAITING)
		task_queue(s->server->loop, &s->proceed);
}

/* One line, or it is counted for the next one. */
static void say_not_secured(struct session *s, const char *why)
{
	struct server *server = s->server;
	uint64_t now = loop_now_ms(server->loop);
	struct log_line l;
	if (server->tls_saying_ms > now + (TLS_SAID_AT_ONCE - 1) * TLS_SAID_EVERY_MS) {
		server->tls_unsaid++;
		return;
	}
	server->tls_saying_ms = (server->tls_saying_ms > now ? server->tls_saying_ms : now) + TLS_SAID_EVERY_MS;
	log_begin(&l, LOG_WARN, "tls_handshake");
	log_string(&l, "peer", conn_peer(s->conn));
	log_string(&l, "why", why);
	if (server->tls_unsaid)
		log_number(&l, "unsaid", (int64_t)server->tls_unsaid);
	log_end(&l);
	server->tls_unsaid = 0;
}

/* On a TLS port, and no TLS: a method begins with a capital letter. */
static void refuse_plain(struct session *s, span bytes)
{
	bool may_be_http = bytes.p[0] >= 'A' && bytes.p[0] <= 'Z';
	say_not_secured(s, may_be_http ? "plain HTTP, or another protocol in plain text, on a port that speaks TLS"
		: "this is no TLS");
	if (may_be_http)
		exchange_refuse_session(s, 400, "This port speaks TLS: the URL begins with https://.");
	else
		session_close(s);
}

static void on_secured(void *owner)
{
	struct session *s = owner;
	set_state(s, SESSION_WAITING, head_ms(s));
}

static void on_bytes(void *owner, span bytes)
{
	struct session *s = owner;
	if (s->state == SESSION_SECURING)
		refuse_plain(s, bytes);
	else if (s->state == SESSION_LINGERING) {
		s->discarded += bytes.n;
		if (s->discarded > LINGER_BYTES)
			session_close(s);
	} else if (s->early.n || !may_parse(s))
		keep_early(s, bytes);
	else
		parse(s, bytes);
}

static void on_end(void *owner, enum conn_end how, const char *why)
{
	struct session *s = owner;
	s->peer_done = true;
	bool answer_goes_on = how == CONN_FIN && (s->state == SESSION_FLUSHING || (s->state == SESSION_EXCHANGE
		&& s->exchange.half_close && s->exchange.request_whole));
	if (answer_goes_on)
		return;
	if (s->state == SESSION_SECURING && how == CONN_LOST)
		say_not_secured(s, why);
	if (how == CONN_FIN && conn_waiting(s->conn) && s->state != SESSION_EXCHANGE)
		flush_then_end(s);
	else
		session_close(s);
}

static void on_drained(void *owner)
{
	struct session *s = owner;
	if (s->state == SESSION_FLUSHING)
		session_close(s);
	else if (s->state == SESSION_EXCHANGE && s->exchange.wants_room) {
		s->exchange.wants_room = false;
		s->exchange.events->on_room(s->exchange.owner);
	}
}

static const struct conn_events events = {.on_bytes = on_bytes, .on_end = on_end, .on_drained = on_drained,
	.on_secured = on_secured};

static bool body_is_too_slow(const struct session *s)
{
	uint64_t waited = loop_now_ms(s->server->loop) - s->body_since_ms;
	return !s->paused && (s->parser.body_bytes - s->body_seen) * 1000 < (waited - BODY_GRACE_MS) * BODY_BYTES_PER_S;
}

static void on_deadline(void *owner)
{
	struct session *s = owner;
	switch (s->state) {
	case SESSION_SECURING:
		if (conn_is_shaking_hands(s->conn))
			say_not_secured(s, "the handshake was not over in time");
		session_close(s);
		break;
	case SESSION_WAITING:
		session_leave(s);
		break;
	case SESSION_HEAD:
		exchange_refuse_session(s, 408, "The request's head did not come whole in time.");
		break;
	case SESSION_EXCHANGE:
		alarm_set(&s->alarm, 1000);
		if (!body_is_too_slow(s) || s->exchange.phase != PHASE_ASKED)
			break;
		s->parser.bad.status = 408;
		s->parser.bad.message = "The request's body came too slowly.";
		refuse_bad(s);
		break;
	default:
		session_close(s);
	}
}

void session_start(struct server *server, struct conn *c)
{
	struct session *s = calloc(1, sizeof *s);
	if (!s) {
		quota_give(server->quota);
		conn_close(c);
		return;
	}
	s->server = server;
	s->conn = c;
	LIST_INSERT_HEAD(&server->sessions, s, link);
	http1_init(&s->parser, HTTP1_REQUESTS, (struct http1_limits){.line = server->limits.request_line});
	alarm_init(&s->alarm, server->loop, on_deadline, s);
	task_init(&s->proceed, proceed, s);
	conn_set_owner(c, &events, s);
	conn_set_write_timeout(c, WRITE_TIMEOUT_MS);
	set_state(s, server->tls ? SESSION_SECURING : SESSION_WAITING, head_ms(s));
	if (server->tls)
		conn_expect_tls(c, server->tls);
	conn_read(c, true);
}
