/* Who may ask, and who may start paid work (ARCHITECTURE.md, "Guards"): the name that was asked for, and the origin of
 * the page that asks. */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include "gateway/worker.h"

/* The request's Host is one of ours; otherwise it was answered with 421 (this ends DNS rebinding). */
MUST bool guard_host(const struct worker *w, struct exchange *x);

/* Adds the CORS fields for an allowed origin. */
void guard_cors(const struct worker *w, struct exchange *x);

/* Answers a preflight request, for allowed origins only. methods: as in Allow. */
void guard_preflight(const struct worker *w, struct exchange *x, const char *methods);

/* The request may start work; otherwise it was answered with 403. */
MUST bool guard_start(const struct worker *w, struct exchange *x);

#endif
