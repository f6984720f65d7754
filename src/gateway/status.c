/* The state of the gateway, printed afresh for each request from what a census found; nothing is kept for it, so
 * nothing here can be out of date.
 *
 * Live streams only: what has ended is in the log, one line each, and in `ends`. The list is bounded, since a page that
 * asks every second must not cost what ten thousand streams cost; the newest stand first. */
#include "gateway/status.h"

#include "base/clock.h"
#include "gateway/census.h"
#include "gateway/crew.h"
#include "gateway/stream.h"
#include "sse/print.h"

#include <inttypes.h>

static void put_now(struct buf *out)
{
	struct timespec now;
	struct tm utc;
	char text[sizeof "2026-01-01T00:00:00" + 8];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	buf_printf(out, "\"now\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static void put_route(struct buf *out, const struct route *r)
{
	buf_put(out, SPAN("\"route\":"));
	sse_print_json_string(out, span_str(r->path));
	if (r->is_prefix && !out->failed) {
		out->n--; /* the star belongs inside the quotes */
		buf_put(out, SPAN("*\""));
	}
}

static void put_figures(struct buf *out, const struct worker *w, const struct metrics *sum)
{
	put_now(out);
	buf_printf(out, ",\"version\":\"%s\",\"uptime_ms\":%" PRIu64, LASTWORD_VERSION, clock_ms() - w->crew->started_ms);
	buf_printf(out, ",\"draining\":%s,\"full\":%s", worker_is_draining(w) ? "true" : "false", worker_is_full(w) ? "true" : "false");
	buf_printf(out, ",\"live\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"viewers\":%" PRIu64, sum->live, sum->kept, sum->viewers);
	struct memory_bytes memory = budget_kinds(w->crew);
	buf_printf(out, ",\"memory\":{\"journal\":%" PRIu64 ",\"body\":%" PRIu64 ",\"output\":%" PRIu64 ",\"limit\":%" PRIu64 "}",
		memory.journal, memory.body, memory.output, w->config->memory_bytes);
}

/* label: route="…" as metrics.h has it. A route's path is ASCII without spaces, so the value is a JSON string too. */
static void put_end(struct buf *out, const char *label, enum cause cause, uint64_t count)
{
	const struct cause_row *row = cause_row(cause);
	buf_printf(out, "{\"route\":%s", label + strlen("route="));
	buf_printf(out, ",\"end\":\"%s\",\"cause\":\"%s\",\"side\":\"%s\",\"sentence\":", cause_end_name(row->end), row->name, cause_side_name(row->side));
	sse_print_json_string(out, span_str(row->sentence));
	buf_printf(out, ",\"count\":%" PRIu64 "}", count);
}

/* Of all routes that there have been: a reload forgets none. */
static void put_ends(struct buf *out, const struct metrics *m, const struct labels *l)
{
	const char *between = "";
	buf_put(out, SPAN(",\"ends\":["));
	for (size_t i = 0; i < m->routes; i++)
		for (int cause = CAUSE_NONE + 1; cause < CAUSES; cause++)
			if (m->route[i].ended[cause]) {
				buf_put(out, span_str(between));
				put_end(out, l->label[i], (enum cause)cause, m->route[i].ended[cause]);
				between = ",";
			}
	buf_put_byte(out, ']');
}

static void put_key(struct buf *out, const struct account *a, const struct caller *c)
{
	uint64_t refused = 0;
	for (int i = 0; i < LIMITS; i++)
		refused += atomic_load_explicit(&a->refused[i], memory_order_relaxed);
	buf_printf(out, "{\"name\":\"%s\",\"live\":%" PRIu64 ",\"started\":%" PRIu64 ",\"refused\":%" PRIu64, a->name,
		quota_used(&a->streams), atomic_load_explicit(&a->started, memory_order_relaxed), refused);
	if (c)
		buf_printf(out, ",\"streams\":%" PRIu64 ",\"starts_per_minute\":%" PRIu64, c->streams, c->starts_per_minute);
	buf_put_byte(out, '}');
}

static const struct caller *caller_of(const struct config *c, const struct account *a)
{
	for (size_t i = 0; i < c->callers.n; i++)
		if (c->callers.caller[i].account == a)
			return &c->callers.caller[i];
	return NULL;
}

static void put_keys(struct buf *out, const struct worker *w)
{
	buf_put(out, SPAN(",\"keys\":["));
	for (const struct account *a = w->crew->accounts.first; a; a = a->next) {
		put_key(out, a, caller_of(w->config, a));
		buf_put(out, a->next ? SPAN(",") : SPAN(""));
	}
	buf_put_byte(out, ']');
}

static const char *state_name(const struct stream *s)
{
	if (s->generation.began)
		return "answering";
	if (s->generation.queue > 0)
		return "queued";
	return s->run.connected_ns ? "waiting" : "connecting";
}

void status_print_stream(struct buf *out, const struct stream *s)
{
	struct last_word tally = {0};
	int64_t idle_ms = run_idle_ms(&s->run);
	journal_tally(s->face->journal, &tally);
	buf_printf(out, "{\"id\":\"%.*s\",", ID_SHOWN, s->face->id.text);
	put_route(out, s->face->route);
	buf_printf(out, ",\"state\":\"%s\",\"age_ms\":%" PRIu64 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"viewers\":%zu", state_name(s),
	           clock_ms() - s->face->started_ms, tally.events, tally.bytes, s->viewers);
	if (s->account)
		buf_printf(out, ",\"key\":\"%s\"", s->account->name);
	if (idle_ms >= 0)
		buf_printf(out, ",\"idle_ms\":%" PRId64, idle_ms);
	if (!s->generation.began && s->generation.queue > 0)
		buf_printf(out, ",\"queue\":%d", s->generation.queue);
	buf_put_byte(out, '}');
}

static void put_streams(struct buf *out, const struct census *c)
{
	buf_put(out, SPAN(",\"streams\":["));
	for (size_t i = 0; i < c->streams; i++) {
		const struct census_stream *s = &c->stream[i];
		if (i)
			buf_put_byte(out, ',');
		buf_put(out, span_first(span_from(buf_span(s->text), s->at), s->n));
	}
	buf_printf(out, "],\"more\":%" PRIu64, c->sum.live - c->streams);
}

void status_print(struct buf *out, const struct worker *w, struct census *c)
{
	buf_put_byte(out, '{');
	put_figures(out, w, &c->sum);
	put_ends(out, &c->sum, &w->crew->labels);
	put_keys(out, w);
	put_streams(out, c);
	buf_put(out, SPAN("}\n"));
}
