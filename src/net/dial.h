/* Dialling: from a name and a port, or a Unix socket, to a connected conn. The addresses of a name are tried in turn,
 * the next one after 250 ms or as soon as one fails; the first that answers wins. Names are looked up in the
 * background and kept: the last good answer stays in use while a new one is asked for (every 60 s), one lookup for a
 * name at a time. The clock over all of it is the caller's. Belongs to its loop's thread. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "base/cause.h"
#include "net/conn.h"

#include <sys/socket.h>

/* Names that were looked up on one loop. */
struct resolver;
struct resolver *resolver_create(struct loop *l);
void resolver_destroy(struct resolver *r);
/* Begins looking a name up, so that its first use need not wait. */
void resolver_warm(struct resolver *r, span host);

struct dial_to {
	span host;                     /* a name or an IPv4 or IPv6 address; empty: unix */
	uint16_t port;
	const struct sockaddr *socket; /* of a Unix socket; copied */
	socklen_t socket_bytes;
};

/* Exactly one call, unless dial_cancel comes first: the conn (the callee takes it), or NULL (cause refused) and a
 * sentence that names every address that was tried. Never from inside dial_start. */
typedef void dial_done(void *owner, struct conn *c, const char *detail);

struct dial;
struct dial *dial_start(struct resolver *r, const struct dial_to *to, dial_done *done, void *owner);
void dial_cancel(struct dial *d);
/* What has been tried so far, for the sentence of a clock that ran out. */
const char *dial_progress(struct dial *d);

#endif
