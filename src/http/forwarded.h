/* What proxies say of those for whom they ask: X-Forwarded-For, -Proto and -Host, as far as they can be believed. */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "base/address.h"
#include "http/headers.h"

/* Proxies that are believed. */
struct proxies {
	struct address_range *range;
	size_t n;
};

bool forwarded_trusts(const struct proxies *trusted, const struct address *a);

enum { FORWARDED_HOPS = 16 }; /* on the way here that are looked at; nobody has so many proxies of his own */

/* The way of a request: hop[0] is who is connected to us, the last one the client. At least one. */
struct forwarded_way {
	struct address hop[FORWARDED_HOPS];
	size_t hops;
};

/* X-Forwarded-For is read from its right end, as far as each hop was told by one that is believed. What is no address
 * ends the way. */
void forwarded_trace(const struct http_head *head, const struct address *peer, const struct proxies *trusted,
	struct forwarded_way *out);

/* The value of a field that says one thing; p is NULL when it is not there, twice there, or a list. */
span forwarded_single(const struct http_head *head, const char *name);

#endif
