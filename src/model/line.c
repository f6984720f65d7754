/* Who is served and who waits. Pure: it knows members and numbers, not requests, and belongs to whoever calls it.
 *
 * The engine could pick its next request from a shared queue by itself, but then places would have to be told across
 * threads under a lock. Here the loop's thread alone decides; the engine only ever has as many answers as it has slots.
 *
 * 1. Nobody waits while a slot is free.
 * 2. A place is told exactly when it changes, to the first in line first.
 * 3. A slot is free when its member leaves, which the loop says only after the engine has let go of it. */
#include "model/line.h"

#include <stddef.h>

void line_init(struct line *l, unsigned slots, unsigned capacity,
               void (*on_place)(struct line_member *m, unsigned place))
{
	CHECK(slots > 0);
	*l = (struct line){.slots = slots, .capacity = capacity, .on_place = on_place};
	TAILQ_INIT(&l->queue);
}

bool line_is_full(const struct line *l) { return l->served == l->slots && l->waiting == l->capacity; }

static void serve(struct line *l, struct line_member *m)
{
	m->where = LINE_SERVED;
	l->served++;
	l->on_place(m, 0);
}

void line_enter(struct line *l, struct line_member *m)
{
	CHECK(m->where == LINE_OUTSIDE && !line_is_full(l));
	if (l->served < l->slots) {
		serve(l, m);
		return;
	}
	m->where = LINE_WAITING;
	TAILQ_INSERT_TAIL(&l->queue, m, link);
	l->on_place(m, ++l->waiting);
}

/* Everybody from m on; NULL: nobody. place: m's. */
static void tell_from(struct line *l, struct line_member *m, unsigned place)
{
	for (; m; m = TAILQ_NEXT(m, link))
		l->on_place(m, place++);
}

static void take_from_queue(struct line *l, struct line_member *m)
{
	TAILQ_REMOVE(&l->queue, m, link);
	l->waiting--;
}

static void advance(struct line *l)
{
	struct line_member *first = TAILQ_FIRST(&l->queue);
	if (!first)
		return;
	take_from_queue(l, first);
	serve(l, first);
	tell_from(l, TAILQ_FIRST(&l->queue), 1);
}

static unsigned place_of(const struct line *l, const struct line_member *m)
{
	unsigned place = 1;
	const struct line_member *at;
	TAILQ_FOREACH(at, &l->queue, link) {
		if (at == m)
			return place;
		place++;
	}
	CHECK(!"m is not in this line");
	return 0;
}

void line_leave(struct line *l, struct line_member *m)
{
	enum line_where was = m->where;
	m->where = LINE_OUTSIDE;
	if (was == LINE_SERVED) {
		l->served--;
		advance(l);
	} else if (was == LINE_WAITING) {
		unsigned place = place_of(l, m);
		struct line_member *behind = TAILQ_NEXT(m, link);
		take_from_queue(l, m);
		tell_from(l, behind, place);
	}
}
