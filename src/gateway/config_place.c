/* The kinds of values that say where answers come from and who may be told: a route's path, its upstreams, its dialect,
 * what is merged into its requests, its credentials; and the embedded model's file.
 *
 * These fill several fields of struct route at once, so their `field` is the route itself (offset 0).
 *
 * Invariants:
 * 1. A credential is kept in auth_value alone: no complaint, no --check-config and no log shows it (config_secret.c).
 * 2. The spans of an upstream's url point into its text, on the heap, so the array of upstreams may move.
 *
 * What may go together with what (text with request, client with browser …) is in config_rules.c. */
#include "gateway/config_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* Path. */

/* Paths that lastword answers itself. */
static bool is_our_own(span path, bool is_prefix)
{
	if (span_is(path, "/"))
		return !is_prefix; /* as a prefix it is what is left over by all other paths */
	return span_is(path, "/lastword.js") || span_is(path, "/streams") || span_starts(path, SPAN("/streams/"));
}

static bool bind_path(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct route *r = field;
	struct url_target target;
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	bool is_prefix = text.n >= 2 && span_is(span_from(text, text.n - 2), "/*");
	span path = is_prefix ? span_first(text, text.n - 1) : text;
	if (path.p[0] != '/')
		return config_type_wrong(b, o, n, "\"%s\" has no / at its beginning", config_complain_show(text).text);
	if (span_find(path, '*') < path.n || span_find(path, '?') < path.n)
		return config_type_wrong(b, o, n, "\"%s\" has a * or ? inside", config_complain_show(text).text);
	const char *wrong = url_split_target(path, &target);
	if (wrong)
		return config_type_wrong(b, o, n, "\"%s\": %s", config_complain_show(text).text, wrong);
	if (is_our_own(path, is_prefix))
		return config_type_wrong(b, o, n, "\"%s\" is answered by lastword itself", config_complain_show(text).text);
	r->is_prefix = is_prefix;
	return config_type_copy(b, n, path, &r->path);
}

static void print_path(const struct option *o, const void *field, struct buf *out)
{
	const struct route *r = field;
	struct buf text = {0};
	buf_put(&text, span_str(r->path));
	buf_put(&text, r->is_prefix ? SPAN("*") : SPAN(""));
	if (r->is_prefix)
		config_json_put_string(out, buf_span(&text));
	else
		config_type_put_plain(out, buf_span(&text));
	out->failed |= text.failed;
	buf_finish(&text);
}

static void release_path(void *field)
{
	struct route *r = field;
	free(r->path);
	r->path = NULL;
}

const struct option_type config_place_path = {
	"a path such as /sse-proxy, or /v1/* for all below it", bind_path, print_path, release_path};

/* Upstream. */

static bool bind_upstream(struct binding *b, const struct option *o, const struct node *n, struct upstream *u)
{
	span text;
	if (!config_type_scalar(b, o, n, &text) || !config_type_copy(b, n, text, &u->text))
		return false;
	u->is_model = span_is(text, "model");
	const char *wrong = u->is_model ? NULL : url_parse(span_str(u->text), &u->url);
	if (!wrong && !u->is_model && u->url.scheme == URL_UNIX && u->url.socket.n >= sizeof((struct sockaddr_un *)0)->sun_path)
		wrong = "the path of a Unix socket has at most 107 bytes";
	return !wrong || config_type_wrong(b, o, n, "%s", wrong); /* not the text: it may hold a password */
}

static bool bind_upstreams(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct route *r = field;
	size_t count = 0;
	const struct node *first = n->kind == NODE_LIST ? n->child : n;
	for (const struct node *c = first; c; c = n->kind == NODE_LIST ? c->next : NULL)
		count++;
	if (count == 0)
		return config_type_wrong(b, o, n, "an empty list");
	r->upstream = calloc(count, sizeof *r->upstream);
	if (!r->upstream)
		return config_complain(b->complaint, n, "out of memory");
	for (const struct node *c = first; r->upstreams < count; c = c->next)
		if (!bind_upstream(b, o, c, &r->upstream[r->upstreams++]))
			return false;
	return true;
}

static void print_upstreams(const struct option *o, const void *field, struct buf *out)
{
	const struct route *r = field;
	buf_put(out, r->upstreams > 1 ? SPAN("[") : SPAN(""));
	for (size_t i = 0; i < r->upstreams; i++) {
		buf_put(out, i ? SPAN(", ") : SPAN(""));
		config_type_put_plain(out, span_str(r->upstream[i].text));
	}
	buf_put(out, r->upstreams > 1 ? SPAN("]") : SPAN(""));
}

static void release_upstreams(void *field)
{
	struct route *r = field;
	for (size_t i = 0; i < r->upstreams; i++)
		free(r->upstream[i].text);
	free(r->upstream);
	r->upstream = NULL;
	r->upstreams = 0;
}

const struct option_type config_place_upstreams = {
	"model, http://HOST:PORT/PATH, https://HOST/PATH, unix:/SOCKET:/PATH, or a list of them", bind_upstreams, print_upstreams,
	release_upstreams};

/* Dialect. */

static bool bind_dialect(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct route *r = field;
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	r->dialect_auto = span_is(text, "auto");
	r->dialect = r->dialect_auto ? NULL : dialect_by_name(text);
	if (r->dialect_auto || r->dialect)
		return true;
	return config_type_wrong(b, o, n, "unknown dialect \"%s\"", config_complain_show(text).text);
}

static void print_dialect(const struct option *o, const void *field, struct buf *out)
{
	const struct route *r = field;
	buf_put(out, r->dialect_auto ? SPAN("auto") : span_str(r->dialect->name));
}

const struct option_type config_place_dialect = {
	"auto, text, openai-chat or another dialect's name", bind_dialect, print_dialect, NULL};

/* Request. */

static bool bind_request(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct buf json = {0};
	if (n->kind != NODE_MAP)
		return config_type_wrong(b, o, n, n->kind == NODE_LIST ? "a list" : "a single value");
	if (!n->child)
		return true;
	bool fine = config_json_put_node(&json, n, b->complaint) &&
		(!json.failed || config_complain(b->complaint, n, "out of memory")) &&
		config_type_copy(b, n, buf_span(&json), field);
	buf_finish(&json);
	return fine;
}

/* JSON is YAML. */
static void print_request(const struct option *o, const void *field, struct buf *out)
{
	const char *json = *(char *const *)field;
	buf_put(out, json ? span_str(json) : SPAN("{}"));
}

const struct option_type config_place_request = {
	"a map that is merged into the body", bind_request, print_request, config_type_release_string};

/* Credentials. */

static bool bind_auth(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct route *r = field;
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	int plain = config_type_choose("none|client", text);
	if (plain >= 0) {
		r->auth = plain ? AUTH_CLIENT : AUTH_NONE;
		return true;
	}
	struct secret secret = {0};
	if (!config_secret_bind(b, o, n, text, &secret)) {
		config_secret_finish(&secret);
		return false;
	}
	r->auth = secret.from;
	r->auth_name = secret.name;
	r->auth_value = secret.value;
	return true;
}

static void print_auth(const struct option *o, const void *field, struct buf *out)
{
	const struct route *r = field;
	if (r->auth_name)
		config_secret_print(r->auth, r->auth_name, r->auth_value, out);
	else
		buf_put(out, r->auth == AUTH_CLIENT ? SPAN("client") : SPAN("none"));
}

static void release_auth(void *field)
{
	struct route *r = field;
	struct secret secret = {r->auth, r->auth_name, r->auth_value};
	config_secret_finish(&secret);
	r->auth_value = r->auth_name = NULL;
}

const struct option_type config_place_auth = {
	"none, client, env:NAME or file:PATH (the secret itself never stands here)", bind_auth, print_auth, release_auth};

/* A header's name (RFC 9110 §5.6.2). */

static bool is_token(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("!#$%&'*+-.^_`|~", s.p[i]))
			return false;
	return s.n > 0;
}

static bool bind_header(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	if (span_is(text, "auto"))
		return true;
	if (!is_token(text))
		return config_type_wrong(b, o, n, "\"%s\"", config_complain_show(text).text);
	return config_type_copy(b, n, text, field);
}

static void print_header(const struct option *o, const void *field, struct buf *out)
{
	const char *name = *(char *const *)field;
	config_type_put_plain(out, name ? span_str(name) : SPAN("auto"));
}

const struct option_type config_place_header = {
	"auto or a header's name", bind_header, print_header, config_type_release_string};

/* Certificates to believe. */

static bool bind_ca(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	if (span_is(text, "system"))
		return true;
	if (!config_type_copy(b, n, text, field))
		return false;
	const char *file = *(char *const *)field;
	return access(file, R_OK) == 0 || config_type_wrong(b, o, n, "cannot read %s: %s", config_complain_show(text).text, strerror(errno));
}

static void print_ca(const struct option *o, const void *field, struct buf *out)
{
	const char *file = *(char *const *)field;
	config_type_put_plain(out, file ? span_str(file) : SPAN("system"));
}

static void release_ca(void *field)
{
	char **file = field;
	free(*file);
	*file = NULL;
}

const struct option_type config_place_ca = {"system or a file of PEM certificates", bind_ca, print_ca, release_ca};

/* The embedded model's file. */

/* The default's name stands for "look for it": it is not a path, so it is not kept. */
static bool bind_model_file(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct config *c = b->config;
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	c->model.is_none = span_is(text, "none");
	if (c->model.is_none || span_is(text, o->initial))
		return true;
	return config_type_copy(b, n, text, field);
}

static void print_model_file(const struct option *o, const void *field, struct buf *out)
{
	const char *file = *(char *const *)field;
	const struct config *c = (const void *)((const char *)field - offsetof(struct config, model.file));
	config_type_put_plain(out, c->model.is_none ? SPAN("none") : file ? span_str(file) : span_str(o->initial));
}

const struct option_type config_place_model_file = {
	"a GGUF file or none", bind_model_file, print_model_file, config_type_release_string};
