#include "base/log.h"
#include "base/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* A pipe whose reading end is ours. */
static int reader, writer;

static int open_pipe(void **state)
{
	int fd[2];
	if (pipe(fd) != 0)
		return -1;
	reader = fd[0];
	writer = fd[1];
	return 0;
}

static int close_pipe(void **state)
{
	if (reader >= 0)
		close(reader);
	if (writer >= 0)
		close(writer);
	return 0;
}

/* Reads on until what was read ends with `end`. */
static void read_until(struct buf *out, const char *end)
{
	for (;;) {
		assert_true(buf_reserve(out, 4096));
		ssize_t n = read(reader, out->p + out->n, 4096);
		assert_true(n > 0);
		out->n += (size_t)n;
		if (out->n >= strlen(end) && span_is(span_from(buf_span(out), out->n - strlen(end)), end))
			return;
	}
}

/* One line through a log of its own. */
static json_t *line_of(const struct log_line *l)
{
	struct buf text = {0};
	struct log_line copy = *l;
	log_open("lastword", writer);
	log_end(&copy);
	log_close();
	read_until(&text, "\n");
	assert_true(text.n > 0);
	for (size_t i = 0; i + 1 < text.n; i++)
		assert_true((unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7f);
	json_t *line = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
	assert_non_null(line);
	buf_finish(&text);
	return line;
}

/* The bytes of the value "v" after a trip through the log. */
static json_t *value_of(span value)
{
	struct log_line l;
	log_begin(&l, LOG_INFO, "test");
	log_text(&l, "v", value);
	json_t *line = line_of(&l), *v = json_incref(json_object_get(line, "v"));
	json_decref(line);
	return v;
}

static void expect_text(span in, const char *out)
{
	json_t *v = value_of(in);
	assert_string_equal(json_string_value(v), out);
	json_decref(v);
}

static void test_a_line_says_when_who_and_what(void **state)
{
	struct log_line l;
	log_begin(&l, LOG_WARN, "upstream_lost");
	log_string(&l, "route", "/sse-proxy");
	log_number(&l, "bytes", INT64_MIN);
	log_text(&l, "finish", (span){0});
	json_t *line = line_of(&l);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(line, "program")), "lastword");
	assert_string_equal(json_string_value(json_object_get(line, "event")), "upstream_lost");
	assert_string_equal(json_string_value(json_object_get(line, "route")), "/sse-proxy");
	assert_true(json_integer_value(json_object_get(line, "bytes")) == INT64_MIN);
	assert_true(json_is_null(json_object_get(line, "finish")));

	const char *time = json_string_value(json_object_get(line, "time"));
	int year, month, day, hour, minute, second, ms, n = 0;
	assert_int_equal(sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute, &second,
		&ms, &n), 7);
	assert_int_equal(n, strlen("2026-01-01T00:00:00.000Z"));
	assert_int_equal(n, strlen(time));
	json_decref(line);
}

static void test_F9_values_cannot_forge_anything(void **state)
{
	expect_text(SPAN("a\"}\n{\"level\":\"error\"\\"), "a\"}\n{\"level\":\"error\"\\");
	expect_text(SPAN("\x1b[31mred\x7f\t\r"), "\x1b[31mred\x7f\t\r");
	expect_text(SPAN("caf\xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80");
	expect_text(SPAN(""), "");
	json_t *nul = value_of(SPAN("a\0b"));
	assert_int_equal(json_string_length(nul), 3);
	json_decref(nul);
}

static void test_terminals_get_nothing_to_obey(void **state)
{
	struct buf text = {0};
	struct log_line l;
	log_open("lastword", writer);
	log_begin(&l, LOG_INFO, "test");
	log_text(&l, "v", SPAN("\xc2\x9b" "31m \xe2\x80\xa9 \x7f"));
	log_end(&l);
	log_close();
	read_until(&text, "\n");
	const char *line = buf_cstr(&text);
	assert_non_null(strstr(line, "\\u009b31m \\u2029 \\u007f"));
	buf_finish(&text);
}

static void test_broken_utf8_is_mended(void **state)
{
	expect_text(SPAN("a\xff" "b"), "a\xef\xbf\xbd" "b");
	expect_text(SPAN("a\xf0\x9f\x98"), "a\xef\xbf\xbd");
	expect_text(SPAN("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void expect_cut(const char *unit, size_t times)
{
	struct buf in = {0};
	for (size_t i = 0; i < times; i++)
		buf_put(&in, span_str(unit));
	json_t *v = value_of(buf_span(&in));
	const char *out = json_string_value(v);
	size_t n = json_string_length(v);
	assert_true(n <= 4096 && n > 600);
	assert_string_equal(out + n - 3, "…");
	assert_int_equal((n - 3) % strlen(unit), 0); /* at a whole character */
	assert_memory_equal(out, in.p, n - 3);
	json_decref(v);
	buf_finish(&in);
}

static void test_values_are_cut_at_4_KiB(void **state)
{
	expect_cut("x", 10 << 20);
	expect_cut("\xe2\x82\xac", 3000);
	expect_cut("\xf0\x9f\x98\x80", 1025);
	expect_cut("\n", 5000);
	expect_cut("\"", 5000);
}

static void test_4093_bytes_are_not_cut(void **state)
{
	char text[4094];
	memset(text, 'x', 4093);
	text[4093] = 0;
	expect_text(span_str(text), text);
}

static void test_a_sentence_is_a_field(void **state)
{
	struct buf text = {0};
	log_open("lastword-model", writer);
	log_say(LOG_ERROR, "model", "slot %d of %s", 3, "\"x\"");
	log_close();
	read_until(&text, "\n");
	json_t *line = json_loadb(text.p, text.n, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "message")), "slot 3 of \"x\"");
	assert_string_equal(json_string_value(json_object_get(line, "program")), "lastword-model");
	assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
	json_decref(line);
	buf_finish(&text);
}

/* Twice the ring and the largest pipe of Linux, in lines of about 1 KiB. */
enum { FLOOD = 4096 };

static void flood(int lines)
{
	char filler[900];
	memset(filler, 'f', sizeof filler);
	for (int i = 0; i < lines; i++) {
		struct log_line l;
		log_begin(&l, LOG_INFO, "flood");
		log_number(&l, "i", i);
		log_text(&l, "filler", span_of(filler, sizeof filler));
		log_end(&l);
	}
}

/* Checks that every line is whole and that lines which came are in order. Returns how many came; adds up notices. */
static int64_t read_flood(span text, int64_t *last_notice)
{
	int64_t came = 0, last = -1;
	*last_notice = 0;
	while (text.n) {
		size_t n = span_find(text, '\n');
		assert_true(n < text.n);
		json_t *line = json_loadb(text.p, n, 0, NULL);
		assert_non_null(line);
		if (!strcmp(json_string_value(json_object_get(line, "event")), "log_dropped")) {
			*last_notice = json_integer_value(json_object_get(line, "lines"));
		} else {
			int64_t i = json_integer_value(json_object_get(line, "i"));
			assert_true(i > last);
			last = i;
			came++;
		}
		json_decref(line);
		text = span_from(text, n + 1);
	}
	return came;
}

/* Reads until so many lines of the event came; notices come besides. */
static void read_lines(struct buf *out, const char *event, uint64_t lines)
{
	size_t seen = 0;
	while (lines) {
		read_until(out, "\n");
		for (; seen < out->n; seen += span_find(span_from(buf_span(out), seen), '\n') + 1)
			if (memmem(out->p + seen, span_find(span_from(buf_span(out), seen), '\n'), event, strlen(event)))
				lines--;
	}
}

static void test_E14_a_blocked_pipe_never_blocks(void **state)
{
	struct buf text = {0};
	int64_t said;
	uint64_t before = log_dropped();
	log_open("lastword", writer);
	flood(FLOOD); /* nobody reads: that this returns is the test */
	uint64_t dropped = log_dropped() - before;
	assert_true(dropped > 0);
	read_lines(&text, "\"flood\"", FLOOD - dropped);
	log_close();
	assert_int_equal(read_flood(buf_span(&text), &said) + (int64_t)dropped, FLOOD);
	assert_int_equal(said, dropped);
	buf_finish(&text);
}

static void test_closing_a_blocked_log_ends(void **state)
{
	uint64_t before = log_dropped();
	log_open("lastword", writer);
	flood(FLOOD);
	log_close();
	assert_true(log_dropped() > before);
	/* Lets the thread that was left behind go: its write fails now. It may still be using the descriptor. */
	close(reader);
	reader = writer = -1;
}

static void test_E14_a_vanished_reader_costs_lines_and_nothing_else(void **state)
{
	uint64_t before = log_dropped();
	close(reader);
	reader = -1;
	log_open("lastword", writer);
	flood(10);
	log_close();
	assert_true(log_dropped() - before <= 10);
}

static void test_E14_a_full_disk_is_counted(void **state)
{
	int full = open("/dev/full", O_WRONLY);
	if (full < 0)
		skip();
	uint64_t before = log_dropped();
	log_open("lastword", full);
	flood(100);
	while (log_dropped() - before < 100)
		sched_yield(); /* the writer counts them one by one; the loop ends when it has */
	log_close();
	assert_int_equal(log_dropped() - before, 100);
	close(full);
}

static void test_E15_a_closed_descriptor_is_survived(void **state)
{
	log_open("lastword", -1);
	flood(10);
	log_close();
}

static void test_a_non_blocking_descriptor_gets_everything(void **state)
{
	struct buf text = {0};
	int64_t said;
	fcntl(writer, F_SETFL, O_NONBLOCK);
	log_open("lastword", writer);
	flood(900); /* fits into the ring, not into the pipe */
	read_lines(&text, "\"flood\"", 900);
	log_close();
	assert_int_equal(read_flood(buf_span(&text), &said), 900);
	assert_int_equal(said, 0);
	buf_finish(&text);
}

enum { THREADS = 4, EACH = 200 };

static void *log_some(void *name)
{
	for (int i = 0; i < EACH; i++) {
		struct log_line l;
		log_begin(&l, LOG_INFO, "many");
		log_string(&l, "thread", name);
		log_number(&l, "i", i);
		log_end(&l);
	}
	return NULL;
}

static void test_lines_of_many_threads_stay_whole(void **state)
{
	struct buf text = {0};
	pthread_t thread[THREADS];
	static char names[THREADS][2] = {"0", "1", "2", "3"};
	int next[THREADS] = {0};
	log_open("lastword", writer);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, log_some, names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	read_lines(&text, "\"many\"", THREADS * EACH);
	log_close();
	for (span rest = buf_span(&text); rest.n;) {
		size_t n = span_find(rest, '\n');
		json_t *line = json_loadb(rest.p, n, 0, NULL);
		assert_non_null(line);
		int who = json_string_value(json_object_get(line, "thread"))[0] - '0';
		assert_int_equal(json_integer_value(json_object_get(line, "i")), next[who]++);
		json_decref(line);
		rest = span_from(rest, n + 1);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(next[i], EACH);
	buf_finish(&text);
}

static void ignore_notice(struct buf *out, uint64_t dropped) {}

static void test_only_a_line_longer_than_a_take_is_dropped(void **state)
{
	static char line[LOG_RING_LINE + 1];
	int null = open("/dev/null", O_WRONLY);
	struct log_ring *r = log_ring_open(null, ignore_notice);
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	log_ring_put(r, span_of(line + 1, LOG_RING_LINE));
	assert_int_equal(log_ring_dropped(r), 0);
	log_ring_put(r, span_of(line, LOG_RING_LINE + 1));
	assert_int_equal(log_ring_dropped(r), 1);
	log_ring_close(r);
	close(null);
}

#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PIPE(test_a_line_says_when_who_and_what),
		WITH_PIPE(test_F9_values_cannot_forge_anything),
		WITH_PIPE(test_terminals_get_nothing_to_obey),
		WITH_PIPE(test_broken_utf8_is_mended),
		WITH_PIPE(test_values_are_cut_at_4_KiB),
		WITH_PIPE(test_4093_bytes_are_not_cut),
		WITH_PIPE(test_a_sentence_is_a_field),
		WITH_PIPE(test_E14_a_blocked_pipe_never_blocks),
		WITH_PIPE(test_E14_a_vanished_reader_costs_lines_and_nothing_else),
		cmocka_unit_test(test_E14_a_full_disk_is_counted),
		cmocka_unit_test(test_E15_a_closed_descriptor_is_survived),
		WITH_PIPE(test_a_non_blocking_descriptor_gets_everything),
		WITH_PIPE(test_lines_of_many_threads_stay_whole),
		cmocka_unit_test(test_only_a_line_longer_than_a_take_is_dropped),
		WITH_PIPE(test_closing_a_blocked_log_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
