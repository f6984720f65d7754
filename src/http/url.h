/* Request targets and the URLs of upstreams (RFC 3986, RFC 9112 §3.2). */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/buf.h"
#include "base/cause.h"

#include <stdint.h>

/* A request target in origin-form (or absolute-form, whose authority is then given), split and judged. */
struct url_target {
	span path;      /* begins with '/'; still percent-encoded */
	span query;     /* without '?'; still encoded; p is NULL when there is none */
	span authority; /* absolute-form only; p is NULL otherwise */
};

/* NULL when the target is fine; otherwise one sentence that says what is wrong: dot segments, escaped ones and %2f
 * included, %00, %0d, %0a, a backslash, a fragment, raw control or non-ASCII bytes, "//" at the start. */
MUST const char *url_split_target(span target, struct url_target *out);

/* The value of one query parameter, decoded ("+" is a space, %XX a byte) and appended to out. What it holds:
 * URL_ABSENT, URL_FOUND, or URL_BAD for a broken %-escape. The first one counts. */
enum url_query { URL_ABSENT, URL_FOUND, URL_BAD };
MUST enum url_query url_query_get(span query, const char *name, struct buf *out);

/* Appends s with everything but RFC 3986 unreserved characters percent-encoded. */
void url_encode(struct buf *out, span s);

/* An upstream's URL. Strings are the caller's span's bytes. */
struct url {
	enum url_scheme { URL_HTTP, URL_HTTPS, URL_UNIX } scheme;
	span host;     /* http(s): without brackets */
	uint16_t port; /* http(s): 80 or 443 when none is written */
	span socket;   /* unix: the socket's path in the file system */
	span path;     /* with its leading '/', "/" when empty */
	span query;    /* p is NULL when there is none */
};

/* "http://host:port/path?query", "https://…", "unix:/socket/path:/path". NULL when fine, else one sentence; userinfo,
 * fragments, other schemes, ports outside 1–65535 and control bytes are refused. */
MUST const char *url_parse(span text, struct url *out);

/* What goes into Host: "host", "host:port", "[v6]:port"; "localhost" for a Unix socket. */
void url_put_authority(struct buf *out, const struct url *url);

#endif
