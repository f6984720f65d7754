/* Nodes × table → struct config.
 *
 * First every key of the file is looked up, so a typo is found even when it would change nothing; then every row of the
 * table gets its value from the flag that says it, else from the file, else from its default, in the order of the
 * table. Defaults are parsed from their text like everything else. Rules that need more than one value come last
 * (config_rules.c).
 *
 * Routes: those of the file; without any, those that wire the embedded model to the page and to SDKs; or, with
 * --upstream, the page's route alone. `--upstream` overrides what the file says of /sse-proxy.
 *
 * Invariants:
 * 1. Nothing half-applied: the caller gets a whole configuration or none.
 * 2. Strings of the configuration are copies; nodes, flags and argv may go.
 * 3. Defaults fail only for want of memory: test_config binds every one of them. */
#include "gateway/config_parts.h"

#include <stdio.h>
#include <stdlib.h>

static const char browser_path[] = "/sse-proxy";
static const char model_routes[] = "[{ path: /sse-proxy, upstream: model }, { path: /v1/*, upstream: model }]";
static const char browser_route[] = "[{ path: /sse-proxy }]"; /* --upstream says the rest */

enum { ROWS_MOST = 64 };

struct rows {
	const struct node *said[ROWS_MOST]; /* for each row of the table; NULL: its default holds */
};

/* Keys. */

/* Keys of the same group, or, on top, keys and groups. */
static struct nearest find_nearest(enum option_owner owner, span path, span group)
{
	struct nearest near = {.wanted = path};
	if (owner == OF_ALL && !group.n)
		config_complain_nearer(&near, SPAN("routes"));
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		span known = span_str(o->path);
		if (o->owner == owner && span_starts(known, group))
			config_complain_nearer(&near, group.n ? known : span_first(known, span_find(known, '.')));
	}
	return near;
}

static bool complain_unknown(struct binding *b, enum option_owner owner, const struct node *key, const char *path,
	span group)
{
	struct nearest near = find_nearest(owner, span_str(path), group);
	struct shown shown = config_complain_show(key->text);
	if (!near.word.p)
		return config_complain(b->complaint, key, "unknown key \"%s\", expected a key of lastword --help", shown.text);
	near.word = span_from(near.word, group.n);
	return config_complain(b->complaint, key,
		"unknown key \"%s\", did you mean \"%.*s\"? (expected a key of lastword --help)", shown.text,
		SPAN_ARG(near.word));
}

static bool check_keys(struct binding *b, enum option_owner owner, const struct node *map, const char *group)
{
	for (const struct node *n = map->child; n; n = n->next) {
		char path[272]; /* keys have at most 128 bytes, groups do not nest */
		snprintf(path, sizeof path, "%s%s", group, n->key->text.p);
		bool is_routes = owner == OF_ALL && !*group && span_is(span_str(path), "routes");
		bool is_dotted = span_find(n->key->text, '.') < n->key->text.n; /* a path of the table, but no key */
		bool is_known = is_routes || config_option_find(owner, span_str(path));
		if (is_known && !is_dotted)
			continue;
		if (is_known)
			return config_complain(b->complaint, n->key, "the key %s, expected a map in a map instead of the dot",
				path);
		if (*group || !config_option_is_group(owner, span_str(path)))
			return complain_unknown(b, owner, n->key, path, span_str(group));
		if (n->kind != NODE_MAP)
			return config_complain(b->complaint, n, "%s: %s, expected a map", path,
				n->kind == NODE_LIST ? "a list" : n->text.n ? "a single value" : "no value");
		snprintf(path, sizeof path, "%s.", n->key->text.p);
		if (!check_keys(b, owner, n, path))
			return false;
	}
	return true;
}

/* Values. */

static bool bind_default(struct binding *b, const struct option *o, const char *text, void *field)
{
	struct tree t;
	bool fine = config_tree_parse(&t, span_str(text), true, b->complaint) &&
		(CHECK(t.root), o->type->bind(b, o, t.root, field));
	config_tree_finish(&t);
	return fine;
}

static void *whole_of(const struct binding *b, enum option_owner owner)
{
	switch (owner) {
	case OF_ALL:
		return b->config;
	case OF_CALLER:
		return b->caller;
	case OF_ROUTE:
		return b->route;
	}
	return NULL;
}

static bool bind_rows(struct binding *b, enum option_owner owner, const struct node *map, const struct rows *rows)
{
	void *whole = whole_of(b, owner);
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		if (o->owner != owner)
			continue;
		const char *text = config_option_default(o, owner == OF_ROUTE ? b->route : NULL);
		void *field = config_option_field(o, whole);
		if (rows->said[i] ? !o->type->bind(b, o, rows->said[i], field) : text && !bind_default(b, o, text, field))
			return false;
		if (!rows->said[i] && !text && owner != OF_ALL)
			return config_complain(b->complaint, map, "a %s without %s, expected %s",
				owner == OF_ROUTE ? "route" : "key", o->path, o->type->expects);
	}
	return true;
}

static void find_rows(struct rows *rows, enum option_owner owner, const struct node *map)
{
	CHECK(config_option_count <= ROWS_MOST);
	*rows = (struct rows){0};
	for (size_t i = 0; i < config_option_count; i++)
		if (config_option_rows[i].owner == owner)
			rows->said[i] = config_tree_find(map, config_option_rows[i].path);
}

static void put_flags_first(struct rows *rows, const struct flags *f)
{
	for (enum flag flag = 0; flag < FLAGS; flag++) {
		const char *path = config_cli_rows[flag].path;
		const struct node *n = config_cli_said(f, flag);
		if (path && n)
			rows->said[config_option_find(OF_ALL, span_str(path)) - config_option_rows] = n;
	}
}

/* Callers. */

bool config_bind_caller(struct binding *b, const struct node *n)
{
	struct rows rows;
	if (n->kind != NODE_MAP)
		return config_complain(b->complaint, n, "keys: %s, expected a map with name and key",
			n->kind == NODE_LIST ? "a list" : "a single value");
	if (!check_keys(b, OF_CALLER, n, ""))
		return false;
	find_rows(&rows, OF_CALLER, n);
	return bind_rows(b, OF_CALLER, n, &rows);
}

/* Routes. */

static void say_upstream(struct rows *rows, const struct node *upstream)
{
	rows->said[config_option_find(OF_ROUTE, SPAN("upstream")) - config_option_rows] = upstream;
	rows->said[config_option_find(OF_ROUTE, SPAN("dialect")) - config_option_rows] = NULL;
}

static bool bind_route(struct binding *b, const struct node *n, const struct node *upstream)
{
	struct rows rows;
	if (n->kind != NODE_MAP)
		return config_complain(b->complaint, n, "routes: %s, expected a map with path and upstream",
			n->kind == NODE_LIST ? "a list" : "a single value");
	if (!check_keys(b, OF_ROUTE, n, ""))
		return false;
	find_rows(&rows, OF_ROUTE, n);
	const struct node *path = config_tree_find(n, "path");
	if (upstream && path && span_is(path->text, browser_path))
		say_upstream(&rows, upstream);
	if (!bind_rows(b, OF_ROUTE, n, &rows) || !config_rules_route(b, n, rows.said))
		return false;
	for (size_t i = 0; i < b->route->upstreams; i++)
		b->route->upstream[i].ca = b->route->ca;
	return true;
}

static bool bind_routes(struct binding *b, const struct node *list, const struct node *upstream)
{
	size_t count = 0;
	if (list->kind != NODE_LIST || !list->child)
		return config_complain(b->complaint, list, "routes: %s, expected a list with at least one route",
			list->kind == NODE_MAP ? "a map" : list->kind == NODE_LIST ? "an empty list" : "a single value");
	for (const struct node *n = list->child; n; n = n->next)
		count++;
	b->config->route = calloc(count, sizeof *b->config->route);
	if (!b->config->route)
		return config_complain(b->complaint, list, "out of memory");
	for (const struct node *n = list->child; n; n = n->next) {
		b->route = &b->config->route[b->config->routes];
		b->route->index = b->config->routes++;
		if (!bind_route(b, n, upstream))
			return false;
	}
	b->route = NULL;
	return true;
}

static bool bind_own_routes(struct binding *b, const struct node *upstream)
{
	struct tree t;
	bool fine = config_tree_parse(&t, span_str(upstream ? browser_route : model_routes), true, b->complaint) &&
		bind_routes(b, t.root, upstream);
	config_tree_finish(&t);
	return fine;
}

static bool check_upstream_used(struct binding *b, const struct node *upstream)
{
	for (size_t i = 0; i < b->config->routes; i++)
		if (!b->config->route[i].is_prefix && !strcmp(b->config->route[i].path, browser_path))
			return true;
	return config_complain(b->complaint, upstream, "%s has no route %s, expected one whose upstream it replaces",
		b->complaint->file, browser_path);
}

/* All of it. */

static bool bind_whole(struct binding *b, const struct node *root, const struct flags *f)
{
	struct rows rows;
	if (root && root->kind != NODE_MAP)
		return config_complain(b->complaint, root, "%s, expected keys and values",
			root->kind == NODE_LIST ? "a list" : "a single value");
	if (root && !check_keys(b, OF_ALL, root, ""))
		return false;
	find_rows(&rows, OF_ALL, root);
	put_flags_first(&rows, f);
	b->said = rows.said;
	if (!bind_rows(b, OF_ALL, root, &rows))
		return false;

	const struct node *routes = config_tree_find(root, "routes"), *upstream = config_cli_said(f, FLAG_UPSTREAM);
	if (!(routes ? bind_routes(b, routes, upstream) : bind_own_routes(b, upstream)))
		return false;
	return (!upstream || check_upstream_used(b, upstream)) && config_rules_whole(b);
}

struct config *config_bind(const struct node *root, const struct flags *f, struct complaint *c)
{
	struct binding b = {.config = calloc(1, sizeof *b.config), .complaint = c};
	if (!b.config) {
		config_complain(c, NULL, "out of memory");
		return NULL;
	}
	if (bind_whole(&b, root, f))
		return b.config;
	config_destroy(b.config);
	return NULL;
}
