/* Listening sockets. Everything here belongs to the loop's thread. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "base/quota.h"
#include "net/conn.h"

struct listener;

/* on_conn takes the conn. address: "127.0.0.1:8080", "[::1]:0", ":8080", "unix:/path". On failure NULL and a sentence
 * in why. Accepting pauses (and resumes by itself) when descriptors run out. */
MUST struct listener *listener_open(struct loop *l, const char *address, void (*on_conn)(void *owner, struct conn *c),
	void *owner,
                               char *why, size_t why_bytes);

/* The same for a listening socket that exists already; takes the fd. */
MUST struct listener *listener_take_fd(struct loop *l, int fd, bool is_tcp, void (*on_conn)(void *owner,
	struct conn *c), void *owner);

/* Another one for another loop on the address of `first`: the kernel spreads connections over both. */
MUST struct listener *listener_open_beside(struct loop *l, const struct listener *first,
	void (*on_conn)(void *owner, struct conn *c), void *owner, char *why, size_t why_bytes);

/* From now on each conn has taken one of `most` (0: no limit), which its owner gives back, and accepting pauses while
 * there is none: until listener_look, or for a tenth of a second, since another thread's may have gone. */
void listener_limit(struct listener *s, struct quota *conns, uint64_t most);
void listener_look(struct listener *s);

/* Connections wait that were not accepted yet: asks the kernel. */
bool listener_has_queue(const struct listener *s);

void listener_close(struct listener *s);
const char *listener_name(const struct listener *s); /* "127.0.0.1:8080", port 0 resolved */

#endif
