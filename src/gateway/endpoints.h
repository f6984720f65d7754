/* What each public URL does: one function for each endpoint; site.c has their table. The exchange's host was accepted,
 * its method is one that the table allows, and CORS fields are set. */
#ifndef GATEWAY_ENDPOINTS_H
#define GATEWAY_ENDPOINTS_H

#include "gateway/worker.h"

/* browser.c: GET and POST on a browser route. */
void browser_get(struct worker *w, struct exchange *x, const struct route *route);
void browser_post(struct worker *w, struct exchange *x, const struct route *route);
/* POST /streams: starts a stream and says where it is. */
void streams_post(struct worker *w, struct exchange *x, const struct route *route);
/* HEAD: what a GET would be answered with, without starting anything. */
void browser_head(struct worker *w, struct exchange *x, const struct route *route);

/* streams.c: /streams/ID. */
void streams_get(struct worker *w, struct exchange *x, const struct route *route);
void streams_delete(struct worker *w, struct exchange *x, const struct route *route);

/* A viewer that comes back with a place (Last-Event-ID or last_event_id). */
void streams_resume(struct worker *w, struct exchange *x, span place);
/* What is said of a place from which nothing can be told any more: failed/forgotten. */
void streams_answer_forgotten(struct worker *w, struct exchange *x, span place);
/* A whole browser stream that only fails; finishes what was printed. */
void streams_answer_failed(struct exchange *x, struct buf *printed);
/* The place that a request carries, the header before the query; p is NULL when there is none. storage: for a decoded
 * query. */
MUST bool streams_place(struct exchange *x, struct buf *storage, span *place);

/* passthrough.c: any method on a passthrough route. */
void passthrough(struct worker *w, struct exchange *x, const struct route *route);
/* The same, its body being here already; a loan. */
struct passing {
	struct config *config;
	const struct route *route;
	const struct caller *who; /* NULL: no keys are configured */
};
void passthrough_whole(struct worker *w, struct exchange *x, const struct passing *how, span body);
/* Such a request goes on without its client, and its answer has not begun. Asking keeps it alive for another `grace`. */
struct retry_key;
MUST bool passthrough_pends(struct worker *w, const struct retry_key *key);
/* Ends all of them, visibly. */
void passthrough_break_all(struct worker *w);

/* page.c: the page and its files. */
bool page_has(span path);
void page_get(struct worker *w, struct exchange *x, const struct route *route);

/* site.c: the table. */
void site_on_request(void *worker, struct exchange *x);

/* admin.c: the operator's site, with a table of its own. */
void admin_on_request(void *worker, struct exchange *x);

#endif
