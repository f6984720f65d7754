/* Questions that are asked of a head's fields: by name, as lists, as media types, as cookies.
 *
 * The fields are an array of spans in the order in which they came, and every question walks it. The obvious way, a
 * hash table, costs more to fill than a dozen questions cost here: a head has about fifteen fields, and most names
 * differ in length from the one that is asked for.
 *
 * 1. Names and tokens are compared without case; cookies' names with it (RFC 6265 §5.3).
 * 2. All spans point into the head's own bytes; nothing is copied and nothing allocated.
 * 3. A field that stands on several lines is one list (RFC 9110 §5.3): who asks for tokens or cookies sees them all.
 *
 * Not here: what a head may hold at all (head.c), and which fields an answer gets (server, gateway). */
#include "http/headers.h"

span headers_get(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->fields_n; i++)
		if (span_is_nocase(head->fields[i].name, name))
			return head->fields[i].value;
	return (span){0};
}

size_t headers_count(const struct http_head *head, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; i < head->fields_n; i++)
		n += span_is_nocase(head->fields[i].name, name);
	return n;
}

/* Cuts the next element off the front of a list, without the whitespace around it. A separator inside a quoted string
 * separates nothing. */
static span take_element(span *list, char separator)
{
	bool quoted = false;
	size_t n = 0;
	for (; n < list->n && (quoted || list->p[n] != separator); n++) {
		if (list->p[n] == '"')
			quoted = !quoted;
		else if (quoted && list->p[n] == '\\' && n + 1 < list->n)
			n++;
	}
	span element = span_trim(span_first(*list, n));
	*list = span_from(*list, n + 1);
	return element;
}

static bool list_has(span list, span token)
{
	while (list.n)
		if (span_eq_nocase(take_element(&list, ','), token))
			return true;
	return false;
}

static bool any_list_has(const struct http_head *head, const char *name, span token)
{
	for (size_t i = 0; i < head->fields_n; i++)
		if (span_is_nocase(head->fields[i].name, name) && list_has(head->fields[i].value, token))
			return true;
	return false;
}

bool headers_has_token(const struct http_head *head, const char *name, const char *token)
{
	return any_list_has(head, name, span_str(token));
}

/* Hop by hop (RFC 9110 §7.6.1). */

static bool is_one_of(span name, const char *const *names)
{
	for (; *names; names++)
		if (span_is_nocase(name, *names))
			return true;
	return false;
}

/* What Connection must not remove: whoever names these wants the next hop to see another request than we did. */
static bool is_end_to_end(span name)
{
	static const char *const names[] = {
		"Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Range",
		"Cache-Control", "Expect", "Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Lastword-Key", "Cookie",
		"Set-Cookie", "Origin", "Referer", "Sec-Fetch-Site", "Accept", "Accept-Encoding", "Location", "Retry-After",
		"Last-Event-ID", "Idempotency-Key", "Anthropic-Version", "Date", "Vary", NULL,
	};
	return is_one_of(name, names);
}

bool headers_is_hop_by_hop(const struct http_head *head, span name)
{
	static const char *const names[] = {
		"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "TE", "Trailer", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "HTTP2-Settings", NULL,
	};
	if (is_one_of(name, names))
		return true;
	return !is_end_to_end(name) && any_list_has(head, "Connection", name);
}

/* Cookies (RFC 6265 §5.4). */

static span cookie_in(span list, span name)
{
	while (list.n) {
		span pair = span_first(list, span_find(list, ';'));
		size_t equals = span_find(pair, '=');
		list = span_from(list, pair.n + 1);
		if (equals < pair.n && span_eq(span_trim(span_first(pair, equals)), name))
			return span_trim(span_from(pair, equals + 1));
	}
	return (span){0};
}

span headers_cookie(const struct http_head *head, const char *name)
{
	span value = {0};
	for (size_t i = 0; i < head->fields_n && !value.p; i++)
		if (span_is_nocase(head->fields[i].name, "Cookie"))
			value = cookie_in(head->fields[i].value, span_str(name));
	return value;
}

/* Media types and Accept (RFC 9110 §12.5.1). */

span headers_media_type(span content_type)
{
	return take_element(&content_type, ';');
}

/* "0", "0.", "0.0" … "0.000"; what is no number counts as 1. */
static bool is_zero(span q)
{
	for (size_t i = 0; i < q.n; i++)
		if (q.p[i] != (i == 1 ? '.' : '0'))
			return false;
	return q.n > 0;
}

static bool is_refused(span parameters)
{
	while (parameters.n) {
		span parameter = take_element(&parameters, ';');
		if (span_eq_nocase(span_first(parameter, 2), SPAN("q=")))
			return is_zero(span_from(parameter, 2));
	}
	return false;
}

/* How closely a range fits a type: 3 exactly, 2 "type/" and a star, 1 any, 0 not at all. */
static int closeness(span range, span type)
{
	span family = span_first(type, span_find(type, '/') + 1);
	if (span_eq_nocase(range, type))
		return 3;
	if (range.n == family.n + 1 && range.p[range.n - 1] == '*' && span_eq_nocase(span_first(range, family.n), family))
		return 2;
	return span_is(range, "*/*") ? 1 : 0;
}

struct acceptance {
	int closest; /* of the ranges seen so far, the closest one decides */
	bool refused;
	bool listed; /* there was any range at all */
};

static void judge_ranges(struct acceptance *a, span list, span type)
{
	while (list.n) {
		span parameters = take_element(&list, ',');
		span range = take_element(&parameters, ';');
		int close = closeness(range, type);
		a->listed = a->listed || range.n > 0;
		if (close <= a->closest)
			continue;
		a->closest = close;
		a->refused = is_refused(parameters);
	}
}

enum headers_accept headers_accepts(const struct http_head *head, const char *media_type)
{
	struct acceptance a = {0};
	for (size_t i = 0; i < head->fields_n; i++)
		if (span_is_nocase(head->fields[i].name, "Accept"))
			judge_ranges(&a, head->fields[i].value, span_str(media_type));
	if (!a.listed)
		return ACCEPT_RANGE;
	if (a.closest == 0 || a.refused)
		return ACCEPT_NO;
	return a.closest == 3 ? ACCEPT_NAMED : ACCEPT_RANGE;
}
