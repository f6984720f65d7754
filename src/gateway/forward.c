/* Crossing over.
 *
 * Every field either belongs to one connection or to the message. The first kind never crosses (RFC 9110 §7.6.1); of the
 * second kind those that say who somebody is stay here unless the route says `auth: client`, and those that describe the
 * bytes on the wire are made anew by whoever writes the bytes. Everything else crosses as it came. A key of the gateway's
 * own never crosses, in whatever place it stood.
 *
 * Both directions are on this page, so that a field that must not cross can be looked up in one place. */
#include "gateway/forward.h"

#include "gateway/ask.h"
#include "gateway/caller.h"

#include <stdio.h>

static bool is_ours(span name)
{
	static const char *const made_anew[] = {"content-length", "transfer-encoding", "date", "connection", "keep-alive",
		"server"};
	for (size_t i = 0; i < sizeof made_anew / sizeof *made_anew; i++)
		if (span_is_nocase(name, made_anew[i]))
			return true;
	return false;
}

static bool is_credential(span name)
{
	static const char *const names[] = {"authorization", "proxy-authorization", "x-api-key", "x-goog-api-key",
		"api-key", "cookie", "lastword-key"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_is_nocase(name, names[i]))
			return true;
	return false;
}

/* Ours, whatever the route says of credentials: the key that was made for us alone. */
static bool is_for_us(span name) { return span_is_nocase(name, "lastword-key"); }
static bool is_our_cookie(span name) { return span_is(name, "lastword_key") || span_is(name, "lastword_page"); }

void forward_put_credentials(const struct http_head *head, bool cookies, struct buf *out)
{
	for (size_t i = 0; i < head->fields_n; i++) {
		span name = head->fields[i].name;
		if (!is_credential(name) || is_for_us(name) || (!cookies && span_is_nocase(name, "cookie")))
			continue;
		buf_put(out, head->fields[i].value);
		buf_put_byte(out, '\n');
	}
}

static bool stays_here(const struct route *route, const struct http_head *head, span name)
{
	return headers_is_hop_by_hop(head, name) || span_is_nocase(name, "host") || span_is_nocase(name,
		"content-length") ||
	       span_is_nocase(name, "accept-encoding") || span_is_nocase(name, "expect") || span_find(name, '_') < name.n ||
	       (name.n >= 12 && span_is_nocase(span_first(name, 12), "x-forwarded-")) || is_for_us(name) ||
	       (is_credential(name) && route->auth != AUTH_CLIENT);
}

/* The client's own; ours stay here, and so does the field when nothing else is in it. */
static void put_cookies(span cookies, struct buf *out)
{
	const char *before = "Cookie: ";
	for (; cookies.n; cookies = span_from(cookies, span_find(cookies, ';') + 1)) {
		span pair = span_trim(span_first(cookies, span_find(cookies, ';')));
		if (!pair.n || is_our_cookie(span_trim(span_first(pair, span_find(pair, '=')))))
			continue;
		buf_put(out, span_str(before));
		buf_put(out, pair);
		before = "; ";
	}
	buf_put(out, *before == ';' ? SPAN("\r\n") : SPAN(""));
}

/* Where credentials cross, one that is a key of ours does not: it was meant for us, or sent to us by mistake. */
static void put_field(const struct callers *callers, const struct http_field *f, struct buf *out)
{
	if (is_credential(f->name) && caller_has_key_of(callers, f->value))
		return;
	if (span_is_nocase(f->name, "cookie"))
		put_cookies(f->value, out);
	else
		buf_printf(out, "%.*s: %.*s\r\n", SPAN_ARG(f->name), SPAN_ARG(f->value));
}

void forward_put_fields(const struct route *route, const struct dialect *d, const struct callers *callers,
	const struct client *by, struct buf *out)
{
	const struct http_head *head = exchange_head(by->exchange);
	for (size_t i = 0; i < head->fields_n; i++)
		if (!stays_here(route, head, head->fields[i].name))
			put_field(callers, &head->fields[i], out);
	client_put_forwarded(by, out);
	ask_put_credential(route, d, out);
}

/* What is behind the route's prefix goes behind the upstream's path; an upstream without a path takes the path whole. */
static void put_path(const struct route *route, const struct upstream *u, const struct url_target *t, struct buf *out)
{
	if (u->is_model || u->url.path.n <= 1)
		buf_put(out, t->path);
	else {
		span base = u->url.path;
		if (route->is_prefix && base.p[base.n - 1] == '/')
			base.n--;
		buf_put(out, base);
		if (route->is_prefix) {
			buf_put_byte(out, '/');
			buf_put(out, span_from(t->path, strlen(route->path)));
		}
	}
}

/* The query's `key` is a credential: Gemini's, or ours. */
static bool crosses(const struct route *route, const struct callers *callers, span part)
{
	return !url_query_is(part, "key") || (route->auth == AUTH_CLIENT && !caller_has_key_in(callers, part));
}

void forward_put_target(const struct route *route, const struct upstream *u, const struct callers *callers,
	const struct url_target *t, struct buf *out)
{
	char between = '?';
	put_path(route, u, t, out);
	for (span query = t->query; query.n; query = span_from(query, span_find(query, '&') + 1)) {
		span part = span_first(query, span_find(query, '&'));
		if (!crosses(route, callers, part))
			continue;
		buf_put_byte(out, between);
		buf_put(out, part);
		between = '&';
	}
}

/* Said by gateway/viewer; of an upstream that is a lastword too the last two would name another stream. */
static bool is_the_viewers(span name)
{
	return span_is_nocase(name, "cache-control") || span_is_nocase(name, "x-accel-buffering") ||
	       span_is_nocase(name, "lastword-stream") || span_is_nocase(name, "lastword-data");
}

void forward_answer_fields(struct exchange *x, const struct http_head *head, enum forward_fields which)
{
	for (size_t i = 0; i < head->fields_n; i++) {
		char name[128];
		const struct http_field *f = &head->fields[i];
		if (is_ours(f->name) || headers_is_hop_by_hop(head, f->name) || f->name.n >= sizeof name ||
		    (which != FORWARD_ALL && span_is_nocase(f->name, "content-type")) ||
		    (which == FORWARD_STREAM && is_the_viewers(f->name)))
			continue;
		snprintf(name, sizeof name, "%.*s", SPAN_ARG(f->name));
		exchange_field(x, name, f->value);
	}
}
