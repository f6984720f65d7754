/* Watching over lastword-model.
 *
 * The model runs in a process of its own, so that a crash in the engine is a broken connection here and no more. The
 * obvious way to reach a child is a port or a socket file that it makes; both must be found, cleaned up, and are gone
 * while it is dead. Here the gateway makes the listening socket, an abstract one (the kernel picks the name, no file
 * system sees it), and hands it to each child: the address never changes, and who connects while there is no child
 * simply waits in the socket until the next one accepts. What a child had accepted breaks when it dies, and whoever
 * reads there learns the truth from that.
 *
 * A child must not survive its gateway, not even a kill -9. So it also gets the reading end of a pipe that nobody
 * writes: when the gateway is gone the kernel ends the pipe, and the child leaves. Letting it go in an orderly way is
 * the same thing. It runs in a session of its own: ^C at a terminal is for the gateway, which drains first.
 *
 *	STARTING → RUNNING ⇄ WAITING, and from both → STOPPING → STOPPED
 *
 * Invariants
 * 1. RUNNING: `process` is an open handle, also when the program could not be started and the handle only waits to be
 *    closed. WAITING: it is not, and `again` is set.
 * 2. The closing of the handle leads from RUNNING to WAITING, from STOPPING to STOPPED, and always comes.
 * 3. The listening socket and the pipe live from model_start until STOPPED.
 *
 * Whether the child has loaded its weights is its own business: it accepts at once and holds requests until it has. */
#include "upstream/model.h"

#include "base/clock.h"
#include "base/log.h"
#include "upstream/model_find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BACKOFF_FIRST_MS = 100, BACKOFF_LAST_MS = 5000,
	STEADY_MS = 1000,  /* a child that lived so long was well: the next wait is the first again */
	KILL_MS = 2000,    /* to leave after the lifeline's end */
	BACKLOG = 4096,    /* the kernel cuts it to what the system allows */
	CHILD_LISTEN_FD = 3, CHILD_LIFELINE_FD = 4,
};

enum model_state { MODEL_STARTING, MODEL_RUNNING, MODEL_WAITING, MODEL_STOPPING, MODEL_STOPPED };

struct model {
	struct loop *loop;
	struct garbage garbage;
	enum model_state state;
	uv_process_t process;
	bool has_child;        /* from a spawn that worked to the child's end */
	uint64_t started_ms;
	uint64_t backoff_ms;
	unsigned restarts;
	struct alarm again;    /* WAITING: start the next child; STOPPING: kill the child */
	struct task stopped;
	struct sockaddr_un address;
	socklen_t address_bytes;
	int listen_fd;
	int lifeline[2];
	char program[PATH_MAX], file[PATH_MAX];
	struct model_options options;
	void (*on_stopped)(void *owner);
	void *owner;
};

static void set_state(struct model *m, enum model_state to)
{
	static const unsigned char legal[] = {
		[MODEL_STARTING] = 1 << MODEL_RUNNING,
		[MODEL_RUNNING] = 1 << MODEL_WAITING | 1 << MODEL_STOPPING,
		[MODEL_WAITING] = 1 << MODEL_RUNNING | 1 << MODEL_STOPPING,
		[MODEL_STOPPING] = 1 << MODEL_STOPPED,
		[MODEL_STOPPED] = 0,
	};
	CHECK(legal[m->state] & 1 << to);
	m->state = to;
}

/* Bound with nothing but a family, a Unix socket gets an abstract name from the kernel (unix(7), "Autobind"). */
static bool open_socket(struct model *m)
{
	sa_family_t family = AF_UNIX;
	m->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	m->address_bytes = sizeof m->address;
	return m->listen_fd >= 0 && bind(m->listen_fd, (const struct sockaddr *)&family, sizeof family) == 0 &&
	       getsockname(m->listen_fd, (struct sockaddr *)&m->address, &m->address_bytes) == 0 &&
	       listen(m->listen_fd, BACKLOG) == 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void free_model(void *p)
{
	struct model *m = p;
	close_fd(&m->listen_fd);
	close_fd(&m->lifeline[0]);
	close_fd(&m->lifeline[1]);
	free(m);
}

static void tell_stopped(void *owner)
{
	struct model *m = owner;
	alarm_clear(&m->again);
	set_state(m, MODEL_STOPPED);
	loop_free_later(m->loop, &m->garbage, m, free_model);
	m->on_stopped(m->owner);
}

static void wait_for_next(struct model *m)
{
	set_state(m, MODEL_WAITING);
	alarm_set(&m->again, m->backoff_ms);
	m->backoff_ms = m->backoff_ms * 2 < BACKOFF_LAST_MS ? m->backoff_ms * 2 : BACKOFF_LAST_MS;
}

/* The handle of a child that ended, or never began, is closed: what next? */
static void on_closed(uv_handle_t *handle)
{
	struct model *m = handle->data;
	m->has_child = false;
	if (m->state == MODEL_STOPPING)
		task_queue(m->loop, &m->stopped);
	else
		wait_for_next(m);
}

static void log_death(const struct model *m, int64_t status, int signal)
{
	struct log_line l;
	log_begin(&l, LOG_WARN, "model_died");
	log_number(&l, "pid", m->process.pid);
	if (signal)
		log_string(&l, "signal", strsignal(signal));
	else
		log_number(&l, "status", status);
	log_number(&l, "lived_ms", (int64_t)(clock_ms() - m->started_ms));
	log_number(&l, "next_in_ms", (int64_t)m->backoff_ms);
	log_end(&l);
}

static void on_exit_of_child(uv_process_t *process, int64_t status, int signal)
{
	struct model *m = process->data;
	alarm_clear(&m->again);
	if (m->state != MODEL_STOPPING) {
		if (clock_ms() - m->started_ms >= STEADY_MS)
			m->backoff_ms = BACKOFF_FIRST_MS;
		m->restarts++;
		log_death(m, status, signal);
	}
	uv_close((uv_handle_t *)process, on_closed);
}

static int spawn(struct model *m)
{
	char context[12], slots[12], queue[12], threads[12];
	snprintf(context, sizeof context, "%u", m->options.context);
	snprintf(slots, sizeof slots, "%u", m->options.slots);
	snprintf(queue, sizeof queue, "%u", m->options.queue);
	snprintf(threads, sizeof threads, "%u", m->options.threads);
	char *args[] = {m->program, "--model", m->file, "--listen-fd", "3", "--lifeline-fd", "4", "--context", context,
	                "--slots", slots, "--queue", queue, "--threads", threads, NULL};
	/* Where the child listens is nobody's news; our stdout is for our own address. */
	uv_stdio_container_t fds[] = {
		{.flags = UV_IGNORE},
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		[CHILD_LISTEN_FD] = {.flags = UV_INHERIT_FD, .data.fd = m->listen_fd},
		[CHILD_LIFELINE_FD] = {.flags = UV_INHERIT_FD, .data.fd = m->lifeline[0]},
	};
	uv_process_options_t options = {.file = m->program, .args = args, .exit_cb = on_exit_of_child, .stdio = fds,
	                                .stdio_count = sizeof fds / sizeof *fds, .flags = UV_PROCESS_DETACHED};
	return uv_spawn(&m->loop->uv, &m->process, &options);
}

static void start_child(struct model *m)
{
	m->process.data = m;
	m->started_ms = clock_ms();
	int error = spawn(m);
	if (error) {
		log_say(LOG_ERROR, "model_not_started", "%s: %s", m->program, uv_strerror(error));
		/* libuv initialises the handle even when it cannot start the program. */
		uv_close((uv_handle_t *)&m->process, on_closed);
	} else {
		struct log_line l;
		log_begin(&l, LOG_INFO, "model_started");
		log_number(&l, "pid", m->process.pid);
		log_string(&l, "model", m->file);
		log_end(&l);
	}
	m->has_child = !error;
	set_state(m, MODEL_RUNNING);
}

static void on_alarm(void *owner)
{
	struct model *m = owner;
	if (m->state == MODEL_WAITING)
		start_child(m);
	else if (m->state == MODEL_STOPPING && m->has_child)
		uv_process_kill(&m->process, SIGKILL);
}

static struct model *complain(struct model *m, char *why, size_t why_bytes)
{
	snprintf(why, why_bytes, "cannot prepare the model server: %s", strerror(errno));
	free_model(m);
	return NULL;
}

struct model *model_start(struct loop *l, const struct model_options *o, char *why, size_t why_bytes)
{
	struct model *m = malloc(sizeof *m);
	CHECK(m);
	*m = (struct model){.loop = l, .options = *o, .backoff_ms = BACKOFF_FIRST_MS, .listen_fd = -1,
	                    .lifeline = {-1, -1}};
	if (!model_find_file(o->file, m->file, sizeof m->file, why, why_bytes) ||
	    !model_find_program(o->program, m->program, sizeof m->program, why, why_bytes)) {
		free_model(m);
		return NULL;
	}
	if (!open_socket(m) || pipe2(m->lifeline, O_CLOEXEC) != 0)
		return complain(m, why, why_bytes);
	m->options.file = m->file;
	m->options.program = m->program;
	alarm_init(&m->again, l, on_alarm, m);
	task_init(&m->stopped, tell_stopped, m);
	start_child(m);
	return m;
}

const struct sockaddr_un *model_address(const struct model *m, socklen_t *bytes)
{
	*bytes = m->address_bytes;
	return &m->address;
}

pid_t model_pid(const struct model *m) { return m->has_child ? m->process.pid : 0; }
bool model_is_running(const struct model *m) { return m->has_child; }
unsigned model_restarts(const struct model *m) { return m->restarts; }

void model_stop(struct model *m, void (*on_stopped)(void *owner), void *owner)
{
	bool waiting = m->state == MODEL_WAITING;
	m->on_stopped = on_stopped;
	m->owner = owner;
	set_state(m, MODEL_STOPPING);
	close_fd(&m->lifeline[1]);
	if (waiting) {
		alarm_clear(&m->again);
		task_queue(m->loop, &m->stopped);
	} else
		alarm_set(&m->again, KILL_MS); /* otherwise the handle is open, or closing: on_closed comes */
}
