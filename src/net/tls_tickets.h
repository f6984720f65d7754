/* The keys of the tickets by which clients resume a session; they change while the process lives. */
#ifndef NET_TLS_TICKETS_H
#define NET_TLS_TICKETS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ssl_ctx_st;

enum { TLS_TICKETS_KEY_MS = 2 * 3600 * 1000 }; /* for so long a key makes tickets, and twice as long it opens them */

struct ticket_key {
	unsigned char name[16], cipher[32], mac[32];
	uint64_t made_ms; /* monotonic; 0: there is none */
};

struct tls_tickets {
	pthread_mutex_t lock;
	struct ticket_key now, before;
};

void tls_tickets_init(struct tls_tickets *t);
/* Sessions of that context are resumed by these; they must outlive it. */
void tls_tickets_serve(struct tls_tickets *t, struct ssl_ctx_st *context);
void tls_tickets_finish(struct tls_tickets *t);

#endif
