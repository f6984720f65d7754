/* Who may ask, and who may start paid work (ARCHITECTURE.md, "Guards"): the name that was asked for, the origin of the
 * page that asks, and the key of the caller. */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include "gateway/caller.h"
#include "gateway/worker.h"

/* The request's Host is one of ours; otherwise it was answered with 421 (this ends DNS rebinding). */
MUST bool guard_host(const struct worker *w, struct exchange *x);

/* Adds the CORS fields for an allowed origin. */
void guard_cors(const struct worker *w, struct exchange *x);

/* Answers a preflight request, for allowed origins only. methods: as in Allow. */
void guard_preflight(const struct worker *w, struct exchange *x, const char *methods);

/* The request may start work, and *who starts it (of the worker's configuration; NULL: no keys are configured);
 * otherwise it was answered with 401 or 403. route: NULL where the body will name it. */
MUST bool guard_start(struct worker *w, struct exchange *x, const struct route *route, const struct caller **who);

/* Who asks for a stream that exists already. */
struct caller_seen guard_visitor(const struct worker *w, const struct exchange *x);

#endif
