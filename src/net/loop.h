/* A worker's loop: libuv's, and what libuv lacks for us: alarms that are judged only after data that waited was read,
 * tasks that run at the end of a turn, memory that is freed then, and buffers that go from hand to hand. Everything in
 * here belongs to the loop's thread.
 *
 * A turn: libuv polls, callbacks bring bytes; then, in this order: alarms that were due before the poll, tasks (also
 * those that tasks queue), and what was to be freed. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/buf.h"
#include "base/gauge.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>
#include <uv/tree.h>

enum {
	LOOP_READ_BYTES = 64 * 1024,
	LOOP_SPARES = 1024,                /* buffers kept for their next use: so many conns write in one turn … */
	LOOP_SPARE_BYTES = 16 * 1024,      /* … unless they grew beyond this … */
	LOOP_SPARES_BYTES = 1024 * 1024,   /* … or this together */
};

/* Something to do at the end of this turn, once, however often it is asked for. */
struct task {
	TAILQ_ENTRY(task) link;
	void (*run)(void *owner);
	void *owner;
	bool queued;
};

/* The memory that loop_free_later needs lies in what it frees: nothing is asked for when something has to go. */
struct garbage {
	struct garbage *next;
	void *p;
	void (*free_it)(void *p);
};

/* One clock. Setting it again to a later time costs a store. */
struct alarm {
	RB_ENTRY(alarm) link;
	struct loop *loop;
	void (*on_due)(void *owner);
	void *owner;
	uint64_t due_ms;  /* monotonic; when it is really due */
	uint64_t armed_ms; /* its key in the tree: not later than due_ms */
	bool set, in_tree;
};

struct loop {
	uv_loop_t uv;
	char *read_buffer;    /* LOOP_READ_BYTES, offered to every read */

	/* The owner's to set, before there is a conn: where memory is counted that holds bytes which the kernel has not taken,
	 * and what runs at the end of a turn in which it grew. */
	struct gauge *output;
	struct task *output_grew; /* NULL: nothing */
	struct gauge own_output;

	/* For loop.c. */
	uv_timer_t timer;
	uv_prepare_t prepare;
	uint64_t polled_ms;   /* when the last poll began, or a little before */
	uv_check_t check;
	uv_idle_t hurry;      /* makes the next poll non-blocking */
	RB_HEAD(alarms, alarm) alarms;
	TAILQ_HEAD(, task) tasks;
	struct garbage *garbage;
	bool hurrying, polling;
	bool fired;           /* the timer, and nobody has set it since */
	struct buf spare[LOOP_SPARES];
	size_t spares, spare_bytes;

	/* For conn.c: those that were put to in this turn, and what sends for them at its end. */
	TAILQ_HEAD(, conn) unsent;
	struct task send;
};

void loop_init(struct loop *l);
/* Before it runs: so many descriptors may there be one day. For more than were expected libuv asks for memory when they
 * come, and aborts if there is none. */
void loop_expect_descriptors(struct loop *l, uint64_t most);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* from the loop's thread */

/* Of this turn: monotonic, behind the true time by what has passed since it was read. */
static inline uint64_t loop_now_ms(const struct loop *l) { return uv_now(&l->uv); }
void loop_finish(struct loop *l);

/* free_it(p) runs after everything else of this turn; g lies in p's memory. */
void loop_free_later(struct loop *l, struct garbage *g, void *p, void (*free_it)(void *p));

/* An empty buffer that may have memory already, and the way back for it (or for any other). What conns write in one
 * turn lies in these, so that a token costs no allocation and an idle conn no memory. */
struct buf loop_borrow_buf(struct loop *l);
void loop_return_buf(struct loop *l, struct buf *b);

void task_init(struct task *t, void (*run)(void *owner), void *owner);
void task_queue(struct loop *l, struct task *t);
void task_cancel(struct loop *l, struct task *t);

/* Of one holder; *told as for gauge_tell. */
static inline void loop_tell_output(struct loop *l, size_t *told, size_t now)
{
	if (now > *told && l->output_grew)
		task_queue(l, l->output_grew);
	gauge_tell(l->output, told, now);
}

void alarm_init(struct alarm *a, struct loop *l, void (*on_due)(void *owner), void *owner);
void alarm_set(struct alarm *a, uint64_t ms_from_now); /* UINT64_MAX never comes */
void alarm_clear(struct alarm *a); /* must be called before the alarm's memory goes */

#endif
