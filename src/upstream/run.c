/* From an HTTP request to an ended generation.
 *
 * The clocks are alarms that only say that a time has come; the generation judges them like any other evidence.
 * `connect`, `first_event` and `idle` follow one another, so one alarm is enough for them, and the phase tells which it
 * is; `total` has its own. `idle` is fed by what the dialect calls an event, never by bytes: a server that sends comments
 * for an hour has said nothing. `first_event` waits for an event with meaning; behind the embedded model's queue it starts
 * when the queue is left.
 *
 * Until an upstream has answered 200 the route's next one may be asked instead; what the first one was asked is kept for
 * that (struct run_spare), and only then.
 *
 * Invariants
 * 1. After the generation has ended there is no fetch and no clock.
 * 2. on_change is called once after each batch of input that changed something, and once at the end. */
#include "upstream/run.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

struct run_spare {
	struct buf method, fields, body, part;
};

static void drop_spare(struct run *r)
{
	struct run_spare *s = r->spare;
	r->spare = NULL;
	if (!s)
		return;
	buf_finish(&s->method);
	buf_finish(&s->fields);
	buf_finish(&s->body);
	buf_finish(&s->part);
	free(s);
}

static void stop(struct run *r)
{
	drop_spare(r);
	alarm_clear(&r->clock);
	alarm_clear(&r->total);
	struct fetch *fetch = r->fetch;
	r->fetch = NULL;
	/* Lines 1–4 of the table: the upstream itself said its last word. */
	if (fetch && r->generation->ended && r->generation->verdict.line <= 4)
		fetch_let_finish(fetch);
	else if (fetch)
		fetch_cancel(fetch);
}

/* Winds the phase's clock, from now on; 0 is off. */
static void enter(struct run *r, enum run_phase phase, uint64_t ms)
{
	r->phase = phase;
	if (ms)
		alarm_set(&r->clock, ms);
	else
		alarm_clear(&r->clock);
}

static void wind_clocks(struct run *r)
{
	struct generation *g = r->generation;
	if (g->began && !r->began_ns) {
		r->began_ns = clock_ns();
		enter(r, RUN_READS, r->route->idle_ms);
	} else if (g->began && r->fed != g->fed)
		enter(r, RUN_READS, r->route->idle_ms);
	r->fed = g->fed;
	bool queues = g->queue > 0;
	if (!g->began && queues != (r->phase == RUN_QUEUES))
		enter(r, queues ? RUN_QUEUES : RUN_WAITS, queues ? 0 : r->route->first_event_ms);
}

/* Once after everything that may have changed the generation. */
static void look(struct run *r)
{
	if (r->generation->ended) {
		if (!r->ended_ns)
			r->ended_ns = clock_ns();
		if (r->generation->began && !r->began_ns)
			r->began_ns = r->ended_ns;
		stop(r);
	} else
		wind_clocks(r);
	r->on_change(r->owner);
}

static void on_connected(void *owner)
{
	struct run *r = owner;
	r->connected_ns = clock_ns();
	enter(r, RUN_WAITS, r->route->first_event_ms);
}

static bool try_next(struct run *r);

static void on_head(void *owner, const struct http_head *head)
{
	struct run *r = owner;
	if (route_retries_on(r->route, head->status) && try_next(r))
		return;
	drop_spare(r);
	r->answered_ns = clock_ns();
	generation_head(r->generation, head->status, headers_get(head, "content-type"), headers_get(head,
		"content-encoding"));
	look(r);
}

static void on_body(void *owner, span piece)
{
	struct run *r = owner;
	generation_body(r->generation, piece);
	look(r);
}

static void on_end(void *owner, enum fetch_end how, const char *detail)
{
	static const enum ending_body ends[] = {
		[FETCH_FRAMED] = BODY_FRAMED, [FETCH_CLOSED] = BODY_CLOSED, [FETCH_BROKEN] = BODY_BROKEN,
			[FETCH_MALFORMED] = BODY_MALFORMED,
	};
	struct run *r = owner;
	r->fetch = NULL;
	if ((how == FETCH_REFUSED || how == FETCH_TLS) && try_next(r))
		return;
	if (how == FETCH_REFUSED || how == FETCH_TLS)
		generation_no_connection(r->generation, how == FETCH_TLS ? CAUSE_TLS : CAUSE_REFUSED, detail);
	else
		generation_body_end(r->generation, ends[how], detail);
	CHECK(r->generation->ended);
	look(r);
}

static const struct fetch_events events = {.on_connected = on_connected, .on_head = on_head, .on_body = on_body,
	.on_end = on_end};

/* False: there is no other upstream, or no way to ask it. */
static bool try_next(struct run *r)
{
	struct buf target = {0};
	if (!r->spare || r->attempt + 1 >= r->route->upstreams)
		return false;
	const struct upstream *u = &r->route->upstream[++r->attempt];
	upstream_put_target(u, buf_span(&r->spare->part), &target);
	struct fetch_request request = {
		.upstream = u, .method = buf_span(&r->spare->method), .target = buf_span(&target),
		.fields = buf_span(&r->spare->fields), .body = buf_span(&r->spare->body),
	};
	struct fetch *next = target.failed ? NULL : fetch_start(r->pool, &request, &events, r);
	buf_finish(&target);
	if (!next)
		return false;
	if (r->fetch)
		fetch_cancel(r->fetch);
	r->fetch = next;
	enter(r, RUN_CONNECTS, r->route->connect_ms);
	return true;
}

static void time_out(struct run *r, enum cause cause, uint64_t ms, const char *sentence)
{
	char detail[256];
	snprintf(detail, sizeof detail, sentence, ms / 1000.0);
	generation_end(r->generation, cause, detail);
	look(r);
}

static void end_connecting(struct run *r)
{
	char why[300], detail[400];
	enum cause cause = fetch_stalled(r->fetch, why, sizeof why);
	snprintf(detail, sizeof detail, "No connection to the model server within %g s: %s.",
		r->route->connect_ms / 1000.0, why);
	if (try_next(r))
		return;
	if (cause == CAUSE_TLS)
		generation_no_connection(r->generation, cause, detail);
	else
		generation_end(r->generation, cause, detail);
	look(r);
}

static void on_phase_timeout(void *owner)
{
	struct run *r = owner;
	switch (r->phase) {
	case RUN_CONNECTS:
		end_connecting(r);
		break;
	case RUN_WAITS:
		time_out(r, CAUSE_FIRST_EVENT_TIMEOUT, r->route->first_event_ms,
			"The model server did not begin its answer within %g s.");
		break;
	case RUN_READS:
		time_out(r, CAUSE_IDLE_TIMEOUT, r->route->idle_ms, "The model server sent nothing of the answer for %g s.");
		break;
	case RUN_QUEUES:
		break;
	}
}

static void on_total_timeout(void *owner)
{
	struct run *r = owner;
	time_out(r, CAUSE_TOTAL_TIMEOUT, r->route->total_ms, "The answer was not whole after %g s.");
}

static void init_clocks(struct run *r, struct loop *l)
{
	alarm_init(&r->clock, l, on_phase_timeout, r);
	alarm_init(&r->total, l, on_total_timeout, r);
}

static void keep_spare(struct run *r, const struct fetch_request *q, span part)
{
	struct run_spare *s = r->spare = calloc(1, sizeof *s);
	if (!s)
		return;
	buf_put(&s->method, q->method);
	buf_put(&s->fields, q->fields);
	buf_put(&s->body, q->body);
	buf_put(&s->part, part);
	if (s->method.failed || s->fields.failed || s->body.failed || s->part.failed)
		drop_spare(r);
}

void run_start(struct run *r, struct pool *p, const struct fetch_request *request, span part, uint64_t retry_bytes)
{
	init_clocks(r, pool_loop(p));
	r->pool = p;
	if (r->route->upstreams > 1 && request->body.n <= retry_bytes)
		keep_spare(r, request, part);
	r->started_ns = clock_ns();
	r->fetch = fetch_start(p, request, &events, r);
	if (!r->fetch) {
		generation_end(r->generation, CAUSE_OVERLOADED, "There is no memory for a request now.");
		r->ended_ns = r->started_ns;
		return;
	}
	enter(r, RUN_CONNECTS, r->route->connect_ms);
	if (r->route->total_ms)
		alarm_set(&r->total, r->route->total_ms);
}

/* What is left of a clock that began then. */
static void set_since(struct alarm *a, uint64_t ms, uint64_t began_ns)
{
	uint64_t gone_ms = (clock_ns() - began_ns) / 1000000;
	if (ms)
		alarm_set(a, gone_ms < ms ? ms - gone_ms : 0);
}

void run_adopt(struct run *r, struct pool *p, const struct run_answer *answer)
{
	init_clocks(r, pool_loop(p));
	r->started_ns = answer->started_ns;
	r->connected_ns = answer->connected_ns;
	r->fetch = answer->fetch;
	fetch_set_owner(r->fetch, &events, r);
	r->phase = RUN_WAITS;
	set_since(&r->clock, r->route->first_event_ms, r->connected_ns);
	set_since(&r->total, r->route->total_ms, r->started_ns);
	on_head(r, answer->head);
	if (answer->so_far.n && !r->generation->ended)
		on_body(r, answer->so_far);
}

void run_end(struct run *r, enum cause cause, const char *detail)
{
	if (r->generation->ended)
		return;
	generation_end(r->generation, cause, detail);
	look(r);
}

int64_t run_idle_ms(const struct run *r)
{
	bool idles = r->phase == RUN_READS && r->clock.set;
	return idles ? (int64_t)(r->route->idle_ms + clock_ms() - r->clock.due_ms) : -1;
}

size_t run_kept_bytes(const struct run *r) { return r->spare ? r->spare->body.n : 0; }

void run_finish(struct run *r) { stop(r); }
