/* The load generator: the model server and the clients of a proxy under test, in one process and one thread, so that
 * one clock tells when an event left and when it came back.
 *
 * Five measurements, by the first word of the command line:
 *	pace	N streams × R events/s: CPU of the proxy for each event that a viewer reads, latency of each. With
 *		--viewers there are more of them than streams: those behind the first N join a stream by its id,
 *		or with --join-alike by the same request
 *	storm	N streams × R events/s and their viewers: all are cut off at once and come back within --spread-ms, each
 *		behind what it has read: how long until each has what it missed
 *	steps	an event on every stream, wait for all of them, the next: nothing is timed, so that a proxy runs the
 *		same way under a tool that makes it fifty times slower
 *	first	one connection, request after request: time to first event
 *	memory	N streams that say one event and then nothing: bytes of each
 *
 * All that is due within a tick leaves together (1 ms by default), because a model server emits a token of each running
 * sequence after every step. With --tick-us 0 every event leaves at its own time and the generator never sleeps: for
 * latencies, which would otherwise be those of standing in a queue.
 *
 * Prints one JSON object. Exits with 1, and words, if anything was lost, doubled, cut or answered with an error. */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

struct plan plan = {.target = "/", .last_word = "[DONE]", .streams = 100, .rate = 20, .events = 60, .payload = 200, .tick_us = 1000, .spread_ms = 1000};

/* A generator that was held up catches up in small steps, and reads in between. */
enum { BURST = 256 };
enum { OPENING_AT_ONCE = 64, READY_AT_ONCE = 512, PATIENCE_S = 20, SETTLE_MS = 500, MEMORY_WARM_STREAMS = 100 };

static const uint64_t second = 1000000000;
static int epoll = -1;

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "load: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
}

void watch(struct source *s)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e) != 0)
		die("epoll: %s", strerror(errno));
}

static void turn(uint64_t wait_ns)
{
	struct epoll_event ready[READY_AT_ONCE];
	struct timespec wait = {(time_t)(wait_ns / second), (long)(wait_ns % second)};
	int n = epoll_pwait2(epoll, ready, READY_AT_ONCE, &wait, NULL);
	for (int i = 0; i < n; i++) {
		struct source *s = ready[i].data.ptr;
		s->on_ready(s);
	}
}

/* Until `*counter` is `goal`; nothing else may be waited for. */
static void turn_until(const unsigned *counter, unsigned goal, const char *what)
{
	uint64_t deadline = now_ns() + PATIENCE_S * second;
	while (*counter < goal) {
		if (now_ns() > deadline)
			die("waited %d s for %s: %u of %u", PATIENCE_S, what, *counter, goal);
		turn(second / 100);
	}
}

static void turn_until_read(uint64_t goal)
{
	uint64_t deadline = now_ns() + PATIENCE_S * second;
	while (events_read < goal) {
		if (now_ns() > deadline)
			die("%llu of %llu events came", (unsigned long long)events_read, (unsigned long long)goal);
		turn(plan.tick_us ? second / 1000 : 0);
	}
}

static void settle(void)
{
	for (uint64_t end = now_ns() + SETTLE_MS * 1000000ull; now_ns() < end;)
		turn(second / 100);
}

static unsigned opened;

static void open_streams(unsigned n)
{
	while (opened < n) {
		client_open(opened++);
		if (opened - clients_begun >= OPENING_AT_ONCE)
			turn_until(&clients_begun, opened - OPENING_AT_ONCE / 2, "first events");
	}
	turn_until(&clients_begun, n, "first events");
}

/* The first `streams` viewers begin one each, the others join in turn. */
static void open_viewers(void)
{
	open_streams(plan.streams);
	while (opened < plan.viewers) {
		client_join(opened, opened % plan.streams);
		opened++;
		if (opened - clients_begun >= OPENING_AT_ONCE)
			turn_until(&clients_begun, opened - OPENING_AT_ONCE / 2, "first events");
	}
	turn_until(&clients_begun, opened, "first events");
}

static void end_streams(void)
{
	for (unsigned slot = 0; slot < upstream_requests; slot++)
		if (upstream_sent(slot))
			upstream_end(slot);
	turn_until(&clients_ended, opened, "ends");
	clients_close();
}

static double own_cpu_s(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Event k of all streams together is due k / (streams × rate) seconds after the start. */
static uint64_t due_by(uint64_t elapsed_ns)
{
	if (plan.tick_us)
		elapsed_ns -= elapsed_ns % (plan.tick_us * 1000ull);
	return (uint64_t)((double)elapsed_ns / (double)second * plan.streams * plan.rate);
}

/* The longest time between two turns. A proxy cannot cause it, from its other core; a busy machine does. */
static uint64_t held_up_ns;
static bool watching;

static uint64_t step(uint64_t *last_ns)
{
	uint64_t now = now_ns();
	if (watching && now - *last_ns > held_up_ns)
		held_up_ns = now - *last_ns;
	return *last_ns = now;
}

/* Sends what is due, up to `goal`, and reads until something may be due again. */
static void pace_some(uint64_t start_ns, uint64_t *last_ns, uint64_t *sent, uint64_t goal)
{
	uint64_t elapsed = step(last_ns) - start_ns, due = due_by(elapsed), tick = plan.tick_us * 1000ull;
	for (unsigned n = 0; n < BURST && *sent < goal && *sent < due; n++)
		upstream_send((unsigned)((*sent)++ % plan.streams));
	elapsed = now_ns() - start_ns;
	turn(tick && *sent >= due ? tick - elapsed % tick : 0);
}

static void pace_until(uint64_t start_ns, uint64_t *sent, uint64_t goal)
{
	uint64_t last = now_ns();
	while (*sent < goal)
		pace_some(start_ns, &last, sent, goal);
}

static void pace(void)
{
	uint64_t sent = 0, all = (uint64_t)plan.streams * plan.events, warm = (uint64_t)plan.streams * plan.warm;
	open_viewers();
	uint64_t before = events_read, start = now_ns();
	pace_until(start, &sent, warm);
	uint64_t cpu = meter_cpu_ns(), begun = now_ns(), read_before = events_read;
	double own = own_cpu_s();
	recording = watching = true;
	pace_until(start, &sent, all);
	turn_until_read(before + all * (plan.viewers / plan.streams));
	cpu = meter_cpu_ns() - cpu;
	own = own_cpu_s() - own;
	double seconds = (double)(now_ns() - begun) / (double)second;
	uint64_t events = events_read - read_before;
	recording = watching = false;
	end_streams();
	printf("{\"events\": %llu, \"seconds\": %.3f, \"cpu_us\": %.4f, \"load_cpu_us\": %.4f, \"held_up_ms\": %.1f, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
	       (unsigned long long)events, seconds, (double)cpu / 1e3 / (double)events, own * 1e6 / (double)events,
	       (double)held_up_ns / 1e6, latency_us(0.5), latency_us(0.99));
}

/* Until all are back; the streams go on meanwhile. */
static void bring_back(uint64_t start_ns, uint64_t *sent)
{
	uint64_t cut_ns = now_ns(), last = cut_ns, spread_ns = plan.spread_ms * 1000000ull;
	for (unsigned returned = 0; clients_back < plan.viewers;) {
		pace_some(start_ns, &last, sent, UINT64_MAX);
		uint64_t due = plan.viewers * (last - cut_ns) / (spread_ns ? spread_ns : 1);
		for (unsigned n = 0; n < OPENING_AT_ONCE && returned < plan.viewers && returned < due; n++)
			client_return(returned++);
		if (last - cut_ns > PATIENCE_S * second + spread_ns)
			die("%u of %u viewers are back after %d s", clients_back, plan.viewers, PATIENCE_S);
	}
}

static void storm(void)
{
	uint64_t sent = 0, share = plan.viewers / plan.streams;
	open_viewers();
	uint64_t before = events_read, start = now_ns();
	pace_until(start, &sent, (uint64_t)plan.streams * plan.warm);
	turn_until_read(before + sent * share);
	uint64_t cpu = meter_cpu_ns(), cut = now_ns();
	clients_cut();
	watching = true;
	bring_back(start, &sent);
	uint64_t back = now_ns();
	watching = false;
	cpu = meter_cpu_ns() - cpu;
	pace_until(start, &sent, sent + (uint64_t)plan.streams * plan.events);
	turn_until_read(before + sent * share);
	end_streams();
	if (upstream_requests != plan.streams)
		die("%u requests came for %u streams", upstream_requests, plan.streams);
	printf("{\"back_s\": %.3f, \"cpu_s\": %.3f, \"requests\": %u, \"held_up_ms\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
	       "\"max_us\": %.1f}\n",
	       (double)(back - cut) / (double)second, (double)cpu / (double)second, upstream_requests, (double)held_up_ns / 1e6,
	       latency_us(0.5), latency_us(0.99), latency_us(1));
}

static void steps(void)
{
	open_streams(plan.streams);
	for (unsigned k = 0; k < plan.events; k++) {
		uint64_t goal = events_read + plan.streams;
		for (unsigned slot = 0; slot < plan.streams; slot++)
			upstream_send(slot);
		turn_until_read(goal);
	}
	end_streams();
	printf("{\"events\": %llu}\n", (unsigned long long)plan.streams * plan.events);
}

static uint64_t ask_once(unsigned k)
{
	uint64_t asked = now_ns();
	if (k == 0)
		client_open(0);
	else
		client_ask(0);
	while (clients_begun <= k)
		turn(0);
	uint64_t took = now_ns() - asked;
	upstream_end(0);
	turn_until(&clients_ended, k + 1, "an end");
	return took;
}

static void first(void)
{
	for (unsigned k = 0; k < plan.warm + plan.events; k++) {
		uint64_t took = ask_once(k);
		if (k >= plan.warm)
			latency_add(took);
	}
	clients_close();
	printf("{\"requests\": %zu, \"upstream_connections\": %u, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", latency_count(),
	       upstream_accepted, latency_us(0.5), latency_us(0.99));
}

static void memory(void)
{
	open_streams(MEMORY_WARM_STREAMS);
	settle();
	uint64_t before = meter_pss_bytes();
	open_streams(MEMORY_WARM_STREAMS + plan.streams);
	settle();
	uint64_t after = meter_pss_bytes();
	end_streams();
	printf("{\"streams\": %u, \"bytes\": %.1f, \"pss_kib\": %llu}\n", plan.streams, ((double)after - (double)before) / plan.streams,
	       (unsigned long long)after / 1024);
}

static void add_pids(char *list)
{
	for (char *save = NULL, *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		if (plan.pids_n == PIDS_MAX)
			die("too many processes");
		plan.pids[plan.pids_n++] = atoi(one);
	}
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		die("cannot run on core %d", cpu);
}

static void read_options(int n, char **args)
{
	static const struct option names[] = {
		{"listen", 1, 0, 'l'}, {"to", 1, 0, 't'}, {"target", 1, 0, 'g'}, {"last-word", 1, 0, 'w'}, {"chat", 0, 0, 'c'},
		{"streams", 1, 0, 's'}, {"rate", 1, 0, 'r'}, {"events", 1, 0, 'e'}, {"warm", 1, 0, 'm'}, {"payload", 1, 0, 'p'},
		{"tick-us", 1, 0, 'u'}, {"pids", 1, 0, 'i'}, {"cpu", 1, 0, 'k'}, {"viewers", 1, 0, 'v'}, {"spread-ms", 1, 0, 'x'},
		{"join-alike", 0, 0, 'j'}, {0},
	};
	for (int o; (o = getopt_long(n, args, "", names, NULL)) != -1;)
		switch (o) {
		case 'l': plan.port = atoi(optarg); break;
		case 't': plan.to_port = atoi(optarg); break;
		case 'g': plan.target = optarg; break;
		case 'w': plan.last_word = optarg; break;
		case 'c': plan.chat = true; break;
		case 's': plan.streams = (unsigned)atoi(optarg); break;
		case 'r': plan.rate = (unsigned)atoi(optarg); break;
		case 'e': plan.events = (unsigned)atoi(optarg); break;
		case 'm': plan.warm = (unsigned)atoi(optarg); break;
		case 'p': plan.payload = (unsigned)atoi(optarg); break;
		case 'u': plan.tick_us = (unsigned)atoi(optarg); break;
		case 'i': add_pids(optarg); break;
		case 'k': pin(atoi(optarg)); break;
		case 'v': plan.viewers = (unsigned)atoi(optarg); break;
		case 'j': plan.join_alike = true; break;
		case 'x': plan.spread_ms = (unsigned)atoi(optarg); break;
		default: exit(2);
		}
	if (plan.streams < 1 || plan.streams > STREAMS_MAX - MEMORY_WARM_STREAMS || plan.port <= 0 || plan.to_port <= 0)
		die("--listen and --to are needed, and at most %d streams", STREAMS_MAX - MEMORY_WARM_STREAMS);
	if (!plan.viewers)
		plan.viewers = plan.streams;
	if (plan.viewers % plan.streams != 0 || plan.viewers > STREAMS_MAX)
		die("--viewers must be a multiple of the streams, and at most %d", STREAMS_MAX);
}

static void raise_fd_limit(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

int main(int n, char **args)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = {{"pace", pace}, {"storm", storm}, {"steps", steps}, {"first", first}, {"memory", memory}};
	const char *mode = n > 1 ? args[1] : "";
	read_options(n - 1, args + 1);
	raise_fd_limit();
	prctl(PR_SET_TIMERSLACK, 1UL);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	upstream_listen();
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (strcmp(modes[i].name, mode) == 0) {
			modes[i].run();
			return 0;
		}
	die("pace, storm, steps, first or memory?");
}
