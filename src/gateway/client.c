/* Without trusted_proxies a request is what its connection says: the peer's address, TLS or not, its Host; what
 * X-Forwarded fields say is anybody's word, and is neither read nor sent on. When the peer is one of the proxies, its
 * word stands in for those three, each by itself:
 *
 *	X-Forwarded-For    from the right, up to the first who is no proxy of ours (http/forwarded)
 *	X-Forwarded-Proto  if it says http or https, once
 *	X-Forwarded-Host   if it names, once, a host that stands in `hosts`; a proxy that sends its own name in Host has no
 *	                   other way to tell the browser's, and one that passes anything on cannot open what is not listed
 *
 * What is malformed is as if it had not been said. Upstreams are told the way that was believed, and nothing else. */
#include "gateway/client.h"

#include <stdio.h>

static void believe(struct client *c, const struct config *config, const struct http_head *head)
{
	span proto = forwarded_single(head, "x-forwarded-proto"), host = forwarded_single(head, "x-forwarded-host");
	span name, port;
	forwarded_trace(head, &c->way.hop[0], &config->trusted_proxies, &c->way);
	if (c->way.hops > 1)
		address_print(&c->way.hop[c->way.hops - 1], c->name);
	if (span_is_nocase(proto, "https") || span_is_nocase(proto, "http"))
		c->is_secure = proto.n == sizeof "https" - 1;
	if (host.p && url_split_authority(host, &name, &port) && config_lists(&config->hosts, name))
		c->host = host;
}

void client_read(struct client *c, const struct config *config, const struct exchange *x)
{
	const struct http_head *head = exchange_head(x);
	const char *peer = exchange_peer(x);
	c->exchange = x;
	c->is_secure = exchange_is_secure(x);
	c->host = headers_get(head, "host");
	snprintf(c->name, sizeof c->name, "%s", peer);
	c->way.hops = address_parse_peer(span_str(peer), &c->way.hop[0]);
	if (c->way.hops && forwarded_trusts(&config->trusted_proxies, &c->way.hop[0]))
		believe(c, config, head);
}

void client_put_forwarded(const struct client *c, struct buf *out)
{
	char text[ADDRESS_TEXT];
	for (size_t i = c->way.hops; i-- > 0;) {
		address_print(&c->way.hop[i], text);
		buf_printf(out, "%s%s%s", i + 1 == c->way.hops ? "X-Forwarded-For: " : ", ", text, i ? "" : "\r\n");
	}
	buf_printf(out, "X-Forwarded-Proto: %s\r\n", c->is_secure ? "https" : "http");
}
