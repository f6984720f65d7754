/* The table of options, as data. Its rows are in config_options.def; this file gives their macros a meaning and finds
 * rows by name.
 *
 * One table instead of a binder, a help text, a man page and a printer that each know the keys: those four drift apart,
 * and the one that the operator reads is the one that nobody tests. Defaults stand in the table as YAML and go through
 * the same types as the file, so what --help prints is what holds.
 *
 * Invariant: path, kind and upstream come first among a route's rows, because the defaults of the others depend on
 * them. */
#include "gateway/config_parts.h"

#define HOUR 3600000ull
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define RANGE(low, high) .least = (low), .most = (high)
#define OFF_OR(low, high) .least = (low), .most = (high), .has_off = true
#define OPTION(name, kind_of_value, field, value, ...) \
	{.path = name, .type = &config_##kind_of_value, .at = offsetof(struct config, field), \
		.initial = value, __VA_ARGS__},
#define WHOLE path
#define CALLER(name, kind_of_value, field, value, ...) \
	{.path = name, .type = &config_##kind_of_value, .at = offsetof(struct caller, field), \
		.owner = OF_CALLER, .initial = value, __VA_ARGS__},
#define ROUTE(name, kind_of_value, field, value, ...) \
	{.path = name, .type = &config_##kind_of_value, .at = offsetof(struct route, field), .owner = OF_ROUTE, \
		.initial = value, __VA_ARGS__},


_Static_assert(offsetof(struct route, WHOLE) == 0, "WHOLE is the route itself");

const struct option config_option_rows[] = {
#include "gateway/config_options.def"
};
const size_t config_option_count = sizeof config_option_rows / sizeof *config_option_rows;

const struct option *config_option_find(enum option_owner owner, span path)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		if (o->owner == owner && span_is(path, o->path))
			return o;
	}
	return NULL;
}

bool config_option_is_group(enum option_owner owner, span path)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		span whole = span_str(o->path);
		if (o->owner == owner && span_starts(whole, path) && whole.n > path.n && whole.p[path.n] == '.')
			return true;
	}
	return false;
}

void config_option_release(enum option_owner owner, void *whole)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		if (o->owner == owner && o->type->release)
			o->type->release(config_option_field(o, whole));
	}
}

const char *config_option_default(const struct option *o, const struct route *r)
{
	if (!r)
		return o->initial;
	if (o->prefix && r->is_prefix)
		return o->prefix;
	if (o->passthrough && r->kind == ROUTE_PASSTHROUGH)
		return o->passthrough;
	if (o->model && r->upstreams && r->upstream[0].is_model)
		return o->model;
	return o->initial;
}

void config_option_describe(const struct option *o, struct buf *out)
{
	buf_put(out, span_str(o->sentence));
	if (o->prefix)
		buf_printf(out, " Paths that end in /*: %s.", o->prefix);
	if (o->passthrough)
		buf_printf(out, " Passthrough%s: %s.", o->model ? " and model" : "", o->passthrough);
}
