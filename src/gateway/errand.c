/* There and back. The exchange belongs to the errand while that is away; a client that leaves meanwhile takes only the
 * exchange with it, since the other worker may be working on the errand and must find its memory.
 *
 * Invariants
 * 1. After errand_go exactly one of answer, forget and the refusal for want of memory happens, and then finish, once.
 * 2. An errand is read by one thread at a time: from's, then to's, then from's; `exchange` is from's alone. */
#include "gateway/errand.h"

#include <stdlib.h>

static void on_gone(void *owner)
{
	struct errand *e = owner;
	e->exchange = NULL;
}

static void end(struct errand *e)
{
	if (e->exchange)
		e->answer(e);
	else
		e->forget(e);
	if (e->finish)
		e->finish(e);
}

static void come_back(struct worker *w, struct letter *l)
{
	struct errand *e = (struct errand *)l;
	end(e);
	free(e);
}

static void arrive(struct worker *w, struct letter *l)
{
	struct errand *e = (struct errand *)l;
	e->run(e);
	worker_post(e->from, &e->letter, come_back);
}

static void send_copy(const struct errand *e, struct errand *copy, size_t bytes)
{
	static const struct exchange_events events = {.on_gone = on_gone};
	memcpy(copy, e, bytes);
	exchange_set_owner(copy->exchange, &events, copy);
	worker_post(copy->to, &copy->letter, arrive);
}

void errand_go(struct errand *e, size_t bytes)
{
	struct errand *copy = e->from == e->to ? NULL : malloc(bytes);
	if (e->from == e->to) {
		e->run(e);
		end(e);
	} else if (copy)
		send_copy(e, copy, bytes);
	else {
		exchange_refuse(e->exchange, 503, "overloaded", "There is no memory for this request now.");
		if (e->finish)
			e->finish(e);
	}
}
