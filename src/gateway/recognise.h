/* Which answers on a passthrough route are streams that can be judged, and in which dialect. */
#ifndef GATEWAY_RECOGNISE_H
#define GATEWAY_RECOGNISE_H

#include "gateway/asking.h"
#include "server/exchange.h"
#include "upstream/route.h"

/* Before anything is sent: the route's, or what the path tells. NULL: not known. */
const struct dialect *recognise_dialect(const struct route *r, const struct exchange *x);

/* What the request, whose body was read, asks for. */
bool recognise_wants_stream(const struct dialect *d, const struct exchange *x, const struct asking *a);

enum recognised { RECOGNISED_PIPE, RECOGNISED_STREAM, RECOGNISED_PERHAPS };

/* By the answer's head. x: the request, or NULL when its client has left; then nothing is `perhaps`. */
enum recognised recognise_answer(const struct dialect *d, bool wants_stream, const struct exchange *x,
	const struct http_head *answer);

/* Perhaps: the answer's bytes up to its first event with data. */
struct ahead {
	struct sse sse;
	struct buf bytes; /* all that came; of no use when they failed */
	char *content_type;
};

/* NULL when there is no memory. */
struct ahead *ahead_create(const struct http_head *answer);
void ahead_destroy(struct ahead *a); /* or NULL */

/* True when it is decided: *d is the dialect, or NULL when it is none that is known here. */
MUST bool ahead_take(struct ahead *a, span piece, const struct dialect **d);

#endif
