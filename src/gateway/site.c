/* The public site as a table: a path, its methods, its function. What is asked of every request is asked here: the host, the
 * method, the length of the target (a prompt in a URL may be long, nothing else may). The operator's site: admin.c. */
#include "gateway/endpoints.h"
#include "gateway/guard.h"

enum { TARGET_BYTES = 8 * 1024 };

typedef void serve(struct worker *w, struct exchange *x, const struct route *route);

struct endpoint {
	serve *get, *post, *delete, *head, *any;
	const char *allow;
};

static const struct endpoint page = {.get = page_get, .head = page_get, .allow = "GET, HEAD"};
static const struct endpoint browser = {.get = browser_get, .post = browser_post, .head = browser_head, .allow = "GET, HEAD, POST, OPTIONS"};
static const struct endpoint streams = {.get = streams_get, .head = streams_get, .delete = streams_delete, .allow = "GET, HEAD, DELETE, OPTIONS"};
static const struct endpoint start = {.post = streams_post, .allow = "POST, OPTIONS"};
static const struct endpoint pass = {.any = passthrough, .allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"};

/* The path itself, or else the longest prefix of it: the order in the file means nothing. */
static const struct route *find_route(const struct config *c, span path)
{
	const struct route *best = NULL;
	for (size_t i = 0; i < c->routes; i++) {
		const struct route *r = &c->route[i];
		if (!r->is_prefix && span_is(path, r->path))
			return r;
		if (r->is_prefix && span_starts(path, span_str(r->path)) && (!best || strlen(r->path) > strlen(best->path)))
			best = r;
	}
	return best;
}

static const struct endpoint *find_own(span path)
{
	if (page_has(path))
		return &page;
	if (span_is(path, "/streams"))
		return &start;
	if (span_starts(path, SPAN("/streams/")) && span_find(span_from(path, 9), '/') == path.n - 9)
		return &streams;
	return NULL;
}

/* A route onto everything takes what is left over by all other paths. */
static bool is_last_resort(const struct route *r) { return r->is_prefix && strcmp(r->path, "/") == 0; }

static const struct endpoint *find_endpoint(const struct config *c, span path, const struct route **route)
{
	const struct endpoint *own = find_own(path);
	*route = find_route(c, path);
	if (own && *route && is_last_resort(*route))
		*route = NULL;
	if (!*route)
		return own;
	return (*route)->kind == ROUTE_BROWSER ? &browser : &pass;
}

static serve *find_method(const struct endpoint *e, span method)
{
	if (e->any)
		return e->any;
	return span_is(method, "GET") ? e->get : span_is(method, "HEAD") ? e->head : span_is(method, "POST") ? e->post
	     : span_is(method, "DELETE") ? e->delete : NULL;
}

static void refuse_method(struct exchange *x, const struct endpoint *e)
{
	exchange_field(x, "Allow", span_str(e->allow));
	exchange_refuse(x, 405, NULL, "That method does nothing here; Allow names those that do.");
}

static void dispatch(struct worker *w, struct exchange *x)
{
	const struct http_head *head = exchange_head(x);
	const struct route *route;
	const struct endpoint *e = find_endpoint(w->config, exchange_target(x)->path, &route);
	serve *method = e ? find_method(e, head->method) : NULL;
	bool is_preflight = span_is(head->method, "OPTIONS") && headers_get(head, "access-control-request-method").p;
	if (e != &browser && head->target.n > TARGET_BYTES)
		exchange_refuse_and_close(x, 414, NULL, "The request's target is longer than 8 KiB.");
	else if (!e)
		exchange_refuse(x, 404, NULL, "Nothing is here.");
	else if (span_is(head->method, "OPTIONS") && (is_preflight || !e->any))
		guard_preflight(w, x, e->allow);
	else if (!method || span_is(head->method, "TRACE"))
		refuse_method(x, e);
	else
		method(w, x, route);
}

void site_on_request(void *worker, struct exchange *x)
{
	struct worker *w = worker;
	if (!guard_host(w, x))
		return;
	guard_cors(w, x);
	dispatch(w, x);
}
