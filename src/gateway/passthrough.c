/* A passthrough route: the client's request goes up in its own dialect, what comes back goes down as it is. Nothing is
 * judged here yet: an answer is piped, its end is mirrored (clean stays clean, cut stays cut) and counted as unjudged.
 *
 * Bytes wait in two places only, the exchange's and the fetch's out-buffers; when one is full the other side is not
 * read.
 *
 * Invariants
 * 1. A pipe has an exchange until that is answered, broken or gone, and a fetch until that has ended; it ends when
 *    either does.
 * 2. No field of one connection crosses to the other (RFC 9110 §7.6.1), no credential crosses unless the route says
 *    auth: client. */
#include "gateway/endpoints.h"

#include "base/log.h"
#include "gateway/ask.h"
#include "gateway/guard.h"

#include <stdio.h>
#include <stdlib.h>

struct pipe {
	LIST_ENTRY(pipe) link;
	struct worker *worker;
	struct config *config; /* held */
	const struct route *route;
	struct exchange *exchange;
	struct fetch *fetch;
	struct alarm connect, total;
	bool begun;
};

static void free_pipe(void *memory)
{
	struct pipe *p = memory;
	config_drop(p->config);
	free(p);
}

static void close_pipe(struct pipe *p)
{
	alarm_clear(&p->connect);
	alarm_clear(&p->total);
	LIST_REMOVE(p, link);
	if (p->fetch)
		fetch_cancel(p->fetch);
	loop_free_later(&p->worker->loop, p, free_pipe);
	worker_look_drained(p->worker);
}

/* The answer cannot be given, or not to its end. */
static void fail(struct pipe *p, enum cause cause, const char *detail)
{
	const struct cause_row *row = cause_row(cause);
	struct exchange *x = p->exchange;
	bool begun = p->begun;
	struct log_line l;
	log_begin(&l, LOG_WARN, "pipe");
	log_string(&l, "route", p->route->path);
	log_string(&l, "cause", row->name);
	log_string(&l, "detail", detail ? detail : row->sentence);
	log_end(&l);
	p->worker->metrics.piped[PIPED_CUT]++;
	close_pipe(p);
	if (begun)
		exchange_break(x);
	else
		exchange_refuse(x, row->status ? row->status : 502, row->name, detail ? detail : row->sentence);
}

static bool is_ours(span name)
{
	static const char *const made_anew[] = {"content-length", "transfer-encoding", "date", "connection", "keep-alive",
		"server"};
	for (size_t i = 0; i < sizeof made_anew / sizeof *made_anew; i++)
		if (span_is_nocase(name, made_anew[i]))
			return true;
	return false;
}

/* -1: not known. To HEAD the length is told of a body that does not come. */
static int64_t length_of(const struct pipe *p, const struct http_head *head)
{
	span told = headers_get(head, "content-length");
	if (head->framing == HTTP_LENGTH)
		return (int64_t)head->length;
	if (exchange_is_head(p->exchange))
		return told.n && told.n < 19 ? strtoll(told.p, NULL, 10) : -1;
	return head->framing == HTTP_NO_BODY ? 0 : -1;
}

static void on_head(void *owner, const struct http_head *head)
{
	struct pipe *p = owner;
	alarm_clear(&p->connect);
	if ((head->status == 401 || head->status == 403) && p->route->auth != AUTH_CLIENT) {
		fail(p, CAUSE_STATUS, "The model server refused the gateway's own credentials.");
		return;
	}
	for (size_t i = 0; i < head->fields_n; i++) {
		char name[128];
		const struct http_field *f = &head->fields[i];
		if (is_ours(f->name) || headers_is_hop_by_hop(head, f->name) || f->name.n >= sizeof name)
			continue;
		snprintf(name, sizeof name, "%.*s", SPAN_ARG(f->name));
		exchange_field(p->exchange, name, f->value);
	}
	p->begun = true;
	exchange_begin(p->exchange, head->status, NULL, length_of(p, head));
}

static void on_body(void *owner, span piece)
{
	struct pipe *p = owner;
	exchange_put(p->exchange, piece);
	if (!exchange_room(p->exchange))
		fetch_pause(p->fetch, true);
}

static void on_end(void *owner, enum fetch_end how, const char *detail)
{
	struct pipe *p = owner;
	struct exchange *x = p->exchange;
	p->fetch = NULL;
	if (how == FETCH_FRAMED || how == FETCH_CLOSED) {
		p->worker->metrics.piped[PIPED_CLEAN]++;
		close_pipe(p);
		exchange_end(x);
	} else
		fail(p, how == FETCH_REFUSED ? CAUSE_REFUSED : how == FETCH_TLS ? CAUSE_TLS : how == FETCH_MALFORMED
			? CAUSE_PROTOCOL : CAUSE_CUT, detail);
}

static void on_connected(void *owner)
{
	struct pipe *p = owner;
	alarm_clear(&p->connect);
}

static void on_fetch_room(void *owner)
{
	struct pipe *p = owner;
	exchange_pause_body(p->exchange, false);
}

static const struct fetch_events fetch_events = {on_connected, on_head, on_body, on_end, on_fetch_room};

static void on_request_body(void *owner, span piece)
{
	struct pipe *p = owner;
	fetch_put(p->fetch, piece);
	if (!fetch_room(p->fetch))
		exchange_pause_body(p->exchange, true);
}

static void on_request_end(void *owner)
{
	struct pipe *p = owner;
	fetch_put_end(p->fetch);
}

static void on_room(void *owner)
{
	struct pipe *p = owner;
	fetch_pause(p->fetch, false);
}

static void on_gone(void *owner)
{
	struct pipe *p = owner;
	p->worker->metrics.piped[PIPED_CUT]++;
	close_pipe(p);
}

static const struct exchange_events exchange_events = {
	.on_body = on_request_body, .on_body_end = on_request_end, .on_room = on_room, .on_gone = on_gone,
};

static void on_connect_timeout(void *owner)
{
	struct pipe *p = owner;
	char why[300];
	fail(p, fetch_stalled(p->fetch, why, sizeof why), NULL);
}

static void on_total_timeout(void *owner) { fail(owner, CAUSE_TOTAL_TIMEOUT, NULL); }

static bool is_credential(span name)
{
	static const char *const names[] = {"authorization", "proxy-authorization", "x-api-key", "x-goog-api-key",
		"api-key", "cookie", "lastword-key"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_is_nocase(name, names[i]))
			return true;
	return false;
}

static bool stays_here(const struct pipe *p, const struct http_head *head, span name)
{
	return headers_is_hop_by_hop(head, name) || span_is_nocase(name, "host") || span_is_nocase(name,
		"content-length") ||
	       span_is_nocase(name, "accept-encoding") || span_is_nocase(name, "expect") || span_find(name, '_') < name.n ||
	       (name.n >= 12 && span_is_nocase(span_first(name, 12), "x-forwarded-")) ||
	       (is_credential(name) && p->route->auth != AUTH_CLIENT);
}

static void put_fields(const struct pipe *p, struct buf *out)
{
	const struct http_head *head = exchange_head(p->exchange);
	const char *peer = exchange_peer(p->exchange), *colon = strrchr(peer, ':');
	for (size_t i = 0; i < head->fields_n; i++)
		if (!stays_here(p, head, head->fields[i].name))
			buf_printf(out, "%.*s: %.*s\r\n", SPAN_ARG(head->fields[i].name), SPAN_ARG(head->fields[i].value));
	buf_printf(out, "X-Forwarded-For: %.*s\r\nX-Forwarded-Proto: http\r\n", colon
		? (int)(colon - peer) : (int)strlen(peer), peer);
	ask_put_credential(p->route, NULL, out);
}

/* A path behind the route's prefix goes behind the upstream's path; an upstream without a path takes it whole. */
static void put_target(const struct pipe *p, struct buf *out)
{
	const struct url_target *t = exchange_target(p->exchange);
	const struct upstream *u = &p->route->upstream[0];
	if (u->is_model || u->url.path.n <= 1)
		buf_put(out, t->path);
	else {
		span base = u->url.path;
		if (base.p[base.n - 1] == '/')
			base.n--;
		buf_put(out, base);
		buf_put_byte(out, '/');
		buf_put(out, span_from(t->path, strlen(p->route->path)));
	}
	span query = t->query;
	if (!query.p)
		return;
	/* The query's `key` is a credential of Gemini's. */
	char between = '?';
	while (query.n) {
		size_t n = span_find(query, '&');
		span one = span_first(query, n);
		query = span_from(query, n + 1);
		if (p->route->auth != AUTH_CLIENT && (span_is(one, "key") || span_starts(one, SPAN("key="))))
			continue;
		buf_put_byte(out, between);
		buf_put(out, one);
		between = '&';
	}
}

static uint64_t body_limit(const struct worker *w)
{
	return w->config->limits.body_bytes
		? w->config->limits.body_bytes : UINT64_MAX;
}

static void begin(struct pipe *p)
{
	const struct http_head *head = exchange_head(p->exchange);
	struct buf target = {0}, fields = {0};
	bool has_body = head->framing != HTTP_NO_BODY;
	put_target(p, &target);
	put_fields(p, &fields);
	struct fetch_request request = {
		.upstream = &p->route->upstream[0], .method = head->method, .target = buf_span(&target),
			.fields = buf_span(&fields),
		.body_follows = has_body, .length = head->framing == HTTP_LENGTH ? (int64_t)head->length : -1,
	};
	if (!target.failed && !fields.failed)
		p->fetch = fetch_start(p->worker->pool, &request, &fetch_events, p);
	buf_finish(&target);
	buf_finish(&fields);
	if (!p->fetch) {
		fail(p, CAUSE_OVERLOADED, NULL);
		return;
	}
	if (p->route->connect_ms)
		alarm_set(&p->connect, p->route->connect_ms);
	if (p->route->total_ms)
		alarm_set(&p->total, p->route->total_ms);
	if (has_body)
		exchange_read_body(p->exchange, body_limit(p->worker));
}

void passthrough(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct http_head *head = exchange_head(x);
	if (!guard_start(w, x))
		return;
	if (w->draining) {
		exchange_field(x, "Retry-After", SPAN("1"));
		exchange_refuse(x, 503, "shutdown", "The gateway is shutting down; ask again in a moment.");
		return;
	}
	if (head->framing == HTTP_LENGTH && head->length > body_limit(w)) {
		exchange_refuse_and_close(x, 413, "body_too_large", "The request's body is larger than limits.body allows.");
		return;
	}
	struct pipe *p = calloc(1, sizeof *p);
	if (!p) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for this request now.");
		return;
	}
	*p = (struct pipe){.worker = w, .config = config_hold(w->config), .route = route, .exchange = x};
	LIST_INSERT_HEAD(&w->pipes, p, link);
	alarm_init(&p->connect, &w->loop, on_connect_timeout, p);
	alarm_init(&p->total, &w->loop, on_total_timeout, p);
	exchange_set_owner(x, &exchange_events, p);
	exchange_set_write_timeout(x, route->write_timeout_ms);
	begin(p);
}

void passthrough_break_all(struct worker *w)
{
	struct pipe *p;
	while ((p = LIST_FIRST(&w->pipes)))
		fail(p, CAUSE_SHUTDOWN, NULL);
}
