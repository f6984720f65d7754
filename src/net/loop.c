/* The worker's loop.
 *
 * libuv runs timers before it polls. A process that was stopped for a minute would then see its clocks run out while
 * the bytes that prove them wrong lie unread in the kernel. So a timer of ours decides nothing: it only makes the next
 * poll return at once, and clocks are judged in uv_check, after a poll that began when they were due already: a poll
 * that a signal interrupted (SIGCONT after a pause does) has looked at nothing.
 *
 * All alarms of a loop live in one tree behind one uv_timer, so that an alarm is plain memory in its owner's struct:
 * nothing to close, nothing to wait for. Feeding a clock for each token must cost nothing: alarm_set to a later time
 * only stores the time; the tree is corrected when the old one comes.
 *
 * The time is libuv's, which it reads before timers and behind each poll: of one turn, monotonic, and never ahead.
 *
 * Invariants
 * 1. An alarm in the tree has armed_ms <= due_ms; the timer is set to the smallest armed_ms or earlier.
 * 2. Tasks queued during a turn run in that turn, those that tasks queue included.
 * 3. Garbage is freed after all tasks, so that no callback of this turn meets freed memory.
 * 4. Whoever queues a task outside of a poll (a closing callback) makes the next poll non-blocking: `hurry`. From a
 *    poll on
 *    (`polling`) the end of the turn is sure to come. */
#include "net/loop.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

static int earlier(const struct alarm *a, const struct alarm *b)
{
	if (a->armed_ms != b->armed_ms)
		return a->armed_ms < b->armed_ms ? -1 : 1;
	return (a > b) - (a < b);
}

RB_GENERATE_STATIC(alarms, alarm, link, earlier)

/* Outside of a turn nobody has read it for long: a worker may be starting. */
static uint64_t now_of(struct loop *l)
{
	if (!l->polling)
		uv_update_time(&l->uv);
	return loop_now_ms(l);
}

static void on_idle(uv_idle_t *idle) {}

static void hurry(struct loop *l)
{
	if (l->hurrying || l->polling)
		return;
	l->hurrying = true;
	uv_idle_start(&l->hurry, on_idle);
}

static void on_timer(uv_timer_t *timer)
{
	struct loop *l = timer->data;
	l->fired = true;
	hurry(l);
}

static void on_nothing(uv_poll_t *poll, int status, int what) {}

static void arm_timer(struct loop *l)
{
	struct alarm *first = RB_MIN(alarms, &l->alarms);
	l->fired = false;
	if (!first) {
		uv_timer_stop(&l->timer);
		return;
	}
	uv_update_time(&l->uv);
	uint64_t now = loop_now_ms(l);
	uv_timer_start(&l->timer, on_timer, first->armed_ms > now ? first->armed_ms - now : 0, 0);
}

static void insert(struct alarm *a)
{
	a->armed_ms = a->due_ms;
	a->in_tree = true;
	RB_INSERT(alarms, &a->loop->alarms, a);
}

static void take_out(struct alarm *a)
{
	RB_REMOVE(alarms, &a->loop->alarms, a);
	a->in_tree = false;
}

static void judge_alarms(struct loop *l)
{
	for (struct alarm *a; (a = RB_MIN(alarms, &l->alarms)) && a->armed_ms <= l->polled_ms;) {
		take_out(a);
		if (!a->set)
			continue;
		if (a->due_ms > l->polled_ms) {
			insert(a);
			continue;
		}
		a->set = false;
		a->on_due(a->owner);
	}
	if (l->fired) /* perhaps a little early */
		arm_timer(l);
}

static void run_tasks(struct loop *l)
{
	struct task *t;
	while ((t = TAILQ_FIRST(&l->tasks))) {
		TAILQ_REMOVE(&l->tasks, t, link);
		t->queued = false;
		t->run(t->owner);
	}
}

static void free_garbage(struct loop *l)
{
	struct garbage *g;
	while ((g = l->garbage)) {
		l->garbage = g->next;
		g->free_it(g->p);
	}
}

static void end_turn(struct loop *l)
{
	if (l->hurrying)
		uv_idle_stop(&l->hurry);
	l->polling = true; /* what is queued from here on runs below */
	judge_alarms(l);
	run_tasks(l);
	free_garbage(l);
	l->polling = l->hurrying = false;
}

static void on_check(uv_check_t *check) { end_turn(check->data); }

static void on_prepare(uv_prepare_t *prepare)
{
	struct loop *l = prepare->data;
	l->polled_ms = loop_now_ms(l);
	l->polling = true;
}

void loop_init(struct loop *l)
{
	*l = (struct loop){.read_buffer = malloc(LOOP_READ_BYTES)};
	CHECK(l->read_buffer);
	l->output = &l->own_output;
	CHECK(uv_loop_init(&l->uv) == 0);
	RB_INIT(&l->alarms);
	TAILQ_INIT(&l->tasks);
	TAILQ_INIT(&l->unsent);
	uv_timer_init(&l->uv, &l->timer);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_idle_init(&l->uv, &l->hurry);
	l->timer.data = l->prepare.data = l->check.data = l->hurry.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_start(&l->check, on_check);
}

/* libuv keeps a table by descriptor, which grows to the highest one that is watched. */
static void watch_once(struct loop *l, int fd)
{
	uv_poll_t poll;
	if (uv_poll_init(&l->uv, &poll, fd) != 0)
		return;
	uv_poll_start(&poll, UV_READABLE, on_nothing);
	uv_close((uv_handle_t *)&poll, NULL);
	uv_run(&l->uv, UV_RUN_NOWAIT);
}

void loop_expect_descriptors(struct loop *l, uint64_t most)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && most >= limit.rlim_cur)
		most = limit.rlim_cur - 1;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int highest = fd < 0 || most > INT32_MAX ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, (int)most);
	if (highest >= 0) {
		watch_once(l, highest);
		close(highest);
	}
	if (fd >= 0)
		close(fd);
}

void loop_run(struct loop *l) { uv_run(&l->uv, UV_RUN_DEFAULT); }

void loop_stop(struct loop *l) { uv_stop(&l->uv); }

void loop_finish(struct loop *l)
{
	end_turn(l);
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->hurry, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	free_garbage(l);
	CHECK(uv_loop_close(&l->uv) == 0);
	free(l->read_buffer);
	while (l->spares)
		buf_finish(&l->spare[--l->spares]);
}

void loop_free_later(struct loop *l, struct garbage *g, void *p, void (*free_it)(void *p))
{
	*g = (struct garbage){l->garbage, p, free_it};
	l->garbage = g;
	hurry(l);
}

struct buf loop_borrow_buf(struct loop *l)
{
	if (!l->spares)
		return (struct buf){0};
	l->spare_bytes -= l->spare[--l->spares].cap;
	return l->spare[l->spares];
}

void loop_return_buf(struct loop *l, struct buf *b)
{
	bool keep = b->p && b->cap <= LOOP_SPARE_BYTES && l->spares < LOOP_SPARES
		&& l->spare_bytes + b->cap <= LOOP_SPARES_BYTES;
	buf_clear(b);
	if (keep) {
		l->spare[l->spares++] = *b;
		l->spare_bytes += b->cap;
	} else
		buf_finish(b);
	*b = (struct buf){0};
}

void task_init(struct task *t, void (*run)(void *owner), void *owner) { *t = (struct task){.run = run,
	.owner = owner}; }

void task_queue(struct loop *l, struct task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	TAILQ_INSERT_TAIL(&l->tasks, t, link);
	hurry(l);
}

void task_cancel(struct loop *l, struct task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	TAILQ_REMOVE(&l->tasks, t, link);
}

void alarm_init(struct alarm *a, struct loop *l, void (*on_due)(void *owner), void *owner)
{
	*a = (struct alarm){.loop = l, .on_due = on_due, .owner = owner};
}

static void arm(struct alarm *a)
{
	if (a->in_tree)
		take_out(a);
	insert(a);
	if (RB_MIN(alarms, &a->loop->alarms) == a)
		arm_timer(a->loop);
}

void alarm_set(struct alarm *a, uint64_t ms_from_now)
{
	uint64_t now = now_of(a->loop);
	a->due_ms = ms_from_now > UINT64_MAX - now ? UINT64_MAX : now + ms_from_now;
	a->set = true;
	if (!a->in_tree || a->armed_ms > a->due_ms)
		arm(a);
}

void alarm_clear(struct alarm *a)
{
	a->set = false;
	if (a->in_tree)
		take_out(a);
}
