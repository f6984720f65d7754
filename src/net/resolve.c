/* Names and their addresses.
 *
 * getaddrinfo blocks, so libuv runs it on its thread pool, which has four threads: a resolver that answers slowly for
 * one name could fill them all. So each name has one lookup at a time, whoever else wants it waits for that one, and
 * an answer is kept and used while the next one is on its way: a resolver that goes down later stops nothing.
 *
 * Invariants
 * 1. A name is looked up by at most one request at a time.
 * 2. A failed lookup never replaces a good answer.
 * 3. A waiter is called exactly once or cancelled, and never from inside resolve_name. */
#include "net/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRESH_MS = 60 * 1000 };

struct name {
	LIST_ENTRY(name) link;
	struct resolver *resolver;
	uv_getaddrinfo_t request;
	struct task answer; /* waiters of a kept answer */
	TAILQ_HEAD(, resolve_wait) waits;
	struct resolved good;
	uint64_t asked_ms;
	char why[160];
	bool asking;
	char host[256];
};

struct resolver {
	struct loop *loop;
	LIST_HEAD(, name) names;
	struct garbage garbage;
	bool closing;
};

struct resolver *resolver_create(struct loop *l)
{
	struct resolver *r = calloc(1, sizeof *r);
	CHECK(r);
	r->loop = l;
	return r;
}

struct loop *resolver_loop(const struct resolver *r) { return r->loop; }

static void tell(void *owner)
{
	struct name *n = owner;
	struct resolve_wait *w;
	while ((w = TAILQ_FIRST(&n->waits))) {
		TAILQ_REMOVE(&n->waits, w, link);
		w->waiting = false;
		w->on_resolved(w->owner, n->good.n ? &n->good : NULL, n->why);
	}
}

static void keep(struct name *n, const struct addrinfo *found)
{
	n->good.n = 0;
	for (const struct addrinfo *a = found; a && n->good.n < RESOLVE_ADDRESSES; a = a->ai_next)
		if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
			memcpy(&n->good.address[n->good.n++], a->ai_addr, a->ai_addrlen);
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct name *n = request->data;
	n->asking = false;
	if (status == 0)
		keep(n, found);
	else
		snprintf(n->why, sizeof n->why, "looking up %.80s failed: %s", n->host, uv_strerror(status));
	uv_freeaddrinfo(found);
	if (n->resolver->closing)
		free(n);
	else
		tell(n);
}

static void ask(struct name *n)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	if (n->asking)
		return;
	/* AI_ADDRCONFIG would hide loopback addresses on a machine without a network. */
	if (strcmp(n->host, "localhost") == 0)
		hints.ai_flags = 0;
	n->request.data = n;
	n->asked_ms = loop_now_ms(n->resolver->loop);
	n->asking = uv_getaddrinfo(&n->resolver->loop->uv, &n->request, on_answer, n->host, NULL, &hints) == 0;
	if (n->asking)
		return;
	snprintf(n->why, sizeof n->why, "looking up %.80s could not begin", n->host);
	task_queue(n->resolver->loop, &n->answer);
}

static struct name *find(struct resolver *r, span host)
{
	struct name *n;
	LIST_FOREACH(n, &r->names, link)
		if (span_is_nocase(host, n->host))
			return n;
	return NULL;
}

static struct name *find_or_make(struct resolver *r, span host)
{
	struct name *n = find(r, host);
	if (n || host.n >= sizeof n->host)
		return n;
	n = calloc(1, sizeof *n);
	if (!n)
		return NULL;
	n->resolver = r;
	memcpy(n->host, host.p, host.n);
	TAILQ_INIT(&n->waits);
	task_init(&n->answer, tell, n);
	LIST_INSERT_HEAD(&r->names, n, link);
	return n;
}

bool resolve_name(struct resolver *r, span host, struct resolve_wait *w)
{
	struct name *n = find_or_make(r, host);
	if (!n)
		return false;
	TAILQ_INSERT_TAIL(&n->waits, w, link);
	w->waiting = true;
	if (n->good.n)
		task_queue(r->loop, &n->answer);
	if (!n->good.n || loop_now_ms(r->loop) - n->asked_ms >= FRESH_MS)
		ask(n);
	return true;
}

void resolve_cancel(struct resolver *r, span host, struct resolve_wait *w)
{
	struct name *n = find(r, host);
	if (!w->waiting || !n)
		return;
	TAILQ_REMOVE(&n->waits, w, link);
	w->waiting = false;
}

void resolver_warm(struct resolver *r, span host)
{
	struct name *n = find_or_make(r, host);
	if (n && !n->good.n)
		ask(n);
}

void resolver_destroy(struct resolver *r)
{
	struct name *n;
	r->closing = true;
	while ((n = LIST_FIRST(&r->names))) {
		LIST_REMOVE(n, link);
		task_cancel(r->loop, &n->answer);
		if (!n->asking)
			free(n);
		else
			uv_cancel((uv_req_t *)&n->request);
	}
	/* Requests that cannot be cancelled look at `closing` until the loop has finished. */
	loop_free_later(r->loop, &r->garbage, r, free);
}
