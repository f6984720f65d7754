/* One question of `lastword check`: a fetch whose answer goes into a generation, as a run's does, and into a look.
 *
 * Not upstream/run: that cancels the fetch as soon as the generation has ended, which is right for a gateway and blind
 * for a check. Here the answer is read on for a while, to see the sentence of an error, whether the body ends where
 * its last word says, and what an upstream does when its client has left.
 *
 *	1. on_change comes after everything that came, and never once `over` and its call are done.
 *	2. The verdict is the generation's alone; nothing that comes later changes it.
 *	3. One clock: for the connection, then for the answer, then for what follows its verdict. */
#include "gateway/probe_parts.h"

#include "base/clock.h"

#include <stdio.h>

enum { TAIL_MS = 2000 }; /* for what follows a verdict; a body that goes on longer has told enough */

static void end(struct question *q)
{
	if (q->over)
		return;
	q->over = true;
	q->over_ns = clock_ns();
	alarm_clear(&q->clock);
	if (q->fetch)
		fetch_cancel(q->fetch);
	q->fetch = NULL;
}

/* Once after everything that may have changed the generation. */
static void look(struct question *q)
{
	uint64_t now = clock_ns();
	if (journal_count(q->journal) && !q->began_ns)
		q->began_ns = q->fed_ns = now;
	if (q->generation.ended && !q->ended_ns) {
		q->ended_ns = now;
		if (!q->over)
			alarm_set(&q->clock, TAIL_MS);
	}
	q->on_change(q->owner);
}

static void set_clock(struct question *q, uint64_t ms)
{
	alarm_clear(&q->clock);
	if (ms)
		alarm_set(&q->clock, ms);
}

static void on_connected(void *owner)
{
	struct question *q = owner;
	q->connected_ns = clock_ns();
	set_clock(q, q->route->total_ms);
	q->on_change(q->owner);
}

static void on_head(void *owner, const struct http_head *head)
{
	struct question *q = owner;
	const struct dialect *d = q->asked.rules.dialect;
	q->answered_ns = clock_ns();
	probe_look_head(&q->look, head, d ? d->syntax : SSE_EVENT_STREAM);
	generation_head(&q->generation, head->status, headers_get(head, "content-type"), headers_get(head,
		"content-encoding"));
	look(q);
}

static void measure_gap(struct question *q)
{
	uint64_t now = clock_ns();
	if (!q->began_ns || q->generation.ended)
		return;
	if (now - q->fed_ns > q->gap_ns)
		q->gap_ns = now - q->fed_ns;
	q->fed_ns = now;
}

static void on_body(void *owner, span piece)
{
	struct question *q = owner;
	measure_gap(q);
	probe_look_body(&q->look, piece);
	generation_body(&q->generation, piece);
	look(q);
}

static void on_end(void *owner, enum fetch_end how, const char *detail)
{
	static const enum ending_body ends[] = {
		[FETCH_FRAMED] = BODY_FRAMED, [FETCH_CLOSED] = BODY_CLOSED, [FETCH_BROKEN] = BODY_BROKEN,
		[FETCH_MALFORMED] = BODY_MALFORMED,
	};
	struct question *q = owner;
	q->fetch = NULL;
	q->how = how;
	q->body_ended = how != FETCH_REFUSED && how != FETCH_TLS;
	if (q->body_ended)
		generation_body_end(&q->generation, ends[how], detail);
	else
		generation_no_connection(&q->generation, how == FETCH_TLS ? CAUSE_TLS : CAUSE_REFUSED, detail);
	end(q);
	look(q);
}

static const struct fetch_events events = {.on_connected = on_connected, .on_head = on_head, .on_body = on_body,
	.on_end = on_end};

static void give_up_connecting(struct question *q)
{
	char why[300], detail[400];
	enum cause cause = fetch_stalled(q->fetch, why, sizeof why);
	snprintf(detail, sizeof detail, "No connection to the model server within %g s: "
		"%s.", q->route->connect_ms / 1000.0, why);
	if (cause == CAUSE_TLS)
		generation_no_connection(&q->generation, cause, detail);
	else
		generation_end(&q->generation, cause, detail);
}

static void give_up_waiting(struct question *q)
{
	char detail[200];
	bool began = q->generation.began;
	snprintf(detail, sizeof detail, began ? "The answer was not whole after %g s." :
		"The model server did not begin its answer within %g s.", q->route->total_ms / 1000.0);
	generation_end(&q->generation, began ? CAUSE_TOTAL_TIMEOUT : CAUSE_FIRST_EVENT_TIMEOUT, detail);
}

static void on_time(void *owner)
{
	struct question *q = owner;
	if (!q->generation.ended && !q->connected_ns)
		give_up_connecting(q);
	else if (!q->generation.ended)
		give_up_waiting(q);
	end(q);
	look(q);
}

bool question_start(struct question *q, struct pool *p, const struct route *route, span prompt,
	void (*on_change)(void *owner), void *owner, struct refusal *wrong)
{
	*q = (struct question){.route = route, .loop = pool_loop(p), .on_change = on_change, .owner = owner};
	if (!ask_make(route, &(struct wanted){.prompt = prompt}, NULL, &q->asked, wrong))
		return false;
	q->journal = journal_create();
	CHECK(q->journal);
	q->asked.rules.json = true; /* exact: carriage returns are a fact too */
	generation_init(&q->generation, &q->asked.rules, q->journal);
	alarm_init(&q->clock, q->loop, on_time, q);
	q->started_ns = clock_ns();
	q->fetch = fetch_start(p, &q->asked.request, &events, q);
	CHECK(q->fetch);
	set_clock(q, route->connect_ms);
	return true;
}

void question_hang_up(struct question *q)
{
	if (q->fetch)
		fetch_hang_up(q->fetch);
}

void question_cancel(struct question *q) { end(q); }

void question_finish(struct question *q)
{
	if (q->journal) {
		end(q);
		generation_end(&q->generation, CAUSE_STOPPED, NULL);
		generation_finish(&q->generation);
		journal_drop(q->journal);
	}
	probe_look_finish(&q->look);
	asked_finish(&q->asked);
}
