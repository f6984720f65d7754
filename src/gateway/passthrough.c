/* A passthrough route: the client's request goes up in its own dialect, and what comes back is one of two things. An
 * answer that is recognised as a stream becomes one, with a journal and a true end, and the client its first viewer.
 * Everything else is piped: copied both ways as it is, its end mirrored (clean stays clean, cut stays cut) and counted
 * as unjudged.
 *
 * Which it is shows when the answer's head has come. The dialect is the route's, or known by the path; where neither
 * says it, the first event with data is looked at before anything is passed on. Until then this is the only owner of
 * the exchange and of the fetch, so a failed connect may go to the next upstream, and any failure can still be an HTTP
 * error in the client's dialect.
 *
 * Bytes wait in two places only, the exchange's and the fetch's out-buffers; when one is full the other side is not
 * read.
 *
 * Invariants
 * 1. A pipe has an exchange until that is answered, broken, gone or a viewer's, and a fetch until that has ended or is a
 *    stream's; it ends when either does.
 * 2. Once an upstream has answered 200, no other one is asked.
 * 3. A request body is kept only while it may be needed again (retry_body), or where `request:` must be merged into it.
 *
 * What crosses is forward.c's, what the request asks for asking.c's, the held status line viewer.c's. */
#include "gateway/endpoints.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/forward.h"
#include "gateway/guard.h"
#include "gateway/recognise.h"
#include "gateway/retry.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct pipe {
	LIST_ENTRY(pipe) link;
	struct worker *worker;
	struct config *config; /* held */
	const struct route *route;
	struct exchange *exchange;
	struct fetch *fetch;
	struct alarm connect, first_event, total, alone;
	uint64_t started_ns, connected_ns;
	size_t attempt;        /* which upstream of the route */
	const struct dialect *dialect; /* NULL: not known */
	struct asking asking;
	struct buf kept;       /* the request's body so far, if keeps */
	bool keeps, merges, waits, has_body, body_whole; /* waits: the request is sent when its body is whole */
	bool wants_stream;     /* known when the body is whole */
	EVP_MD_CTX *digest;    /* attach_retries: of the body so far */
	struct retry_key key;  /* … and when it is whole */
	char peer[64];
	struct ahead *ahead;   /* while the dialect is looked for */
	int status;            /* of the answer … */
	int64_t length;        /* … and how long it is, or -1; when ahead */
	bool begun;
};

static void free_pipe(void *memory)
{
	struct pipe *p = memory;
	ahead_destroy(p->ahead);
	asking_finish(&p->asking);
	buf_finish(&p->kept);
	EVP_MD_CTX_free(p->digest);
	buf_finish(&p->key.scope);
	config_drop(p->config);
	free(p);
}

static void close_pipe(struct pipe *p)
{
	alarm_clear(&p->connect);
	alarm_clear(&p->first_event);
	alarm_clear(&p->total);
	alarm_clear(&p->alone);
	LIST_REMOVE(p, link);
	if (p->fetch)
		fetch_cancel(p->fetch);
	loop_free_later(&p->worker->loop, p, free_pipe);
}

/* Failures. */

static void refuse(struct exchange *x, const struct dialect *d, enum cause cause, const char *detail)
{
	const struct cause_row *row = cause_row(cause);
	struct failure f = {.cause = cause, .sentence = detail, .sequence = -1};
	struct buf body = {0};
	int status = row->status ? row->status : 502;
	if (status == 503)
		exchange_field(x, "Retry-After", SPAN("1"));
	if (d)
		dialect_put_error_body(&body, d, &f);
	if (d && !body.failed)
		exchange_answer(x, status, "application/json", buf_span(&body));
	else
		exchange_refuse(x, status, row->name, detail ? detail : row->sentence);
	buf_finish(&body);
}

static void log_failure(const struct pipe *p, enum cause cause, const char *detail)
{
	const struct cause_row *row = cause_row(cause);
	struct log_line l;
	log_begin(&l, LOG_WARN, "pipe");
	log_string(&l, "route", p->route->path);
	log_string(&l, "cause", row->name);
	log_string(&l, "detail", detail ? detail : row->sentence);
	log_end(&l);
}

/* The answer cannot be given, or not to its end. */
static void fail(struct pipe *p, enum cause cause, const char *detail)
{
	struct exchange *x = p->exchange;
	const struct dialect *d = p->dialect;
	bool begun = p->begun;
	log_failure(p, cause, detail);
	p->worker->metrics.piped[PIPED_CUT]++;
	close_pipe(p);
	if (x && begun)
		exchange_break(x);
	else if (x)
		refuse(x, d, cause, detail);
}

/* Asking upstreams. */

static bool ask(struct pipe *p);

/* The next upstream of the route is asked, if the request can still be sent to it as it was to the first. */
static bool try_next(struct pipe *p, enum cause cause, const char *detail)
{
	if (!p->exchange || p->attempt + 1 >= p->route->upstreams || (p->has_body && !p->keeps))
		return false;
	log_failure(p, cause, detail);
	if (p->fetch)
		fetch_cancel(p->fetch);
	p->fetch = NULL;
	alarm_clear(&p->first_event);
	p->attempt++;
	return ask(p);
}

static void fail_or_try_next(struct pipe *p, enum cause cause, const char *detail)
{
	if (!try_next(p, cause, detail))
		fail(p, cause, detail);
}

static void on_connected(void *owner)
{
	struct pipe *p = owner;
	p->connected_ns = clock_ns();
	alarm_clear(&p->connect);
	if (p->dialect && p->route->first_event_ms)
		alarm_set(&p->first_event, p->route->first_event_ms);
}

/* The answer: a stream. */

/* So that a retry finds it. The newest of two that ask the same is what a retry means. */
static void put_on_shelf(struct pipe *p, struct stream *s)
{
	char key[2 * RETRY_DIGEST + 1];
	if (!p->digest || !p->body_whole)
		return;
	retry_print_key(&p->key, key);
	struct stream *other = stream_find_key(p->worker, buf_span(&p->key.scope), span_str(key));
	if (other)
		shelf_release_key(&other->entry);
	if (shelf_take_key(&s->entry, buf_span(&p->key.scope), span_str(key), p->key.digest) != CAUSE_NONE)
		log_say(LOG_WARN, "no_memory", "a stream cannot be found by a retry");
}

/* so_far: bytes of the answer's body that came before this was known. */
static void become_stream(struct pipe *p, const struct http_head *head, span so_far)
{
	struct exchange *x = p->exchange;
	struct worker *w = p->worker;
	const struct route *r = p->route;
	uint64_t hold_ms = p->config->hold_ms;
	struct generation_rules rules = {
		.dialect = p->dialect, .text = r->text, .end_marker = r->end_marker, .finish_optional = r->finish_optional,
		.json = r->json, .keeps_frames = true, .done_after_error = r->done_after_error, .n = p->asking.n,
		.queue_comments = r->upstream[p->attempt].is_model, .secret = span_str(r->auth_value),
		.event_limit = r->event_bytes, .stream_limit = r->stream_bytes,
	};
	struct stream *s = stream_start(w, &(struct stream_plan){.config = p->config, .route = r, .rules = &rules,
		.fetch = p->fetch, .head = head, .so_far = so_far, .started_ns = p->started_ns, .connected_ns = p->connected_ns,
		.peer = p->peer});
	if (!s) {
		fail(p, CAUSE_OVERLOADED, NULL);
		return;
	}
	p->fetch = NULL;
	put_on_shelf(p, s);
	close_pipe(p);
	struct audience *a = stream_admit(s, w, NULL);
	if (x)
		viewer_open_held(x, a, hold_ms, headers_get(head, "content-type"));
	else
		audience_left(a); /* grace runs until a retry comes */
}

/* The answer: a pipe. */

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

static void begin_pipe(struct pipe *p, int status, const char *content_type, int64_t length)
{
	p->begun = true;
	buf_finish(&p->kept);
	exchange_begin(p->exchange, status, content_type, length);
}

static void put_piece(struct pipe *p, span piece)
{
	exchange_put(p->exchange, piece);
	if (!exchange_room(p->exchange))
		fetch_pause(p->fetch, true);
}

/* The answer: which of the two. */

static void look_ahead(struct pipe *p, const struct http_head *head)
{
	p->ahead = ahead_create(head);
	if (p->ahead)
		alarm_set(&p->first_event, p->config->hold_ms);
	else
		fail(p, CAUSE_OVERLOADED, NULL);
}

/* No dialect that is known here. */
static void give_up_looking(struct pipe *p)
{
	struct ahead *a = p->ahead;
	p->ahead = NULL;
	alarm_clear(&p->first_event);
	begin_pipe(p, p->status, a->content_type, p->length);
	if (a->bytes.n)
		put_piece(p, buf_span(&a->bytes));
	ahead_destroy(a);
}

static void found(struct pipe *p, const struct dialect *d)
{
	struct ahead *a = p->ahead;
	struct http_field type = {SPAN("Content-Type"), span_str(a->content_type)};
	struct http_head head = {.status = p->status, .fields = &type, .fields_n = 1};
	p->ahead = NULL;
	p->dialect = d;
	become_stream(p, &head, buf_span(&a->bytes));
	ahead_destroy(a);
}

static void take_ahead(struct pipe *p, span piece)
{
	const struct dialect *d;
	bool is_decided = ahead_take(p->ahead, piece, &d);
	if (p->ahead->bytes.failed)
		fail(p, CAUSE_OVERLOADED, NULL);
	else if (is_decided && d)
		found(p, d);
	else if (is_decided)
		give_up_looking(p);
}

static void pass_on(struct pipe *p, const struct http_head *head)
{
	enum recognised what = recognise_answer(p->dialect, p->wants_stream, p->exchange, head);
	p->status = head->status;
	if (!p->exchange && what != RECOGNISED_STREAM) {
		close_pipe(p); /* nobody is left to whom it could be piped */
		return;
	}
	if (p->exchange) {
		p->length = length_of(p, head);
		forward_answer_fields(p->exchange, head, what == RECOGNISED_PIPE);
	}
	if (what == RECOGNISED_STREAM)
		become_stream(p, head, (span){0});
	else if (what == RECOGNISED_PERHAPS)
		look_ahead(p, head);
	else
		begin_pipe(p, head->status, NULL, p->length);
}

static void on_head(void *owner, const struct http_head *head)
{
	struct pipe *p = owner;
	bool refused_us = (head->status == 401 || head->status == 403) && p->route->auth != AUTH_CLIENT;
	alarm_clear(&p->connect);
	if (route_retries_on(p->route, head->status) && try_next(p, CAUSE_STATUS, NULL))
		return;
	if (refused_us) {
		fail(p, CAUSE_STATUS, "The model server refused the gateway's own credentials.");
		return;
	}
	alarm_clear(&p->first_event);
	pass_on(p, head);
}

static void on_body(void *owner, span piece)
{
	struct pipe *p = owner;
	if (p->ahead)
		take_ahead(p, piece);
	else
		put_piece(p, piece);
}

static void on_end(void *owner, enum fetch_end how, const char *detail)
{
	struct pipe *p = owner;
	struct exchange *x = p->exchange;
	p->fetch = NULL;
	if (how == FETCH_REFUSED || how == FETCH_TLS) {
		fail_or_try_next(p, how == FETCH_TLS ? CAUSE_TLS : CAUSE_REFUSED, detail);
	} else if (how == FETCH_FRAMED || how == FETCH_CLOSED) {
		if (p->ahead)
			give_up_looking(p);
		p->worker->metrics.piped[PIPED_CLEAN]++;
		close_pipe(p);
		exchange_end(x);
	} else
		fail(p, how == FETCH_MALFORMED ? CAUSE_PROTOCOL : CAUSE_CUT, detail);
}

static void on_fetch_room(void *owner)
{
	struct pipe *p = owner;
	if (p->exchange)
		exchange_pause_body(p->exchange, false);
}

static const struct fetch_events fetch_events = {on_connected, on_head, on_body, on_end, on_fetch_room};

/* The request. */

static bool ask(struct pipe *p)
{
	const struct http_head *head = exchange_head(p->exchange);
	const struct upstream *u = &p->route->upstream[p->attempt];
	struct buf target = {0}, fields = {0};
	forward_put_target(p->route, u, exchange_target(p->exchange), &target);
	forward_put_fields(p->route, p->dialect, p->exchange, &fields);
	struct fetch_request request = {
		.upstream = u, .method = head->method, .target = buf_span(&target), .fields = buf_span(&fields),
		.body_follows = p->has_body, .length = p->waits ? (int64_t)p->kept.n : head->framing == HTTP_LENGTH
			? (int64_t)head->length : -1,
	};
	if (!target.failed && !fields.failed)
		p->fetch = fetch_start(p->worker->pool, &request, &fetch_events, p);
	buf_finish(&target);
	buf_finish(&fields);
	if (!p->fetch)
		return false;
	if (p->route->connect_ms)
		alarm_set(&p->connect, p->route->connect_ms);
	fetch_put(p->fetch, buf_span(&p->kept));
	if (p->has_body && p->body_whole)
		fetch_put_end(p->fetch);
	return true;
}

static void ask_or_fail(struct pipe *p)
{
	if (!ask(p))
		fail(p, CAUSE_OVERLOADED, NULL);
}

/* Out of memory, or too long to be sent a second time. */
static void keep_no_more(struct pipe *p)
{
	buf_finish(&p->kept);
	p->keeps = false;
}

static void on_request_body(void *owner, span piece)
{
	struct pipe *p = owner;
	asking_read(&p->asking, piece, false);
	if (p->digest)
		EVP_DigestUpdate(p->digest, piece.p, piece.n);
	if (p->keeps)
		buf_put(&p->kept, piece);
	if (p->waits)
		return;
	if (p->keeps && (p->kept.failed || p->kept.n > p->config->retry_body_bytes))
		keep_no_more(p);
	if (p->fetch)
		fetch_put(p->fetch, piece);
	if (p->fetch && !fetch_room(p->fetch))
		exchange_pause_body(p->exchange, true);
}

/* A body that is no JSON object has nothing to merge into, and goes up as it is. */
static void merge(struct pipe *p)
{
	struct buf merged = {0};
	if (json_merge(&merged, buf_span(&p->kept), span_str(p->route->request))) {
		buf_finish(&p->kept);
		p->kept = merged;
		asking_finish(&p->asking);
		asking_init(&p->asking);
		asking_read(&p->asking, buf_span(&merged), false);
	} else
		buf_finish(&merged);
}

static void on_request_end(void *owner)
{
	struct pipe *p = owner;
	p->body_whole = true;
	if (p->merges && !p->kept.failed)
		merge(p);
	asking_read(&p->asking, (span){0}, true);
	p->wants_stream = recognise_wants_stream(p->dialect, p->exchange, &p->asking);
	if (p->digest)
		EVP_DigestFinal_ex(p->digest, p->key.digest, NULL);
	if (p->kept.failed)
		fail(p, CAUSE_OVERLOADED, NULL);
	else if (p->waits)
		ask_or_fail(p);
	else if (p->fetch)
		fetch_put_end(p->fetch);
}

static void on_room(void *owner)
{
	struct pipe *p = owner;
	if (p->fetch)
		fetch_pause(p->fetch, false);
}

/* Its client is expected back: an SDK repeats by itself what broke before it was answered. */
static bool goes_on_alone(const struct pipe *p)
{
	return p->digest && p->body_whole && p->wants_stream && p->fetch && !p->begun && !p->ahead && p->route->grace_ms;
}

static void on_gone(void *owner)
{
	struct pipe *p = owner;
	if (goes_on_alone(p)) {
		p->exchange = NULL;
		alarm_set(&p->alone, p->route->grace_ms);
		return;
	}
	p->worker->metrics.piped[PIPED_CUT]++;
	close_pipe(p);
}

static const struct exchange_events exchange_events = {
	.on_body = on_request_body, .on_body_end = on_request_end, .on_room = on_room, .on_gone = on_gone,
};

/* The clocks. */

static void on_connect_timeout(void *owner)
{
	struct pipe *p = owner;
	char why[300];
	enum cause cause = fetch_stalled(p->fetch, why, sizeof why);
	fail_or_try_next(p, cause, why);
}

/* Nobody promised a stream to those who did not ask for one: for them only `total` runs. */
static void on_first_event_timeout(void *owner)
{
	struct pipe *p = owner;
	char detail[100];
	if (p->ahead) {
		give_up_looking(p);
		return;
	}
	if (!p->wants_stream)
		return;
	snprintf(detail, sizeof detail, "The model server did not begin its answer within %g s.",
		p->route->first_event_ms / 1000.0);
	fail(p, CAUSE_FIRST_EVENT_TIMEOUT, detail);
}

static void on_total_timeout(void *owner) { fail(owner, CAUSE_TOTAL_TIMEOUT, NULL); }

static uint64_t body_limit(const struct config *c)
{
	return c->limits.body_bytes ? c->limits.body_bytes : UINT64_MAX;
}

static void on_alone_too_long(void *owner) { fail(owner, CAUSE_ABANDONED, NULL); }

static bool merges(const struct pipe *p)
{
	span type = headers_media_type(headers_get(exchange_head(p->exchange), "content-type"));
	return p->has_body && p->route->request && span_is_nocase(type, "application/json");
}

static void begin(struct pipe *p)
{
	p->has_body = exchange_head(p->exchange)->framing != HTTP_NO_BODY;
	p->merges = p->waits = merges(p);
	p->keeps = p->has_body && (p->waits || (p->route->upstreams > 1 && p->config->retry_body_bytes));
	if (!p->waits && !ask(p))
		fail(p, CAUSE_OVERLOADED, NULL);
	else if (p->has_body)
		exchange_read_body(p->exchange, body_limit(p->config));
}

static bool has_room(struct worker *w, struct exchange *x, const struct route *route)
{
	if (!worker_is_full(w))
		return true;
	bool draining = worker_is_draining(w);
	refuse(x, recognise_dialect(route, x), draining ? CAUSE_SHUTDOWN : CAUSE_OVERLOADED, draining
		? "The gateway is shutting down; ask again in a moment." : "The gateway takes no new work now; ask again in a moment.");
	return false;
}

/* Without memory for it a retry will not find this request. */
static void watch_digest(struct pipe *p)
{
	retry_put_scope(p->route, p->exchange, &p->key.scope);
	p->digest = EVP_MD_CTX_new();
	if (p->digest && (p->key.scope.failed || !EVP_DigestInit_ex(p->digest, EVP_sha256(), NULL))) {
		EVP_MD_CTX_free(p->digest);
		p->digest = NULL;
	}
}

/* NULL: there was no memory, and the exchange is answered. */
static struct pipe *create(struct worker *w, struct exchange *x, struct config *config, const struct route *route)
{
	const char *peer = exchange_peer(x);
	struct pipe *p = calloc(1, sizeof *p);
	if (!p) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for this request now.");
		return NULL;
	}
	*p = (struct pipe){.worker = w, .config = config_hold(config), .route = route, .exchange = x,
		.started_ns = clock_ns(), .dialect = recognise_dialect(route, x)};
	memcpy(p->peer, peer, strnlen(peer, sizeof p->peer - 1));
	asking_init(&p->asking);
	LIST_INSERT_HEAD(&w->pipes, p, link);
	alarm_init(&p->connect, &w->loop, on_connect_timeout, p);
	alarm_init(&p->first_event, &w->loop, on_first_event_timeout, p);
	alarm_init(&p->total, &w->loop, on_total_timeout, p);
	alarm_init(&p->alone, &w->loop, on_alone_too_long, p);
	exchange_set_owner(x, &exchange_events, p);
	exchange_set_write_timeout(x, route->write_timeout_ms);
	if (route->half_close)
		exchange_tolerate_half_close(x);
	if (route->total_ms)
		alarm_set(&p->total, route->total_ms);
	if (route->attach_retries && p->dialect)
		watch_digest(p);
	return p;
}

void passthrough(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct http_head *head = exchange_head(x);
	if (!guard_start(w, x) || !has_room(w, x, route))
		return;
	if (head->framing == HTTP_LENGTH && head->length > body_limit(w->config)) {
		exchange_refuse_and_close(x, 413, "body_too_large", "The request's body is larger than limits.body allows.");
		return;
	}
	if (retry_is_one(route, head)) {
		retry_open(w, x, route);
		return;
	}
	struct pipe *p = create(w, x, w->config, route);
	if (p)
		begin(p);
}

void passthrough_whole(struct worker *w, struct exchange *x, struct config *config, const struct route *route, span body)
{
	struct pipe *p = create(w, x, config, route);
	if (!p)
		return;
	p->has_body = p->keeps = p->waits = true;
	p->merges = merges(p);
	on_request_body(p, body);
	on_request_end(p);
}

bool passthrough_pends(struct worker *w, const struct retry_key *key)
{
	struct pipe *p;
	LIST_FOREACH(p, &w->pipes, link)
		if (!p->exchange && memcmp(p->key.digest, key->digest, RETRY_DIGEST) == 0 &&
		    span_eq(buf_span(&p->key.scope), buf_span(&key->scope))) {
			alarm_set(&p->alone, p->route->grace_ms);
			return true;
		}
	return false;
}

void passthrough_break_all(struct worker *w)
{
	struct pipe *p;
	while ((p = LIST_FIRST(&w->pipes)))
		fail(p, CAUSE_SHUTDOWN, NULL);
}
