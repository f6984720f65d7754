/* From an HTTP request to an ended generation.
 *
 * The clocks are alarms that only say that a time has come; the generation judges them like any other evidence. `idle`
 * is fed by what the dialect calls an event, never by bytes: a server that sends comments for an hour has said
 * nothing. `first_event` waits for an event with meaning; behind the embedded model's queue it starts when the queue
 * is left.
 *
 * Invariants
 * 1. After the generation has ended there is no fetch and no clock.
 * 2. on_change is called once after each batch of input that changed something, and once at the end. */
#include "upstream/run.h"

#include "base/clock.h"

#include <stdio.h>

static void stop(struct run *r)
{
	alarm_clear(&r->connect);
	alarm_clear(&r->first_event);
	alarm_clear(&r->idle);
	alarm_clear(&r->total);
	struct fetch *fetch = r->fetch;
	r->fetch = NULL;
	/* Lines 1–4 of the table: the upstream itself said its last word. */
	if (fetch && r->generation->ended && r->generation->verdict.line <= 4)
		fetch_let_finish(fetch);
	else if (fetch)
		fetch_cancel(fetch);
}

static void set(struct alarm *a, uint64_t ms)
{
	if (ms)
		alarm_set(a, ms);
}

static void wind_clocks(struct run *r)
{
	struct generation *g = r->generation;
	if (g->began && !r->began_ns) {
		r->began_ns = clock_ns();
		alarm_clear(&r->first_event);
		set(&r->idle, r->route->idle_ms);
	} else if (g->began && r->fed != g->fed)
		set(&r->idle, r->route->idle_ms);
	r->fed = g->fed;
	if (!g->began && (g->queue > 0) != r->in_queue) {
		r->in_queue = g->queue > 0;
		alarm_clear(&r->first_event);
		if (!r->in_queue)
			set(&r->first_event, r->route->first_event_ms);
	}
}

/* Once after everything that may have changed the generation. */
static void look(struct run *r)
{
	if (r->generation->ended) {
		if (!r->ended_ns)
			r->ended_ns = clock_ns();
		stop(r);
	} else
		wind_clocks(r);
	r->on_change(r->owner);
}

static void on_connected(void *owner)
{
	struct run *r = owner;
	r->connected_ns = clock_ns();
	alarm_clear(&r->connect);
	set(&r->first_event, r->route->first_event_ms);
}

static void on_head(void *owner, const struct http_head *head)
{
	struct run *r = owner;
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
	if (how == FETCH_REFUSED || how == FETCH_TLS)
		generation_no_connection(r->generation, how == FETCH_TLS ? CAUSE_TLS : CAUSE_REFUSED, detail);
	else
		generation_body_end(r->generation, ends[how], detail);
	CHECK(r->generation->ended);
	look(r);
}

static const struct fetch_events events = {.on_connected = on_connected, .on_head = on_head, .on_body = on_body,
	.on_end = on_end};

static void time_out(struct run *r, enum cause cause, uint64_t ms, const char *sentence)
{
	char detail[256];
	snprintf(detail, sizeof detail, sentence, ms / 1000.0);
	generation_end(r->generation, cause, detail);
	look(r);
}

static void on_connect_timeout(void *owner)
{
	struct run *r = owner;
	char why[300], detail[400];
	enum cause cause = fetch_stalled(r->fetch, why, sizeof why);
	snprintf(detail, sizeof detail, "No connection to the model server within %g s: %s.",
		r->route->connect_ms / 1000.0, why);
	if (cause == CAUSE_TLS)
		generation_no_connection(r->generation, cause, detail);
	else
		generation_end(r->generation, cause, detail);
	look(r);
}

static void on_first_event_timeout(void *owner)
{
	struct run *r = owner;
	time_out(r, CAUSE_FIRST_EVENT_TIMEOUT, r->route->first_event_ms,
		"The model server did not begin its answer within %g s.");
}

static void on_idle_timeout(void *owner)
{
	struct run *r = owner;
	time_out(r, CAUSE_IDLE_TIMEOUT, r->route->idle_ms, "The model server sent nothing of the answer for %g s.");
}

static void on_total_timeout(void *owner)
{
	struct run *r = owner;
	time_out(r, CAUSE_TOTAL_TIMEOUT, r->route->total_ms, "The answer was not whole after %g s.");
}

static void init_clocks(struct run *r, struct loop *l)
{
	alarm_init(&r->connect, l, on_connect_timeout, r);
	alarm_init(&r->first_event, l, on_first_event_timeout, r);
	alarm_init(&r->idle, l, on_idle_timeout, r);
	alarm_init(&r->total, l, on_total_timeout, r);
}

void run_start(struct run *r, struct pool *p, const struct fetch_request *request)
{
	init_clocks(r, pool_loop(p));
	r->started_ns = clock_ns();
	r->fetch = fetch_start(p, request, &events, r);
	if (!r->fetch) {
		generation_end(r->generation, CAUSE_OVERLOADED, "There is no memory for a request now.");
		r->ended_ns = r->started_ns;
		return;
	}
	set(&r->connect, r->route->connect_ms);
	set(&r->total, r->route->total_ms);
}

/* What is left of a clock that began then. */
static void set_since(struct alarm *a, uint64_t ms, uint64_t began_ns)
{
	uint64_t gone_ms = (clock_ns() - began_ns) / 1000000;
	if (ms)
		alarm_set(a, gone_ms < ms ? ms - gone_ms : 0);
}

void run_adopt(struct run *r, struct pool *p, struct fetch *f, const struct http_head *head, uint64_t started_ns,
	uint64_t connected_ns)
{
	init_clocks(r, pool_loop(p));
	r->started_ns = started_ns;
	r->connected_ns = connected_ns;
	r->fetch = f;
	fetch_set_owner(f, &events, r);
	set_since(&r->first_event, r->route->first_event_ms, connected_ns);
	set_since(&r->total, r->route->total_ms, started_ns);
	on_head(r, head);
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
	return r->idle.set ? (int64_t)(r->route->idle_ms + clock_ms() - r->idle.due_ms) : -1;
}

void run_finish(struct run *r) { stop(r); }
