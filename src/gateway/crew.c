/* Several workers as one gateway.
 *
 * Each worker is what a whole gateway with one thread would be: a loop, a listener, connections, streams, a pool, a
 * shelf. What makes them one is small. The kernel spreads connections over their listeners; an id says whose stream it
 * is; what one wants of another it says by a letter, which the other reads in its own turn. A lock around a shared
 * shelf would be fewer lines and would be taken for each event.
 *
 * What is asked of all of them alike (drain, end, stop, take a configuration) is an order: a bit in a worker's `orders`
 * and one letter for however many bits there are, so that nothing is allocated when a signal comes.
 *
 * Invariants
 * 1. A worker's order letter is on its way exactly while its `orders` are not 0.
 * 2. `next` is set from crew_take_config until every worker has taken it.
 * 3. Letters are posted only between crew_open and the last mailbox_deliver of crew_close, so none is lost: what was on
 *    its way when the loops stopped is delivered by the closing thread, once no other is left.
 *
 * Who owns what: letters belong to what they are embedded in; that lives until they were read. */
#include "gateway/crew.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { IDLE_ROUNDS = 2 }; /* what a worker said before a pause of the process is not true behind it */
enum { ORDER_DRAIN = 1, ORDER_END = 2, ORDER_STOP = 4, ORDER_TAKE_CONFIG = 8 };

static void on_all_taken(struct worker *w, struct letter *l)
{
	struct crew *crew = w->crew;
	void (*on_taken)(struct crew *crew) = crew->on_taken;
	config_drop(crew->next);
	crew->next = NULL;
	on_taken(crew);
}

static void take_config(struct worker *w)
{
	struct crew *crew = w->crew;
	worker_use(w, crew->next);
	if (atomic_fetch_sub(&crew->awaited, 1) == 1)
		worker_post(crew->worker[0], &crew->taken, on_all_taken);
}

static void carry_out(struct worker *w, struct letter *l)
{
	unsigned orders = atomic_exchange(&w->orders, 0);
	if (orders & ORDER_TAKE_CONFIG)
		take_config(w);
	if (orders & ORDER_DRAIN)
		worker_drain(w);
	if (orders & ORDER_END)
		worker_end(w);
	if (orders & ORDER_STOP)
		loop_stop(&w->loop);
}

static void give_order(struct worker *w, unsigned order)
{
	if (atomic_fetch_or(&w->orders, order) == 0)
		worker_post(w, &w->order, carry_out);
}

static void order_all(struct crew *crew, unsigned order)
{
	for (unsigned i = 0; i < crew->workers; i++)
		give_order(crew->worker[i], order);
}

static bool start_model(struct crew *crew, const struct config *c, char *why, size_t why_bytes)
{
	if (!config_wants_model(c))
		return true;
	struct model_options o = {
		.file = c->model.file, .context = c->model.context, .slots = c->model.slots, .queue = c->model.queue,
		.threads = c->model.threads,
	};
	crew->model = model_start(&crew->worker[0]->loop, &o, why, why_bytes);
	for (unsigned i = 0; i < crew->workers; i++)
		pool_set_model(crew->worker[i]->pool, crew->model);
	return crew->model;
}

unsigned crew_size(const struct config *c)
{
	unsigned wanted = c->workers ? c->workers : uv_available_parallelism();
	return wanted < CREW_MOST ? wanted : CREW_MOST;
}

bool crew_open(struct crew *crew, struct config *c, char *why, size_t why_bytes)
{
	*crew = (struct crew){.started_ms = clock_ms()};
	CHECK(getrandom(&crew->generation, sizeof crew->generation, 0) == sizeof crew->generation);
	crew->generation &= 15;
	if (!labels_adopt(&crew->labels, c) || !accounts_adopt(&crew->accounts, c)) {
		snprintf(why, why_bytes, "there is no memory for the routes and keys");
		return false;
	}
	for (unsigned i = 0; i < crew_size(c); i++) {
		crew->worker[i] = malloc(sizeof *crew->worker[i]);
		CHECK(crew->worker[i]);
		if (!worker_open(crew->worker[i], crew, i, c, why, why_bytes))
			return false;
		crew->workers++;
	}
	return start_model(crew, c, why, why_bytes);
}

static void *work(void *owner)
{
	struct worker *w = owner;
	loop_run(&w->loop);
	return NULL;
}

/* Signals are the first thread's. */
bool crew_start(struct crew *crew, char *why, size_t why_bytes)
{
	sigset_t all, before;
	int error = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 1; i < crew->workers && !error; i++)
		error = pthread_create(&crew->worker[i]->thread, NULL, work, crew->worker[i]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		snprintf(why, why_bytes, "cannot start %u threads: %s", crew->workers, uv_strerror(-error));
	return !error;
}

void crew_run(struct crew *crew)
{
	loop_run(&crew->worker[0]->loop);
	for (unsigned i = 1; i < crew->workers; i++)
		give_order(crew->worker[i], ORDER_STOP);
	for (unsigned i = 1; i < crew->workers; i++)
		CHECK(pthread_join(crew->worker[i]->thread, NULL) == 0);
}

static bool deliver_all(struct crew *crew)
{
	bool any = false;
	for (unsigned i = 0; i < crew->workers; i++)
		any |= mailbox_deliver(&crew->worker[i]->mailbox);
	return any;
}

void crew_close(struct crew *crew)
{
	for (unsigned i = 0; i < crew->workers; i++)
		worker_close(crew->worker[i]);
	while (deliver_all(crew))
		;
	for (unsigned i = 0; i < crew->workers; i++) {
		worker_finish(crew->worker[i]);
		free(crew->worker[i]);
	}
	labels_finish(&crew->labels);
	accounts_finish(&crew->accounts);
}

static void say_unchanged(const char *key, bool same)
{
	if (!same)
		log_say(LOG_WARN, "reload", "%s is as it was: a change of it needs a restart", key);
}

static bool same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static void say_what_stays(const struct config *old, const struct config *c)
{
	say_unchanged("listen", same(old->listen, c->listen));
	say_unchanged("admin", same(old->admin, c->admin));
	say_unchanged("tls", !old->tls.identity == !c->tls.identity);
	say_unchanged("workers", crew_size(old) == crew_size(c));
	say_unchanged("limits.connections", old->limits.connections == c->limits.connections);
	say_unchanged("model", same(old->model.file, c->model.file) && old->model.context == c->model.context
		&& old->model.slots == c->model.slots && old->model.queue == c->model.queue
		&& old->model.threads == c->model.threads);
}

bool crew_take_config(struct crew *crew, struct config *c, void (*on_taken)(struct crew *crew), char *why,
	size_t why_bytes)
{
	CHECK(!crew->next);
	if (config_wants_model(c) && !crew->model) {
		snprintf(why, why_bytes,
			"a route wants the embedded model, which was not started: that needs a restart");
		config_drop(c);
		return false;
	}
	if (!labels_adopt(&crew->labels, c) || !accounts_adopt(&crew->accounts, c)) {
		snprintf(why, why_bytes, "there is no memory for its routes and keys");
		config_drop(c);
		return false;
	}
	say_what_stays(crew->worker[0]->config, c);
	crew->next = c;
	crew->on_taken = on_taken;
	atomic_store(&crew->awaited, crew->workers);
	order_all(crew, ORDER_TAKE_CONFIG);
	return true;
}

void crew_drain(struct crew *crew, void (*on_drained)(struct crew *crew))
{
	crew->on_drained = on_drained;
	order_all(crew, atomic_exchange(&crew->draining, true) ? ORDER_END : ORDER_DRAIN);
}

void crew_look_drained(struct crew *crew)
{
	for (unsigned i = 0; i < crew->workers; i++)
		if (!atomic_load(&crew->worker[i]->idle))
			return;
	for (unsigned i = 0; i < crew->workers; i++)
		atomic_store(&crew->worker[i]->idle, false); /* until it says so again */
	if (++crew->idle_rounds < IDLE_ROUNDS)
		return;
	alarm_clear(&crew->worker[0]->settle);
	crew->on_drained(crew);
}

struct worker *crew_home(const struct crew *crew, span id)
{
	struct id copy = {0};
	if (!id_is_valid(id))
		return NULL;
	memcpy(copy.text, id.p, ID_LENGTH);
	unsigned home = id_home(&copy);
	return home < crew->workers ? crew->worker[home] : NULL;
}
