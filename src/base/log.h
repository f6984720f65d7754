/* The log: JSON lines on stderr, {"time":…,"level":…,"event":…,…}. Lines are put into a bounded ring and written by a
 * thread of their own, so that a blocked stderr never blocks a stream: when the ring is full lines are dropped and
 * counted, and a line "log_dropped" says how many so far as soon as it can be written. Any thread. Values are
 * JSON-escaped and cut at 4 KiB. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"

#include <stdint.h>

enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };

/* program: "lastword", said in each line. Starts the thread. Without it (unit tests) lines are written directly. */
void log_open(const char *program, int fd);
void log_close(void); /* writes what is waiting, for at most 1 s */
uint64_t log_dropped(void);

/* One line: log_begin, fields, log_end. */
struct log_line {
	struct buf text;
};
void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_text(struct log_line *l, const char *name, span value); /* p NULL: null. Invalid UTF-8 becomes U+FFFD */
void log_string(struct log_line *l, const char *name, const char *value);
void log_number(struct log_line *l, const char *name, int64_t value);
void log_end(struct log_line *l);

/* A line whose only field is a sentence. */
void log_say(enum log_level level, const char *event, const char *sentence, ...) PRINTF_LIKE(3, 4);

#endif
