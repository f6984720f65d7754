/* The joint of a stream: what the run reports becomes wakes for the viewers, what the viewers do becomes reasons to go
 * on or to stop, and the end becomes a log line, counts, and a place on the shelf.
 *
 * Leaving is not stopping: when the last viewer has gone the upstream is cancelled only after `grace`, and a viewer
 * that comes back in time cancels the cancelling; absence.c says what is in time. The wake is a task, so that all that
 * arrives in one turn goes out in one write.
 *
 * Invariants
 * 1. A stream is on the worker's list of live ones exactly until its journal is sealed, and on the shelf until it is
 *    dropped.
 * 2. It is dropped only when sealed. A viewer that still reads a dropped stream's last events keeps it alive: memory
 *    goes when the shelf has let go of it and the last viewer has left.
 * 3. The log has one line for each stream, at its end; never a word of prompt or answer. */
#include "gateway/stream.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/account.h"
#include "gateway/budget.h"
#include "gateway/crew.h"
#include "gateway/form.h"
#include "gateway/render.h"

#include <inttypes.h>
#include <stdlib.h>

static void free_stream(void *p)
{
	struct stream *s = p;
	generation_finish(&s->generation);
	face_drop(s->face);
	free(s);
}

static void count_body(struct stream *s)
{
	gauge_tell(&s->worker->crew->budget.bodies, &s->counted_body, run_kept_bytes(&s->run));
}

static void release(struct stream *s)
{
	absence_end(&s->absence);
	task_cancel(&s->worker->loop, &s->wake);
	audience_finish(&s->own);
	run_finish(&s->run);
	count_body(s);
	loop_free_later(&s->worker->loop, &s->garbage, s, free_stream);
}

void stream_drop(struct shelf_entry *entry)
{
	struct stream *s = (struct stream *)((char *)entry - offsetof(struct stream, entry));
	budget_dropped(s);
	if (!s->viewers)
		release(s);
}

static int64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns && to_ns >= from_ns
		? (int64_t)((to_ns - from_ns) / 1000000) : -1;
}

static void log_ms(struct log_line *l, const char *name, uint64_t from_ns, uint64_t to_ns)
{
	if (ms_between(from_ns, to_ns) >= 0)
		log_number(l, name, ms_between(from_ns, to_ns));
}

static void log_usage(struct log_line *l, const struct seen *seen)
{
	if (seen->prompt_tokens >= 0)
		log_number(l, "prompt_tokens", seen->prompt_tokens);
	if (seen->completion_tokens >= 0)
		log_number(l, "completion_tokens", seen->completion_tokens);
}

/* What an upstream says of its own error may quote the prompt, so only its type and code are logged; the viewer is
 * told all. */
static void log_why(struct log_line *l, const struct last_word *word, const struct seen *seen)
{
	const struct cause_row *row = cause_row(word->cause);
	if (row->end != END_FAILED)
		return;
	log_string(l, "detail", word->cause == CAUSE_ERROR ? row->sentence : last_word_detail(word));
	if (*seen->error_type)
		log_string(l, "error_type", seen->error_type);
	if (*seen->error_code)
		log_string(l, "error_code", seen->error_code);
}

static void log_end_of(struct stream *s, const struct last_word *word)
{
	const struct cause_row *row = cause_row(word->cause);
	struct log_line l;
	log_begin(&l, row->end == END_FAILED && row->side != SIDE_VIEWER ? LOG_WARN : LOG_INFO, "stream");
	log_text(&l, "id", span_first(stream_id(s), ID_SHOWN));
	log_string(&l, "route", s->face->route->path);
	if (s->account)
		log_string(&l, "key", s->account->name);
	log_string(&l, "peer", s->peer);
	log_string(&l, "end", cause_end_name(row->end));
	log_string(&l, "cause", row->name);
	log_number(&l, "line", s->generation.verdict.line);
	if (*word->finish)
		log_string(&l, "finish", word->finish);
	log_why(&l, word, &s->generation.reader.seen);
	log_number(&l, "events", (int64_t)word->events);
	log_number(&l, "bytes", (int64_t)word->bytes);
	log_usage(&l, &s->generation.reader.seen);
	if (s->unwatched)
		log_number(&l, "unwatched", (int64_t)s->unwatched);
	if (s->generation.no_field_lines)
		log_number(&l, "no_field_lines", (int64_t)s->generation.no_field_lines);
	log_ms(&l, "connect_ms", s->run.started_ns, s->run.connected_ns);
	log_ms(&l, "first_event_ms", s->run.started_ns, s->run.began_ns);
	log_ms(&l, "total_ms", s->run.started_ns, s->run.ended_ns);
	log_end(&l);
}

static void warn_of_newlines(struct stream *s)
{
	bool *warned = &s->worker->metrics.route[s->face->route->index].warned_of_newlines;
	if (!s->generation.no_field_lines || *warned)
		return;
	*warned = true;
	log_say(LOG_WARN, "no_field_lines",
		"the upstream of %s sends lines that are no field of an event stream, so text is lost: it writes raw newlines "
	        "inside data:, each line of a token needs its own data:", s->face->route->path);
}

static void ended(struct stream *s)
{
	struct worker *w = s->worker;
	struct last_word tally;
	const struct last_word *word = journal_last_word(s->face->journal);
	LIST_REMOVE(s, link);
	absence_end(&s->absence);
	w->metrics.route[s->face->route->index].ended[word->cause]++;
	quota_give(&w->crew->streams);
	account_give(s->account);
	log_end_of(s, word);
	warn_of_newlines(s);
	journal_tally(s->face->journal, &tally);
	if (cause_row(word->cause)->end == END_FAILED && tally.events == 0)
		shelf_release_key(&s->entry);
	shelf_sealed(&s->entry, clock_ms(), journal_memory(s->face->journal));
	budget_sealed(s);
	if (!w->sweep.set)
		alarm_set(&w->sweep, w->config->keep_ms);
}

static void count(struct stream *s)
{
	struct metrics *m = &s->worker->metrics;
	struct last_word tally;
	uint32_t now = journal_count(s->face->journal), fresh = now - s->counted;
	if (s->run.began_ns && !s->began && fresh) {
		s->began = true;
		metrics_observe(&m->first_event, (double)(s->run.began_ns - s->run.started_ns) / 1e9);
	}
	journal_tally(s->face->journal, &tally);
	m->events += fresh;
	m->event_bytes += tally.bytes - s->counted_bytes;
	s->counted = now;
	s->counted_bytes = tally.bytes;
	if (!s->viewers) {
		s->unwatched += fresh;
		m->events_unwatched += fresh;
	}
	if (fresh && !s->arrived_ns)
		s->arrived_ns = clock_ns();
}

/* What a viewer may be told of the place in the model's queue. */
static void show_queue(struct stream *s)
{
	const struct generation *g = &s->generation;
	int queue = g->began || g->ended ? -1 : g->queue;
	atomic_store_explicit(&s->face->queue, queue, memory_order_relaxed);
}

static void on_change(void *owner)
{
	struct stream *s = owner;
	count(s);
	count_body(s);
	show_queue(s);
	task_queue(&s->worker->loop, &s->wake);
	if (!s->generation.ended)
		budget_grew(s);
}

static void wake(void *owner)
{
	struct stream *s = owner;
	struct audience *a;
	bool has_ended = s->generation.ended && !s->entry.is_sealed;
	audience_wake(&s->own, s->arrived_ns);
	LIST_FOREACH(a, &s->foreign, link)
		audience_wake(a, s->arrived_ns);
	s->arrived_ns = 0;
	if (has_ended)
		ended(s);
}

static void on_nobody_there(void *owner)
{
	struct stream *s = owner;
	stream_end(s, CAUSE_ABANDONED, s->had_viewer
		? "The last viewer left and none came back in time." : "No viewer came in time.");
}

static struct stream *create(struct worker *w, const struct stream_plan *plan)
{
	struct stream *s = calloc(1, sizeof *s);
	const struct dialect *frames = plan->rules->keeps_frames ? plan->rules->dialect : NULL;
	if (s && metrics_make_room(&w->metrics, plan->route->index + 1) && (s->face = face_create(plan->config, plan->route, frames, w->crew->generation, w->index)))
		return s;
	free(s);
	return NULL;
}

struct stream *stream_start(struct worker *w, const struct stream_plan *plan)
{
	struct stream *s = NULL;
	if (!quota_take(&w->crew->streams, w->config->limits.streams))
		return NULL;
	if (!(s = create(w, plan))) {
		quota_give(&w->crew->streams);
		return NULL;
	}
	s->worker = w;
	s->account = plan->account;
	memcpy(s->peer, plan->peer, strnlen(plan->peer, sizeof s->peer - 1));
	s->entry.id = s->face->id;
	shelf_put(&w->shelf, &s->entry);
	LIST_INSERT_HEAD(&w->live, s, link);
	audience_init(&s->own, w, s);
	LIST_INIT(&s->foreign);
	absence_init(&s->absence, w, on_nobody_there, s);
	task_init(&s->wake, wake, s);
	generation_init(&s->generation, plan->rules, s->face->journal);
	s->run = (struct run){.generation = &s->generation, .route = plan->route, .on_change = on_change, .owner = s};
	w->metrics.route[plan->route->index].started++;
	if (plan->fetch)
		run_adopt(&s->run, w->pool, &(struct run_answer){plan->fetch, plan->head, plan->so_far,
			plan->started_ns, plan->connected_ns});
	else
		run_start(&s->run, w->pool, plan->request, plan->part, plan->config->retry_body_bytes);
	count_body(s);
	if (s->generation.ended)
		task_queue(&w->loop, &s->wake);
	if (plan->config->first_viewer_ms)
		absence_begin(&s->absence, plan->config->first_viewer_ms); /* until the first one joins */
	return s;
}

static struct stream *stream_of(struct shelf_entry *entry)
{
	return entry ? (struct stream *)((char *)entry - offsetof(struct stream, entry)) : NULL;
}

struct stream *stream_find(struct worker *w, span id)
{
	shelf_expire(&w->shelf, clock_ms()); /* a question may come before the sweep does */
	return stream_of(shelf_find(&w->shelf, id));
}

struct stream *stream_find_key(struct worker *w, span scope, span key)
{
	shelf_expire(&w->shelf, clock_ms());
	return stream_of(shelf_find_key(&w->shelf, scope, key));
}

void stream_end(struct stream *s, enum cause cause, const char *detail) { run_end(&s->run, cause, detail); }

void stream_stop(struct stream *s) { stream_end(s, CAUSE_STOPPED, NULL); }

static struct audience *audience_of(struct stream *s, struct worker *w, struct audience **spare)
{
	struct audience *a;
	if (w == s->worker)
		return &s->own;
	LIST_FOREACH(a, &s->foreign, link)
		if (a->worker == w)
			return a;
	a = *spare;
	*spare = NULL;
	audience_init(a, w, s);
	LIST_INSERT_HEAD(&s->foreign, a, link);
	return a;
}

bool stream_admit(struct stream *s, struct worker *w, struct seat *seat, struct audience **spare)
{
	struct journal *j = s->face->journal;
	uint32_t begins = form_begins(s->face, seat->taken);
	if (begins < journal_first(j))
		return false;
	seat->audience = audience_of(s, w, spare);
	seat->audience->admitted++;
	cursor_open(&seat->cursor, j, begins);
	s->viewers++;
	s->had_viewer = true;
	absence_end(&s->absence);
	return true;
}

void stream_left(struct stream *s, size_t viewers)
{
	CHECK(s->viewers >= viewers);
	s->viewers -= viewers;
	if (s->viewers)
		return;
	if (!s->entry.shelf)
		release(s);
	else if (!s->generation.ended && s->face->route->grace_ms != NEVER_MS)
		absence_begin(&s->absence, s->face->route->grace_ms);
}

static void print_usage(struct buf *out, const struct seen *seen)
{
	if (seen->prompt_tokens < 0 && seen->completion_tokens < 0) {
		buf_put(out, SPAN(",\"usage\":null"));
		return;
	}
	buf_printf(out, ",\"usage\":{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64 "}",
		seen->prompt_tokens < 0 ? 0 : seen->prompt_tokens,
	           seen->completion_tokens < 0 ? 0 : seen->completion_tokens);
}

void stream_print_state(const struct stream *s, struct buf *out)
{
	const struct last_word *word = journal_last_word(s->face->journal);
	struct last_word tally = {0};
	buf_printf(out, "{\"id\":\"%s\",\"state\":\"%s\",", s->face->id.text, word ? "ended" : "live");
	if (word)
		render_ending(out, word);
	else {
		journal_tally(s->face->journal, &tally);
		buf_printf(out,
			"\"end\":null,\"cause\":null,\"finish\":null,\"proof\":null,\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"crc32\":\"%08" PRIx32 "\"",
		           tally.events, tally.bytes, tally.crc32);
	}
	print_usage(out, &s->generation.reader.seen);
	buf_printf(out, ",\"viewers\":%zu,\"age_ms\":%" PRIu64 "}\n", s->viewers, clock_ms() - s->face->started_ms);
}
