/* A server: a listener, the connections that came in by it, and the site that answers their requests. Slow heads, idle
 * connections, pipelining, errors and lingering closes are dealt with here; the site sees exchanges with whole,
 * well-formed heads and a target that was split. Belongs to its loop's thread. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "net/listen.h"
#include "server/exchange.h"

struct server_limits {
	size_t request_line; /* bytes; 0: 8 KiB */
	size_t connections;  /* at once; 0: no limit. Over it accepting pauses */
	struct quota *quota; /* counts them for several servers together; NULL: this one's are counted alone */
	struct gauge *bodies;/* counts the bytes of collected bodies likewise */
	uint64_t head_ms;    /* a head must be whole by then; 0: 10 s */
	uint64_t idle_ms;    /* a kept connection without a request; 0: 75 s */
};

struct site {
	void (*on_request)(void *owner, struct exchange *x);
	void *owner;
	const char *name; /* for logs */
	/* There is memory for a body that is collected to grow to so many bytes; else it is refused. NULL: there always is. */
	bool (*has_room)(void *owner, size_t body_bytes);
};

struct server;

MUST struct server *server_open(struct loop *l, const char *address, struct server_limits limits, struct site site,
	char *why, size_t why_bytes);
MUST struct server *server_take_fd(struct loop *l, int fd, bool is_tcp, struct server_limits limits, struct site site);

/* One more of the same site on the same address, for another loop. */
MUST struct server *server_open_beside(struct loop *l, const struct server *first, struct server_limits limits,
	struct site site, char *why, size_t why_bytes);

/* From now on connections speak TLS. Before its loop runs, or, to go on with another certificate, while it does and
 * server_is_secure: running connections keep theirs. The identity is held. */
void server_use_tls(struct server *s, struct tls_identity *as);
bool server_is_secure(const struct server *s);
/* TLS is spoken here, and the certificate is for that host. */
bool server_proves_host(const struct server *s, span host);

const char *server_name(const struct server *s); /* "127.0.0.1:8080" */

/* Nothing is being answered, and everything that was said has gone to the kernel. */
bool server_is_quiet(const struct server *s);

/* Connections wait in the kernel that were not accepted yet. */
bool server_has_queue(const struct server *s);
uint64_t server_accepted(const struct server *s); /* connections, ever */

/* Draining: from now on each answer says `Connection: close`, idle connections are closed; the listener stays open. */
void server_drain(struct server *s);
void server_close(struct server *s); /* everything at once, exchanges are told on_gone */

#endif
