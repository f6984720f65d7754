/* Those who read one stream on one worker are woken together, once a turn, however many they are.
 *
 * A stream's home has an audience of its own inside the stream. For viewers of another worker there is one on the heap,
 * which that worker brings along with its first viewer, and which three letters tie to the home. `wake` goes out when
 * the journal has grown; while one is on its way another is not needed, since a pull takes all that is there. `leave`
 * gathers those who have gone in the same way. `over` is the home's last word: nobody is admitted any more, the memory
 * is the worker's to free. Counting at the home and not where the viewers are is what makes `grace` and "found and
 * joined" one step: a viewer counts from the moment in which the home found the stream for it.
 *
 * Invariants
 * 1. A foreign audience is on its stream's list exactly while admitted > 0; its stream lives as long.
 * 2. admitted is the number of viewers in the list, of those on their way, and of those in `gone`.
 * 3. `woken` is cleared before the viewers look at the journal, so an event that they did not see sends another letter.
 * 4. `over` is posted after the last `wake`, and mail keeps its order, so nothing comes behind it.
 *
 * The worker's thread owns the viewers, the home's thread the fields that say so; what crosses is atomic or comes by
 * letter. */
#include "gateway/audience.h"

#include "base/clock.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <stdlib.h>

/* After the writes of this turn, whose tasks were queued before this one. */
static void measure(void *owner)
{
	struct audience *a = owner;
	metrics_observe(&a->worker->metrics.added_latency, (double)(clock_ns() - a->arrived_ns) / 1e9);
	a->arrived_ns = 0;
}

void audience_init(struct audience *a, struct worker *w, struct stream *s)
{
	*a = (struct audience){.worker = w, .face = face_hold(s->face), .home = s->worker, .stream = s};
	LIST_INIT(&a->viewers);
	task_init(&a->measure, measure, a);
}

void audience_finish(struct audience *a)
{
	CHECK(LIST_EMPTY(&a->viewers));
	task_cancel(&a->worker->loop, &a->measure);
	face_drop(a->face);
}

static void pull(struct audience *a, uint64_t arrived_ns)
{
	struct viewer *v, *next;
	for (v = LIST_FIRST(&a->viewers); v; v = next) {
		next = LIST_NEXT(v, link);
		viewer_pull(v);
	}
	if (!arrived_ns || a->arrived_ns)
		return;
	a->arrived_ns = arrived_ns;
	task_queue(&a->worker->loop, &a->measure);
}

static void read_wake(struct worker *w, struct letter *l)
{
	struct audience *a = (struct audience *)((char *)l - offsetof(struct audience, wake));
	uint64_t arrived_ns = a->woken_for_ns;
	atomic_store(&a->woken, false);
	pull(a, LIST_EMPTY(&a->viewers) ? 0 : arrived_ns);
}

void audience_wake(struct audience *a, uint64_t arrived_ns)
{
	if (a->worker == a->home) {
		pull(a, arrived_ns);
		return;
	}
	if (atomic_exchange(&a->woken, true))
		return;
	a->woken_for_ns = arrived_ns;
	worker_post(a->worker, &a->wake, read_wake);
}

static void free_audience(void *p)
{
	struct audience *a = p;
	audience_finish(a);
	free(a);
}

/* After the tasks of this turn: a wake may have come just before. */
static void read_over(struct worker *w, struct letter *l)
{
	struct audience *a = (struct audience *)((char *)l - offsetof(struct audience, over));
	loop_free_later(&w->loop, &a->garbage, a, free_audience);
}

static void read_leave(struct worker *home, struct letter *l)
{
	struct audience *a = (struct audience *)((char *)l - offsetof(struct audience, leave));
	struct stream *s = a->stream;
	unsigned gone = atomic_exchange(&a->gone, 0);
	CHECK(gone <= a->admitted);
	a->admitted -= gone;
	if (!a->admitted) {
		LIST_REMOVE(a, link);
		worker_post(a->worker, &a->over, read_over);
	}
	stream_left(s, gone);
}

void audience_left(struct audience *a)
{
	if (a->worker == a->home) {
		a->admitted--;
		stream_left(a->stream, 1);
	} else if (atomic_fetch_add(&a->gone, 1) == 0)
		worker_post(a->home, &a->leave, read_leave);
}

void audience_give_back(struct seat *seat)
{
	cursor_close(&seat->cursor);
	if (seat->audience)
		audience_left(seat->audience);
	seat->audience = NULL;
}
