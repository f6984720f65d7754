/* One JSON object for each line of the log.
 *
 * A line is built by its caller in a buffer of its own and put into the ring (base/log_ring) in one piece, so lines of
 * different threads never mix and a half-built line is nobody's. printf-like logging of free text would be shorter, but
 * what a peer sent must never be able to forge a second line, a field or a terminal's escape sequence; so every value
 * goes through one function that escapes it and knows its limit.
 *
 * Invariants:
 * 1. A line is valid JSON and valid UTF-8 whatever was put into it, and holds no control character, neither C0 nor C1.
 * 2. A value's escaped form is at most VALUE_BYTES long, cut at a whole character; "…" says that something was cut.
 * 3. A line for which there was no memory is counted as dropped, like one that found no room.
 *
 * Names of events and fields are literals of our own and are written as they are. Never a prompt, an answer, a
 * credential or a whole stream id: that is the caller's duty.
 *
 * Before log_open, and in programs that never call it, a line is written to stderr at once. */
#include "base/log.h"

#include "base/log_ring.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_BYTES = 4096, SENTENCE_BYTES = VALUE_BYTES + 8 };

static struct log_ring *ring; /* set before the threads start, cleared after they ended */
static const char *program = "lastword";
static _Atomic uint64_t dropped_elsewhere; /* no memory for the line, or a ring that is closed */

static void put_time(struct buf *out)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	char text[sizeof "2026-01-01T00:00:00" + 8];
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	buf_printf(out, "\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static void begin(struct buf *out, enum log_level level, const char *event)
{
	static const char *const names[] = {"info", "warn", "error"};
	buf_put(out, SPAN("{\"time\":"));
	put_time(out);
	buf_printf(out, ",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\"", names[level], program, event);
}

static void put_notice(struct buf *out, uint64_t dropped)
{
	begin(out, LOG_WARN, "log_dropped");
	buf_printf(out, ",\"lines\":%" PRIu64 "}\n", dropped);
}

/* Bytes of the character that begins with c, in valid UTF-8. */
static size_t char_bytes(unsigned char c) { return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4; }

/* Characters that a terminal or a line-based tool could obey: C0, DEL, C1, and the line and paragraph separators. */
static unsigned obeyed(const unsigned char *c)
{
	if (c[0] < 0x20 || c[0] == 0x7f)
		return c[0] ? c[0] : 0x10000; /* NUL's own number would say "none" */
	if (c[0] == 0xc2 && c[1] < 0xa0)
		return c[1];
	if (c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9))
		return 0x2000 + c[2] - 0x80;
	return 0;
}

static size_t escape(const char *character, size_t n, char out[8])
{
	unsigned code = obeyed((const unsigned char *)character);
	if (code)
		return (size_t)snprintf(out, 8, "\\u%04x", code & 0xffff);
	size_t at = 0;
	if (*character == '"' || *character == '\\')
		out[at++] = '\\';
	memcpy(out + at, character, n);
	return at + n;
}

static void put_escaped(struct buf *out, span valid)
{
	size_t limit = out->n + VALUE_BYTES - (sizeof "…" - 1);
	for (size_t i = 0, n; i < valid.n; i += n) {
		char piece[8];
		n = char_bytes((unsigned char)valid.p[i]);
		size_t bytes = escape(valid.p + i, n, piece);
		if (out->n + bytes > limit) {
			buf_put(out, SPAN("…"));
			return;
		}
		buf_put(out, (span){piece, bytes});
	}
}

static void put_value(struct buf *out, span value)
{
	struct utf8 mend;
	struct buf valid = {0};
	utf8_init(&mend, false);
	(void)utf8_mend(&mend, span_first(value, VALUE_BYTES), &valid);
	(void)utf8_flush(&mend, &valid);
	buf_put_byte(out, '"');
	put_escaped(out, buf_span(&valid));
	buf_put_byte(out, '"');
	out->failed |= valid.failed;
	buf_finish(&valid);
}

void log_open(const char *name, int fd)
{
	CHECK(!ring);
	program = name;
	ring = log_ring_open(fd, put_notice);
	if (!ring)
		log_say(LOG_WARN, "log", "no thread for the log: lines are written directly and may block");
}

void log_close(void)
{
	if (!ring)
		return;
	dropped_elsewhere += log_ring_dropped(ring);
	log_ring_close(ring);
	ring = NULL;
}

uint64_t log_dropped(void) { return dropped_elsewhere + (ring ? log_ring_dropped(ring) : 0); }

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
	*l = (struct log_line){0};
	begin(&l->text, level, event);
}

void log_text(struct log_line *l, const char *name, span value)
{
	buf_printf(&l->text, ",\"%s\":", name);
	if (value.p)
		put_value(&l->text, value);
	else
		buf_put(&l->text, SPAN("null"));
}

void log_string(struct log_line *l, const char *name, const char *value) { log_text(l, name, span_str(value)); }

void log_number(struct log_line *l, const char *name, int64_t value)
{
	buf_printf(&l->text, ",\"%s\":%" PRId64, name, value);
}

void log_end(struct log_line *l)
{
	buf_put(&l->text, SPAN("}\n"));
	if (l->text.failed)
		dropped_elsewhere++;
	else if (ring)
		log_ring_put(ring, buf_span(&l->text));
	else if (write(STDERR_FILENO, l->text.p, l->text.n) < 0)
		dropped_elsewhere++;
	buf_finish(&l->text);
}

void log_say(enum log_level level, const char *event, const char *sentence, ...)
{
	char text[SENTENCE_BYTES];
	va_list args;
	va_start(args, sentence);
	vsnprintf(text, sizeof text, sentence, args);
	va_end(args);

	struct log_line l;
	log_begin(&l, level, event);
	log_string(&l, "message", text);
	log_end(&l);
}
