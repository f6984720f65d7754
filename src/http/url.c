/* Request targets, authorities and the URLs of upstreams, split into spans of what was given.
 *
 * A target is judged while it is still encoded and is forwarded as it came. The obvious way, to decode, normalize and
 * encode again, makes a path that the upstream may read differently from us; a path in which decoding could change the
 * meaning (an escaped slash, dot segments in any spelling) is refused instead, so that a route which was matched on the
 * raw bytes is the route that the upstream sees.
 *
 * 1. A target that passes has no byte that could end a request line or a log line.
 * 2. In a path that passes, no segment is "." or ".." however it is spelled, with or without ";parameters".
 * 3. A query is judged only for raw bytes: a prompt may hold newlines, slashes and dots.
 * 4. Nothing here allocates but url_query_get, url_encode and url_put_authority, into the caller's buf.
 *
 * Not here: resolving relative references (never needed), names to addresses (net/resolve). */
#include "http/url.h"

#include "http/chars.h"

#include <sys/un.h>

enum { SOCKET_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static bool starts_nocase(span s, span prefix) { return span_eq_nocase(span_first(s, prefix.n), prefix); }

static bool is_visible(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_visible((unsigned char)s.p[i]))
			return false;
	return true;
}

/* The byte that %XX at s[i] stands for, or -1 when it is broken. */
static int unescape(span s, size_t i)
{
	if (s.n - i < 3)
		return -1;
	int high = char_hex((unsigned char)s.p[i + 1]), low = char_hex((unsigned char)s.p[i + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Authorities. */

static bool is_name(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_unreserved((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_v6(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (char_hex((unsigned char)s.p[i]) < 0 && s.p[i] != ':' && s.p[i] != '.')
			return false;
	return span_find(s, ':') < s.n;
}

/* 0–65535, or -1. */
static int read_port(span digits)
{
	int port = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (!char_is_digit((unsigned char)digits.p[i]))
			return -1;
		port = port * 10 + (digits.p[i] - '0');
		if (port > UINT16_MAX)
			return -1;
	}
	return port;
}

bool url_split_authority(span authority, span *host, span *port)
{
	bool v6 = authority.n && authority.p[0] == '[';
	size_t end = span_find(authority, v6 ? ']' : ':');
	span name = v6 && end < authority.n ? (span){authority.p + 1, end - 1} : span_first(authority, end);
	span rest = span_from(authority, v6 ? end + 1 : end);
	if (v6 ? end == authority.n || !is_v6(name) : !is_name(name))
		return false;
	if (rest.n && (rest.p[0] != ':' || read_port(span_from(rest, 1)) < 0))
		return false;
	*host = name;
	*port = rest.n > 1 ? span_from(rest, 1) : (span){0};
	return true;
}

/* Cuts what stands before the first '/', '?' or '#' off the front. */
static span take_authority(span *rest)
{
	size_t n = 0;
	while (n < rest->n && !memchr("/?#", rest->p[n], 3))
		n++;
	span authority = span_first(*rest, n);
	*rest = span_from(*rest, n);
	return authority;
}

/* Cuts "http://" or "https://" off the front. */
static bool take_scheme(span *rest, enum url_scheme *scheme)
{
	static const span http = {"http://", 7}, https = {"https://", 8};
	bool secure = starts_nocase(*rest, https);
	if (!secure && !starts_nocase(*rest, http))
		return false;
	*scheme = secure ? URL_HTTPS : URL_HTTP;
	*rest = span_from(*rest, secure ? https.n : http.n);
	return true;
}

/* Targets. */

span url_target_authority(span target)
{
	enum url_scheme scheme;
	return take_scheme(&target, &scheme) ? take_authority(&target) : (span){0};
}

static bool is_dots(span segment)
{
	size_t dots = 0, i = 0;
	for (; i < segment.n && segment.p[i] != ';'; dots++) {
		if (segment.p[i] == '.')
			i++;
		else if (segment.p[i] == '%' && unescape(segment, i) == '.')
			i += 3;
		else
			return false;
	}
	return dots == 1 || dots == 2;
}

static const char *judge_segment(span segment)
{
	for (size_t i = 0; i < segment.n; i++) {
		if (segment.p[i] == '\\')
			return "a path must not hold a backslash";
		if (segment.p[i] != '%')
			continue;
		int c = unescape(segment, i);
		if (c < 0)
			return "a path holds a broken %-escape";
		if (c < ' ' || c == 0x7f || c == '/' || c == '\\')
			return "a path must not hold escaped control bytes or slashes";
	}
	return is_dots(segment) ? "a path must not hold dot segments" : NULL;
}

static const char *judge_path(span path)
{
	if (span_starts(path, SPAN("//")))
		return "a path must not begin with two slashes";
	while (path.n) {
		path = span_from(path, 1);
		span segment = span_first(path, span_find(path, '/'));
		const char *wrong = judge_segment(segment);
		if (wrong)
			return wrong;
		path = span_from(path, segment.n);
	}
	return NULL;
}

/* rest: "", "/path", "?query" or both. */
static void split_path(span rest, span *path, span *query)
{
	size_t mark = span_find(rest, '?');
	*path = mark ? span_first(rest, mark) : SPAN("/");
	*query = mark < rest.n ? span_from(rest, mark + 1) : (span){0};
}

const char *url_split_target(span target, struct url_target *out)
{
	struct url_target t = {.authority = url_target_authority(target)};
	span rest = t.authority.p ? span_from(target, (size_t)(t.authority.p + t.authority.n - target.p)) : target;
	if (!is_visible(target))
		return "a target must be visible ASCII without spaces";
	if (span_find(target, '#') < target.n)
		return "a target must not hold a fragment";
	if (span_is(target, "*")) {
		*out = (struct url_target){.path = target};
		return NULL;
	}
	if (t.authority.p ? t.authority.n == 0 : rest.n == 0 || rest.p[0] != '/')
		return "a target must be a path that begins with '/', or a URL";
	split_path(rest, &t.path, &t.query);
	const char *wrong = judge_path(t.path);
	if (!wrong)
		*out = t;
	return wrong;
}

/* Queries. */

/* The next byte of an encoded text and how many it is long there; -1 for a broken escape. */
static int decode(span s, size_t i, size_t *length)
{
	*length = s.p[i] == '%' ? 3 : 1;
	if (s.p[i] == '%')
		return unescape(s, i);
	return s.p[i] == '+' ? ' ' : (unsigned char)s.p[i];
}

static bool decodes_to(span encoded, span name)
{
	size_t at = 0;
	for (size_t i = 0, length; i < encoded.n; i += length, at++) {
		int c = decode(encoded, i, &length);
		if (c < 0 || at == name.n || c != (unsigned char)name.p[at])
			return false;
	}
	return at == name.n;
}

static enum url_query put_decoded(struct buf *out, span encoded)
{
	size_t before = out->n;
	if (!buf_reserve(out, encoded.n))
		return URL_FOUND;
	for (size_t i = 0, length; i < encoded.n; i += length) {
		int c = decode(encoded, i, &length);
		if (c < 0) {
			out->n = before;
			return URL_BAD;
		}
		out->p[out->n++] = (char)c;
	}
	return URL_FOUND;
}

bool url_query_is(span part, const char *name)
{
	return decodes_to(span_first(part, span_find(part, '=')), span_str(name));
}

enum url_query url_query_get(span query, const char *name, struct buf *out)
{
	while (query.n) {
		span pair = span_first(query, span_find(query, '&'));
		if (url_query_is(pair, name))
			return put_decoded(out, span_from(pair, span_find(pair, '=') + 1));
		query = span_from(query, pair.n + 1);
	}
	return URL_ABSENT;
}

void url_encode(struct buf *out, span s)
{
	static const char hex[] = "0123456789ABCDEF";
	if (s.n > SIZE_MAX / 3 || !buf_reserve(out, s.n * 3)) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (char_is_unreserved(c)) {
			out->p[out->n++] = (char)c;
			continue;
		}
		out->p[out->n++] = '%';
		out->p[out->n++] = hex[c >> 4];
		out->p[out->n++] = hex[c & 15];
	}
}

/* The URLs of upstreams. */

static const char *split_socket(span rest, struct url *u)
{
	size_t n = 0;
	while (n < rest.n && !span_starts(span_from(rest, n), SPAN(":/")))
		n++;
	u->scheme = URL_UNIX;
	u->socket = span_first(rest, n);
	split_path(span_from(rest, n + 1), &u->path, &u->query);
	if (u->socket.n == 0 || u->socket.p[0] != '/')
		return "the path of a Unix socket must begin with '/', as in unix:/run/model.sock:/generate";
	return u->socket.n > SOCKET_BYTES ? "the path of the Unix socket is too long" : NULL;
}

static const char *split_http(span rest, struct url *u)
{
	span authority = take_authority(&rest), digits;
	if (span_find(authority, '@') < authority.n)
		return "a URL must not hold a user or a password";
	if (!url_split_authority(authority, &u->host, &digits))
		return "a URL must name a host, and a port of 1 to 65535 if any";
	u->port = u->scheme == URL_HTTPS ? 443 : 80;
	if (digits.p)
		u->port = (uint16_t)read_port(digits);
	if (u->port == 0)
		return "a port must be a number of 1 to 65535";
	split_path(rest, &u->path, &u->query);
	return NULL;
}

static bool has_control_byte(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_value((unsigned char)s.p[i]) || s.p[i] == '\t')
			return true;
	return false;
}

static const char *split_url(span text, struct url *u)
{
	span rest = text;
	if (take_scheme(&rest, &u->scheme))
		return split_http(rest, u);
	if (starts_nocase(text, SPAN("unix:")))
		return split_socket(span_from(text, 5), u);
	return "a URL must begin with http://, https:// or unix:";
}

const char *url_parse(span text, struct url *out)
{
	struct url u = {0};
	if (has_control_byte(text))
		return "a URL must not hold control bytes";
	if (span_find(text, '#') < text.n)
		return "a URL must not hold a fragment";
	const char *wrong = split_url(text, &u);
	if (wrong)
		return wrong;
	if (!is_visible(u.path) || !is_visible(u.query))
		return "the path and the query of a URL must be visible ASCII; escape the rest as %XX";
	*out = u;
	return NULL;
}

void url_put_authority(struct buf *out, const struct url *url)
{
	if (url->scheme == URL_UNIX) {
		buf_put(out, SPAN("localhost"));
		return;
	}
	bool v6 = span_find(url->host, ':') < url->host.n;
	buf_printf(out, v6 ? "[%.*s]" : "%.*s", SPAN_ARG(url->host));
	if (url->port != (url->scheme == URL_HTTPS ? 443 : 80))
		buf_printf(out, ":%u", (unsigned)url->port);
}
