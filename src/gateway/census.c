/* A worker's counters and lists are its own, so that counting costs no atomic. Who wants to see all of them sends each
 * worker a letter, and each writes down what it has, at a moment of its own: sums of counters that only grow are as
 * true as any scrape is. Nothing is kept between two censuses, and a gateway that nobody looks at pays nothing.
 *
 * Invariants
 * 1. A part belongs to its worker from its letter's posting to its coming back, then to the asker.
 * 2. The asker goes on when `missing` is 0; an exchange whose client left is waited for all the same, but not
 *    answered. */
#include "gateway/census.h"

#include "gateway/crew.h"
#include "gateway/status.h"
#include "gateway/stream.h"

#include <stdlib.h>

/* What one worker says. */
struct part {
	struct letter letter;
	struct sheet *sheet;
	struct metrics metrics;
	struct buf text;
	struct census_stream *stream;
	size_t streams;
};

/* The asker's. */
struct sheet {
	struct worker *asker;
	struct exchange *exchange; /* NULL: its client has left */
	bool with_streams;
	void (*print)(struct buf *out, const struct worker *w, struct census *c);
	const char *type;
	unsigned missing;
	struct part *part[CREW_MOST];
};

static void list_streams(const struct worker *w, struct part *p)
{
	const struct stream *s;
	size_t most = w->shelf.live < CENSUS_LISTED ? w->shelf.live : CENSUS_LISTED;
	if (!(p->stream = malloc((most + 1) * sizeof *p->stream)))
		p->text.failed = true;
	LIST_FOREACH(s, &w->live, link) {
		size_t at = p->text.n;
		if (p->text.failed || p->streams == most)
			return;
		status_print_stream(&p->text, s);
		p->stream[p->streams++] = (struct census_stream){s->run.started_ns, &p->text, at, p->text.n - at};
	}
}

static void fill(const struct worker *w, struct part *p)
{
	if (!metrics_add(&p->metrics, &w->metrics))
		p->text.failed = true;
	p->metrics.live = w->shelf.live;
	p->metrics.kept = w->shelf.kept;
	if (p->sheet->with_streams)
		list_streams(w, p);
}

static int newest_first(const void *a, const void *b)
{
	const struct census_stream *one = a, *other = b;
	return (one->started_ns < other->started_ns) - (one->started_ns > other->started_ns);
}

/* The newest of all are among the newest of each. */
static bool merge_streams(struct sheet *sheet, struct census *c)
{
	size_t n = 0;
	for (unsigned i = 0; i < sheet->asker->crew->workers; i++)
		n += sheet->part[i]->streams;
	if (!(c->stream = malloc((n + 1) * sizeof *c->stream)))
		return false;
	for (unsigned i = 0; i < sheet->asker->crew->workers; i++) {
		const struct part *p = sheet->part[i];
		if (p->streams)
			memcpy(c->stream + c->streams, p->stream, p->streams * sizeof *p->stream);
		c->streams += p->streams;
	}
	qsort(c->stream, n, sizeof *c->stream, newest_first);
	c->streams = n < CENSUS_LISTED ? n : CENSUS_LISTED;
	return true;
}

static bool merge_counts(struct sheet *sheet, struct census *c)
{
	bool whole = metrics_make_room(&c->sum, sheet->asker->crew->labels.n);
	for (unsigned i = 0; i < sheet->asker->crew->workers; i++)
		whole = whole && !sheet->part[i]->text.failed && metrics_add(&c->sum, &sheet->part[i]->metrics);
	return whole;
}

static void answer(struct sheet *sheet)
{
	struct buf out = {0};
	struct census c = {0};
	struct exchange *x = sheet->exchange;
	if (merge_counts(sheet, &c) && merge_streams(sheet, &c))
		sheet->print(&out, sheet->asker, &c);
	else
		out.failed = true;
	exchange_field(x, "Cache-Control", SPAN("no-store"));
	if (out.failed)
		exchange_refuse(x, 503, "overloaded", "There is no memory for this answer now.");
	else
		exchange_answer(x, 200, sheet->type, buf_span(&out));
	buf_finish(&out);
	metrics_finish(&c.sum);
	free(c.stream);
}

static void free_sheet(struct sheet *sheet)
{
	for (unsigned i = 0; i < CREW_MOST && sheet->part[i]; i++) {
		metrics_finish(&sheet->part[i]->metrics);
		buf_finish(&sheet->part[i]->text);
		free(sheet->part[i]->stream);
		free(sheet->part[i]);
	}
	free(sheet);
}

static void one_came(struct sheet *sheet)
{
	if (--sheet->missing)
		return;
	if (sheet->exchange)
		answer(sheet);
	free_sheet(sheet);
}

static void come_back(struct worker *w, struct letter *l) { one_came(((struct part *)l)->sheet); }

static void arrive(struct worker *w, struct letter *l)
{
	struct part *p = (struct part *)l;
	fill(w, p);
	worker_post(p->sheet->asker, l, come_back);
}

static struct sheet *create(const struct crew *crew)
{
	struct sheet *sheet = calloc(1, sizeof *sheet);
	for (unsigned i = 0; sheet && i < crew->workers; i++) {
		if (!(sheet->part[i] = calloc(1, sizeof *sheet->part[i]))) {
			free_sheet(sheet);
			return NULL;
		}
		sheet->part[i]->sheet = sheet;
	}
	return sheet;
}

static void on_gone(void *owner)
{
	struct sheet *sheet = owner;
	sheet->exchange = NULL;
}

void census_take(struct worker *w, struct exchange *x, bool with_streams,
	void (*print)(struct buf *out, const struct worker *w, struct census *c), const char *type)
{
	static const struct exchange_events events = {.on_gone = on_gone};
	struct crew *crew = w->crew;
	struct sheet *sheet = create(crew);
	if (!sheet) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for this answer now.");
		return;
	}
	sheet->asker = w;
	sheet->exchange = x;
	sheet->with_streams = with_streams;
	sheet->print = print;
	sheet->type = type;
	sheet->missing = crew->workers;
	exchange_set_owner(x, &events, sheet);
	for (unsigned i = 0; i < crew->workers; i++)
		if (crew->worker[i] != w)
			worker_post(crew->worker[i], &sheet->part[i]->letter, arrive);
	fill(w, sheet->part[w->index]);
	one_came(sheet);
}
