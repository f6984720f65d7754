/* An exchange is one HTTP request and its response, seen from the server. Whoever answers it holds bodies and rooms,
 * never a socket: it reads the request's head, asks for the body, begins a response, puts bytes when there is room,
 * and ends or breaks it. What carries it (HTTP/1.1 here, HTTP/2 later) is behind this page. Belongs to its loop's
 * thread.
 *
 * Life: the site's on_request gets it with a whole head. It is over, and the pointer invalid, when exchange_answer,
 * exchange_end or exchange_break returns, or when on_gone returns. */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "http/headers.h"
#include "http/url.h"
#include "net/loop.h"

struct exchange;

struct exchange_events {
	/* A request body asked for by exchange_read_body: pieces, then the end (complete). NULL: what still comes of it is
	 * thrown away, because the answer has begun. */
	void (*on_body)(void *owner, span piece);
	void (*on_body_end)(void *owner);
	/* A request body asked for by exchange_collect_body, whole. A loan as long as the head is. */
	void (*on_request)(void *owner, span body);
	/* There is room again, after exchange_room said 0. */
	void (*on_room)(void *owner);
	/* The client left, or broke its request; nothing can be answered any more. */
	void (*on_gone)(void *owner);
};

void exchange_set_owner(struct exchange *x, const struct exchange_events *events, void *owner);
void *exchange_owner(const struct exchange *x);
struct loop *exchange_loop(const struct exchange *x);

/* The request. Loans until the exchange is over or, if that comes first, until the end of the turn in which its answer
 * begins: then there are no fields any more, and no spans. */
const struct http_head *exchange_head(const struct exchange *x);
const struct url_target *exchange_target(const struct exchange *x);
const char *exchange_peer(const struct exchange *x);
bool exchange_peer_is_loopback(const struct exchange *x);
bool exchange_is_secure(const struct exchange *x); /* it came by TLS */
bool exchange_is_head(const struct exchange *x); /* the method is HEAD: what is put as a body is not sent */

/* Asks for the body, in one of two ways; `100 Continue` is said then. Without either, the body is read and thrown away
 * (within bounds) after the answer. limit: over it the client gets 413 and on_gone is called (from inside these two
 * when the request says its length). */
void exchange_collect_body(struct exchange *x, uint64_t limit_bytes);
void exchange_read_body(struct exchange *x, uint64_t limit_bytes);
void exchange_pause_body(struct exchange *x, bool paused); /* back-pressure for exchange_read_body */

/* One more header field of the answer, before it begins. Copied. */
void exchange_field(struct exchange *x, const char *name, span value);

/* When the client may ask again. */
void exchange_retry_after(struct exchange *x, unsigned seconds);

/* The whole answer at once. content_type NULL: no body. */
void exchange_answer(struct exchange *x, int status, const char *content_type, span body);

/* The same for a body that was printed: if memory ran out under it the connection breaks at the end of the turn. */
void exchange_answer_printed(struct exchange *x, int status, const char *content_type, const struct buf *body);
/* An answer whose request was wrong: {"error":{"message","type","param","code"}}. code: NULL or a short word. */
void exchange_refuse(struct exchange *x, int status, const char *code, const char *message);

/* The same, and the connection does not live on: the rest of the request is read and thrown away (256 KiB, 2 s). */
void exchange_refuse_and_close(struct exchange *x, int status, const char *code, const char *message);

/* An answer that streams. length: -1 when it is not known (chunked; HTTP/1.0: until close). */
void exchange_begin(struct exchange *x, int status, const char *content_type, int64_t length);
size_t exchange_room(struct exchange *x); /* bytes that may be put now; going over it by one event is fine */
void exchange_put(struct exchange *x, span bytes);
void exchange_put_printed(struct exchange *x, const struct buf *bytes); /* likewise */
void exchange_end(struct exchange *x);
void exchange_break(struct exchange *x); /* visibly: no final chunk, the connection is reset */

/* A client that only shut down its sending side counts as gone, unless this says otherwise. */
void exchange_tolerate_half_close(struct exchange *x);
/* Nothing acknowledged for so long: the viewer left (on_gone). Default 30 s. */
void exchange_set_write_timeout(struct exchange *x, uint64_t ms);

#endif
