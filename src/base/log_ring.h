/* The bounded ring behind the log: any thread puts whole lines, one thread writes them. base/log is its only user. */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include "base/buf.h"

#include <stdint.h>

enum {
	LOG_RING_BYTES = 1 << 20, /* what waits for a slow stderr: some thousand lines */
	LOG_RING_LINE = 64 << 10, /* the longest line; a longer one is dropped */
};

struct log_ring;

/* Prints the line that says how many lines were dropped since the start. Called by the writer's thread. */
typedef void log_ring_notice(struct buf *out, uint64_t dropped);

/* Starts the thread that writes to fd; NULL when there is no memory or no thread to be had. fd stays the caller's. */
struct log_ring *log_ring_open(int fd, log_ring_notice *notice);

/* Any thread; never waits for fd. The line ends with '\n'. Without room it is dropped and counted. */
void log_ring_put(struct log_ring *r, span line);

/* Lines that could not be kept or could not be written. Any thread. */
uint64_t log_ring_dropped(struct log_ring *r);

/* Writes what waits, for at most a second, and frees r. No other thread may use r any more. If fd still blocks after
 * that second, the thread and its memory are left behind: the process is about to end. */
void log_ring_close(struct log_ring *r);

#endif
