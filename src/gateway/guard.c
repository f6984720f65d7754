/* A page anywhere on the web can make a browser send requests to a gateway on the same machine. What it cannot do is
 * forge Host, Origin and Sec-Fetch-Site, so these three decide; requests of programs carry neither Origin nor
 * Sec-Fetch-Site and pass where no browser would leave them out, that is by TLS and on a loopback listener, or with a
 * key. What a proxy that is trusted tells of the browser's side counts like our own (client.c).
 *
 * With `keys`, whoever starts work is also somebody: who, caller.c finds out. Whoever reads or stops a stream that is there
 * needs its id and no more; a key that is shown all the same must not be another one than the stream's (streams.c). */
#include "gateway/guard.h"

#include "gateway/client.h"
#include "gateway/recognise.h"

#include <stdio.h>

/* "name:80" → "name", "[::1]:80" → "::1". */
static span host_name(span authority)
{
	if (authority.n && authority.p[0] == '[')
		return span_first(span_from(authority, 1), span_find(span_from(authority, 1), ']'));
	return span_first(authority, span_find(authority, ':'));
}

static bool is_loopback_name(span name)
{
	return span_is_nocase(name, "localhost") || span_is(name, "::1") || (span_starts(name, SPAN("127."))
		&& strspn(name.p, "0123456789.") >= name.n);
}

static bool listens_on_loopback(const struct worker *w) { return is_loopback_name(host_name(span_str(server_name(w->front)))); }

bool guard_host(const struct worker *w, struct exchange *x)
{
	struct client by;
	client_read(&by, w->config, x);
	span host = by.host, name = host_name(host);
	if (!host.p && exchange_head(x)->minor == 0)
		return true; /* HTTP/1.0 has no Host; no browser speaks it */
	bool ours = w->config->hosts.n ? config_lists(&w->config->hosts, name)
	                               : is_loopback_name(name) || span_eq_nocase(name,
		host_name(span_str(server_name(w->front)))) || server_proves_host(w->front, name);
	if (!ours)
		exchange_refuse(x, 421, "unknown_host",
			"This gateway does not answer for that host name; names are listed in the configuration under hosts.");
	return ours;
}

static bool is_own_origin(const struct client *by, span origin)
{
	span scheme = by->is_secure ? SPAN("https://") : SPAN("http://");
	return span_starts(origin, scheme) && span_eq_nocase(span_from(origin, scheme.n), by->host);
}

static bool is_allowed_origin(const struct worker *w, const struct exchange *x, span origin)
{
	struct client by;
	client_read(&by, w->config, x);
	return is_own_origin(&by, origin) || config_lists(&w->config->allow_origins, origin);
}

void guard_cors(const struct worker *w, struct exchange *x)
{
	span origin = headers_get(exchange_head(x), "origin");
	if (w->config->allow_origins.n)
		exchange_field(x, "Vary", SPAN("Origin"));
	if (!origin.p || !is_allowed_origin(w, x, origin))
		return;
	exchange_field(x, "Access-Control-Allow-Origin", origin);
	exchange_field(x, "Access-Control-Expose-Headers", SPAN("Lastword-Stream, Lastword-Data, Location"));
}

void guard_preflight(const struct worker *w, struct exchange *x, const char *methods)
{
	span origin = headers_get(exchange_head(x), "origin");
	if (!origin.p || !is_allowed_origin(w, x, origin)) {
		exchange_refuse(x, 403, "origin",
			"Pages of that origin may not ask here; origins are listed in the configuration under allow_origins.");
		return;
	}
	exchange_field(x, "Access-Control-Allow-Methods", span_str(methods));
	exchange_field(x, "Access-Control-Allow-Headers",
		SPAN("Last-Event-ID, Authorization, Content-Type, Idempotency-Key, Lastword-Key"));
	exchange_field(x, "Access-Control-Max-Age", SPAN("600"));
	exchange_answer(x, 204, NULL, (span){0});
}

/* Browsers say Sec-Fetch-Site where nobody can listen in, which is there and on loopback. */
static bool is_secure(const struct worker *w, const struct exchange *x)
{
	struct client by;
	client_read(&by, w->config, x);
	return by.is_secure;
}

static bool is_json(const struct http_head *head)
{
	return span_is_nocase(headers_media_type(headers_get(head, "content-type")), "application/json");
}

/* A page that no one here knows makes its browser ask. NULL: no. */
static const char *suspicion(const struct worker *w, const struct exchange *x)
{
	const struct http_head *head = exchange_head(x);
	span origin = headers_get(head, "origin"), site = headers_get(head, "sec-fetch-site");
	bool allowed = origin.p && is_allowed_origin(w, x, origin);
	if (origin.p && !allowed)
		return "Pages of that origin may not start work here; origins are listed in the configuration under allow_origins.";
	if (!allowed && (span_is_nocase(site, "cross-site") || span_is_nocase(site, "same-site")))
		return "Another site's page may not start work here.";
	return NULL;
}

/* Nothing says that it is not a page's browser that asks. A page of another site does not send our cookie
 * (SameSite=Strict), and a field with a key only if it was allowed to (that takes a preflight). NULL: it may. */
static const char *doubt(const struct worker *w, const struct exchange *x, const struct caller_seen *seen)
{
	const struct http_head *head = exchange_head(x);
	bool is_told = headers_get(head, "origin").p || headers_get(head, "sec-fetch-site").p;
	if (is_told || seen->is_by_field || listens_on_loopback(w) || is_secure(w, x))
		return NULL;
	if (span_is(head->method, "POST"))
		return is_json(head) ? NULL : "Off the loopback interface a POST needs Content-Type: application/json.";
	return seen->caller ? NULL
	     : "Off the loopback interface a request that starts work needs Sec-Fetch-Site, an allowed Origin or a key.";
}

/* Unknown, wrong and missing look alike. In the dialect, so that its SDKs raise what they raise for a wrong key. */
static void refuse_unknown(struct exchange *x, const struct route *route)
{
	static const char sentence[] = "This gateway asks for a key, and none that it knows came with the request.";
	const struct dialect *d = route && route->kind == ROUTE_PASSTHROUGH ? recognise_dialect(route, x) : NULL;
	struct failure f = {.status = 401, .sentence = sentence, .code = "invalid_api_key", .sequence = -1};
	struct buf body = {0};
	exchange_field(x, "WWW-Authenticate", SPAN("Bearer"));
	if (d)
		dialect_put_error_body(&body, d, &f);
	if (d && !body.failed)
		exchange_answer(x, 401, "application/json", buf_span(&body));
	else
		exchange_refuse(x, 401, f.code, sentence);
	buf_finish(&body);
}

static struct caller_seen see(const struct worker *w, const struct exchange *x, enum caller_places places)
{
	return caller_find(&w->config->callers, places, exchange_head(x), exchange_target(x)->query);
}

bool guard_start(struct worker *w, struct exchange *x, const struct route *route, const struct caller **who)
{
	struct caller_seen seen = see(w, x, route && route->auth == AUTH_CLIENT ? CALLER_OWN_PLACES : CALLER_EVERYWHERE);
	const char *why = suspicion(w, x);
	if (!why && w->config->callers.n && !caller_is_known(&seen)) {
		w->metrics.unknown_callers++;
		refuse_unknown(x, route);
		return false;
	}
	if (!why)
		why = doubt(w, x, &seen);
	if (why)
		exchange_refuse(x, 403, "origin", why);
	*who = seen.caller;
	return !why;
}

struct caller_seen guard_visitor(const struct worker *w, const struct exchange *x)
{
	return see(w, x, CALLER_EVERYWHERE);
}
