/* How a browser route asks its upstream: from a prompt or messages to a request (ARCHITECTURE.md, "How a browser route
 * asks"). */
#ifndef GATEWAY_ASK_H
#define GATEWAY_ASK_H

#include "gateway/client.h"
#include "stream/generation.h"
#include "upstream/fetch.h"

#include <jansson.h>

/* What the caller wants. Exactly one of prompt.p and body is set. */
struct wanted {
	span prompt;   /* UTF-8 */
	json_t *body;  /* an object with "prompt" or "messages", or the dialect's own; borrowed */
};

struct asked {
	struct fetch_request request; /* its spans point into text */
	span part;                    /* what is added to each upstream's own query */
	struct generation_rules rules;
	struct buf target, query, fields, body;
};

struct refusal {
	int status;
	const char *code, *message;
};

/* A JSON body: an object, its "prompt" or "messages" right if it has one. NULL and *wrong otherwise. */
MUST json_t *ask_parse_body(span body, struct refusal *wrong);

/* by: for whom; NULL: for nobody else (lastword check). false: *wrong says what to answer. asked_finish in both
 * cases. */
MUST bool ask_make(const struct route *route, const struct wanted *q, const struct client *by, struct asked *out,
	struct refusal *wrong);
void asked_finish(struct asked *a);

/* The header line with the route's own credential, if it has one: in auth_header, else where servers of the dialect read it (NULL:
 * Authorization: Bearer). */
void ask_put_credential(const struct route *route, const struct dialect *d, struct buf *out);

#endif
