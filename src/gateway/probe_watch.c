/* Asks a server, beside a question that it is working on, how many requests it is busy with (probe_gauge knows the
 * pages).
 *
 * A page that is not there, not answered within two seconds or not understood says nothing, and nothing is no news: -1.
 * The credential of the question is not sent along; pages that want one are for others. */
#include "gateway/probe_parts.h"

enum { WATCH_MS = 2000, PAGE_BYTES = 1024 * 1024 };

static void end(struct watch *w, int64_t busy)
{
	alarm_clear(&w->clock);
	if (w->fetch)
		fetch_cancel(w->fetch);
	w->fetch = NULL;
	w->on_read(w->owner, busy);
}

static void on_head(void *owner, const struct http_head *head)
{
	struct watch *w = owner;
	w->status = head->status;
}

static void on_body(void *owner, span piece)
{
	struct watch *w = owner;
	if (w->page.n + piece.n <= PAGE_BYTES)
		buf_put(&w->page, piece);
}

static void on_end(void *owner, enum fetch_end how, const char *detail)
{
	struct watch *w = owner;
	w->fetch = NULL;
	end(w, w->status == 200 && !w->page.failed ? probe_gauge_read(w->gauge, buf_span(&w->page)) : -1);
}

static const struct fetch_events events = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

static void on_time(void *owner) { end(owner, -1); }

void watch_init(struct watch *w, struct pool *p, const struct upstream *upstream,
	void (*on_read)(void *owner, int64_t busy), void *owner)
{
	*w = (struct watch){.pool = p, .upstream = upstream, .on_read = on_read, .owner = owner};
	alarm_init(&w->clock, pool_loop(p), on_time, w);
}

void watch_read(struct watch *w, size_t gauge)
{
	w->gauge = gauge;
	w->status = 0;
	buf_clear(&w->page);
	w->fetch = fetch_start(w->pool, &(struct fetch_request){
		.upstream = w->upstream, .method = SPAN("GET"), .target = span_str(probe_gauge_path(gauge)),
		.fields = SPAN("Accept: */*\r\nUser-Agent: lastword/" LASTWORD_VERSION "\r\n"),
	}, &events, w);
	CHECK(w->fetch);
	alarm_set(&w->clock, WATCH_MS);
}

void watch_finish(struct watch *w)
{
	alarm_clear(&w->clock);
	if (w->fetch)
		fetch_cancel(w->fetch);
	buf_finish(&w->page);
}
