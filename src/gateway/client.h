/* For whom a request is: the client, whom `trusted_proxies` tell of, else the peer. */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "gateway/config.h"
#include "server/exchange.h"

enum { CLIENT_NAME = 64 };

struct client {
	const struct exchange *exchange;
	char name[CLIENT_NAME];   /* for logs: "203.0.113.7" behind a proxy, "127.0.0.1:40312" itself */
	struct forwarded_way way; /* no hops: it has no address */
	bool is_secure;           /* what it sent was secret on its first hop */
	span host;                /* the authority it asked for; p NULL: none. A loan, as the request's head */
};

/* Before the exchange's answer begins. */
void client_read(struct client *c, const struct config *config, const struct exchange *x);

/* Header lines that tell an upstream: X-Forwarded-For and X-Forwarded-Proto. */
void client_put_forwarded(const struct client *c, struct buf *out);

#endif
