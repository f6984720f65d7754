/* The memory that streams may hold together (option `memory`), and who gives way when it is used up. */
#ifndef GATEWAY_BUDGET_H
#define GATEWAY_BUDGET_H

#include "gateway/worker.h"

/* Takes account of what the stream's journal has grown by; it, or a larger one, may be ended overloaded by that. */
void budget_grew(struct stream *s);

/* The stream's memory is the shelf's from now on. */
void budget_sealed(struct stream *s);

/* New work would not fit: 95 % are in use, and not by kept streams, which can go. */
bool budget_is_tight(const struct worker *w);

#endif
