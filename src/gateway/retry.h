/* An SDK's automatic retry, on a passthrough route with `attach_retries`: the same request once more, which must not be
 * paid twice. */
#ifndef GATEWAY_RETRY_H
#define GATEWAY_RETRY_H

#include "gateway/worker.h"

enum { RETRY_DIGEST = SHELF_DIGEST };

/* What makes two requests the same: route, target and who asks, and the body. */
struct retry_key {
	struct buf scope;
	unsigned char digest[RETRY_DIGEST];
};

/* who: NULL where no keys are configured. */
void retry_put_scope(const struct route *r, const struct caller *who, const struct exchange *x, struct buf *scope);
/* The digest as a shelf's key: hexadecimal. */
void retry_print_key(const struct retry_key *k, char key[2 * RETRY_DIGEST + 1]);

bool retry_is_one(const struct route *r, const struct http_head *head);

/* Takes over the exchange: it becomes a viewer of the stream that it repeats, or, where there is none, asks anew. */
void retry_open(struct worker *w, struct exchange *x, const struct route *r, const struct caller *who);

#endif
