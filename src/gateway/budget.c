/* One budget for all streams of a worker, kept by a running sum: live journals and those on the shelf.
 *
 * The order of giving way is the order of what a loss costs: first ended streams that are kept for late readers, oldest
 * first; then new work, refused while it has cost nothing yet; at last the largest live stream, which is told so by
 * its last word, so that the others can end well.
 *
 * Invariants
 * 1. worker.live_bytes is the sum of stream.counted_memory over the live streams.
 * 2. After budget_grew, live and kept bytes fit the budget, or no live stream is left that could be ended for it. */
#include "gateway/budget.h"

#include "gateway/stream.h"

static uint64_t limit(const struct worker *w) { return w->config->memory_bytes ? w->config->memory_bytes : UINT64_MAX; }

static void make_room_on_shelf(struct worker *w)
{
	uint64_t budget = limit(w);
	if (w->live_bytes + w->shelf.kept_bytes > budget)
		shelf_trim(&w->shelf, w->live_bytes < budget ? budget - w->live_bytes : 0);
}

static struct stream *largest(const struct worker *w)
{
	struct stream *s, *found = NULL;
	LIST_FOREACH(s, &w->live, link)
		if (!s->generation.ended && (!found || s->counted_memory > found->counted_memory))
			found = s;
	return found;
}

void budget_grew(struct stream *s)
{
	struct worker *w = s->worker;
	uint64_t now = journal_memory(s->face->journal);
	if (now == s->counted_memory)
		return;
	w->live_bytes += now - s->counted_memory;
	s->counted_memory = now;
	make_room_on_shelf(w);
	if (w->live_bytes <= limit(w))
		return;
	struct stream *victim = largest(w);
	if (victim)
		stream_end(victim, CAUSE_OVERLOADED, "The memory for streams was used up, and this was the largest one.");
}

void budget_sealed(struct stream *s)
{
	struct worker *w = s->worker;
	w->live_bytes -= s->counted_memory;
	s->counted_memory = 0;
	make_room_on_shelf(w);
}

bool budget_is_tight(const struct worker *w) { return w->live_bytes > limit(w) / 20 * 19; }
