/* lastword, the gateway. This page is the table of contents: read the configuration, open the workers (their listeners,
 * the model server), say where we listen, serve, drain, end. This thread is the first worker's. `lastword check` is
 * another program in the same binary (gateway/probe).
 *
 * Exit status: 0 after a drain, 1 for a failure at run time, 2 for a wrong command line or configuration. The line on
 * stdout is for people and scripts alike; it comes when connections are accepted, not before. */
#include "base/log.h"
#include "gateway/config.h"
#include "gateway/crew.h"
#include "gateway/probe.h"
#include "net/notify.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <fcntl.h>

struct lastword {
	int argc; /* for a reload */
	char **argv;
	struct config *config;
	struct crew crew;
	uv_signal_t terminate, interrupt, hangup;
	bool draining;
	bool reloading, reload_again; /* a reload is under way; another signal came meanwhile */
};

static void put_on_stdout(void *to, span text) { fwrite(text.p, 1, text.n, to); }

/* Descriptors 0–2 that were closed at the start must not become sockets. */
static void occupy_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A viewer is a descriptor and an upstream another one: the limits that were configured must fit into what the system
 * allows. */
static void raise_descriptor_limit(struct config *c)
{
	enum { SPARE = 64, OF_A_WORKER = 8 }; /* its loop, mailbox and listener, and what those are made of */
	rlim_t spare = SPARE + OF_A_WORKER * crew_size(c);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		return;
	uint64_t connections = limit.rlim_cur > 2 * spare ? limit.rlim_cur - spare : limit.rlim_cur / 2;
	uint64_t streams = connections / 2;
	bool cut = c->limits.connections > connections || c->limits.streams > streams;
	if (!c->limits.connections || c->limits.connections > connections)
		c->limits.connections = connections;
	if (!c->limits.streams || c->limits.streams > streams)
		c->limits.streams = streams;
	if (cut)
		log_say(LOG_INFO, "limits_cut", "the system allows %llu descriptors: limits are connections %llu, streams %llu",
		        (unsigned long long)limit.rlim_cur, (unsigned long long)c->limits.connections,
			(unsigned long long)c->limits.streams);
}

static void warn(const struct config *c)
{
	char why[400];
	if (config_is_doubtful(c, why, sizeof why))
		log_say(LOG_WARN, "configuration", "%s", why);
}

static struct loop *first_loop(struct lastword *l) { return &l->crew.worker[0]->loop; }

static void on_model_stopped(void *owner) { loop_stop(first_loop(owner)); }

static struct lastword *lastword_of(struct crew *crew)
{
	return (struct lastword *)((char *)crew - offsetof(struct lastword, crew));
}

static void on_drained(struct crew *crew)
{
	struct lastword *l = lastword_of(crew);
	if (crew->model)
		model_stop(crew->model, on_model_stopped, l);
	else
		loop_stop(first_loop(l));
}

static void on_terminate(uv_signal_t *signal, int number)
{
	struct lastword *l = signal->data;
	log_say(LOG_INFO, "drain", l->draining
		? "second signal: ending at once" : "draining: no new work, running streams go on");
	l->draining = true;
	notify_say("STOPPING=1\nSTATUS=draining: no new work, running streams go on");
	crew_drain(&l->crew, on_drained);
}

static void reload(struct lastword *l);

static void on_taken(struct crew *crew)
{
	struct lastword *l = lastword_of(crew);
	log_say(LOG_INFO, "reload", "the configuration was read again and is in force for new work");
	l->reloading = false;
	if (l->reload_again)
		reload(l);
	else
		notify_say("READY=1");
}

static void reload(struct lastword *l)
{
	char why[400];
	l->reload_again = false;
	notify_reloading();
	struct config *c = config_reload(l->argc, l->argv, why, sizeof why);
	if (c) {
		raise_descriptor_limit(c);
		warn(c);
	}
	l->reloading = c && crew_take_config(&l->crew, c, on_taken, why, sizeof why);
	if (l->reloading)
		return;
	log_say(LOG_ERROR, "reload", "nothing was changed: %s", why);
	notify_say("READY=1"); /* as it was */
}

static void on_hangup(uv_signal_t *signal, int number)
{
	struct lastword *l = signal->data;
	if (l->reloading)
		l->reload_again = true;
	else
		reload(l);
}

static void watch_signals(struct lastword *l)
{
	uv_loop_t *uv = &first_loop(l)->uv;
	uv_signal_init(uv, &l->terminate);
	uv_signal_init(uv, &l->interrupt);
	uv_signal_init(uv, &l->hangup);
	l->terminate.data = l->interrupt.data = l->hangup.data = l;
	uv_signal_start(&l->terminate, on_terminate, SIGTERM);
	uv_signal_start(&l->interrupt, on_terminate, SIGINT);
	uv_signal_start(&l->hangup, on_hangup, SIGHUP);
}

/* A signal that comes after the drain finds it done: it must not kill a process that ends well. */
static void forget_signals(struct lastword *l)
{
	sigset_t late;
	sigemptyset(&late);
	sigaddset(&late, SIGTERM);
	sigaddset(&late, SIGINT);
	sigaddset(&late, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &late, NULL);
	uv_close((uv_handle_t *)&l->terminate, NULL);
	uv_close((uv_handle_t *)&l->interrupt, NULL);
	uv_close((uv_handle_t *)&l->hangup, NULL);
}

static void announce(const struct worker *w)
{
	const char *scheme = server_is_secure(w->front) ? "https" : "http";
	printf("lastword: listening on %s://%s", scheme, server_name(w->front));
	if (w->admin)
		printf(" (admin http://%s)", server_name(w->admin));
	printf("\n");
	fflush(stdout);
	notify_say("READY=1\nSTATUS=listening on %s://%s", scheme, server_name(w->front));
}

static bool open_crew(struct lastword *l, char *why, size_t why_bytes)
{
	return crew_open(&l->crew, l->config, why, why_bytes) && crew_start(&l->crew, why, why_bytes);
}

static int run(struct lastword *l)
{
	char why[400];
	signal(SIGPIPE, SIG_IGN);
	log_open("lastword", STDERR_FILENO);
	raise_descriptor_limit(l->config);
	warn(l->config);
	if (!open_crew(l, why, sizeof why)) {
		log_close();
		fprintf(stderr, "lastword: %s\n", why);
		return 1;
	}
	config_drop(l->config); /* the workers hold theirs */
	l->config = NULL;
	watch_signals(l);
	announce(l->crew.worker[0]);
	crew_run(&l->crew);
	forget_signals(l);
	crew_close(&l->crew);
	log_close();
	return 0;
}

static void check(const struct config *c)
{
	char why[400];
	if (config_is_doubtful(c, why, sizeof why))
		fprintf(stderr, "lastword: warning: %s\n", why);
	config_print(c, put_on_stdout, stdout);
}

int main(int argc, char **argv)
{
	static struct lastword l;
	int status = 0;
	l.argc = argc;
	l.argv = argv;
	occupy_standard_descriptors();
	if (argc > 1 && strcmp(argv[1], "check") == 0)
		return probe_main(argv + 1);
	switch (config_load(argc, argv, &l.config)) {
	case CONFIG_RUN:
		status = run(&l);
		break;
	case CONFIG_CHECK:
		check(l.config);
		break;
	case CONFIG_VERSION:
		puts("lastword " LASTWORD_VERSION);
		break;
	case CONFIG_HELP:
		config_print_help(put_on_stdout, stdout);
		break;
	case CONFIG_WRONG:
		return 2;
	}
	if (l.config)
		config_drop(l.config);
	if (fflush(stdout) != 0 || ferror(stdout))
		return 1; /* what was asked for could not be said */
	return status;
}
