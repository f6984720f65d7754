/* A server is a listener and the list of its sessions. What happens on a connection is session.c's; what an answer
 * looks like is exchange.c's. Here is only what concerns all connections together: how many there may be, and how they
 * end.
 *
 * Over the limit of connections accepting pauses, and clients wait in the kernel's backlog: an accepted stream is worth
 * more than a new connection. The listener counts them in, a session's end counts them out. */
#include "server/session.h"

#include <stdlib.h>

static void on_conn(void *owner, struct conn *c)
{
	struct server *s = owner;
	s->accepted++;
	session_start(s, c);
}

static struct server *create(struct loop *l, struct server_limits limits, struct site site)
{
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->loop = l;
	s->limits = limits;
	s->site = site;
	LIST_INIT(&s->sessions);
	return s;
}

static struct server *keep_if_listening(struct server *s)
{
	if (s && s->listener) {
		s->quota = s->limits.quota ? s->limits.quota : &s->own;
		s->bodies = s->limits.bodies ? s->limits.bodies : &s->own_bodies;
		listener_limit(s->listener, s->quota, s->limits.connections);
		return s;
	}
	free(s);
	return NULL;
}

struct server *server_open(struct loop *l, const char *address, struct server_limits limits, struct site site,
	char *why, size_t why_bytes)
{
	struct server *s = create(l, limits, site);
	if (s)
		s->listener = listener_open(l, address, on_conn, s, why, why_bytes);
	return keep_if_listening(s);
}

struct server *server_take_fd(struct loop *l, int fd, bool is_tcp, struct server_limits limits, struct site site)
{
	struct server *s = create(l, limits, site);
	if (s)
		s->listener = listener_take_fd(l, fd, is_tcp, on_conn, s);
	return keep_if_listening(s);
}

struct server *server_open_beside(struct loop *l, const struct server *first, struct server_limits limits,
	struct site site, char *why, size_t why_bytes)
{
	struct server *s = create(l, limits, site);
	if (s)
		s->listener = listener_open_beside(l, first->listener, on_conn, s, why, why_bytes);
	return keep_if_listening(s);
}

void server_use_tls(struct server *s, struct tls_identity *as)
{
	tls_identity_hold(as);
	tls_identity_drop(s->tls);
	s->tls = as;
}

bool server_is_secure(const struct server *s) { return s->tls; }

bool server_proves_host(const struct server *s, span host) { return s->tls && tls_identity_is_for(s->tls, host); }

const char *server_name(const struct server *s) { return listener_name(s->listener); }

bool server_has_queue(const struct server *s) { return listener_has_queue(s->listener); }

uint64_t server_accepted(const struct server *s) { return s->accepted; }

bool server_is_quiet(const struct server *s)
{
	const struct session *session;
	LIST_FOREACH(session, &s->sessions, link)
		if (session->state == SESSION_EXCHANGE || conn_waiting(session->conn))
			return false;
	return true;
}

void server_drain(struct server *s)
{
	struct session *session, *next;
	s->draining = true;
	for (session = LIST_FIRST(&s->sessions); session; session = next) {
		next = LIST_NEXT(session, link);
		if (session->state == SESSION_WAITING)
			session_leave(session);
	}
}

static void free_server(void *p)
{
	struct server *s = p;
	tls_identity_drop(s->tls);
	free(s);
}

void server_close(struct server *s)
{
	struct session *session;
	listener_close(s->listener);
	while ((session = LIST_FIRST(&s->sessions)))
		session_close(session);
	loop_free_later(s->loop, &s->garbage, s, free_server);
}
