/* Those who read one stream on one worker are woken together: one wake a turn, however many they are. */
#include "gateway/audience.h"

#include "base/clock.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

/* After the writes of this turn, whose tasks were queued before this one. */
static void measure(void *owner)
{
	struct audience *a = owner;
	metrics_observe(&a->worker->metrics.added_latency, (double)(clock_ns() - a->arrived_ns) / 1e9);
	a->arrived_ns = 0;
}

void audience_init(struct audience *a, struct worker *w, struct stream *s, struct face *face)
{
	*a = (struct audience){.stream = s, .worker = w, .face = face};
	LIST_INIT(&a->viewers);
	task_init(&a->measure, measure, a);
}

void audience_finish(struct audience *a)
{
	CHECK(LIST_EMPTY(&a->viewers));
	task_cancel(&a->worker->loop, &a->measure);
}

void audience_pull(struct audience *a, uint64_t arrived_ns)
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

void audience_left(struct audience *a) { stream_left(a->stream, 1); }
