/* Rules that concern more than one option: each is right by itself, together they are a mistake.
 *
 * A rule is one function; it complains about the line that most likely has to change. They run after all options of a
 * route (or of the whole) have their values, defaults included, because a default may break a rule as well: `retry: 3s`
 * alone makes the default `grace` of 5 s too short, and a browser would come back to a cancelled answer.
 *
 * Not here: what a single value may be (config_type.c, config_place.c). */
#include "gateway/config_parts.h"

enum { GRACE_RETRIES = 3 }; /* a browser's reconnect may fail once or twice before it gets through */

struct rule {
	struct binding *b;
	struct route *route;
	const struct node *const *said; /* of the route */
	const struct node *at;          /* the route, for values that nobody said */
};

static const struct node *said(const struct node *const *rows, enum option_owner owner, const char *path)
{
	return rows[config_option_find(owner, span_str(path)) - config_option_rows];
}

/* The line to blame: the first of them that was said. */
static const struct node *blame(const struct node *first, const struct node *second, const struct node *third)
{
	return first ? first : second ? second : third;
}

static const struct node *of_route(const struct rule *r, const char *path) { return said(r->said, OF_ROUTE, path); }
static const struct node *said_once(const struct binding *b, const char *path) { return said(b->said, OF_ALL, path); }

static bool is_on_model(const struct route *r)
{
	size_t i = 0;
	while (i < r->upstreams && !r->upstream[i].is_model)
		i++;
	return i < r->upstreams;
}

static bool check_path_is_new(struct rule *r)
{
	for (const struct route *o = r->b->config->route; o < r->route; o++)
		if (o->is_prefix == r->route->is_prefix && !strcmp(o->path, r->route->path))
			return config_complain(r->b->complaint, blame(of_route(r, "path"), NULL, r->at),
				"path: a second route %s%s, expected each path once", o->path, o->is_prefix ? "*" : "");
	return true;
}

static bool check_grace(struct rule *r)
{
	uint64_t retry_ms = r->b->config->retry_ms, grace_ms = r->route->grace_ms;
	bool by_default = !of_route(r, "grace");
	if (r->route->kind != ROUTE_BROWSER || grace_ms == 0 || grace_ms / GRACE_RETRIES >= retry_ms)
		return true;
	return config_complain(r->b->complaint, blame(of_route(r, "grace"), said_once(r->b, "retry"), r->at),
		"grace: %llu ms%s is shorter than 3 × retry (%llu ms each), so a browser would come back too late, "
		"expected 0, never or at least %llu ms", (unsigned long long)grace_ms, by_default ? " (the default)" : "",
		(unsigned long long)retry_ms, (unsigned long long)(GRACE_RETRIES * retry_ms));
}

static bool check_attach_retries(struct rule *r)
{
	uint64_t retry_ms = r->b->config->retry_ms, grace_ms = r->route->grace_ms;
	if (!r->route->attach_retries || grace_ms / GRACE_RETRIES >= retry_ms)
		return true;
	return config_complain(r->b->complaint, blame(of_route(r, "grace"), of_route(r, "attach_retries"), r->at),
		"attach_retries: true, but with grace %llu ms a retry would come back too late, expected grace: never or at least "
		"%llu ms", (unsigned long long)grace_ms, (unsigned long long)(GRACE_RETRIES * retry_ms));
}

static const char *dialect_name_of(const struct upstream *u)
{
	const struct dialect *d = u->is_model ? &dialect_openai_chat : dialect_by_path(u->url.path);
	return d ? d->name : NULL;
}

/* What one upstream is asked, the next one must understand. A passthrough client says itself what it speaks. */
static bool check_upstreams_alike(struct rule *r)
{
	const struct route *route = r->route;
	if (route->kind != ROUTE_BROWSER || !route->dialect_auto)
		return true;
	for (size_t i = 1; i < route->upstreams; i++) {
		const char *first = dialect_name_of(&route->upstream[0]), *other = dialect_name_of(&route->upstream[i]);
		if (first != other && (!first || !other || strcmp(first, other)))
			return config_complain(r->b->complaint, blame(of_route(r, "upstream"), NULL, r->at),
				"upstream: a list of which the first speaks %s and another %s, by their paths, expected upstreams that are "
				"asked alike, or dialect", first ? first : "text", other ? other : "text");
	}
	return true;
}

/* The embedded model speaks openai-chat; nothing has to be guessed. */
static bool settle_model_dialect(struct rule *r)
{
	if (!is_on_model(r->route))
		return true;
	if (!r->route->dialect_auto && r->route->dialect != &dialect_openai_chat)
		return config_complain(r->b->complaint, blame(of_route(r, "dialect"), NULL, r->at),
			"dialect: the embedded model does not speak %s, expected auto or openai-chat", r->route->dialect->name);
	if (r->route->kind == ROUTE_BROWSER) {
		r->route->dialect_auto = false;
		r->route->dialect = &dialect_openai_chat;
	}
	return true;
}

/* A browser route asks a text upstream by GET (there is no body to merge into). */
static bool asks_by_get(const struct route *r)
{
	if (!r->dialect_auto)
		return r->dialect == &dialect_text;
	return !dialect_by_path(r->upstream[0].url.path);
}

static bool check_request(struct rule *r)
{
	if (!r->route->request || r->route->kind != ROUTE_BROWSER || !asks_by_get(r->route))
		return true;
	return config_complain(r->b->complaint, blame(of_route(r, "request"), NULL, r->at),
		"request: dialect text is asked by GET and has no body to merge into, expected a JSON dialect or no request");
}

static bool check_auth(struct rule *r)
{
	if (r->route->kind != ROUTE_BROWSER || r->route->auth != AUTH_CLIENT)
		return true;
	return config_complain(r->b->complaint, blame(of_route(r, "auth"), NULL, r->at),
		"auth: a browser has no credential of the upstream, expected none, env:NAME or file:PATH on a browser route");
}

static bool check_end_marker(struct rule *r)
{
	if (r->route->end_marker == END_MARKER_OPTIONAL || r->route->dialect_auto || r->route->dialect == &dialect_text)
		return true;
	return config_complain(r->b->complaint, blame(of_route(r, "end_marker"), NULL, r->at),
		"end_marker: dialect %s has rules of its own, expected optional, or dialect text", r->route->dialect->name);
}

bool config_rules_route(struct binding *b, const struct node *route, const struct node *const *said_rows)
{
	struct rule r = {.b = b, .route = b->route, .said = said_rows, .at = route};
	return check_path_is_new(&r) && check_upstreams_alike(&r) && settle_model_dialect(&r) && check_request(&r) && check_auth(&r) &&
		check_end_marker(&r) && check_grace(&r) && check_attach_retries(&r);
}

static bool check_model_exists(struct binding *b)
{
	const struct config *c = b->config;
	size_t i = 0;
	while (i < c->routes && !is_on_model(&c->route[i]))
		i++;
	if (!c->model.is_none || i == c->routes)
		return true;
	return config_complain(b->complaint, said_once(b, "model.file"),
		"no model, but the route %s%s needs it as its upstream, expected a GGUF, --upstream URL, or routes onto other "
		"upstreams", c->route[i].path, c->route[i].is_prefix ? "*" : "");
}

static bool check_listeners_differ(struct binding *b)
{
	const struct config *c = b->config;
	bool free_port = !strcmp(strrchr(c->listen, ':'), ":0");
	if (!c->admin || free_port || strcmp(c->listen, c->admin))
		return true;
	return config_complain(b->complaint, blame(said_once(b, "admin"), said_once(b, "listen"), NULL),
		"%s is both the public and the admin address, expected two", c->admin);
}

bool config_rules_whole(struct binding *b)
{
	return check_model_exists(b) && check_listeners_differ(b) && config_tls_load(b);
}
