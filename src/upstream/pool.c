/* Idle connections to upstreams. A connection is kept for KEEP_MS only: servers close idle ones after some seconds
 * (uvicorn: five), and a request that crosses such a close on its way is lost, though it may be paid work that nobody
 * may send again. While a connection waits here it is read, so its end is seen at once; and it is asked once more when
 * it is taken, since the end may lie in the kernel, unread.
 *
 * The latest one is taken first, so that the others grow old and go. */
#include "upstream/pool.h"

#include <stdlib.h>

enum { KEEP_MS = 4000, KEEP_MOST = 256 };

struct pooled {
	TAILQ_ENTRY(pooled) link;
	struct pool *pool;
	struct conn *conn;
	char *upstream; /* its text in the configuration: that outlives a reload, an address does not */
	struct alarm alarm;
	struct garbage garbage;
};

struct pool *pool_create(struct loop *l, struct resolver *names)
{
	struct pool *p = calloc(1, sizeof *p);
	CHECK(p);
	p->loop = l;
	p->connector = connector_create(l, names);
	TAILQ_INIT(&p->idle);
	LIST_INIT(&p->fetches);
	return p;
}

void pool_set_model(struct pool *p, const struct model *m) { connector_set_model(p->connector, m); }

static void free_pooled(void *memory)
{
	struct pooled *one = memory;
	free(one->upstream);
	free(one);
}

static struct conn *take_out(struct pooled *one)
{
	struct pool *p = one->pool;
	TAILQ_REMOVE(&p->idle, one, link);
	p->kept--;
	alarm_clear(&one->alarm);
	loop_free_later(p->loop, &one->garbage, one, free_pooled);
	return one->conn;
}

static void discard(void *owner) { conn_close(take_out(owner)); }
static void on_bytes(void *owner, span bytes) { discard(owner); } /* nothing was asked */
static void on_end(void *owner, enum conn_end how, const char *why) { discard(owner); }

static const struct conn_events events = {.on_bytes = on_bytes, .on_end = on_end};

struct conn *pool_take(struct pool *p, const char *upstream)
{
	struct pooled *one, *next;
	for (one = TAILQ_FIRST(&p->idle); one; one = next) {
		next = TAILQ_NEXT(one, link);
		if (strcmp(one->upstream, upstream) != 0)
			continue;
		struct conn *c = take_out(one);
		if (conn_is_quiet(c))
			return c;
		conn_close(c);
	}
	return NULL;
}

void pool_give(struct pool *p, const char *upstream, struct conn *c)
{
	struct pooled *one = p->kept < KEEP_MOST ? calloc(1, sizeof *one) : NULL;
	char *name = one ? strdup(upstream) : NULL;
	if (!name) {
		free(one);
		conn_close(c);
		return;
	}
	*one = (struct pooled){.pool = p, .conn = c, .upstream = name};
	alarm_init(&one->alarm, p->loop, discard, one);
	alarm_set(&one->alarm, KEEP_MS);
	TAILQ_INSERT_HEAD(&p->idle, one, link);
	p->kept++;
	conn_set_owner(c, &events, one);
	conn_read(c, true);
}

void pool_destroy(struct pool *p)
{
	while (!LIST_EMPTY(&p->fetches))
		fetch_cancel(LIST_FIRST(&p->fetches));
	while (!TAILQ_EMPTY(&p->idle))
		discard(TAILQ_FIRST(&p->idle));
	connector_destroy(p->connector);
	loop_free_later(p->loop, &p->garbage, p, free);
}

struct loop *pool_loop(const struct pool *p) { return p->loop; }
