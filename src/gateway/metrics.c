/* The gateway's figures in Prometheus text. Each family has one function row; a family is always printed, with zeros,
 * so that an alert on it never meets a hole. What is gauged is asked from its owner at the time of printing, so no
 * gauge can drift. Workers count for themselves, without atomics; a sum is made when somebody asks. Only causes that a
 * route has seen are printed, besides `finished`: two dozen causes times routes of zeros help nobody. */
#include "gateway/metrics.h"

#include "gateway/account.h"

#include <inttypes.h>
#include <stdlib.h>

static const double bounds[HISTOGRAM_BUCKETS] = {1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10,
	30};

static char *make_label(const struct route *r)
{
	struct buf out = {0};
	buf_put(&out, SPAN("route=\""));
	for (const char *c = r->path; *c; c++)
		buf_printf(&out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	buf_put(&out, r->is_prefix ? SPAN("*\"") : SPAN("\""));
	if (!buf_cstr(&out))
		buf_finish(&out);
	return out.p;
}

static bool add_label(struct labels *l, char *label)
{
	char **more = realloc(l->label, (l->n + 1) * sizeof *l->label);
	if (!more)
		return false;
	l->label = more;
	l->label[l->n++] = label;
	return true;
}

/* The index of that label, which is taken. False: no memory. */
static bool find_or_add(struct labels *l, char *label, size_t *index)
{
	for (*index = 0; label && *index < l->n; ++*index)
		if (strcmp(l->label[*index], label) == 0) {
			free(label);
			return true;
		}
	if (label && add_label(l, label))
		return true;
	free(label);
	return false;
}

bool labels_adopt(struct labels *l, struct config *c)
{
	for (size_t i = 0; i < c->routes; i++) {
		size_t index;
		if (!find_or_add(l, make_label(&c->route[i]), &index))
			return false;
		c->route[i].index = index;
	}
	return true;
}

void labels_finish(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->label[i]);
	free(l->label);
	*l = (struct labels){0};
}

void metrics_finish(struct metrics *m)
{
	free(m->route);
	*m = (struct metrics){0};
}

bool metrics_make_room(struct metrics *m, size_t routes)
{
	if (routes <= m->routes)
		return true;
	struct route_metrics *more = realloc(m->route, routes * sizeof *more);
	if (!more)
		return false;
	memset(more + m->routes, 0, (routes - m->routes) * sizeof *more);
	m->route = more;
	m->routes = routes;
	return true;
}

void metrics_observe(struct histogram *h, double seconds)
{
	size_t i = 0;
	while (i < HISTOGRAM_BUCKETS && seconds > bounds[i])
		i++;
	h->bucket[i]++;
	h->count++;
	h->sum += seconds;
}

static void add(uint64_t *sum, const uint64_t *counts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += counts[i];
}

static void add_histogram(struct histogram *sum, const struct histogram *h)
{
	add(sum->bucket, h->bucket, HISTOGRAM_BUCKETS + 1);
	sum->count += h->count;
	sum->sum += h->sum;
}

bool metrics_add(struct metrics *sum, const struct metrics *m)
{
	if (!metrics_make_room(sum, m->routes))
		return false;
	for (size_t i = 0; i < m->routes; i++) {
		sum->route[i].started += m->route[i].started;
		add(sum->route[i].ended, m->route[i].ended, CAUSES);
	}
	sum->viewers += m->viewers;
	sum->events += m->events;
	sum->event_bytes += m->event_bytes;
	sum->events_unwatched += m->events_unwatched;
	add(sum->resumes, m->resumes, RESUMES);
	add(sum->attached, m->attached, ATTACHED_WAYS);
	add(sum->piped, m->piped, PIPED_ENDS);
	sum->unknown_callers += m->unknown_callers;
	sum->joined_foreign += m->joined_foreign;
	sum->live += m->live;
	sum->kept += m->kept;
	add_histogram(&sum->first_event, &m->first_event);
	add_histogram(&sum->added_latency, &m->added_latency);
	return true;
}

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP lastword_%s %s\n# TYPE lastword_%s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	family(out, name, type, help);
	buf_printf(out, "lastword_%s %" PRIu64 "\n", name, value);
}

static void labelled(struct buf *out, const char *name, const char *help, const char *label,
	const char *const *values, const uint64_t *counts, size_t n)
{
	family(out, name, "counter", help);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "lastword_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, values[i], counts[i]);
}

static void histogram(struct buf *out, const char *name, const char *help, const struct histogram *h)
{
	uint64_t below = 0;
	family(out, name, "histogram", help);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += h->bucket[i];
		buf_printf(out, "lastword_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], below);
	}
	buf_printf(out,
		"lastword_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nlastword_%s_sum %.9g\nlastword_%s_count %" PRIu64 "\n", name,
			h->count,
	           name, h->sum, name, h->count);
}

static void put_ended(struct buf *out, const char *label, enum cause cause, uint64_t n)
{
	buf_printf(out, "lastword_streams_ended_total{%s,end=\"%s\",cause=\"%s\"} %" PRIu64 "\n", label,
		cause_end_name(cause_row(cause)->end), cause_name(cause), n);
}

static void routes(struct buf *out, const struct metrics *m, const struct labels *l)
{
	family(out, "streams_started_total", "counter", "Streams started.");
	for (size_t i = 0; i < l->n; i++)
		buf_printf(out, "lastword_streams_started_total{%s} %" PRIu64 "\n", l->label[i], m->route[i].started);
	family(out, "streams_ended_total", "counter", "Streams ended, by their verdict.");
	for (size_t i = 0; i < l->n; i++)
		for (int cause = CAUSE_NONE + 1; cause < CAUSES; cause++) {
			uint64_t n = m->route[i].ended[cause];
			if (n || cause == CAUSE_FINISHED)
				put_ended(out, l->label[i], (enum cause)cause, n);
		}
}

void metrics_print(struct buf *out, const struct metrics *m, const struct labels *l, const struct memory_bytes *memory)
{
	static const char *const results[] = {"live", "kept", "forgotten", "ended"}, *const ways[] = {"id", "key", "retry"},
		*const ends[] = {"clean", "cut"};
	routes(out, m, l);
	one(out, "streams_live", "gauge", "Streams that have not ended.", m->live);
	one(out, "streams_kept", "gauge", "Ended streams kept for late readers.", m->kept);
	one(out, "viewers", "gauge", "Connections that read a stream.", m->viewers);
	one(out, "events_total", "counter", "Events written into journals.", m->events);
	one(out, "event_bytes_total", "counter", "Bytes of text in them.", m->event_bytes);
	labelled(out, "resumes_total", "Viewers that came back with a place.", "result", results, m->resumes, RESUMES);
	labelled(out, "attached_total", "Requests that joined a stream instead of starting one.", "by", ways, m->attached,
		ATTACHED_WAYS);
	one(out, "joined_foreign_total", "counter", "Viewers that joined a stream of another worker.",
		m->joined_foreign);
	one(out, "events_unwatched_total", "counter", "Events generated while nobody watched.", m->events_unwatched);
	labelled(out, "piped_total", "Answers passed on unjudged, by how they ended.", "end", ends, m->piped, PIPED_ENDS);
	one(out, "unknown_callers_total", "counter", "Requests refused because no key of ours came with them.",
		m->unknown_callers);
	family(out, "memory_bytes", "gauge", "Memory that grows with use.");
	buf_printf(out, "lastword_memory_bytes{kind=\"journal\"} %" PRIu64 "\n", memory->journal);
	buf_printf(out, "lastword_memory_bytes{kind=\"body\"} %" PRIu64 "\n", memory->body);
	buf_printf(out, "lastword_memory_bytes{kind=\"output\"} %" PRIu64 "\n", memory->output);
	histogram(out, "first_event_seconds", "From a stream's start to its first event with meaning.", &m->first_event);
	histogram(out, "added_latency_seconds", "From an event's arrival to its writing to the viewers that were ready.",
		&m->added_latency);
	family(out, "build_info", "gauge", "Which lastword this is.");
	buf_printf(out, "lastword_build_info{version=\"%s\"} 1\n", LASTWORD_VERSION);
}

static void put_key(struct buf *out, const char *name, const struct account *a, uint64_t value)
{
	buf_printf(out, "lastword_%s{key=\"%s\"} %" PRIu64 "\n", name, a->name, value);
}

static void put_refused(struct buf *out, const struct account *a)
{
	static const char *const limits[LIMITS] = {"streams", "starts_per_minute"};
	for (int i = 0; i < LIMITS; i++)
		buf_printf(out, "lastword_key_refused_total{key=\"%s\",limit=\"%s\"} %" PRIu64 "\n", a->name, limits[i],
			atomic_load_explicit(&a->refused[i], memory_order_relaxed));
}

/* A name has no character that a label would have to escape (config_caller.c). */
void metrics_print_keys(struct buf *out, const struct accounts *a)
{
	const struct account *one;
	if (!a->first)
		return;
	family(out, "key_started_total", "counter",
		"Starts that a key's limits allowed: streams, and requests of passthrough routes.");
	for (one = a->first; one; one = one->next)
		put_key(out, "key_started_total", one, atomic_load_explicit(&one->started, memory_order_relaxed));
	family(out, "key_live", "gauge", "What is under way under a key.");
	for (one = a->first; one; one = one->next)
		put_key(out, "key_live", one, quota_used(&one->streams));
	family(out, "key_refused_total", "counter", "Starts that a key's limits refused.");
	for (one = a->first; one; one = one->next)
		put_refused(out, one);
}
