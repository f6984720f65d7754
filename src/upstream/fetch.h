/* A fetch is one HTTP request to one upstream and what comes back, over a kept or a new connection. It reports each
 * kind of end as evidence and judges nothing. Belongs to its loop's thread. */
#ifndef UPSTREAM_FETCH_H
#define UPSTREAM_FETCH_H

#include "http/headers.h"
#include "net/dial.h"
#include "upstream/model.h"
#include "upstream/route.h"

/* Connections to upstreams that wait for their next request; one pool for each loop. */
struct pool;
struct pool *pool_create(struct loop *l, struct resolver *names);
void pool_destroy(struct pool *p); /* fetches under way are cancelled */
struct loop *pool_loop(const struct pool *p);
/* Where `upstream: model` leads; NULL: there is none. */
void pool_set_model(struct pool *p, const struct model *m);

enum fetch_end {
	FETCH_FRAMED,    /* whole by its framing */
	FETCH_CLOSED,    /* close-delimited and closed cleanly */
	FETCH_BROKEN,    /* FIN or reset before the end, or before any answer */
	FETCH_MALFORMED, /* breaks the rules of HTTP */
	FETCH_REFUSED,   /* no connection */
	FETCH_TLS,       /* no trustworthy one */
};

struct fetch_events {
	void (*on_connected)(void *owner);  /* optional */
	void (*on_head)(void *owner, const struct http_head *head); /* a loan until it returns */
	void (*on_body)(void *owner, span piece);
	/* Exactly once, last; the fetch is gone. detail: one sentence about what was seen. */
	void (*on_end)(void *owner, enum fetch_end how, const char *detail);
	void (*on_room)(void *owner);       /* optional: fetch_room is no longer 0 */
};

struct fetch_request {
	const struct upstream *upstream;
	span method;
	span target; /* path and query */
	span fields;
		/* header lines, each with CRLF; Host, Content-Length, Transfer-Encoding and Accept-Encoding are made here */
	span body;   /* whole, when body_follows is false */
	bool body_follows; /* it comes by fetch_put and fetch_put_end … */
	int64_t length;    /* … and is so long, or -1: chunked */
};

struct fetch;

/* Everything in the request is copied, but the upstream, which stays until the fetch has ended or is left to finish.
 * NULL when there is no memory. */
struct fetch *fetch_start(struct pool *p, const struct fetch_request *request, const struct fetch_events *events,
	void *owner);

/* Somebody else is told from now on; also from inside a callback. */
void fetch_set_owner(struct fetch *f, const struct fetch_events *events, void *owner);

/* No callback any more; the connection is closed, so that the upstream stops. */
void fetch_cancel(struct fetch *f);

/* The request's side is shut, as by a client that has left, but what the upstream does then is still read. Whoever leaves for
 * good cancels. */
void fetch_hang_up(struct fetch *f);

/* No callback any more either, but nothing is wrong: the answer's last word was read, only its framing may still come.
 * It is awaited for a moment, so that the connection can be kept. */
void fetch_let_finish(struct fetch *f);

void fetch_put(struct fetch *f, span body);
void fetch_put_end(struct fetch *f);
size_t fetch_room(const struct fetch *f);

/* Back-pressure: while paused nothing is read, ends included. */
void fetch_pause(struct fetch *f, bool paused);

/* A clock ran out before a connection was there: what was waited for, as part of a sentence, and the cause. */
enum cause fetch_stalled(struct fetch *f, char *detail, size_t detail_bytes);

#endif
