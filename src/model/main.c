/* lastword-model: one GGUF model behind HTTP, in a process of its own. This page is the table of contents: read the
 * command line, listen, start the engine, serve until a signal or until the lifeline ends.
 *
 * Two threads: the loop (main thread: HTTP, the line, all printing) and the engine (libllama), which has helpers of its
 * own inside libllama. What they share is in engine.h.
 *
 * With a lifeline there is a supervisor, and only it ends us: SIGTERM and SIGINT are ignored, because a service manager
 * or a terminal sends them to supervisor and child alike, and the supervisor first lets its streams run to their end.
 *
 * Exit status: 0 after a signal or the lifeline's end, 1 for a failure at run time, 2 for a wrong command line; a model
 * file that is missing or no GGUF counts as that. */
#include "base/log.h"
#include "model/options.h"
#include "model/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_LINE_BYTES = 64 * 1024 /* of GET /generate?prompt=… */, NAME_BYTES = 256 };

struct program {
	struct options options;
	char name[NAME_BYTES]; /* the model's, for clients */
	struct loop loop;
	struct engine *engine;
	struct server *server;
	struct serve serve;
	uv_signal_t terminate, interrupt;
	uv_poll_t lifeline;
	int status;
};

/* Descriptors 0–2 that were closed at the start must not become sockets. */
static void occupy_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* "models/Some-7B.gguf" → "Some-7B" */
static void name_model(struct program *p)
{
	const char *slash = strrchr(p->options.model, '/'), *file = slash ? slash + 1 : p->options.model;
	snprintf(p->name, sizeof p->name, "%s", file);
	char *dot = strrchr(p->name, '.');
	if (dot && dot != p->name && strcmp(dot, ".gguf") == 0)
		*dot = 0;
}

static bool looks_like_gguf(const char *path)
{
	unsigned char magic[4] = {0};
	FILE *f = fopen(path, "rbe");
	if (!f) {
		fprintf(stderr, "lastword-model: %s: %s (`make model` fetches a small model into build/models/)\n", path,
		        strerror(errno));
		return false;
	}
	size_t n = fread(magic, 1, sizeof magic, f);
	fclose(f);
	if (n == sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0)
		return true;
	fprintf(stderr,
	        "lastword-model: %s is no GGUF file: it begins with %zu bytes, %02x %02x %02x %02x, where 47 47 55 46 were expected\n",
	        path, n, magic[0], magic[1], magic[2], magic[3]);
	return false;
}

static void end(struct program *p, int status)
{
	p->status = status;
	loop_stop(&p->loop);
}

static void on_signal(uv_signal_t *signal, int number) { end(signal->data, 0); }

static void on_lifeline(uv_poll_t *poll, int status, int events)
{
	struct program *p = poll->data;
	char c;
	if (status < 0 || read(p->options.lifeline_fd, &c, 1) == 0)
		end(p, 0);
}

static void log_loaded(const struct program *p, const struct engine_facts *facts)
{
	struct log_line l;
	log_begin(&l, LOG_INFO, "loaded");
	log_string(&l, "model", p->options.model);
	log_number(&l, "context", facts->context);
	log_number(&l, "slots", p->options.slots);
	log_number(&l, "total", facts->total);
	log_number(&l, "threads", facts->threads);
	log_number(&l, "load_ms", (int64_t)facts->load_ms);
	log_end(&l);
}

static void on_loaded(void *owner, const struct engine_facts *facts)
{
	struct program *p = owner;
	if (!facts) {
		log_say(LOG_ERROR, "not_loaded", "%s could not be loaded", p->options.model);
		end(p, 1);
		return;
	}
	log_loaded(p, facts);
	serve_on_loaded(&p->serve, facts);
}

static void on_text(void *owner, struct answer *a, span text)
{
	serve_on_text(&((struct program *)owner)->serve, a, text);
}

static void on_end(void *owner, struct answer *a) { serve_on_end(&((struct program *)owner)->serve, a); }

static void start_engine(struct program *p)
{
	static const struct engine_events events = {on_loaded, on_text, on_end};
	const struct options *o = &p->options;
	struct engine_options options = {.file = o->model, .context = o->context, .slots = o->slots, .threads = o->threads};
	p->engine = engine_start(&p->loop, &options, &events, p);
	p->serve.engine = p->engine;
}

static bool open_server(struct program *p)
{
	const struct options *o = &p->options;
	struct server_limits limits = {.request_line = REQUEST_LINE_BYTES};
	struct site site = {.on_request = serve_on_request, .owner = &p->serve, .name = "model"};
	char why[400] = "it is no listening socket";
	p->server = o->listen ? server_open(&p->loop, o->listen, limits, site, why, sizeof why)
	                      : server_take_fd(&p->loop, o->listen_fd, false, limits, site);
	if (!p->server)
		fprintf(stderr, "lastword-model: cannot listen on %s: %s\n", o->listen ? o->listen : "the inherited socket",
		        why);
	return p->server;
}

static void announce(const struct program *p)
{
	const char *listen = p->options.listen;
	bool is_unix = listen && strncmp(listen, "unix:", 5) == 0;
	if (listen)
		printf("lastword-model: listening on %s%s\n", is_unix ? "" : "http://",
		       is_unix ? listen : server_name(p->server));
	else
		printf("lastword-model: listening on the inherited socket\n");
	fflush(stdout);
}

static void watch_lifeline(struct program *p)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	fcntl(p->options.lifeline_fd, F_SETFD, FD_CLOEXEC);
	CHECK(uv_poll_init(&p->loop.uv, &p->lifeline, p->options.lifeline_fd) == 0);
	p->lifeline.data = p;
	uv_poll_start(&p->lifeline, UV_READABLE | UV_DISCONNECT, on_lifeline);
}

static void watch_signals(struct program *p)
{
	uv_signal_init(&p->loop.uv, &p->terminate);
	uv_signal_init(&p->loop.uv, &p->interrupt);
	p->terminate.data = p->interrupt.data = p;
	uv_signal_start(&p->terminate, on_signal, SIGTERM);
	uv_signal_start(&p->interrupt, on_signal, SIGINT);
}

/* A second signal must not kill a process that is ending well. */
static void forget_watchers(struct program *p)
{
	sigset_t late;
	sigemptyset(&late);
	sigaddset(&late, SIGTERM);
	sigaddset(&late, SIGINT);
	pthread_sigmask(SIG_BLOCK, &late, NULL);
	if (p->options.lifeline_fd >= 0) {
		uv_close((uv_handle_t *)&p->lifeline, NULL);
		return;
	}
	uv_close((uv_handle_t *)&p->terminate, NULL);
	uv_close((uv_handle_t *)&p->interrupt, NULL);
}

static int serve(struct program *p)
{
	serve_init(&p->serve, p->options.slots, p->options.queue);
	if (!open_server(p))
		return 1;
	if (p->options.lifeline_fd >= 0)
		watch_lifeline(p);
	else
		watch_signals(p);
	start_engine(p);
	announce(p);
	loop_run(&p->loop);
	forget_watchers(p);
	server_close(p->server);
	if (!engine_stop(p->engine)) {
		log_close();
		_exit(p->status);
	}
	serve_finish(&p->serve);
	loop_finish(&p->loop);
	engine_destroy(p->engine);
	return p->status;
}

static int run(struct program *p)
{
	if (!looks_like_gguf(p->options.model))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	log_open("lastword-model", STDERR_FILENO);
	name_model(p);
	loop_init(&p->loop);
	p->serve.loop = &p->loop;
	p->serve.model = p->name;
	int status = serve(p);
	log_close();
	return status;
}

int main(int argc, char **argv)
{
	static struct program p;
	char why[300];
	occupy_standard_descriptors();
	switch (options_parse(argc, argv, &p.options, why, sizeof why)) {
	case OPTIONS_RUN:
		return run(&p);
	case OPTIONS_HELP:
		fputs(options_help(), stdout);
		return 0;
	case OPTIONS_VERSION:
		puts("lastword-model " LASTWORD_VERSION);
		return 0;
	case OPTIONS_WRONG:
		fprintf(stderr, "lastword-model: %s; --help lists the options\n", why);
		return 2;
	}
	return 2;
}
