/* Before a stream is given up because nobody reads it, every worker looks at its door.
 *
 * The loop judges a clock only after a poll, so that what waits is read first. Coming back takes more than one: a
 * connection is accepted (some of many a turn), its request is read a turn later, perhaps by another worker, which then
 * sends for the stream. In a storm of returns, or after a pause of the process, that is longer than `grace`, and it is
 * not the viewer who was late. So when an absence's time is over its worker knocks at all workers. A knock waits there
 * until the queue of connections was seen empty, and until after another poll, which has read what those had sent; then
 * it goes home, behind the errands that came of it. A longer grace would not do: it costs tokens each time, and no
 * length is right on a machine that is busy enough.
 *
 * A connection alone proves nothing and buys no time: what counts is a whole request that lies in the kernel.
 *
 * Invariants
 * 1. One round of knocks of a worker is under way at most (`awaited` > 0), for all absences that are `is_asked`; they
 *    are the first in `over`. What is over meanwhile waits for the next round.
 * 2. Mail keeps its order, so an errand that was sent before the knock came back has been read before it.
 * 3. Between a look that saw the queue empty and the knock's way home lies a poll that began after that look.
 *
 * A knock is its home's, and from worker_post on whoever's mail it is. */
#include "gateway/absence.h"

#include "gateway/crew.h"

#include <stdlib.h>

enum {
	LOOK_MS = 1,
	LOOKS_MOST = 1000, /* where nobody can be let in (limits.connections, no descriptors), or more come all the time;
	                    * whoever stood there at first has been let in long before */
};

struct knock {
	struct letter letter;
	LIST_ENTRY(knock) link;
	struct worker *home;
	unsigned looks;
	bool is_let_in; /* whoever stood in the queue when the knock came */
};

struct doors {
	struct worker *worker;
	TAILQ_HEAD(, absence) over;
	struct task ask;          /* for all whose time is over in one turn */
	unsigned awaited;         /* knocks that are away */
	LIST_HEAD(, knock) guests; /* knocks that are here */
	struct alarm look;
	bool closed;
	struct knock knock[];     /* one for each worker */
};

static void arrive(struct worker *w, struct letter *l);

static void ask(void *owner)
{
	struct doors *d = owner;
	struct absence *a;
	if (d->awaited || TAILQ_EMPTY(&d->over))
		return;
	TAILQ_FOREACH(a, &d->over, link)
		a->is_asked = true;
	d->awaited = d->worker->crew->workers;
	for (unsigned i = 0; i < d->awaited; i++) {
		d->knock[i].home = d->worker;
		worker_post(d->worker->crew->worker[i], &d->knock[i].letter, arrive);
	}
}

static void take_out(struct absence *a)
{
	TAILQ_REMOVE(&a->worker->doors->over, a, link);
	a->is_over = a->is_asked = false;
}

static void come_home(struct worker *home, struct letter *l)
{
	struct doors *d = home->doors;
	struct absence *a;
	if (d->closed || --d->awaited)
		return;
	while ((a = TAILQ_FIRST(&d->over)) && a->is_asked) {
		take_out(a);
		a->on_over(a->owner);
	}
	task_queue(&home->loop, &d->ask);
}

/* True when the knock may go home. */
static bool look_at_door(struct worker *w, struct knock *k)
{
	if (++k->looks > LOOKS_MOST)
		return true;
	bool all_read = k->is_let_in && !w->retries_away;
	k->is_let_in |= !server_has_queue(w->front);
	return all_read;
}

static void on_look(void *owner)
{
	struct doors *d = owner;
	struct knock *k, *next;
	for (k = LIST_FIRST(&d->guests); k; k = next) {
		next = LIST_NEXT(k, link);
		if (!look_at_door(d->worker, k))
			continue;
		LIST_REMOVE(k, link);
		worker_post(k->home, &k->letter, come_home);
	}
	if (!LIST_EMPTY(&d->guests))
		alarm_set(&d->look, LOOK_MS);
}

static void arrive(struct worker *w, struct letter *l)
{
	struct knock *k = (struct knock *)l;
	struct doors *d = w->doors;
	k->looks = 0;
	k->is_let_in = false;
	if (d->closed)
		return;
	LIST_INSERT_HEAD(&d->guests, k, link);
	if (!d->look.set)
		alarm_set(&d->look, LOOK_MS);
}

static void on_time_over(void *owner)
{
	struct absence *a = owner;
	struct doors *d = a->worker->doors;
	if (d->closed) {
		a->on_over(a->owner);
		return;
	}
	a->is_over = true;
	TAILQ_INSERT_TAIL(&d->over, a, link);
	task_queue(&a->worker->loop, &d->ask);
}

void absence_init(struct absence *a, struct worker *w, void (*on_over)(void *owner), void *owner)
{
	*a = (struct absence){.worker = w, .on_over = on_over, .owner = owner};
	alarm_init(&a->clock, &w->loop, on_time_over, a);
}

void absence_begin(struct absence *a, uint64_t ms)
{
	absence_end(a);
	alarm_set(&a->clock, ms);
}

void absence_end(struct absence *a)
{
	alarm_clear(&a->clock);
	if (a->is_over)
		take_out(a);
}

struct doors *doors_create(struct worker *w, unsigned workers)
{
	struct doors *d = calloc(1, sizeof *d + workers * sizeof *d->knock);
	CHECK(d);
	d->worker = w;
	TAILQ_INIT(&d->over);
	LIST_INIT(&d->guests);
	task_init(&d->ask, ask, d);
	alarm_init(&d->look, &w->loop, on_look, d);
	return d;
}

void doors_close(struct doors *d)
{
	d->closed = true;
	alarm_clear(&d->look);
	task_cancel(&d->worker->loop, &d->ask);
}

void doors_destroy(struct doors *d) { free(d); }
