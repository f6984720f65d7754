/* Connecting, as steps: dial, then (behind a proxy) CONNECT, then (https) the handshake. Each step that fails ends it
 * with one sentence that names the step; the caller's clock runs over all of them.
 *
 * A proxy is used for https upstreams only, as HTTPS_PROXY and NO_PROXY say: a plain-text upstream stands beside the
 * gateway, and the bytes of a stream that passes a caching proxy in plain text prove nothing.
 *
 * Invariants
 * 1. done is called exactly once, or never after connect_cancel; the conn has another owner from then on.
 * 2. Not one byte of a request is sent before the certificate was accepted. */
#include "upstream/connect.h"

#include "http/http1.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	TRUSTS = 16,        /* different ca: files of one configuration */
	DOUBT_MS = 1000,    /* so long what was read is not read again, whatever fails */
};

struct connector {
	struct loop *loop;
	struct resolver *names;
	struct sockaddr_un model; /* a copy: its owner lives on another thread and may go first */
	socklen_t model_bytes;    /* 0: there is none */
	struct {
		char *ca; /* NULL: the system's */
		struct tls_trust *trust;
		uint64_t read_ms;
	} trust[TRUSTS];
	size_t trusts;
	char *proxy_text;       /* of the environment; the spans below point into it */
	struct url proxy;
	span proxy_user;        /* user:password, p NULL: none */
	const char *no_proxy;
};

enum step { DIALLING, ASKING_PROXY, SHAKING_HANDS };

struct connect {
	struct connector *connector;
	const struct upstream *upstream;
	connect_done *done;
	void *owner;
	enum step step;
	bool by_proxy;
	struct dial *dial;
	struct conn *conn;
	struct http1 parser; /* the proxy's answer */
	struct garbage garbage;
};

static const char *environment(const char *upper, const char *lower)
{
	const char *value = getenv(lower);
	if (!value || !*value)
		value = getenv(upper);
	return value && *value ? value : NULL;
}

/* http://user:password@host:port; url_parse knows no user, since elsewhere there must be none. */
static bool parse_proxy(struct connector *k, const char *value)
{
	k->proxy_text = strdup(value);
	CHECK(k->proxy_text);
	char *at = strrchr(k->proxy_text, '@'), *host = strstr(k->proxy_text, "://");
	if (at && host && at > host) {
		k->proxy_user = span_of(host + 3, (size_t)(at - host - 3));
		char *plain = malloc(strlen(at) + sizeof "http://");
		CHECK(plain);
		sprintf(plain, "http://%s", at + 1);
		char *user = strndup(k->proxy_user.p, k->proxy_user.n);
		CHECK(user);
		free(k->proxy_text);
		k->proxy_text = plain;
		k->proxy_user = span_str(user);
	}
	return url_parse(span_str(k->proxy_text), &k->proxy) == NULL && k->proxy.scheme == URL_HTTP;
}

struct connector *connector_create(struct loop *l, struct resolver *names)
{
	struct connector *k = calloc(1, sizeof *k);
	CHECK(k);
	k->loop = l;
	k->names = names;
	k->no_proxy = environment("NO_PROXY", "no_proxy");
	const char *proxy = environment("HTTPS_PROXY", "https_proxy");
	if (proxy && !parse_proxy(k, proxy))
		k->proxy.host = (span){0};
	return k;
}

void connector_set_model(struct connector *k, const struct model *m)
{
	if (m)
		k->model = *model_address(m, &k->model_bytes);
}

/* Connections that use it hold its context. */
static void forget_trust(struct connector *k, size_t i)
{
	tls_trust_destroy(k->trust[i].trust);
	free(k->trust[i].ca);
	k->trusts--;
	memmove(&k->trust[i], &k->trust[i + 1], (k->trusts - i) * sizeof k->trust[0]);
}

void connector_destroy(struct connector *k)
{
	while (k->trusts)
		forget_trust(k, k->trusts - 1);
	free((char *)k->proxy_user.p);
	free(k->proxy_text);
	free(k);
}

static bool same_ca(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* A handshake failed. The file may be another one by now; and what was read when memory was short may lack something
 * (OpenSSL does not always say so), which must not last until a restart. */
static void doubt(struct connector *k, const char *ca)
{
	for (size_t i = 0; i < k->trusts; i++)
		if (same_ca(k->trust[i].ca, ca) && loop_now_ms(k->loop) - k->trust[i].read_ms >= DOUBT_MS) {
			forget_trust(k, i);
			return;
		}
}

/* Read once, unless there is doubt; a file that cannot be read is said each time. */
static struct tls_trust *trust_of(struct connector *k, const char *ca, char *why, size_t why_bytes)
{
	for (size_t i = 0; i < k->trusts; i++)
		if (same_ca(k->trust[i].ca, ca))
			return k->trust[i].trust;
	char *name = ca ? strdup(ca) : NULL;
	struct tls_trust *t = ca && !name ? NULL : tls_trust_create(ca, why, why_bytes);
	if (ca && !name)
		snprintf(why, why_bytes, "out of memory");
	if (!t) {
		free(name);
		return NULL;
	}
	if (k->trusts == TRUSTS)
		forget_trust(k, 0); /* the oldest makes room */
	k->trust[k->trusts].ca = name;
	k->trust[k->trusts].read_ms = loop_now_ms(k->loop);
	k->trust[k->trusts++].trust = t;
	return t;
}

/* NO_PROXY: names and their subdomains, addresses, or "*", separated by commas. */
static bool is_exempt(const char *list, span host)
{
	span rest = span_str(list);
	while (rest.n) {
		span one = span_trim(span_first(rest, span_find(rest, ',')));
		rest = span_from(rest, span_find(rest, ',') + 1);
		if (one.n && one.p[0] == '.')
			one = span_from(one, 1);
		if (!one.n)
			continue;
		bool inside = host.n > one.n && host.p[host.n - one.n - 1] == '.' && span_eq_nocase(span_from(host,
			host.n - one.n), one);
		if (span_is(one, "*") || span_eq_nocase(one, host) || inside)
			return true;
	}
	return false;
}

static bool wants_proxy(const struct connector *k, const struct upstream *u)
{
	return !u->is_model && u->url.scheme == URL_HTTPS && k->proxy.host.n && !is_exempt(k->no_proxy, u->url.host);
}

static void free_connect(void *p)
{
	struct connect *c = p;
	http1_finish(&c->parser);
	free(c);
}

static void let_go(struct connect *c)
{
	if (c->dial)
		dial_cancel(c->dial);
	if (c->conn)
		conn_close(c->conn);
	c->dial = NULL;
	c->conn = NULL;
	loop_free_later(c->connector->loop, &c->garbage, c, free_connect);
}

void connect_cancel(struct connect *c) { let_go(c); }

static void fail(struct connect *c, enum cause cause, const char *detail)
{
	connect_done *done = c->done;
	void *owner = c->owner;
	let_go(c);
	done(owner, NULL, cause, detail);
}

static void succeed(struct connect *c)
{
	struct conn *conn = c->conn;
	c->conn = NULL;
	conn_read(conn, false);
	let_go(c);
	c->done(c->owner, conn, CAUSE_NONE, NULL);
}

static void host_of(const struct connect *c, char *out, size_t n) { snprintf(out, n, "%.*s",
	SPAN_ARG(c->upstream->url.host)); }

static void shake_hands(struct connect *c)
{
	char host[256], why[300], detail[400];
	host_of(c, host, sizeof host);
	c->step = SHAKING_HANDS;
	struct tls_trust *trust = trust_of(c->connector, c->upstream->ca, why, sizeof why);
	if (!trust) {
		snprintf(detail, sizeof detail, "No TLS connection to the model server: %s.", why);
		fail(c, CAUSE_TLS, detail);
	} else if (!conn_start_tls(c->conn, trust, host))
		fail(c, CAUSE_TLS, "There is no memory for a TLS connection now.");
}

static void put_basic(struct buf *out, span user)
{
	buf_put(out, SPAN("Proxy-Authorization: Basic "));
	if (buf_reserve(out, user.n / 3 * 4 + 5))
		out->n += (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->n, (const unsigned char *)user.p, (int)user.n);
	buf_put(out, SPAN("\r\n"));
}

static void ask_proxy(struct connect *c)
{
	struct buf out = {0};
	const struct url *u = &c->upstream->url;
	bool v6 = span_find(u->host, ':') < u->host.n;
	c->step = ASKING_PROXY;
	http1_init(&c->parser, HTTP1_RESPONSES, (struct http1_limits){0});
	http1_expect_no_body(&c->parser); /* a 2xx to CONNECT has none; of another answer only the status is read */
	for (int i = 0; i < 2; i++)
		buf_printf(&out, v6 ? "%s[%.*s]:%u%s" : "%s%.*s:%u%s", i ? "Host: " : "CONNECT ", SPAN_ARG(u->host), u->port,
			i ? "\r\n" : " HTTP/1.1\r\n");
	if (c->connector->proxy_user.p)
		put_basic(&out, c->connector->proxy_user);
	buf_put(&out, SPAN("\r\n"));
	if (out.failed)
		conn_fail(c->conn);
	else
		conn_put(c->conn, buf_span(&out));
	buf_finish(&out);
}

static void on_bytes(void *owner, span in)
{
	struct connect *c = owner;
	char detail[200];
	if (c->step != ASKING_PROXY)
		return; /* a server that speaks before it is asked: the fetch will not miss it */
	for (;;)
		switch (http1_next(&c->parser, &in)) {
		case HTTP1_MORE:
			return;
		case HTTP1_HEAD:
			if (c->parser.head.status / 100 == 2)
				break;
			snprintf(detail, sizeof detail, "The proxy refused to connect to the model server: it answered %d.",
				c->parser.head.status);
			fail(c, CAUSE_REFUSED, detail);
			return;
		case HTTP1_BODY:
			break;
		case HTTP1_END:
			shake_hands(c);
			return;
		case HTTP1_BAD:
			fail(c, CAUSE_REFUSED, "The proxy's answer to CONNECT is not HTTP.");
			return;
		}
}

static void on_end(void *owner, enum conn_end how, const char *why)
{
	struct connect *c = owner;
	char detail[640];
	if (c->step == SHAKING_HANDS) {
		snprintf(detail, sizeof detail, "No TLS connection to the model server: %s.", why);
		doubt(c->connector, c->upstream->ca);
	} else
		snprintf(detail, sizeof detail, "The proxy ended the connection before it was made: %s.", why);
	fail(c, c->step == SHAKING_HANDS ? CAUSE_TLS : CAUSE_REFUSED, detail);
}

static void on_secured(void *owner) { succeed(owner); }

static const struct conn_events events = {.on_bytes = on_bytes, .on_end = on_end, .on_secured = on_secured};

static void on_dialled(void *owner, struct conn *conn, const char *detail)
{
	struct connect *c = owner;
	char sentence[512];
	c->dial = NULL;
	if (!conn) {
		snprintf(sentence, sizeof sentence, "The %s could not be reached: %s.", c->by_proxy
			? "proxy" : "model server", detail);
		fail(c, CAUSE_REFUSED, sentence);
		return;
	}
	c->conn = conn;
	if (c->upstream->is_model || c->upstream->url.scheme != URL_HTTPS) {
		succeed(c);
		return;
	}
	conn_set_owner(conn, &events, c);
	conn_read(conn, true);
	if (c->by_proxy)
		ask_proxy(c);
	else
		shake_hands(c);
}

static void find_address(const struct connect *c, struct dial_to *to, struct sockaddr_un *un)
{
	const struct url *url = c->by_proxy ? &c->connector->proxy : &c->upstream->url;
	if (c->upstream->is_model) {
		CHECK(c->connector->model_bytes);
		to->socket = (const struct sockaddr *)&c->connector->model;
		to->socket_bytes = c->connector->model_bytes;
	} else if (url->scheme == URL_UNIX) {
		CHECK(url->socket.n < sizeof un->sun_path); /* the configuration refuses longer ones */
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, url->socket.p, url->socket.n);
		to->socket = (const struct sockaddr *)un;
		to->socket_bytes = sizeof *un;
	} else {
		to->host = url->host;
		to->port = url->port;
	}
}

struct connect *connect_start(struct connector *k, const struct upstream *upstream, connect_done *done, void *owner)
{
	struct connect *c = calloc(1, sizeof *c);
	struct dial_to to = {0};
	struct sockaddr_un un = {0};
	if (!c)
		return NULL;
	*c = (struct connect){.connector = k, .upstream = upstream, .done = done, .owner = owner, .by_proxy = wants_proxy(k, upstream)};
	find_address(c, &to, &un);
	c->dial = dial_start(k->names, &to, on_dialled, c);
	if (c->dial)
		return c;
	free(c);
	return NULL;
}

enum cause connect_stalled(struct connect *c, char *detail, size_t detail_bytes)
{
	const char *tried = c->dial ? dial_progress(c->dial) : "";
	switch (c->step) {
	case SHAKING_HANDS:
		snprintf(detail, detail_bytes, "the TLS handshake was not over");
		return CAUSE_TLS;
	case ASKING_PROXY:
		snprintf(detail, detail_bytes, "the proxy had not answered CONNECT");
		return CAUSE_CONNECT_TIMEOUT;
	case DIALLING:
		snprintf(detail, detail_bytes, "%s%s", *tried ? "tried " : "no address answered", tried);
	}
	return CAUSE_CONNECT_TIMEOUT;
}
