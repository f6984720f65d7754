/* TLS of one connection, sans I/O: ciphertext in and out by buffers, plaintext by steps. conn.c owns one for each
 * secured connection, which we opened or accepted. A server's certificate is always verified; TLS 1.2 is the oldest
 * version that is spoken. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/tls_identity.h"

/* What OpenSSL sets up once: at a start, since some of what fails there for want of memory would fail for good. */
void tls_warm(void);

/* Whom to believe. One for each `ca:`; may be shared by the connections of a loop. */
struct tls_trust;

/* ca_file: PEM certificates, or NULL for the system's. NULL and a sentence in why when they cannot be read. */
MUST struct tls_trust *tls_trust_create(const char *ca_file, char *why, size_t why_bytes);
void tls_trust_destroy(struct tls_trust *t);

struct tls;

enum tls_step {
	TLS_MORE,    /* all input is used; what is to be sent is in `out` */
	TLS_SECURED, /* once: the handshake is over, the peer is who it should be */
	TLS_BYTES,   /* plaintext */
	TLS_CLOSED,  /* the peer said close_notify: a clean end; we may still write */
	TLS_BROKEN,  /* tls_why says what was wrong; nothing further, but perhaps an alert in `out` */
};

/* host: a name (sent as SNI and checked) or an IP address (checked). out: where ciphertext is appended. NULL: no
 * memory. */
MUST struct tls *tls_create(const struct tls_trust *trust, const char *host, struct buf *out);
/* The serving side. The identity is held. */
MUST struct tls *tls_create_serving(struct tls_identity *as, struct buf *out);
void tls_destroy(struct tls *t);

/* Gives ciphertext, a loan until tls_next says TLS_MORE. */
void tls_feed(struct tls *t, span ciphertext);
/* TLS_BYTES: n bytes lie in room. A client's first call, without input, begins the handshake. */
MUST enum tls_step tls_next(struct tls *t, char *room, size_t room_bytes, size_t *n);

/* Encrypts; after TLS_SECURED only. false: no memory, or the connection is broken. */
MUST bool tls_put(struct tls *t, span plaintext);
/* Appends our close_notify: what was said is whole. */
void tls_close(struct tls *t);

bool tls_is_secured(const struct tls *t);
/* What it means that the transport ended now, and what was wrong after TLS_BROKEN: part of a sentence. */
const char *tls_why(const struct tls *t);

/* The first byte of a client that speaks TLS (RFC 8446 §5.1): a record of the handshake. */
enum { TLS_FIRST_BYTE = 22 };

#endif
