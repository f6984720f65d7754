/* What of a message crosses a passthrough route, and what is made anew on the other side. */
#ifndef GATEWAY_FORWARD_H
#define GATEWAY_FORWARD_H

#include "gateway/client.h"
#include "upstream/route.h"

/* The request: its target at that upstream of the route, and its header lines; d: the dialect, or NULL. callers: whose
 * keys do not cross. by: for whom. */
void forward_put_target(const struct route *route, const struct upstream *u, const struct callers *callers,
	const struct url_target *target, struct buf *out);
void forward_put_fields(const struct route *route, const struct dialect *d, const struct callers *callers,
	const struct client *by, struct buf *out);

/* What the client says of who it is: to tell clients apart. cookies: those too. */
void forward_put_credentials(const struct http_head *head, bool cookies, struct buf *out);

/* The answer's fields, given to the exchange: all; without Content-Type, which waits until it is known what the answer is; or
 * for a stream, whose viewer says for itself what streams need. */
enum forward_fields { FORWARD_ALL, FORWARD_UNTYPED, FORWARD_STREAM };
void forward_answer_fields(struct exchange *x, const struct http_head *head, enum forward_fields which);

#endif
