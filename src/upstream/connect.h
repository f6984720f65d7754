/* From an upstream to a connection that can carry a request: dialling, the proxy that HTTPS_PROXY names, TLS. Belongs
 * to its loop's thread. */
#ifndef UPSTREAM_CONNECT_H
#define UPSTREAM_CONNECT_H

#include "base/cause.h"
#include "net/dial.h"
#include "upstream/model.h"
#include "upstream/route.h"

/* What all connections of a loop share: names, certificates to believe, the proxy. */
struct connector;
struct connector *connector_create(struct loop *l, struct resolver *names);
void connector_destroy(struct connector *c); /* no connect is under way */
void connector_set_model(struct connector *c, const struct model *m);

/* Exactly one call, unless connect_cancel comes first; never from inside connect_start. CAUSE_NONE: the callee takes
 * the conn, which is not read yet. CAUSE_REFUSED or CAUSE_TLS: c is NULL and detail one sentence. */
typedef void connect_done(void *owner, struct conn *c, enum cause cause, const char *detail);

struct connect;
/* NULL: no memory. */
struct connect *connect_start(struct connector *k, const struct upstream *upstream, connect_done *done, void *owner);
void connect_cancel(struct connect *c);

/* When the caller's clock has run out: what was waited for, as one sentence, and the cause (CAUSE_TLS in a handshake
 * that stalls, CAUSE_CONNECT_TIMEOUT otherwise). */
enum cause connect_stalled(struct connect *c, char *detail, size_t detail_bytes);

#endif
