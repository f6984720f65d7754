/* The configuration in force, as a YAML file that means the same.
 *
 * Walks the table in its order, like the binder, so a new option appears by itself. Paths with a dot become maps. What
 * has no default and was not said (`tls`) is left out. A secret is never here: routes keep the name of its variable or
 * file beside it, and that is what their type prints.
 *
 * Invariant: what is printed parses, and prints the same again (tests/unit/test_config.c, tests/fuzz/fuzz_config.c). */
#include "gateway/config_parts.h"

/* "limits." of "limits.body". */
static span group_of(const struct option *o)
{
	span path = span_str(o->path);
	size_t dot = span_find(path, '.');
	return dot < path.n ? span_first(path, dot + 1) : (span){path.p, 0};
}

static void put_value(struct buf *out, const struct option *o, const void *whole)
{
	o->type->print(o, (const char *)whole + o->at, out);
	buf_put_byte(out, '\n');
}

/* A row without a default is a string. */
static bool is_unsaid(const struct option *o, const struct config *c)
{
	return !o->initial && !*(char *const *)((const char *)c + o->at);
}

static void print_globals(struct buf *out, const struct config *c)
{
	span group = {0};
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		if (o->owner != OF_ALL || is_unsaid(o, c))
			continue;
		span mine = group_of(o);
		if (mine.n && !span_eq(mine, group))
			buf_printf(out, "%.*s:\n", (int)mine.n - 1, mine.p);
		group = mine;
		buf_printf(out, "%s%s: ", mine.n ? "  " : "", o->path + mine.n);
		put_value(out, o, c);
	}
}

void config_print_rows(struct buf *out, enum option_owner owner, const void *whole, const char *first,
	const char *rest)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		if (o->owner != owner)
			continue;
		buf_printf(out, "%s%s: ", first, o->path);
		put_value(out, o, whole);
		first = rest;
	}
}

void config_print_option(const struct route *r, const char *name, struct buf *out)
{
	const struct option *o = config_option_find(OF_ROUTE, span_str(name));
	buf_printf(out, "%s: ", name);
	o->type->print(o, (const char *)r + o->at, out);
}

void config_print(const struct config *c, void (*put)(void *to, span text), void *to)
{
	struct buf out = {0};
	print_globals(&out, c);
	buf_put(&out, SPAN("routes:\n"));
	for (size_t i = 0; i < c->routes; i++)
		config_print_rows(&out, OF_ROUTE, &c->route[i], "  - ", "    ");
	if (!out.failed)
		put(to, buf_span(&out));
	buf_finish(&out);
}
