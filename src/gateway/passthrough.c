/* A passthrough route, the client's side: a request comes, goes up in its own dialect, and is answered by a stream or by a
 * pipe (pipe.c).
 *
 * A request body goes up as it comes, through the exchange's and the fetch's buffers. It is kept only while it may be needed
 * again: for the next upstream of the route, up to `retry_body`; to merge `request:` into it; or because it is a retry,
 * which is looked for by the digest of its body before anything is asked.
 *
 * A client that leaves cancels its request, unless it is expected back: with `attach_retries` a request that wants a stream
 * goes on alone for `grace`. */
#include "gateway/endpoints.h"

#include "base/clock.h"
#include "gateway/account.h"
#include "gateway/budget.h"
#include "gateway/guard.h"
#include "gateway/pipe.h"

#include <stdlib.h>

/* Out of memory, or too long to be sent a second time. */
static void keep_no_more(struct pipe *p)
{
	buf_finish(&p->kept);
	pipe_count_kept(p);
	p->keeps = false;
}

static void on_request_body(void *owner, span piece)
{
	struct pipe *p = owner;
	asking_read(&p->asking, piece, false);
	if (p->digest)
		EVP_DigestUpdate(p->digest, piece.p, piece.n);
	bool has_room = !p->keeps || budget_has_room_for_body(p->worker, p->kept.n + piece.n);
	if (!has_room && p->waits) {
		pipe_fail(p, CAUSE_OVERLOADED, "There is no memory for a body of this size now.");
		return;
	}
	if (!has_room)
		keep_no_more(p);
	if (p->keeps)
		buf_put(&p->kept, piece);
	pipe_count_kept(p);
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
		pipe_count_kept(p);
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
		pipe_fail(p, CAUSE_OVERLOADED, NULL);
	else if (p->waits)
		pipe_ask_or_fail(p);
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
		absence_begin(&p->alone, p->route->grace_ms);
		return;
	}
	p->worker->metrics.piped[PIPED_CUT]++;
	pipe_close(p);
}

static const struct exchange_events exchange_events = {
	.on_body = on_request_body, .on_body_end = on_request_end, .on_room = on_room, .on_gone = on_gone,
};

static uint64_t body_limit(const struct config *c)
{
	return c->limits.body_bytes ? c->limits.body_bytes : UINT64_MAX;
}

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
	if (!p->waits && !pipe_ask(p))
		pipe_fail(p, CAUSE_OVERLOADED, NULL);
	else if (p->has_body)
		exchange_read_body(p->exchange, body_limit(p->config));
}

static bool has_room(struct worker *w, struct exchange *x, const struct route *route)
{
	if (!worker_refuses(w))
		return true;
	bool draining = worker_is_draining(w);
	pipe_refuse(x, recognise_dialect(route, x), draining ? CAUSE_SHUTDOWN : CAUSE_OVERLOADED, draining
		? "The gateway is shutting down; ask again in a moment." : "The gateway takes no new work now; ask again in a moment.");
	return false;
}

/* Without memory for it a retry will not find this request. */
static void watch_digest(struct pipe *p)
{
	retry_put_scope(p->route, p->who, p->exchange, &p->key.scope);
	p->digest = EVP_MD_CTX_new();
	if (p->digest && (p->key.scope.failed || !EVP_DigestInit_ex(p->digest, EVP_sha256(), NULL))) {
		EVP_MD_CTX_free(p->digest);
		p->digest = NULL;
	}
}

static void refuse_short(struct exchange *x, const struct route *route, const struct shortage *why)
{
	exchange_retry_after(x, why->retry_after_s);
	pipe_refuse(x, recognise_dialect(route, x), CAUSE_QUOTA, why->sentence);
}

/* NULL: the caller may start no more, or there was no memory, and the exchange is answered. */
static struct pipe *create(struct worker *w, struct exchange *x, const struct passing *how)
{
	struct client by;
	const struct route *route = how->route;
	struct shortage shortage;
	if (!account_take(how->who, clock_ns(), &shortage)) {
		refuse_short(x, route, &shortage);
		return NULL;
	}
	struct pipe *p = calloc(1, sizeof *p);
	if (!p) {
		account_undo(how->who);
		exchange_refuse(x, 503, "overloaded", "There is no memory for this request now.");
		return NULL;
	}
	*p = (struct pipe){.worker = w, .config = config_hold(how->config), .route = route, .who = how->who,
		.account = how->who ? how->who->account : NULL, .exchange = x, .started_ns = clock_ns(),
		.dialect = recognise_dialect(route, x)};
	client_read(&by, how->config, x);
	memcpy(p->peer, by.name, sizeof p->peer);
	asking_init(&p->asking);
	LIST_INSERT_HEAD(&w->pipes, p, link);
	pipe_init_clocks(p);
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
	struct passing how = {.config = w->config, .route = route};
	if (!guard_start(w, x, route, &how.who) || !has_room(w, x, route))
		return;
	if (head->framing == HTTP_LENGTH && head->length > body_limit(w->config)) {
		exchange_refuse_and_close(x, 413, "body_too_large", "The request's body is larger than limits.body allows.");
		return;
	}
	if (retry_is_one(route, head)) {
		retry_open(w, x, route, how.who);
		return;
	}
	struct pipe *p = create(w, x, &how);
	if (p)
		begin(p);
}

void passthrough_whole(struct worker *w, struct exchange *x, const struct passing *how, span body)
{
	struct pipe *p = create(w, x, how);
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
			absence_begin(&p->alone, p->route->grace_ms);
			return true;
		}
	return false;
}

void passthrough_break_all(struct worker *w)
{
	struct pipe *p;
	while ((p = LIST_FIRST(&w->pipes)))
		pipe_fail(p, CAUSE_SHUTDOWN, NULL);
}
