/* Request targets and the URLs of upstreams (RFC 3986, RFC 9112 §3.2). */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/buf.h"
#include "base/cause.h"

#include <stdint.h>

/* A request target in origin-form (or absolute-form, whose authority is then given), split and judged. */
struct url_target {
	span path;      /* begins with '/'; still percent-encoded. "*" for the asterisk-form */
	span query;     /* without '?'; still encoded; p is NULL when there is none */
	span authority; /* absolute-form only; p is NULL otherwise */
};

/* NULL when the target is fine; otherwise one sentence that says what is wrong. In the path: dot segments, broken
 * escapes, escaped control bytes, '/' and '\\' (%00, %0d, %0a, %2f, %5c), a raw backslash, "//" at the start. Anywhere:
 * a fragment, raw control or non-ASCII bytes. A query is text for somebody else: what its escapes say is not judged. */
MUST const char *url_split_target(span target, struct url_target *out);

/* The authority of a target in absolute-form with http or https; p is NULL for other forms. */
span url_target_authority(span target);

/* Splits "name", "name:port", "[v6]:port" into what names the host (without brackets) and the port's digits (p is NULL
 * when there are none). False for userinfo, commas, paths, ports over 65535 and anything else that is no host. */
MUST bool url_split_authority(span authority, span *host, span *port);

/* The value of one query parameter, decoded ("+" is a space, %XX a byte) and appended to out: URL_ABSENT, URL_FOUND, or
 * URL_BAD for a broken %-escape (out is then as it was). The first one counts. Without memory out->failed is set. */
enum url_query { URL_ABSENT, URL_FOUND, URL_BAD };
MUST enum url_query url_query_get(span query, const char *name, struct buf *out);

/* That part of a query (between two '&') has this name, however it is encoded. */
bool url_query_is(span part, const char *name);

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
 * fragments, other schemes, ports outside 1–65535, control bytes and, in what goes into a request, anything but visible
 * ASCII are refused. The socket's path ends at the first ":/" and fits into a sockaddr_un. */
MUST const char *url_parse(span text, struct url *out);

/* What goes into Host: "host", "host:port", "[v6]:port"; "localhost" for a Unix socket. */
void url_put_authority(struct buf *out, const struct url *url);

#endif
