/* One budget for all streams of all workers, kept by running sums: live journals, those on the shelves, request bodies,
 * and output buffers. The last two belong to connections and cannot give way, so journals do: whatever is said of live
 * streams below counts them in. They are told by whoever holds them, when they change between turns.
 *
 * The order of giving way is the order of what a loss costs. First ended streams that are kept for late readers, oldest
 * first, those of the worker that needs the room before those of others. Then the beginnings of live streams, as far as
 * all have read them who are there; then those of streams that everyone has left, who may come back to a later place. (A
 * stream that nobody has read yet keeps all of it: without its beginning it would be of no use.) Then new work, refused
 * while it has cost nothing yet; at last the largest live stream, which is told so by its last word, so that the others
 * can end well.
 *
 * New work is refused when live streams hold 95 %, since kept ones can go for it; so that is also where beginnings go.
 * Most often the stream that grows gives its own, which is a look at one segment.
 *
 * What is on another worker's shelf or list is that worker's. So when a worker cannot make room by itself, a letter
 * walks past all of them, once for each step of that order while it helps; in the last one each tells its largest stream,
 * and the letter goes to the worker that has the largest of all. It takes some turns, in which the sums may stand a
 * little above the limit. With one worker it is a call.
 *
 * Invariants
 * 1. budget.live is the sum of stream.counted_memory over the live streams, budget.kept over the kept ones.
 * 2. After budget_grew, and after a turn in which output grew, all bytes fit the budget, or a walk is under way, or no
 *    live stream is left that could be ended for it. A body that grows is seen when it asks for work.
 * 3. One letter walks, or none. A walk that ended a stream is over when that is sealed, at the end of the turn: until
 *    then its memory counts as live, and another one would be ended for nothing. */
#include "gateway/budget.h"

#include "base/clock.h"
#include "gateway/crew.h"
#include "gateway/stream.h"

/* A walk for new work alone: it looks at each live stream, and viewers who are slow will not have read on so soon. */
enum { LOOK_AGAIN_MS = 100 };

enum { SMALL_BODY_BYTES = 16 * 1024 }; /* less than a connection's other buffers may hold */

static uint64_t limit(const struct worker *w) { return w->config->memory_bytes ? w->config->memory_bytes : UINT64_MAX; }

struct memory_bytes budget_kinds(const struct crew *crew)
{
	const struct budget *b = &crew->budget;
	return (struct memory_bytes){
		.journal = atomic_load_explicit(&b->live, memory_order_relaxed)
			+ atomic_load_explicit(&b->kept, memory_order_relaxed),
		.body = gauge_bytes(&b->bodies),
		.output = gauge_bytes(&b->output),
	};
}

/* Of live streams, and what else cannot go by being forgotten. */
static uint64_t live(const struct crew *crew)
{
	const struct budget *b = &crew->budget;
	return atomic_load_explicit(&b->live, memory_order_relaxed) + gauge_bytes(&b->bodies) + gauge_bytes(&b->output);
}

static uint64_t all(const struct crew *crew)
{
	return live(crew) + atomic_load_explicit(&crew->budget.kept, memory_order_relaxed);
}

static bool is_over(const struct worker *w) { return all(w->crew) > limit(w); }
static bool is_live_over(const struct worker *w) { return live(w->crew) > limit(w); }

/* Bytes by which live streams leave no room for new work. */
static uint64_t too_much(const struct worker *w)
{
	uint64_t used = live(w->crew), most = limit(w) / 20 * 19;
	return used > most ? used - most : 0;
}

bool budget_is_tight(const struct worker *w) { return too_much(w) > 0; }

bool budget_has_room_for_body(const struct worker *w, size_t bytes)
{
	return bytes <= SMALL_BODY_BYTES || (!budget_is_tight(w) && gauge_bytes(&w->crew->budget.bodies) < limit(w) / 2);
}

/* This worker's kept streams go, as far as that helps. */
static void give_kept(struct worker *w)
{
	uint64_t used = all(w->crew), over = used > limit(w) ? used - limit(w) : 0, own = w->shelf.kept_bytes;
	if (over)
		shelf_trim(&w->shelf, own > over ? own - over : 0);
}

/* False: it has not changed. */
static bool account(struct stream *s)
{
	uint64_t now = journal_memory(s->face->journal), before = s->counted_memory;
	if (now == before)
		return false;
	s->counted_memory = now;
	atomic_fetch_add_explicit(&s->worker->crew->budget.live, now - before, memory_order_relaxed);
	return true;
}

static void give_beginning(struct stream *s)
{
	journal_give_up(s->face->journal, too_much(s->worker));
	account(s);
}

static void give_beginnings(struct worker *w, bool watched)
{
	struct stream *s;
	for (s = LIST_FIRST(&w->live); s && budget_is_tight(w); s = LIST_NEXT(s, link))
		if (!s->generation.ended && s->had_viewer && (s->viewers > 0) == watched)
			give_beginning(s);
}

static void give_taken(struct worker *w) { give_beginnings(w, true); }
static void give_left(struct worker *w) { give_beginnings(w, false); }

/* What was written since the walk came by the last time may be why there is too much. */
static void give_both(struct worker *w)
{
	give_taken(w);
	give_left(w);
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
	give_both(w);
	struct stream *victim = is_live_over(w) ? largest(w) : NULL;
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

static void tell_largest(struct worker *w)
{
	struct budget *b = &w->crew->budget;
	give_both(w);
	const struct stream *s = largest(w);
	if (s && (!b->where || s->counted_memory > b->largest)) {
		b->largest = s->counted_memory;
		b->where = w;
	}
}

static const struct step {
	bool (*helps)(const struct worker *w);
	void (*take)(struct worker *w);
} steps[] = {
	{is_over, give_kept}, {budget_is_tight, give_taken}, {budget_is_tight, give_left}, {is_live_over, tell_largest},
};

enum { STEPS = sizeof steps / sizeof *steps };

static void go_on(struct worker *w);

static void visit(struct worker *w, struct letter *l)
{
	struct budget *b = &w->crew->budget;
	steps[b->step].take(w);
	if (--b->to_visit)
		pass_on(w, w->crew->worker[(w->index + 1) % w->crew->workers], visit);
	else if (++b->step < STEPS)
		go_on(w);
	else
		pass_on(w, b->where ? b->where : w, end_largest);
}

/* With the next step that helps. */
static void go_on(struct worker *w)
{
	struct budget *b = &w->crew->budget;
	while (b->step < STEPS && !steps[b->step].helps(w))
		b->step++;
	b->to_visit = w->crew->workers;
	if (b->step < STEPS)
		visit(w, &b->letter);
	else
		atomic_store(&b->walking, false);
}

static void walk(struct worker *w)
{
	struct budget *b = &w->crew->budget;
	if (atomic_exchange(&b->walking, true))
		return;
	atomic_store_explicit(&b->looked_ms, clock_ms(), memory_order_relaxed);
	b->step = 0;
	b->largest = 0;
	b->where = NULL;
	go_on(w);
}

static bool was_looked(const struct worker *w)
{
	return clock_ms() - atomic_load_explicit(&w->crew->budget.looked_ms, memory_order_relaxed) < LOOK_AGAIN_MS;
}

void budget_make_room(struct worker *w)
{
	give_kept(w);
	if (is_over(w) || (budget_is_tight(w) && !was_looked(w)))
		walk(w);
}

void budget_grew(struct stream *s)
{
	struct worker *w = s->worker;
	if (!account(s))
		return;
	if (s->viewers && budget_is_tight(w) && !is_over(w))
		give_beginning(s);
	budget_make_room(w);
}

void budget_sealed(struct stream *s)
{
	struct budget *b = &s->worker->crew->budget;
	atomic_fetch_sub_explicit(&b->live, s->counted_memory, memory_order_relaxed);
	s->counted_memory = s->entry.memory_bytes;
	atomic_fetch_add_explicit(&b->kept, s->counted_memory, memory_order_relaxed);
	if (s->gives_way)
		atomic_store(&b->walking, false);
	budget_make_room(s->worker);
}

void budget_dropped(struct stream *s)
{
	atomic_fetch_sub_explicit(&s->worker->crew->budget.kept, s->counted_memory, memory_order_relaxed);
	s->counted_memory = 0;
}
