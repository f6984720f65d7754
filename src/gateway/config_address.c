/* Addresses: where lastword listens, the names it answers to, the origins of pages that may use it, and the proxies
 * that are believed.
 *
 * An address to listen on is taken as text and judged here, before any socket exists; net/ parses it again when it
 * binds. Names are not looked up: `listen` takes addresses of this machine, and which of them a name means can change
 * between two starts. `localhost` is the exception that everybody expects.
 *
 * Hosts and origins are compared byte for byte with what browsers send, so what a browser never sends (a port in a
 * host, capitals or a path in an origin, `*`, `null`) is a mistake here and not a rule that silently never matches. */
#include "gateway/config_parts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

static bool is_ip(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static const char *judge_host(span word)
{
	if (is_ip(word.p)) /* a node's text has a NUL behind it */
		return NULL;
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] == ':')
			return "has a port";
		else if (!isalnum((unsigned char)word.p[i]) && !strchr(".-_", word.p[i]))
			return "is not a host's name";
	return NULL;
}

static bool bind_hosts(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return config_type_bind_list(b, o, n, field, judge_host);
}

/* As browsers write them (RFC 6454 §6.2): lower case, no path, not even a slash. `null` and `*` would open the door
 * to every page. */
static const char *judge_origin(span word)
{
	span rest = span_starts(word, SPAN("https://")) ? span_from(word, 8)
		: span_starts(word, SPAN("http://"))    ? span_from(word, 7)
		                                        : (span){0};
	if (rest.n == 0)
		return "is no origin";
	for (size_t i = 0; i < rest.n; i++)
		if (isupper((unsigned char)rest.p[i]))
			return "has capital letters, which browsers never send";
		else if (!isalnum((unsigned char)rest.p[i]) && !strchr(".-_:[]", rest.p[i]))
			return rest.p[i] == '/' ? "has a path" : "is no origin";
	return NULL;
}

static bool bind_origins(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return config_type_bind_list(b, o, n, field, judge_origin);
}

const struct option_type config_address_hosts = {
	"a list of host names without ports", bind_hosts, config_type_print_words, config_type_release_words};
const struct option_type config_address_origins = {
	"a list of origins such as https://chat.example", bind_origins, config_type_print_words, config_type_release_words};

static bool bind_proxies(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct proxies *p = field;
	size_t count = 0;
	if (n->kind != NODE_LIST)
		return config_type_wrong(b, o, n, "a single value or a map");
	for (const struct node *c = n->child; c; c = c->next)
		count++;
	p->range = calloc(count + 1, sizeof *p->range);
	if (!p->range)
		return config_complain(b->complaint, n, "out of memory");
	for (const struct node *c = n->child; c; c = c->next) {
		span text;
		if (!config_type_scalar(b, o, c, &text))
			return false;
		const char *wrong = address_range_parse(text, &p->range[p->n]);
		if (wrong)
			return config_type_wrong(b, o, c, "\"%s\" %s", config_complain_show(text).text, wrong);
		p->n++;
	}
	return true;
}

static void print_proxies(const struct option *o, const void *field, struct buf *out)
{
	const struct proxies *p = field;
	char text[ADDRESS_RANGE_TEXT];
	buf_put_byte(out, '[');
	for (size_t i = 0; i < p->n; i++) {
		address_range_print(&p->range[i], text);
		buf_put(out, i ? SPAN(", ") : SPAN(""));
		config_type_put_plain(out, span_str(text));
	}
	buf_put_byte(out, ']');
}

static void release_proxies(void *field)
{
	struct proxies *p = field;
	free(p->range);
	*p = (struct proxies){0};
}

const struct option_type config_address_proxies = {
	"a list of addresses and ranges such as 10.0.0.0/8", bind_proxies, print_proxies, release_proxies};

static bool is_port(span text)
{
	if (text.n > 5)
		return false;
	unsigned number = 0;
	for (size_t i = 0; i < text.n; i++)
		if (isdigit((unsigned char)text.p[i]))
			number = number * 10 + (unsigned)(text.p[i] - '0');
		else
			return false;
	return text.n > 0 && number <= 65535;
}

static bool is_listen_host(span host)
{
	char text[64];
	if (host.n == 0 || span_is(host, "localhost"))
		return true;
	bool bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	span inner = bracketed ? (span){host.p + 1, host.n - 2} : host;
	if (inner.n >= sizeof text)
		return false;
	memcpy(text, inner.p, inner.n);
	text[inner.n] = 0;
	unsigned char address[sizeof(struct in6_addr)];
	return inet_pton(bracketed ? AF_INET6 : AF_INET, text, address) == 1;
}

static bool bind_address(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	const char *colon = memrchr(text.p, ':', text.n);
	if (!colon)
		return config_type_wrong(b, o, n, "\"%s\" has no port", config_complain_show(text).text);
	size_t at = (size_t)(colon - text.p);
	if (!is_port(span_from(text, at + 1)))
		return config_type_wrong(b, o, n, "\"%s\" has no port from 0 to 65535", config_complain_show(text).text);
	if (!is_listen_host(span_first(text, at)))
		return config_type_wrong(b, o, n, "\"%s\" has no address of this machine", config_complain_show(text).text);
	return config_type_copy(b, n, text, field);
}

static bool bind_address_or_none(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return (n->kind == NODE_SCALAR && span_is(n->text, "none")) || bind_address(b, o, n, field);
}

static void print_address(const struct option *o, const void *field, struct buf *out)
{
	const char *text = *(char *const *)field;
	config_type_put_plain(out, text ? span_str(text) : SPAN("none"));
}

const struct option_type config_address_listen = {
	"IPv4:PORT, [IPv6]:PORT, localhost:PORT or :PORT", bind_address, print_address, config_type_release_string};
const struct option_type config_address_listen_or_none = {
	"IPv4:PORT, [IPv6]:PORT, localhost:PORT, :PORT or none", bind_address_or_none, print_address,
	config_type_release_string};
