/* `keys`: who may start work. A list of maps, each bound by the rows of the table that are CALLER's.
 *
 * A key is compared by its digest, so the secret itself is forgotten as soon as it was read: no core shows one that
 * came from a file, and of one from the environment only that itself.
 *
 * What a secret may be is what every place can carry in which a caller may send it. The narrowest is a cookie (RFC 6265
 * §4.1.1), which knows no quoting that servers agree on. Under 16 bytes it could be guessed by somebody who asks all
 * day. A name becomes a label of metrics and a word in the log, so it has no character that either would have to escape.
 *
 * Not here: what is done with them (gateway/caller, gateway/account). */
#include "gateway/config_parts.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdlib.h>

enum { NAME_BYTES = 64, SECRET_LEAST_BYTES = 16 };
enum { CALLERS_MOST = 1000 }; /* each of them is looked at for each request that starts work */

static bool bind_name(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	if (text.n > NAME_BYTES)
		return config_type_wrong(b, o, n, "\"%s\" is longer than %d bytes", config_complain_show(text).text,
			NAME_BYTES);
	for (size_t i = 0; i < text.n; i++)
		if (!isalnum((unsigned char)text.p[i]) && !strchr("._-@", text.p[i]))
			return config_type_wrong(b, o, n, "\"%s\"", config_complain_show(text).text);
	for (const struct caller *c = b->config->callers.caller; c < b->caller; c++)
		if (span_is(text, c->name))
			return config_type_wrong(b, o, n, "a second key with the name %s, which has to tell it from the others",
				c->name);
	return config_type_copy(b, n, text, field);
}

static void print_name(const struct option *o, const void *field, struct buf *out)
{
	config_type_put_plain(out, span_str(*(char *const *)field));
}

const struct option_type config_caller_name = {
	"a name of at most 64 letters, digits and . _ - @", bind_name, print_name, config_type_release_string};

/* What a cookie's value may hold. */
static bool is_cookie_octet(unsigned char c) { return c > 0x20 && c < 0x7f && !strchr("\",;\\", c); }

static const char *judge(span secret)
{
	if (secret.n < SECRET_LEAST_BYTES)
		return "is shorter than 16 bytes and could be guessed";
	for (size_t i = 0; i < secret.n; i++)
		if (!is_cookie_octet((unsigned char)secret.p[i]))
			return "has a character that a cookie cannot carry";
	return NULL;
}

static bool check_is_new(struct binding *b, const struct option *o, const struct node *n, const struct caller_key *key)
{
	for (const struct caller *c = b->config->callers.caller; c < b->caller; c++)
		if (memcmp(c->key.digest, key->digest, CALLER_DIGEST) == 0)
			return config_complain(b->complaint, n, "%s: the same secret as that of %s, expected one of its own",
				o->path, c->name);
	return true;
}

static bool bind_key(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct caller_key *key = field;
	struct secret secret = {0};
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	bool fine = config_secret_bind(b, o, n, text, &secret);
	const char *wrong = fine ? judge(span_str(secret.value)) : NULL;
	if (wrong)
		fine = config_complain(b->complaint, n, "%s: the secret in %s %s, expected at least 16 bytes of visible ASCII "
			"without \" , ; and \\", o->path, secret.name, wrong);
	if (fine) {
		SHA256((const unsigned char *)secret.value, strlen(secret.value), key->digest);
		key->from = secret.from;
		key->from_name = secret.name;
		secret.name = NULL;
	}
	config_secret_finish(&secret);
	return fine && check_is_new(b, o, n, key);
}

static void print_key(const struct option *o, const void *field, struct buf *out)
{
	const struct caller_key *key = field;
	config_secret_print(key->from, key->from_name, true, out);
}

static void release_key(void *field)
{
	struct caller_key *key = field;
	free(key->from_name);
	*key = (struct caller_key){0};
}

const struct option_type config_caller_key = {
	"env:NAME or file:PATH (the secret itself never stands here)", bind_key, print_key, release_key};

static bool bind_list(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct callers *list = field;
	size_t count = 0;
	if (n->kind != NODE_LIST)
		return config_type_wrong(b, o, n, n->kind == NODE_MAP ? "a map" : "a single value");
	for (const struct node *c = n->child; c; c = c->next)
		if (++count > CALLERS_MOST)
			return config_type_wrong(b, o, c, "more than %d keys", CALLERS_MOST);
	list->caller = calloc(count + 1, sizeof *list->caller);
	if (!list->caller)
		return config_complain(b->complaint, n, "out of memory");
	for (const struct node *c = n->child; c; c = c->next) {
		b->caller = &list->caller[list->n++];
		if (!config_bind_caller(b, c))
			return false;
	}
	b->caller = NULL;
	return true;
}

static void print_list(const struct option *o, const void *field, struct buf *out)
{
	const struct callers *list = field;
	if (!list->n) {
		buf_put(out, SPAN("[]"));
		return;
	}
	out->n -= out->n && out->p[out->n - 1] == ' '; /* behind "keys:" */
	for (size_t i = 0; i < list->n; i++) {
		buf_put_byte(out, '\n');
		config_print_rows(out, OF_CALLER, &list->caller[i], "  - ", "    ");
		out->n -= !out->failed; /* whoever prints an option ends its line */
	}
}

static void release_list(void *field)
{
	struct callers *list = field;
	for (size_t i = 0; i < list->n; i++)
		config_option_release(OF_CALLER, &list->caller[i]);
	free(list->caller);
	*list = (struct callers){0};
}

const struct option_type config_caller_list = {
	"a list of { name, key: env:NAME | file:PATH, streams, starts_per_minute }", bind_list, print_list, release_list};
