/* An absence: nobody reads a stream, which is given up after a while: `grace`, `first_viewer`. Whoever is at a door by
 * then, of any worker, is let in first. Belongs to its worker's thread. */
#ifndef GATEWAY_ABSENCE_H
#define GATEWAY_ABSENCE_H

#include "gateway/worker.h"

struct absence {
	TAILQ_ENTRY(absence) link; /* its time is over, the doors are looked at */
	struct worker *worker;
	struct alarm clock;
	void (*on_over)(void *owner);
	void *owner;
	bool is_over, is_asked;
};

void absence_init(struct absence *a, struct worker *w, void (*on_over)(void *owner), void *owner);
void absence_begin(struct absence *a, uint64_t ms); /* or begins anew */
void absence_end(struct absence *a); /* somebody is there; must be called before its memory goes */

/* What a worker needs for it. */
struct doors *doors_create(struct worker *w, unsigned workers);
void doors_close(struct doors *d); /* no worker will look any more: an absence is over when its time is */
void doors_destroy(struct doors *d);

#endif
