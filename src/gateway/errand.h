/* An errand: what an exchange asks of another worker, and the answer that comes back. */
#ifndef GATEWAY_ERRAND_H
#define GATEWAY_ERRAND_H

#include "gateway/worker.h"

/* First member of a struct that holds question and answer. */
struct errand {
	struct letter letter;
	struct worker *from, *to;
	struct exchange *exchange;         /* NULL: its client has left meanwhile */
	void (*run)(struct errand *e);     /* on to's thread */
	void (*answer)(struct errand *e);  /* on from's thread: answers the exchange, or hands it on */
	void (*forget)(struct errand *e);  /* instead of that, when the client has left: gives back what run took */
	void (*finish)(struct errand *e);  /* last: what the struct owns, not itself. Or NULL */
};

/* Runs it at once where it is for the asking worker itself. Else a copy of the struct (bytes, a loan) travels and the
 * exchange waits; no memory for it: 503. finish is called in every case. */
void errand_go(struct errand *e, size_t bytes);

#endif
