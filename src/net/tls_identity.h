/* As whom we serve by TLS: a certificate with its chain, its key, and how TLS is spoken with them. Immutable and
 * counted; any thread. */
#ifndef NET_TLS_IDENTITY_H
#define NET_TLS_IDENTITY_H

#include "base/buf.h"

struct tls_identity;
struct ssl_st;

/* What is wrong, in which of the two texts. */
struct tls_wrong {
	bool is_key;
	char why[256]; /* fits behind "FILE " */
};

/* Both are PEM: the certificate first, then its chain; a key without a password. It has one hold. NULL: *wrong says
 * why. */
MUST struct tls_identity *tls_identity_create(span certificates, span key, struct tls_wrong *wrong);
struct tls_identity *tls_identity_hold(struct tls_identity *i);
void tls_identity_drop(struct tls_identity *i); /* NULL is fine */

/* NULL, or what clients hold against the certificate at this time: "has expired". Fits behind its name. */
const char *tls_identity_doubt(const struct tls_identity *i);

/* The certificate is for that name or address. */
bool tls_identity_is_for(const struct tls_identity *i, span host);

/* For tls.c: one connection's SSL, in its first state. NULL: no memory. */
MUST struct ssl_st *tls_identity_begin(const struct tls_identity *i);

#endif
