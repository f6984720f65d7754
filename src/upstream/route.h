/* A route: a public path, and where its answers come from. Plain values, filled by gateway/config, read by everyone,
 * changed by nobody. */
#ifndef UPSTREAM_ROUTE_H
#define UPSTREAM_ROUTE_H

#include "dialect/dialect.h"
#include "http/url.h"
#include "stream/ending.h"

#include <stdint.h>

enum route_kind { ROUTE_BROWSER, ROUTE_PASSTHROUGH };

/* A duration option whose word is `never`. */
#define NEVER_MS UINT64_MAX

/* One place that answers. */
struct upstream {
	bool is_model;   /* the embedded model; url is not used */
	char *text;      /* as configured; url's spans point into it */
	struct url url;
	const char *ca;  /* https: a file of certificates to believe, NULL: the system's. The route's string */
};

/* Statuses of an answer. */
enum { ROUTE_STATUSES = 16 };
struct statuses {
	int status[ROUTE_STATUSES];
	size_t n;
};

enum auth_kind { AUTH_NONE, AUTH_CLIENT, AUTH_ENV, AUTH_FILE };

struct route {
	char *path;                /* "/sse-proxy", or "/v1/" for "/v1/…" with is_prefix */
	bool is_prefix;
	enum route_kind kind;
	struct upstream *upstream; /* at least one, tried in order */
	size_t upstreams;
	struct statuses retry_on;  /* after these the next one is asked */
	bool dialect_auto;
	const struct dialect *dialect; /* NULL with dialect_auto */
	bool finish_optional;
	enum end_marker end_marker;
	struct dialect_text_rules text;
	bool json;                 /* data: json */
	char *request;             /* JSON object merged into the body, or NULL */
	enum auth_kind auth;
	char *auth_name;           /* of the variable or file */
	char *auth_value;          /* the secret that was read from it; never printed */
	char *auth_header;         /* NULL: auto */
	char *ca;                  /* a file, NULL: system */

	/* Clocks and durations, in ms; 0 = off unless said otherwise. */
	uint64_t connect_ms, first_event_ms, idle_ms, total_ms;
	uint64_t grace_ms;         /* 0 = at once, NEVER_MS = run to the end */
	uint64_t write_timeout_ms;
	uint64_t event_bytes, stream_bytes; /* limits; 0 = off */
	bool half_close;
	bool attach_retries, done_after_error;

	size_t index;              /* of its counters */
};

/* Appends what is asked for at an upstream: its own path and query, and one more part of the query (name=value) where
 * that is not in it already. */
void upstream_put_target(const struct upstream *u, span part, struct buf *out);

/* After this status of one upstream the next is asked. */
bool route_retries_on(const struct route *r, int status);

#endif
