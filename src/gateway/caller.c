/* A key may come in any of the fields in which some SDK sends one, so that every SDK can call with what it is given as
 * its API key; in the query, as old Gemini clients send it; or in the page's cookie.
 *
 * Digests are compared, not secrets, and every one of them, whatever the first ones were like: how long it takes says
 * nothing of how near a guess was, nor whose key it is.
 *
 * 1. What is no key (nothing, or an Authorization of another scheme, such as Basic for a proxy before us) is not looked
 *    at; what is one and nobody's makes the caller unknown, also beside a good one.
 * 2. The same key in two places is one key.
 *
 * Pure: a configuration and a head in, an opinion out. What follows from it is guard.c's. */
#include "gateway/caller.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

static const struct caller *find(const struct callers *all, span secret)
{
	unsigned char digest[CALLER_DIGEST];
	const struct caller *found = NULL;
	SHA256((const unsigned char *)secret.p, secret.n, digest);
	for (size_t i = 0; i < all->n; i++)
		found = CRYPTO_memcmp(digest, all->caller[i].key.digest, CALLER_DIGEST) == 0 ? &all->caller[i] : found;
	return found;
}

static void look_at(struct caller_seen *seen, const struct callers *all, span secret, bool by_field)
{
	if (!secret.n)
		return;
	const struct caller *found = find(all, secret);
	seen->is_strange |= !found;
	seen->is_torn |= found && seen->caller && found != seen->caller;
	seen->is_by_field |= found && by_field;
	if (!seen->caller)
		seen->caller = found;
}

/* What stands behind "Bearer"; p NULL: another scheme. */
static span bearer(span value)
{
	static const span scheme = {"bearer", 6};
	span rest = span_from(value, scheme.n);
	bool ends = !rest.n || rest.p[0] == ' ' || rest.p[0] == '\t';
	return ends && span_eq_nocase(span_first(value, scheme.n), scheme) ? span_trim(rest) : (span){0};
}

static bool is_key_field(span name)
{
	return span_is_nocase(name, "x-api-key") || span_is_nocase(name, "x-goog-api-key") ||
	       span_is_nocase(name, "api-key");
}

static void look_at_field(struct caller_seen *seen, const struct callers *all, enum caller_places places,
	const struct http_field *f)
{
	bool is_own = span_is_nocase(f->name, "lastword-key");
	if (is_own || (places == CALLER_EVERYWHERE && is_key_field(f->name)))
		look_at(seen, all, span_trim(f->value), true);
	else if (places == CALLER_EVERYWHERE && span_is_nocase(f->name, "authorization") && bearer(f->value).p)
		look_at(seen, all, bearer(f->value), true);
}

static void look_at_cookie(struct caller_seen *seen, const struct callers *all, const struct http_head *head)
{
	look_at(seen, all, headers_cookie(head, "lastword_key"), false);
}

/* The value of one part of a query, decoded. False: it is no `key`. */
static bool read_part(span part, struct buf *out)
{
	return url_query_is(part, "key") && url_query_get(part, "key", out) != URL_ABSENT;
}

static void look_at_query(struct caller_seen *seen, const struct callers *all, span query)
{
	for (; query.n; query = span_from(query, span_find(query, '&') + 1)) {
		struct buf value = {0};
		if (read_part(span_first(query, span_find(query, '&')), &value))
			look_at(seen, all, buf_span(&value), false);
		buf_finish(&value);
	}
}

struct caller_seen caller_find(const struct callers *all, enum caller_places places, const struct http_head *head,
	span query)
{
	struct caller_seen seen = {0};
	if (!all->n)
		return seen;
	for (size_t i = 0; i < head->fields_n; i++)
		look_at_field(&seen, all, places, &head->fields[i]);
	look_at_cookie(&seen, all, head);
	if (places == CALLER_EVERYWHERE)
		look_at_query(&seen, all, query);
	return seen;
}

bool caller_has_key_of(const struct callers *all, span field_value)
{
	span value = span_trim(field_value), token = bearer(value);
	return all->n && ((value.n && find(all, value)) || (token.n && find(all, token)));
}

bool caller_has_key_in(const struct callers *all, span query_part)
{
	struct buf value = {0};
	bool is_ours = all->n && read_part(query_part, &value) && value.n && find(all, buf_span(&value));
	buf_finish(&value);
	return is_ours;
}
