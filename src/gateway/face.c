/* What is shared of a stream, and nothing else is. A struct stream belongs to its home's thread, down to its lists and
 * its alarms; a viewer of another worker that followed a pointer into it would race with all of that. So the little
 * that a viewer needs stands here, apart, and the journal does the rest.
 *
 * Invariants
 * 1. Nothing but the atomics changes between face_create and the last drop.
 * 2. The last drop may come on any thread: what goes with it (journal, configuration) is counted too. */
#include "gateway/face.h"

#include "base/clock.h"

#include <stdlib.h>

struct face *face_create(struct config *config, const struct route *route, const struct dialect *frames,
	unsigned process_generation, unsigned home)
{
	struct face *f = calloc(1, sizeof *f);
	if (!f || !(f->journal = journal_create())) {
		free(f);
		return NULL;
	}
	id_make(&f->id, process_generation, home);
	f->config = config_hold(config);
	f->route = route;
	f->dialect = frames;
	f->started_ms = clock_ms();
	atomic_init(&f->queue, -1);
	atomic_init(&f->holds, 1);
	return f;
}

struct face *face_hold(struct face *f)
{
	unsigned before = atomic_fetch_add_explicit(&f->holds, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return f;
}

void face_drop(struct face *f)
{
	unsigned before = atomic_fetch_sub_explicit(&f->holds, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before > 1)
		return;
	journal_drop(f->journal);
	config_drop(f->config);
	free(f);
}
