/* `lastword check URL`: a gateway's questions without a gateway.
 *
 * The first question is read to its end: what it looks like, and what the verdict on it would be. The second one is
 * left after its first token, because an upstream that goes on for clients that have gone costs as much as one that
 * lies, and nobody notices. What can be seen of that over HTTP/1.1 is little: a client that closes sees nothing any
 * more. So this one first shuts its sending side only, which an upstream meets first in either case, and watches when
 * the other side is shut in turn, and how many events come until then. That says whether the upstream noticed; whether
 * its model stopped computing it knows alone. Where it tells how many requests it is busy with, that number is watched
 * too, until some time after the connection was closed whole, as a gateway would have done at once.
 *
 *	1. The questions are asked one after the other, each once; nothing is ever asked again.
 *	2. The second one is asked only if the first brought a token.
 *	3. Facts are gathered here and judged elsewhere: the verdict is stream/ending's, the advice probe_advice's.
 *
 * One thread, one loop. Progress goes to stderr, and only if that is a terminal. */
#include "gateway/probe.h"

#include "base/clock.h"
#include "gateway/probe_parts.h"
#include "net/dial.h"
#include "stream/detail.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LEFT_MS = 5000,   /* for the upstream to notice; a gateway's owner pays for what comes later */
	CLOSED_MS = 5000, /* the same once more */
	POLL_MS = 50,
	SHORT_MS = 100,   /* an answer that was over so soon tells nothing: it may have ended by itself */
	PROGRESS_MS = 200,
};

enum step {
	ASKING,
	WAITING,  /* for a token of the second answer */
	LOOKING,  /* for a page that tells how busy the upstream is */
	LEFT,     /* our half of the connection is shut */
	CLOSED,   /* all of it is */
	OVER,
};

struct probe {
	struct config_probe order;
	struct loop loop;
	struct resolver *names;
	struct pool *pool;
	enum step step;
	struct question first, second;
	struct watch watch;
	bool asked_twice;
	struct task next;      /* a step that must not be taken inside a callback of the fetch */
	struct alarm patience; /* with an upstream that we have left */
	uint64_t left_ns, events_when_left;

	size_t gauge;          /* PROBE_GAUGES: none tells */
	int64_t busy_when_left;
	uint64_t fell_ns;
	enum probe_busy busy;
	struct alarm poll;

	struct alarm progress;
	bool shows_progress;
	char message[DIALECT_SENTENCE];
};

/* Progress. */

static const char *doing(const struct probe *p, const struct question *q)
{
	if (p->step == LEFT || p->step == CLOSED)
		return "left after the first token; watching it stop";
	return !q->connected_ns ? "connecting" : !q->answered_ns ? "asked; no answer yet" : !q->began_ns
		? "answered; no token yet" : "answering";
}

static void show_progress(void *owner)
{
	struct probe *p = owner;
	const struct question *q = p->step == ASKING ? &p->first : &p->second;
	fprintf(stderr, "\r\033[Kquestion %d of %d: %s, %.1f s, %llu events", p->step == ASKING ? 1 : 2,
		p->order.once ? 1 : 2, doing(p, q), (double)(clock_ns() - q->started_ns) / 1e9,
		(unsigned long long)q->look.events);
	fflush(stderr);
	alarm_set(&p->progress, PROGRESS_MS);
}

static void end_progress(struct probe *p)
{
	alarm_clear(&p->progress);
	if (p->shows_progress)
		fputs("\r\033[K", stderr);
}

/* Steps. */

static void on_change(void *owner)
{
	struct probe *p = owner;
	task_queue(&p->loop, &p->next);
}

static void be_over(struct probe *p)
{
	p->step = OVER;
	loop_stop(&p->loop);
}

static void ask_again(struct probe *p)
{
	struct refusal wrong;
	p->asked_twice = true;
	p->step = WAITING;
	if (!question_start(&p->second, p->pool, &p->order.config->route[0], p->order.prompt, on_change, p, &wrong))
		be_over(p);
}

static void poll(void *owner)
{
	struct probe *p = owner;
	watch_read(&p->watch, p->gauge);
}

static void leave(struct probe *p)
{
	p->step = LEFT;
	p->left_ns = clock_ns();
	p->events_when_left = p->second.look.events;
	question_hang_up(&p->second);
	alarm_set(&p->patience, LEFT_MS);
	if (p->gauge < PROBE_GAUGES)
		alarm_set(&p->poll, POLL_MS);
}

static bool awaits_fall(const struct probe *p) { return p->gauge < PROBE_GAUGES && !p->fell_ns; }

static void take_step(void *owner)
{
	struct probe *p = owner;
	const bool over = p->asked_twice && p->second.over;
	switch (p->step) {
	case ASKING:
		if (p->first.over && p->first.began_ns && !p->order.once)
			ask_again(p);
		else if (p->first.over)
			be_over(p);
		break;
	case WAITING:
		if (over)
			be_over(p);
		else if (p->second.began_ns) {
			p->step = LOOKING;
			watch_read(&p->watch, p->gauge);
		}
		break;
	case LOOKING:
		if (over)
			be_over(p);
		break;
	case LEFT:
	case CLOSED:
		if (over && !awaits_fall(p))
			be_over(p);
		break;
	case OVER:
		break;
	}
}

static void look_on(struct probe *p, int64_t busy)
{
	p->busy_when_left = busy;
	if (p->second.over) /* take_step will say so */
		return;
	if (busy > 0 || ++p->gauge == PROBE_GAUGES)
		leave(p);
	else
		watch_read(&p->watch, p->gauge);
}

static void on_busy(void *owner, int64_t busy)
{
	struct probe *p = owner;
	if (p->step == LOOKING) {
		look_on(p, busy);
	} else if (busy >= 0 && busy < p->busy_when_left) {
		p->fell_ns = clock_ns();
		p->busy = p->step == LEFT ? BUSY_FELL : BUSY_FELL_LATER;
		on_change(p);
	} else {
		alarm_set(&p->poll, POLL_MS);
	}
}

static void on_patience_over(void *owner)
{
	struct probe *p = owner;
	question_cancel(&p->second);
	if (p->step == LEFT && awaits_fall(p)) {
		p->step = CLOSED;
		alarm_set(&p->patience, CLOSED_MS);
		return;
	}
	if (awaits_fall(p))
		p->busy = BUSY_STAYED;
	be_over(p);
}

/* Facts. */

static int64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns && to_ns >= from_ns ? (int64_t)((to_ns - from_ns) / 1000000) : -1;
}

/* The words of an answer that is no stream, as far as they are safe. */
static void find_message(struct probe *p)
{
	const struct generation *g = &p->first.generation;
	const span body = buf_span(&p->first.look.kept);
	struct reader r;
	char words[DIALECT_SENTENCE];
	if (g->verdict.cause != CAUSE_STATUS || body.n == 0)
		return;
	reader_init(&r, &dialect_text, NULL, 1);
	r.secret = g->rules.secret;
	bool said = dialect_text.read_error_body(&r, body) && r.seen.error_message[0];
	detail_clean(words, body, g->rules.secret);
	detail_write(p->message, &(struct detail_facts){
		.evidence = &g->evidence, .verdict = g->verdict, .secret = g->rules.secret,
		.given = said ? r.seen.error_message : body.p[0] == '<' ? "a web page" : words,
	});
	reader_finish(&r);
}

static bool has_cr(struct journal *j)
{
	struct cursor c;
	enum journal_kind kind;
	span text;
	bool found = false;
	cursor_open(&c, j, 1);
	while (!found && cursor_read(&c, &kind, &text))
		found = span_find(text, '\r') < text.n;
	cursor_close(&c);
	return found;
}

/* A server that stops for a client that has left may still frame its half answer well; where it says no last word, an
 * answer is whole for this purpose when it is as long as the one before. */
static bool went_to_its_end(const struct question *q, const struct question *before)
{
	const enum proof proof = q->generation.verdict.proof;
	bool clean = q->how == FETCH_FRAMED || q->how == FETCH_CLOSED;
	if (proof == PROOF_MARKER || proof == PROOF_TERMINATOR || proof == PROOF_FINISH)
		return true;
	return clean && q->look.events >= before->look.events;
}

static enum probe_leaving leaving_of(const struct probe *p)
{
	const struct question *q = &p->second;
	if (!p->asked_twice)
		return LEAVING_NOT_TRIED;
	if (!p->left_ns)
		return q->began_ns ? LEAVING_TOO_SHORT : LEAVING_FAILED;
	if (!q->body_ended)
		return LEAVING_STAYED;
	bool whole = went_to_its_end(q, &p->first);
	if (whole && ms_between(p->left_ns, q->over_ns) < SHORT_MS)
		return LEAVING_TOO_SHORT;
	return whole ? LEAVING_WENT_ON : LEAVING_CLOSED;
}

static enum probe_known known_of(const struct question *q)
{
	if (!q->route->dialect_auto)
		return KNOWN_BY_NAME;
	if (q->asked.rules.dialect)
		return KNOWN_BY_PATH;
	return q->look.guess ? KNOWN_BY_EVENT : KNOWN_NOT;
}

static void gather_times(const struct question *q, struct probe_facts *f)
{
	f->connect_ms = ms_between(q->started_ns, q->connected_ns);
	f->head_ms = ms_between(q->started_ns, q->answered_ns);
	f->first_ms = ms_between(q->started_ns, q->began_ns);
	f->end_ms = ms_between(q->started_ns, q->ended_ns);
	f->body_end_ms = q->body_ended ? ms_between(q->started_ns, q->over_ns) : -1;
	f->gap_ms = (int64_t)(q->gap_ns / 1000000);
}

static void gather(struct probe *p, struct probe_facts *f)
{
	const struct question *q = &p->first;
	const struct last_word *word = journal_last_word(q->journal);
	find_message(p);
	*f = (struct probe_facts){
		.route = q->route, .dialect = q->generation.reader.dialect, .known = known_of(q),
		.by_get = span_is(q->asked.request.method, "GET"), .look = &q->look, .evidence = &q->generation.evidence,
		.verdict = q->generation.verdict, .detail = word->detail, .message = p->message,
		.text_events = word->events, .text_bytes = word->bytes, .late_bytes = q->generation.ignored_bytes,
		.body_ended = q->body_ended, .has_cr = has_cr(q->journal), .leaving = leaving_of(p),
	};
	gather_times(q, f);
	if (!p->left_ns)
		return;
	f->leaving_ms = ms_between(p->left_ns, p->second.over_ns);
	f->leaving_events = p->second.look.events - p->events_when_left;
	if (p->gauge < PROBE_GAUGES && (f->leaving == LEAVING_CLOSED || f->leaving == LEAVING_STAYED)) {
		f->busy = p->busy;
		f->busy_by = probe_gauge_path(p->gauge);
		f->busy_ms = ms_between(p->left_ns, p->fell_ns);
	}
}

/* All of it. */

static int report(struct probe *p)
{
	struct probe_facts f;
	struct probe_advice a;
	struct buf out = {0};
	gather(p, &f);
	probe_advise(&a, &f);
	if (p->order.json)
		probe_print_json(&f, &a, &out);
	else
		probe_print(&f, &a, &out);
	fwrite(out.p, 1, out.n, stdout);
	bool said = !out.failed && fflush(stdout) == 0 && !ferror(stdout);
	buf_finish(&out);
	return said && probe_is_proved(&f) ? 0 : 1;
}

static void open_probe(struct probe *p)
{
	signal(SIGPIPE, SIG_IGN);
	loop_init(&p->loop);
	p->names = resolver_create(&p->loop);
	p->pool = pool_create(&p->loop, p->names);
	task_init(&p->next, take_step, p);
	alarm_init(&p->patience, &p->loop, on_patience_over, p);
	alarm_init(&p->poll, &p->loop, poll, p);
	alarm_init(&p->progress, &p->loop, show_progress, p);
	watch_init(&p->watch, p->pool, &p->order.config->route[0].upstream[0], on_busy, p);
	p->shows_progress = isatty(STDERR_FILENO);
	if (p->shows_progress)
		alarm_set(&p->progress, PROGRESS_MS);
}

static void close_probe(struct probe *p)
{
	alarm_clear(&p->patience);
	alarm_clear(&p->poll);
	alarm_clear(&p->progress);
	task_cancel(&p->loop, &p->next);
	watch_finish(&p->watch);
	question_finish(&p->first);
	if (p->asked_twice)
		question_finish(&p->second);
	pool_destroy(p->pool);
	resolver_destroy(p->names);
	loop_finish(&p->loop);
}

static int ask(struct probe *p)
{
	struct refusal wrong;
	int status = 2;
	open_probe(p);
	if (question_start(&p->first, p->pool, &p->order.config->route[0], p->order.prompt, on_change, p, &wrong)) {
		loop_run(&p->loop);
		end_progress(p);
		status = report(p);
	} else {
		fprintf(stderr, "lastword: check: %s\n", wrong.message);
	}
	close_probe(p);
	return status;
}

static void put_on_stdout(void *to, span text) { fwrite(text.p, 1, text.n, to); }

int probe_main(char **argv)
{
	static struct probe p;
	int status;
	switch (config_probe_load(argv, &p.order)) {
	case CONFIG_RUN:
		status = ask(&p);
		config_drop(p.order.config);
		return status;
	case CONFIG_HELP:
		config_print_probe_help(put_on_stdout, stdout);
		return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
	default:
		return 2;
	}
}
