/* Targets, queries and URLs made of any bytes: what passes can be put into a request line and means there what was
 * judged here. */
#include "http/url.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(span part, span whole)
{
	return part.n == 0 || span_is(part, "/") || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_visible(span s)
{
	for (size_t i = 0; i < s.n; i++)
		CHECK(s.p[i] > ' ' && s.p[i] < 0x7f);
}

/* Another way to the same answer: decode the whole path, as an upstream does, and look for what would climb. */
static void check_path(span path)
{
	struct buf query = {0}, decoded = {0};
	buf_put(&query, SPAN("p="));
	for (size_t i = 0; i < path.n; i++)
		buf_put(&query, path.p[i] == '&' ? SPAN("%26") : path.p[i] == '+' ? SPAN("%2b") : (span){path.p + i, 1});
	CHECK(url_query_get(buf_span(&query), "p", &decoded) == URL_FOUND);
	buf_put_byte(&decoded, '/');
	CHECK(buf_cstr(&decoded));
	CHECK(strlen(decoded.p) == decoded.n);
	CHECK(!strstr(decoded.p, "/../") && !strstr(decoded.p, "/./") && !strpbrk(decoded.p, "\\\r\n"));
	buf_finish(&query);
	buf_finish(&decoded);
}

static void try_target(span text)
{
	struct url_target t;
	if (url_split_target(text, &t))
		return;
	CHECK(lies_in(t.path, text) && lies_in(t.query, text) && lies_in(t.authority, text));
	check_visible(t.path);
	check_visible(t.query);
	if (span_is(t.path, "*"))
		return;
	CHECK(t.path.n && t.path.p[0] == '/' && !span_starts(t.path, SPAN("//")));
	check_path(t.path);
}

static void try_authority_again(const struct url *u)
{
	struct buf text = {0};
	struct url again;
	buf_put(&text, u->scheme == URL_HTTPS ? SPAN("https://") : SPAN("http://"));
	url_put_authority(&text, u);
	CHECK(!url_parse(buf_span(&text), &again));
	CHECK(again.scheme == u->scheme && again.port == u->port && span_eq(again.host, u->host));
	buf_finish(&text);
}

static void try_url(span text)
{
	struct url u;
	if (url_parse(text, &u))
		return;
	CHECK(lies_in(u.path, text) && lies_in(u.query, text) && lies_in(u.host, text) && lies_in(u.socket, text));
	CHECK(u.path.n && u.path.p[0] == '/');
	check_visible(u.path);
	check_visible(u.query);
	if (u.scheme == URL_UNIX)
		CHECK(u.socket.n && u.socket.p[0] == '/');
	else
		try_authority_again(&u);
}

static void try_query(span text)
{
	struct buf out = {0};
	enum url_query verdict = url_query_get(text, "prompt", &out);
	CHECK(verdict == URL_FOUND || out.n == 0);
	buf_finish(&out);
}

static void try_encoding(span text)
{
	struct buf query = {0}, back = {0};
	buf_put(&query, SPAN("prompt="));
	url_encode(&query, text);
	CHECK(url_query_get(buf_span(&query), "prompt", &back) == URL_FOUND);
	CHECK(span_eq(buf_span(&back), text));
	check_visible(buf_span(&query));
	buf_finish(&query);
	buf_finish(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	span text = {(const char *)data, size};
	try_target(text);
	try_url(text);
	try_query(text);
	try_encoding(text);
	return 0;
}
