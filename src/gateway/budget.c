/* One budget for all streams of all workers, kept by running sums: live journals and those on the shelves.
 *
 * The order of giving way is the order of what a loss costs: first ended streams that are kept for late readers, oldest
 * first, those of the worker that needs the room before those of others; then new work, refused while it has cost
 * nothing yet; at last the largest live stream, which is told so by its last word, so that the others can end well.
 *
 * What is on another worker's shelf or list is that worker's. So when a worker cannot make room by itself, a letter
 * walks past all of them: each gives what it keeps and tells its largest stream, and the last sends it to the worker
 * that has the largest of all. It takes some turns, in which the sums may stand a little above the limit. With one
 * worker it is a call.
 *
 * Invariants
 * 1. budget.live is the sum of stream.counted_memory over the live streams, budget.kept over the kept ones.
 * 2. After budget_grew, live and kept bytes fit the budget, or a walk is under way, or no live stream is left that
 *    could be ended for it.
 * 3. One letter walks, or none. A walk that ended a stream is over when that is sealed, at the end of the turn: until
 *    then its memory counts as live, and another one would be ended for nothing. */
#include "gateway/budget.h"

#include "gateway/crew.h"
#include "gateway/stream.h"

static uint64_t limit(const struct worker *w) { return w->config->memory_bytes ? w->config->memory_bytes : UINT64_MAX; }

static uint64_t live(const struct crew *crew) { return atomic_load_explicit(&crew->budget.live, memory_order_relaxed); }
static uint64_t kept(const struct crew *crew) { return atomic_load_explicit(&crew->budget.kept, memory_order_relaxed); }

uint64_t budget_bytes(const struct crew *crew) { return live(crew) + kept(crew); }

static bool is_over(const struct worker *w) { return budget_bytes(w->crew) > limit(w); }

/* This worker's kept streams go, as far as that helps. */
static void give_kept(struct worker *w)
{
	uint64_t over = is_over(w) ? budget_bytes(w->crew) - limit(w) : 0, own = w->shelf.kept_bytes;
	if (over)
		shelf_trim(&w->shelf, own > over ? own - over : 0);
}

static struct stream *largest(const struct worker *w)
{
	struct stream *s, *found = NULL;
	LIST_FOREACH(s, &w->live, link)
		if (!s->generation.ended && (!found || s->counted_memory > found->counted_memory))
			found = s;
	return found;
}

/* The walk has come to where the largest stream was. */
static void end_largest(struct worker *w, struct letter *l)
{
	struct stream *victim = live(w->crew) > limit(w) ? largest(w) : NULL;
	if (victim) {
		victim->gives_way = true;
		stream_end(victim, CAUSE_OVERLOADED,
			"The memory for streams was used up, and this was the largest one.");
	} else
		atomic_store(&w->crew->budget.walking, false);
}

static void pass_on(struct worker *from, struct worker *to, void (*read)(struct worker *w, struct letter *l))
{
	if (from == to)
		read(to, &to->crew->budget.letter);
	else
		worker_post(to, &to->crew->budget.letter, read);
}

static void visit(struct worker *w, struct letter *l)
{
	struct budget *b = &w->crew->budget;
	const struct stream *s = largest(w);
	give_kept(w);
	if (s && (!b->where || s->counted_memory > b->largest)) {
		b->largest = s->counted_memory;
		b->where = w;
	}
	if (--b->to_visit)
		pass_on(w, w->crew->worker[(w->index + 1) % w->crew->workers], visit);
	else
		pass_on(w, b->where ? b->where : w, end_largest);
}

static void make_room(struct worker *w)
{
	struct budget *b = &w->crew->budget;
	give_kept(w);
	if (!is_over(w) || atomic_exchange(&b->walking, true))
		return;
	b->to_visit = w->crew->workers;
	b->largest = 0;
	b->where = NULL;
	visit(w, &b->letter);
}

void budget_grew(struct stream *s)
{
	uint64_t now = journal_memory(s->face->journal);
	if (now == s->counted_memory)
		return;
	atomic_fetch_add_explicit(&s->worker->crew->budget.live, now - s->counted_memory, memory_order_relaxed);
	s->counted_memory = now;
	make_room(s->worker);
}

void budget_sealed(struct stream *s)
{
	struct budget *b = &s->worker->crew->budget;
	atomic_fetch_sub_explicit(&b->live, s->counted_memory, memory_order_relaxed);
	s->counted_memory = s->entry.memory_bytes;
	atomic_fetch_add_explicit(&b->kept, s->counted_memory, memory_order_relaxed);
	if (s->gives_way)
		atomic_store(&b->walking, false);
	make_room(s->worker);
}

void budget_dropped(struct stream *s)
{
	atomic_fetch_sub_explicit(&s->worker->crew->budget.kept, s->counted_memory, memory_order_relaxed);
	s->counted_memory = 0;
}

bool budget_is_tight(const struct worker *w) { return live(w->crew) > limit(w) / 20 * 19; }
