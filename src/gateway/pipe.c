/* The upstream's side of a passthrough route: asking, and finding out what the answer is.
 *
 * An answer that is recognised as a stream becomes one, with a journal and a true end, and the client its first viewer.
 * Everything else is piped: copied as it is, its end mirrored (clean stays clean, cut stays cut) and counted as
 * unjudged. Which it is shows when the answer's head has come, or where neither the route nor the path says the dialect,
 * by the first event with data. Until then the exchange and the fetch are the pipe's alone, so a failed connect may go to
 * the next upstream, and any failure can still be an HTTP error in the client's dialect.
 *
 * Bytes wait in two places only, the exchange's and the fetch's out-buffers; when one is full the other side is not
 * read.
 *
 * Invariants
 * 1. A pipe has a fetch until that has ended or is a stream's, and is closed when it has; its exchange is NULL while it
 *    goes on alone, waiting for a retry.
 * 2. Once an upstream has answered 200, no other one is asked.
 *
 * What crosses is forward.c's, how streams are told from the rest recognise.c's, the held status line viewer.c's. */
#include "gateway/pipe.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/account.h"
#include "gateway/budget.h"
#include "gateway/crew.h"
#include "gateway/forward.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <stdio.h>
#include <stdlib.h>

void pipe_count_kept(struct pipe *p) { gauge_tell(&p->worker->crew->budget.bodies, &p->counted, p->kept.n); }

static void free_pipe(void *memory)
{
	struct pipe *p = memory;
	ahead_destroy(p->ahead);
	asking_finish(&p->asking);
	EVP_MD_CTX_free(p->digest);
	buf_finish(&p->key.scope);
	config_drop(p->config);
	free(p);
}

void pipe_close(struct pipe *p)
{
	alarm_clear(&p->connect);
	alarm_clear(&p->first_event);
	alarm_clear(&p->total);
	absence_end(&p->alone);
	LIST_REMOVE(p, link);
	account_give(p->account);
	p->account = NULL;
	buf_finish(&p->kept); /* before the client reads that it is refused, and sends the next one */
	pipe_count_kept(p);
	if (p->fetch)
		fetch_cancel(p->fetch);
	loop_free_later(&p->worker->loop, &p->garbage, p, free_pipe);
}

/* Failures. */

void pipe_refuse(struct exchange *x, const struct dialect *d, enum cause cause, const char *detail)
{
	const struct cause_row *row = cause_row(cause);
	struct failure f = {.cause = cause, .sentence = detail, .sequence = -1};
	struct buf body = {0};
	int status = row->status ? row->status : 502;
	if (status == 503)
		exchange_retry_after(x, 1);
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
	if (p->who)
		log_string(&l, "key", p->who->name);
	log_string(&l, "cause", row->name);
	log_string(&l, "detail", detail ? detail : row->sentence);
	log_end(&l);
}

/* The answer cannot be given, or not to its end. */
void pipe_fail(struct pipe *p, enum cause cause, const char *detail)
{
	struct exchange *x = p->exchange;
	const struct dialect *d = p->dialect;
	bool begun = p->begun;
	log_failure(p, cause, detail);
	p->worker->metrics.piped[PIPED_CUT]++;
	pipe_close(p);
	if (x && begun)
		exchange_break(x);
	else if (x)
		pipe_refuse(x, d, cause, detail);
}

/* Asking upstreams. */

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
	return pipe_ask(p);
}

static void fail_or_try_next(struct pipe *p, enum cause cause, const char *detail)
{
	if (!try_next(p, cause, detail))
		pipe_fail(p, cause, detail);
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
		.peer = p->peer, .account = p->account});
	if (!s) {
		pipe_fail(p, CAUSE_OVERLOADED, NULL);
		return;
	}
	p->fetch = NULL;
	p->account = NULL;
	put_on_shelf(p, s);
	pipe_close(p);
	struct seat seat = {0};
	CHECK(stream_admit(s, w, &seat, NULL)); /* nothing is given up that nobody has read */
	if (x)
		viewer_open_held(x, &seat, hold_ms, headers_get(head, "content-type"));
	else
		audience_give_back(&seat); /* grace runs until a retry comes */
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
	pipe_count_kept(p);
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
		pipe_fail(p, CAUSE_OVERLOADED, NULL);
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
		pipe_fail(p, CAUSE_OVERLOADED, NULL);
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
		pipe_close(p); /* nobody is left to whom it could be piped */
		return;
	}
	if (p->exchange) {
		p->length = length_of(p, head);
		forward_answer_fields(p->exchange, head, what == RECOGNISED_PIPE ? FORWARD_ALL : what == RECOGNISED_STREAM
			? FORWARD_STREAM : FORWARD_UNTYPED);
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
		pipe_fail(p, CAUSE_STATUS, "The model server refused the gateway's own credentials.");
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
		pipe_close(p);
		exchange_end(x);
	} else
		pipe_fail(p, how == FETCH_MALFORMED ? CAUSE_PROTOCOL : CAUSE_CUT, detail);
}

static void on_fetch_room(void *owner)
{
	struct pipe *p = owner;
	if (p->exchange)
		exchange_pause_body(p->exchange, false);
}

static const struct fetch_events fetch_events = {on_connected, on_head, on_body, on_end, on_fetch_room};

/* The request. */

bool pipe_ask(struct pipe *p)
{
	const struct http_head *head = exchange_head(p->exchange);
	const struct upstream *u = &p->route->upstream[p->attempt];
	struct buf target = {0}, fields = {0};
	struct client by;
	client_read(&by, p->config, p->exchange);
	forward_put_target(p->route, u, &p->config->callers, exchange_target(p->exchange), &target);
	forward_put_fields(p->route, p->dialect, &p->config->callers, &by, &fields);
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

void pipe_ask_or_fail(struct pipe *p)
{
	if (!pipe_ask(p))
		pipe_fail(p, CAUSE_OVERLOADED, NULL);
}

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
	pipe_fail(p, CAUSE_FIRST_EVENT_TIMEOUT, detail);
}

static void on_total_timeout(void *owner) { pipe_fail(owner, CAUSE_TOTAL_TIMEOUT, NULL); }

static void on_alone_too_long(void *owner) { pipe_fail(owner, CAUSE_ABANDONED, NULL); }

void pipe_init_clocks(struct pipe *p)
{
	struct loop *l = &p->worker->loop;
	alarm_init(&p->connect, l, on_connect_timeout, p);
	alarm_init(&p->first_event, l, on_first_event_timeout, p);
	alarm_init(&p->total, l, on_total_timeout, p);
	absence_init(&p->alone, p->worker, on_alone_too_long, p);
}
