/* A worker's loop: libuv's, and the three things that libuv lacks for us: alarms that are judged only after data that
 * waited was read, tasks that run at the end of a turn, and memory that is freed then. Everything in here belongs to
 * the loop's thread.
 *
 * A turn: libuv polls, callbacks bring bytes; then, in this order: alarms that are due, tasks (also those that tasks
 * queue), and what was to be freed. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>
#include <uv/tree.h>

/* Something to do at the end of this turn, once, however often it is asked for. */
struct task {
	TAILQ_ENTRY(task) link;
	void (*run)(void *owner);
	void *owner;
	bool queued;
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
	uint64_t now_ms;      /* monotonic, of this turn */
	char *read_buffer;    /* LOOP_READ_BYTES, offered to every read */

	/* For loop.c. */
	uv_timer_t timer;
	uv_check_t check;
	uv_idle_t hurry;      /* makes the next poll non-blocking */
	RB_HEAD(alarms, alarm) alarms;
	TAILQ_HEAD(, task) tasks;
	struct loop_garbage *garbage;
	bool hurrying;
};

enum { LOOP_READ_BYTES = 64 * 1024 };

void loop_init(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* from the loop's thread */
void loop_finish(struct loop *l);

/* free_it(p) runs after everything else of this turn. */
void loop_free_later(struct loop *l, void *p, void (*free_it)(void *p));

void task_init(struct task *t, void (*run)(void *owner), void *owner);
void task_queue(struct loop *l, struct task *t);
void task_cancel(struct loop *l, struct task *t);

void alarm_init(struct alarm *a, struct loop *l, void (*on_due)(void *owner), void *owner);
void alarm_set(struct alarm *a, uint64_t ms_from_now); /* UINT64_MAX never comes */
void alarm_clear(struct alarm *a); /* must be called before the alarm's memory goes */

#endif
