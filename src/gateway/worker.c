/* A worker's life: open, serve, drain, close.
 *
 * Draining takes no new work but goes on serving what lives: running streams run to their end, viewers may come back to
 * them, state is told and Stop works. A worker on which nothing lives any more says that it is idle and still serves:
 * somebody may come back to it for a stream of another, so who was accepted since the last look or waits at the door
 * keeps it busy. It is looked at every few milliseconds, which only a process that is about to end pays for; whoever would tell instead stands in a dozen places. When `drain` is over, the rest is
 * told failed/shutdown, and a little time is left for last words to reach their readers. */
#include "gateway/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/absence.h"
#include "gateway/budget.h"
#include "gateway/crew.h"
#include "gateway/endpoints.h"
#include "gateway/stream.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	REQUEST_LINE_BYTES = 64 * 1024 + 512,
	DESCRIPTORS_SPARE = 1024,        /* besides a client's and its upstream's: listeners, loops, kept connections, … */
	CONNECTIONS_UNLIMITED = 1 << 16, /* so many are expected where limits.connections is off */
	LAST_WORDS_MS = 1000, /* for last words to reach their readers */
	SETTLE_MS = 5,        /* how often a draining worker is looked at */
	DOOR_LOOKS = 40,      /* … and waits for those at its door: more may come all the time */
	SWEEP_SOONEST_MS = 50,
};

static void on_sweep(void *owner)
{
	struct worker *w = owner;
	uint64_t now = clock_ms(), next = shelf_expire(&w->shelf, now);
	if (next != SHELF_NEVER)
		alarm_set(&w->sweep, next > now + SWEEP_SOONEST_MS ? next - now : SWEEP_SOONEST_MS);
}

/* What was said last may still be on its way to the kernel. */
static bool has_ended_all(const struct worker *w)
{
	return LIST_EMPTY(&w->live) && LIST_EMPTY(&w->pipes) && !w->metrics.viewers && server_is_quiet(w->front);
}

/* Nobody is at the door: what those had sent whom the last look counted was read since. */
static bool nobody_comes(struct worker *w)
{
	uint64_t before = w->accepted;
	w->accepted = server_accepted(w->front);
	return w->accepted == before && !server_has_queue(w->front);
}

static void on_settle(void *owner)
{
	struct worker *w = owner;
	bool nobody = nobody_comes(w), ended = has_ended_all(w);
	w->door_looks += ended && !nobody;
	atomic_store(&w->idle, w->out_of_time || (ended && (nobody || w->door_looks > DOOR_LOOKS)));
	alarm_set(&w->settle, SETTLE_MS);
	if (w->index == 0)
		crew_look_drained(w->crew);
}

static void on_last_words_over(void *owner)
{
	struct worker *w = owner;
	w->out_of_time = true;
}

void worker_end(struct worker *w)
{
	struct stream *s, *next;
	w->deadline.on_due = on_last_words_over;
	alarm_set(&w->deadline, LAST_WORDS_MS);
	for (s = LIST_FIRST(&w->live); s; s = next) {
		next = LIST_NEXT(s, link);
		stream_end(s, CAUSE_SHUTDOWN, NULL);
	}
	passthrough_break_all(w);
}

static void on_deadline(void *owner) { worker_end(owner); }

void worker_drain(struct worker *w)
{
	server_drain(w->front);
	alarm_init(&w->settle, &w->loop, on_settle, w);
	alarm_init(&w->deadline, &w->loop, on_deadline, w);
	alarm_set(&w->settle, 0);
	alarm_set(&w->deadline, w->config->drain_ms);
}

bool worker_is_draining(const struct worker *w)
{
	return atomic_load_explicit(&w->crew->draining, memory_order_relaxed);
}

bool worker_is_full(const struct worker *w)
{
	return worker_is_draining(w) || budget_is_tight(w)
		|| quota_is_full(&w->crew->streams, w->config->limits.streams);
}

bool worker_refuses(struct worker *w)
{
	budget_make_room(w);
	return worker_is_full(w);
}

static void warm_upstreams(struct worker *w)
{
	for (size_t i = 0; i < w->config->routes; i++)
		for (size_t k = 0; k < w->config->route[i].upstreams; k++) {
			const struct upstream *u = &w->config->route[i].upstream[k];
			if (u->url.scheme == URL_HTTPS)
				tls_warm();
			if (!u->is_model && u->url.scheme != URL_UNIX && strspn(u->url.host.p,
				"0123456789.:abcdefABCDEF") < u->url.host.n)
				resolver_warm(w->names, u->url.host);
		}
}

static bool has_room(void *owner, size_t body_bytes) { return budget_has_room_for_body(owner, body_bytes); }

static bool open_front(struct worker *w, char *why, size_t why_bytes)
{
	const struct config *c = w->config;
	struct server_limits limits = {.request_line = REQUEST_LINE_BYTES, .connections = c->limits.connections,
		.quota = &w->crew->connections, .bodies = &w->crew->budget.bodies};
	struct site site = {site_on_request, w, "public", has_room};
	char reason[200] = "";
	w->front = w->index == 0 ? server_open(&w->loop, c->listen, limits, site, reason, sizeof reason)
		: server_open_beside(&w->loop, w->crew->worker[0]->front, limits, site, reason, sizeof reason);
	if (!w->front)
		snprintf(why, why_bytes, "cannot listen on %s: %s", c->listen, reason);
	else if (c->tls.identity)
		server_use_tls(w->front, c->tls.identity);
	return w->front;
}

static bool open_admin(struct worker *w, char *why, size_t why_bytes)
{
	const struct config *c = w->config;
	char reason[200] = "";
	if (!c->admin || w->index)
		return true;
	w->admin = server_open(&w->loop, c->admin, (struct server_limits){0},
		(struct site){.on_request = admin_on_request, .owner = w, .name = "admin"}, reason, sizeof reason);
	if (!w->admin)
		snprintf(why, why_bytes, "cannot listen on %s for the admin endpoints: %s", c->admin, reason);
	return w->admin;
}

static void on_mail(void *owner, struct mail *mail)
{
	struct letter *l = (struct letter *)mail;
	l->read(owner, l);
}

void worker_post(struct worker *w, struct letter *l, void (*read)(struct worker *w, struct letter *l))
{
	l->read = read;
	mailbox_post(&w->mailbox, &l->mail);
}

static void make_room(void *owner) { budget_make_room(owner); }

bool worker_open(struct worker *w, struct crew *crew, unsigned index, struct config *c, char *why, size_t why_bytes)
{
	*w = (struct worker){.crew = crew, .index = index, .config = config_hold(c)};
	loop_init(&w->loop);
	task_init(&w->make_room, make_room, w);
	w->loop.output = &crew->budget.output;
	w->loop.output_grew = &w->make_room;
	loop_expect_descriptors(&w->loop, DESCRIPTORS_SPARE
		+ 2 * (c->limits.connections ? c->limits.connections : CONNECTIONS_UNLIMITED));
	mailbox_open(&w->mailbox, &w->loop, on_mail, w);
	w->names = resolver_create(&w->loop);
	w->pool = pool_create(&w->loop, w->names);
	w->doors = doors_create(w, crew_size(c));
	LIST_INIT(&w->live);
	LIST_INIT(&w->pipes);
	shelf_init(&w->shelf, c->keep_ms, stream_drop);
	alarm_init(&w->sweep, &w->loop, on_sweep, w);
	warm_upstreams(w);
	return open_front(w, why, why_bytes) && open_admin(w, why, why_bytes);
}

void worker_use(struct worker *w, struct config *c)
{
	config_drop(w->config);
	w->config = config_hold(c);
	w->shelf.keep_ms = c->keep_ms;
	if (c->tls.identity && server_is_secure(w->front))
		server_use_tls(w->front, c->tls.identity);
	alarm_set(&w->sweep, SWEEP_SOONEST_MS);
	warm_upstreams(w);
}

void worker_close(struct worker *w)
{
	w->loop.output_grew = NULL;
	task_cancel(&w->loop, &w->make_room);
	doors_close(w->doors);
	server_close(w->front);
	if (w->admin)
		server_close(w->admin);
	alarm_clear(&w->sweep);
	alarm_clear(&w->deadline);
	alarm_clear(&w->settle);
}

void worker_finish(struct worker *w)
{
	shelf_finish(&w->shelf);
	pool_destroy(w->pool);
	resolver_destroy(w->names);
	mailbox_close(&w->mailbox);
	loop_finish(&w->loop);
	doors_destroy(w->doors);
	metrics_finish(&w->metrics);
	config_drop(w->config);
	buf_finish(&w->scratch);
}
