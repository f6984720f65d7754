/* A conn is one byte stream over a file descriptor: TCP or a Unix socket, with TLS in it or not; once it is secured,
 * whoever holds a conn never knows. What is put goes out in one write at the end of the turn; at most one write is in
 * flight. Belongs to its loop's thread. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "net/loop.h"
#include "net/tls.h"

enum conn_end {
	CONN_FIN,   /* the peer will send nothing more; everything it sent was read */
	CONN_RESET, /* reset, found also behind data that was read before it; nothing more can be sent */
	CONN_LOST,  /* any other error, unacknowledged data for too long and TLS that breaks or ends without close_notify
	             * included; nothing more can be sent */
};

/* Called from the loop, never from inside a call into conn. Each may close the conn. */
struct conn_events {
	void (*on_bytes)(void *owner, span bytes); /* a loan; the owner takes all of it */
	/* At most once with CONN_FIN, at most once with another end, which is the last. */
	void (*on_end)(void *owner, enum conn_end how, const char *why);
	void (*on_drained)(void *owner); /* all that was put has gone to the kernel */
	void (*on_secured)(void *owner); /* the TLS handshake is over and the peer is who it should be */
};

struct conn;

/* Takes a connected, non-blocking stream socket (and closes it on failure: NULL). Reading is off at first. */
struct conn *conn_take_fd(struct loop *l, int fd, bool is_tcp);

void conn_set_owner(struct conn *c, const struct conn_events *events, void *owner);

/* Begins TLS as a client; nothing may be put before on_secured. A handshake that fails is CONN_LOST with the reason.
 * false: no memory. Reading must be on. */
MUST bool conn_start_tls(struct conn *c, const struct tls_trust *trust, const char *host);

/* Expects TLS of a client that was accepted, before reading is on; nothing may be put before on_secured. Until the
 * first byte came it costs no memory. on_bytes before on_secured: that is no TLS, and the conn is a plain one. A
 * handshake that fails is CONN_LOST with the reason, and the client was told by an alert. */
void conn_expect_tls(struct conn *c, struct tls_identity *as);
bool conn_is_secured(const struct conn *c);
bool conn_is_shaking_hands(const struct conn *c); /* has begun with TLS and is not secured */

/* Off: bytes stay in the kernel, and an end is not noticed either. */
void conn_read(struct conn *c, bool on);

/* Copies bytes for the end of this turn. Out of memory resets the connection: on_end says CONN_LOST. */
void conn_put(struct conn *c, span bytes);
/* The same for who builds its bytes in place: where they are appended, with room for `more`. NULL: nothing can be sent
 * any more. A loan until the caller returns. */
struct buf *conn_room(struct conn *c, size_t more);
/* Something that should have been put could not even be made: as if memory had run out under conn_put. */
void conn_fail(struct conn *c);
size_t conn_waiting(const struct conn *c); /* bytes put that the kernel has not taken */

/* Downstream sockets: see ARCHITECTURE.md, "net". 0 ms = off. */
void conn_set_write_timeout(struct conn *c, uint64_t ms);

void conn_shutdown(struct conn *c); /* FIN after all that was put; with TLS it says that this is the end */
void conn_cut(struct conn *c);      /* the same, but with TLS nothing is said, so that the peer sees a break */
void conn_close(struct conn *c);
	/* what the kernel has not taken is lost; no callback any more; freed after the turn */
void conn_reset(struct conn *c);    /* the same with RST, so that the peer sees a break */

/* Nothing waits to be read, no end either: asks the kernel. */
bool conn_is_quiet(const struct conn *c);

/* "127.0.0.1:40312", "unix". A loan while the conn lives. */
const char *conn_peer(const struct conn *c);
bool conn_peer_is_loopback(const struct conn *c);

#endif
