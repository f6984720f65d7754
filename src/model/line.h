/* The line in front of the model: so many are served at once, so many may wait, in the order in which they came; and
 * everybody who waits is told each new place. */
#ifndef MODEL_LINE_H
#define MODEL_LINE_H

#include "base/check.h"

#include <stdbool.h>
#include <sys/queue.h>

enum line_where { LINE_OUTSIDE, LINE_WAITING, LINE_SERVED };

/* Embed one in who stands in line. */
struct line_member {
	TAILQ_ENTRY(line_member) link;
	enum line_where where;
};

struct line {
	unsigned slots, capacity; /* at most so many served, so many waiting */
	unsigned served, waiting;
	TAILQ_HEAD(, line_member) queue;
	/* 0: served from now on; n: n-th of those who wait. Must not enter or leave the line. */
	void (*on_place)(struct line_member *m, unsigned place);
};

void line_init(struct line *l, unsigned slots, unsigned capacity,
               void (*on_place)(struct line_member *m, unsigned place));
bool line_is_full(const struct line *l);

/* Not when it is full. Tells the place at once. */
void line_enter(struct line *l, struct line_member *m);

/* From either place, or from outside (nothing happens). Tells those whose place changed. */
void line_leave(struct line *l, struct line_member *m);

#endif
