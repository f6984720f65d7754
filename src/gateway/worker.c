/* A worker's life: open, serve, drain, close.
 *
 * Draining takes no new work but goes on serving what lives: running streams run to their end, viewers may come back
 * to them, state is told and Stop works. When the last stream has ended and nobody reads any more, or `drain` is over
 * and the rest was told failed/shutdown, the worker says so; a little time is then left for last words to reach their
 * readers. */
#include "gateway/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/budget.h"
#include "gateway/endpoints.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	REQUEST_LINE_BYTES = 64 * 1024 + 512,
	LAST_WORDS_MS = 1000, /* for last words to reach their readers */
	SETTLE_MS = 5,        /* how often that is looked at */
	SWEEP_SOONEST_MS = 50,
};

static void on_sweep(void *owner)
{
	struct worker *w = owner;
	uint64_t now = clock_ms(), next = shelf_expire(&w->shelf, now);
	if (next != SHELF_NEVER)
		alarm_set(&w->sweep, next > now + SWEEP_SOONEST_MS ? next - now : SWEEP_SOONEST_MS);
}

static void say_drained(struct worker *w)
{
	void (*on_drained)(struct worker *w) = w->on_drained;
	alarm_clear(&w->deadline);
	alarm_clear(&w->settle);
	w->on_drained = NULL;
	if (on_drained)
		on_drained(w);
}

/* Nothing is left to do; what was said last may still be on its way to the kernel. */
static void on_settle(void *owner)
{
	struct worker *w = owner;
	if (server_is_quiet(w->front))
		say_drained(w);
	else
		alarm_set(&w->settle, SETTLE_MS);
}

void worker_look_drained(struct worker *w)
{
	if (w->draining && LIST_EMPTY(&w->live) && LIST_EMPTY(&w->pipes) && !w->metrics.viewers && !w->settle.set)
		alarm_set(&w->settle, 0);
}

static void on_last_words_over(void *owner) { say_drained(owner); }

static void end_all(void *owner)
{
	struct worker *w = owner;
	struct stream *s, *next;
	w->deadline.on_due = on_last_words_over;
	alarm_set(&w->deadline, LAST_WORDS_MS);
	for (s = LIST_FIRST(&w->live); s; s = next) {
		next = LIST_NEXT(s, link);
		stream_end(s, CAUSE_SHUTDOWN, NULL);
	}
	passthrough_break_all(w);
}

void worker_drain(struct worker *w, void (*on_drained)(struct worker *w))
{
	if (w->draining) {
		end_all(w);
		return;
	}
	w->draining = true;
	w->on_drained = on_drained;
	server_drain(w->front);
	alarm_init(&w->settle, &w->loop, on_settle, w);
	alarm_init(&w->deadline, &w->loop, end_all, w);
	alarm_set(&w->deadline, w->config->drain_ms);
	worker_look_drained(w);
}

bool worker_is_full(const struct worker *w)
{
	return w->draining || budget_is_tight(w) || (w->config->limits.streams
		&& w->shelf.live >= w->config->limits.streams);
}

uint64_t worker_journal_bytes(const struct worker *w) { return w->shelf.kept_bytes + w->live_bytes; }

static bool start_model(struct worker *w, const struct config *c, char *why, size_t why_bytes)
{
	if (!config_wants_model(c))
		return true;
	struct model_options o = {
		.file = c->model.file, .context = c->model.context, .slots = c->model.slots, .queue = c->model.queue,
			.threads = c->model.threads,
	};
	w->model = model_start(&w->loop, &o, why, why_bytes);
	pool_set_model(w->pool, w->model);
	return w->model;
}

static void warm_names(struct worker *w)
{
	for (size_t i = 0; i < w->config->routes; i++)
		for (size_t k = 0; k < w->config->route[i].upstreams; k++) {
			const struct upstream *u = &w->config->route[i].upstream[k];
			if (!u->is_model && u->url.scheme != URL_UNIX && strspn(u->url.host.p,
				"0123456789.:abcdefABCDEF") < u->url.host.n)
				resolver_warm(w->names, u->url.host);
		}
}

static bool open_servers(struct worker *w, char *why, size_t why_bytes)
{
	const struct config *c = w->config;
	char reason[200] = "";
	w->front = server_open(&w->loop, c->listen, (struct server_limits){.request_line = REQUEST_LINE_BYTES,
		.connections = c->limits.connections},
	                       (struct site){site_on_request, w, "public"}, reason, sizeof reason);
	if (!w->front) {
		snprintf(why, why_bytes, "cannot listen on %s: %s", c->listen, reason);
		return false;
	}
	if (!c->admin)
		return true;
	w->admin = server_open(&w->loop, c->admin, (struct server_limits){0}, (struct site){admin_on_request, w, "admin"},
		reason, sizeof reason);
	if (!w->admin)
		snprintf(why, why_bytes, "cannot listen on %s for the admin endpoints: %s", c->admin, reason);
	return w->admin;
}

bool worker_open(struct worker *w, struct config *c, char *why, size_t why_bytes)
{
	*w = (struct worker){.config = config_hold(c), .started_ms = clock_ms()};
	CHECK(getrandom(&w->generation, sizeof w->generation, 0) == sizeof w->generation);
	w->generation &= 15;
	loop_init(&w->loop);
	w->names = resolver_create(&w->loop);
	w->pool = pool_create(&w->loop, w->names);
	LIST_INIT(&w->live);
	LIST_INIT(&w->pipes);
	shelf_init(&w->shelf, c->keep_ms, stream_drop);
	metrics_init(&w->metrics);
	metrics_adopt(&w->metrics, c);
	alarm_init(&w->sweep, &w->loop, on_sweep, w);
	warm_names(w);
	return open_servers(w, why, why_bytes) && start_model(w, c, why, why_bytes);
}

static void say_unchanged(const char *key, bool same)
{
	if (!same)
		log_say(LOG_WARN, "reload", "%s is as it was: a change of it needs a restart", key);
}

static bool same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

bool worker_take_config(struct worker *w, struct config *c, char *why, size_t why_bytes)
{
	const struct config *old = w->config;
	if (config_wants_model(c) && !w->model) {
		snprintf(why, why_bytes, "a route wants the embedded model, which was not started: that needs a restart");
		config_drop(c);
		return false;
	}
	say_unchanged("listen", same(old->listen, c->listen));
	say_unchanged("admin", same(old->admin, c->admin));
	say_unchanged("limits.connections", old->limits.connections == c->limits.connections);
	say_unchanged("model", same(old->model.file, c->model.file) && old->model.context == c->model.context
		&& old->model.slots == c->model.slots &&
	                           old->model.queue == c->model.queue && old->model.threads == c->model.threads);
	metrics_adopt(&w->metrics, c);
	config_drop(w->config);
	w->config = c;
	w->shelf.keep_ms = c->keep_ms;
	alarm_set(&w->sweep, SWEEP_SOONEST_MS);
	warm_names(w);
	return true;
}

void worker_close(struct worker *w)
{
	if (w->front)
		server_close(w->front);
	if (w->admin)
		server_close(w->admin);
	alarm_clear(&w->sweep);
	alarm_clear(&w->deadline);
	alarm_clear(&w->settle);
	shelf_finish(&w->shelf);
	pool_destroy(w->pool);
	resolver_destroy(w->names);
	loop_finish(&w->loop);
	metrics_finish(&w->metrics);
	config_drop(w->config);
	buf_finish(&w->scratch);
}
