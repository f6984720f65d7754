/* Lines on their way to stderr.
 *
 * A write to stderr may block for ever: a terminal that was stopped with ^S, a pipe whose reader sleeps. So no thread
 * that carries streams ever writes there. It copies its line into a ring under a mutex that is held for a memcpy and
 * never across a system call, and goes on; one thread takes whole lines out and may block as long as it likes.
 *
 * O_NONBLOCK on stderr would be the obvious way, but the flag belongs to the open file that the shell and other
 * programs share with us, and a line could be torn in two.
 *
 * Invariants:
 * 1. tail <= head <= tail + LOG_RING_BYTES; both only grow, their place in the ring is the remainder.
 * 2. What lies between them is whole lines, each at most LOG_RING_LINE long: a take always finds one.
 * 3. The new line gives way, not the old ones: the beginning of a trouble is worth more than its repetitions.
 * 4. `dropped` only grows; a notice names the total, so a notice that is itself lost takes no knowledge with it.
 * 5. After a line that was torn by a failed write, the next write begins with a newline of its own.
 *
 * Owner: the opener. The writer's thread shares the memory until log_ring_close has seen it finish. */
#include "base/log_ring.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLOSE_S = 1 };

struct log_ring {
	int fd;
	log_ring_notice *notice;
	pthread_t writer;
	pthread_mutex_t lock; /* guards everything below, but `torn` and `taken` */
	pthread_cond_t changed;
	bool closing, finished;
	uint64_t head, tail;
	uint64_t dropped, said;

	bool torn;                   /* the writer's own */
	char taken[LOG_RING_LINE];
	char bytes[LOG_RING_BYTES];
};

static size_t room(const struct log_ring *r) { return LOG_RING_BYTES - (size_t)(r->head - r->tail); }

static void copy_in(struct log_ring *r, span line)
{
	size_t at = r->head % LOG_RING_BYTES;
	size_t first = LOG_RING_BYTES - at < line.n ? LOG_RING_BYTES - at : line.n;
	memcpy(r->bytes + at, line.p, first);
	memcpy(r->bytes, line.p + first, line.n - first);
	r->head += line.n;
}

/* Moves as many whole lines as fit into `taken`. */
static span take(struct log_ring *r)
{
	size_t n = (size_t)(r->head - r->tail) < LOG_RING_LINE ? (size_t)(r->head - r->tail) : LOG_RING_LINE;
	size_t at = r->tail % LOG_RING_BYTES;
	size_t first = LOG_RING_BYTES - at < n ? LOG_RING_BYTES - at : n;
	memcpy(r->taken, r->bytes + at, first);
	memcpy(r->taken + first, r->bytes, n - first);
	const char *last = memrchr(r->taken, '\n', n);
	CHECK(last);
	n = (size_t)(last - r->taken) + 1;
	r->tail += n;
	return (span){r->taken, n};
}

/* The bytes that went out; fewer than s.n when fd failed. */
static size_t write_whole(int fd, span s)
{
	size_t done = 0;
	while (done < s.n) {
		ssize_t n = write(fd, s.p + done, s.n - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN) /* somebody else made it non-blocking */
			(void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (errno != EINTR)
			break;
	}
	return done;
}

static uint64_t count_lines(span s)
{
	uint64_t lines = 0;
	for (size_t i = 0; i < s.n; i++)
		lines += s.p[i] == '\n';
	return lines;
}

/* The number of lines that were lost. */
static uint64_t write_lines(struct log_ring *r, span s)
{
	if (r->torn && write_whole(r->fd, SPAN("\n")) == 0)
		return count_lines(s);
	r->torn = false;
	size_t done = write_whole(r->fd, s);
	if (done == s.n)
		return 0;
	r->torn = done > 0 && s.p[done - 1] != '\n';
	return count_lines(span_from(s, done));
}

static void say_dropped(struct log_ring *r, uint64_t dropped)
{
	struct buf line = {0};
	r->notice(&line, dropped);
	if (!line.failed)
		(void)write_lines(r, buf_span(&line));
	buf_finish(&line);
}

/* One step of the writer; called and left with the lock held, which it lets go while it writes. */
static void write_some(struct log_ring *r)
{
	uint64_t dropped = r->dropped, lost = 0;
	if (dropped != r->said) {
		r->said = dropped;
		pthread_mutex_unlock(&r->lock);
		say_dropped(r, dropped);
	} else {
		span lines = take(r);
		pthread_mutex_unlock(&r->lock);
		lost = write_lines(r, lines);
	}
	pthread_mutex_lock(&r->lock);
	r->dropped += lost;
}

static bool has_work(const struct log_ring *r) { return r->head != r->tail || r->dropped != r->said; }

static void *write_until_closed(void *ring)
{
	struct log_ring *r = ring;
	pthread_mutex_lock(&r->lock);
	while (has_work(r) || !r->closing)
		if (has_work(r))
			write_some(r);
		else
			pthread_cond_wait(&r->changed, &r->lock);
	r->finished = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Signals are for the threads that wait for them; a blocked SIGPIPE makes a vanished reader an EPIPE. */
static bool start_writer(struct log_ring *r)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&r->writer, NULL, write_until_closed, r) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static void init_locks(struct log_ring *r)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&r->lock, NULL);
}

static void destroy(struct log_ring *r)
{
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct log_ring *log_ring_open(int fd, log_ring_notice *notice)
{
	struct log_ring *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->fd = fd;
	r->notice = notice;
	init_locks(r);
	if (!start_writer(r)) {
		destroy(r);
		return NULL;
	}
	return r;
}

void log_ring_put(struct log_ring *r, span line)
{
	CHECK(line.n > 0 && line.p[line.n - 1] == '\n');
	pthread_mutex_lock(&r->lock);
	if (line.n > LOG_RING_LINE || line.n > room(r))
		r->dropped++;
	else
		copy_in(r, line);
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

uint64_t log_ring_dropped(struct log_ring *r)
{
	pthread_mutex_lock(&r->lock);
	uint64_t dropped = r->dropped;
	pthread_mutex_unlock(&r->lock);
	return dropped;
}

/* A writer that is stuck in a write goes on using its ring until the process ends; here a leak checker finds it. */
static struct log_ring *left_to_the_writer __attribute__((used));

void log_ring_close(struct log_ring *r)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += CLOSE_S;

	pthread_mutex_lock(&r->lock);
	r->closing = true;
	pthread_cond_broadcast(&r->changed);
	while (!r->finished && pthread_cond_timedwait(&r->changed, &r->lock, &deadline) != ETIMEDOUT)
		continue;
	bool finished = r->finished;
	pthread_mutex_unlock(&r->lock);

	if (!finished) {
		left_to_the_writer = r;
		pthread_detach(r->writer);
		return;
	}
	pthread_join(r->writer, NULL);
	destroy(r);
}
