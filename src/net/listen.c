/* Listening: an address becomes a socket, and each accepted connection a conn.
 *
 * Every worker has a socket of its own on the same address (SO_REUSEPORT, the kernel spreads connections). With that
 * option a second lastword could silently take half of the traffic, so the address is first bound once without it:
 * "address already in use" is then an error as everywhere else. Unix sockets know no such option; there all workers
 * accept from one socket.
 *
 * Accepting is our own loop over accept4 behind uv_poll, not uv_listen: it yields plain descriptors, takes at most
 * ACCEPT_BATCH a turn so that running streams go first, and when descriptors run out it pauses instead of spinning. */
#include "net/listen.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPT_BATCH = 64, PAUSE_MS = 100 };

struct listener {
	uv_poll_t poll;
	struct loop *loop;
	void (*on_conn)(void *owner, struct conn *c);
	void *owner;
	struct alarm again;
	int fd;
	bool is_tcp, closed;
	bool paused, is_full; /* until `again`; because there were too many */
	struct quota *conns; /* NULL: no limit */
	uint64_t most;
	char *unix_path;
	char name[INET6_ADDRSTRLEN + 16];
};

static void watch(struct listener *s);

static void on_again(void *owner)
{
	struct listener *s = owner;
	s->paused = s->is_full = false;
	watch(s);
}

static void pause_accepting(struct listener *s)
{
	s->paused = true;
	alarm_set(&s->again, PAUSE_MS);
	watch(s);
}

static bool take_place(struct listener *s) { return !s->conns || quota_take(s->conns, s->most); }

static void give_place(struct listener *s)
{
	if (s->conns)
		quota_give(s->conns);
}

static bool has_run_dry(int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return false;
	log_say(LOG_WARN, "accept_paused", "cannot accept connections for %d ms: %s", PAUSE_MS, strerror(error));
	return true;
}

/* One connection; false: no more for now. */
static bool accept_one(struct listener *s)
{
	if (!take_place(s)) {
		s->is_full = true;
		pause_accepting(s);
		return false;
	}
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *c = fd < 0 ? NULL : conn_take_fd(s->loop, fd, s->is_tcp);
	if (fd < 0 && has_run_dry(errno))
		pause_accepting(s);
	if (c)
		s->on_conn(s->owner, c);
	else
		give_place(s);
	return fd >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int what)
{
	struct listener *s = poll->data;
	for (int i = 0; i < ACCEPT_BATCH && !s->closed && accept_one(s); i++)
		;
}

static void watch(struct listener *s)
{
	if (s->closed)
		return;
	if (s->paused)
		uv_poll_stop(&s->poll);
	else
		uv_poll_start(&s->poll, UV_READABLE, on_readable);
}

static void name_self(struct listener *s)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	snprintf(s->name, sizeof s->name, "unix");
	if (getsockname(s->fd, (struct sockaddr *)&a, &n) != 0 || a.ss_family == AF_UNIX)
		return;
	char ip[INET6_ADDRSTRLEN] = "", port[8] = "";
	getnameinfo((struct sockaddr *)&a, n, ip, sizeof ip, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(s->name, sizeof s->name, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", ip, port);
}

struct listener *listener_take_fd(struct loop *l, int fd, bool is_tcp, void (*on_conn)(void *owner, struct conn *c),
	void *owner)
{
	struct listener *s = calloc(1, sizeof *s);
	if (!s || uv_poll_init(&l->uv, &s->poll, fd) != 0) {
		free(s);
		close(fd);
		return NULL;
	}
	s->poll.data = s;
	s->loop = l;
	s->fd = fd;
	s->is_tcp = is_tcp;
	s->on_conn = on_conn;
	s->owner = owner;
	alarm_init(&s->again, l, on_again, s);
	name_self(s);
	watch(s);
	return s;
}

static int bound_socket(const struct addrinfo *a, bool share, char *why, size_t why_bytes)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;
	if (fd < 0) {
		snprintf(why, why_bytes, "%s", strerror(errno));
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (share)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && (!share || listen(fd, BACKLOG) == 0))
		return fd;
	snprintf(why, why_bytes, "%s", strerror(errno));
	close(fd);
	return -1;
}

/* A bind without SO_REUSEPORT fails where anybody listens already; port 0 cannot be taken. */
static bool is_free(const struct addrinfo *a, char *why, size_t why_bytes)
{
	int fd = bound_socket(a, false, why, why_bytes);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int tcp_socket(const char *host, const char *port, char *why, size_t why_bytes)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
	int status = getaddrinfo(*host ? host : NULL, port, &hints, &found), fd = -1;
	if (status != 0) {
		snprintf(why, why_bytes, "%s", gai_strerror(status));
		return -1;
	}
	for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
		if (is_free(a, why, why_bytes))
			fd = bound_socket(a, true, why, why_bytes);
	freeaddrinfo(found);
	return fd;
}

static int unix_socket(const char *path, char *why, size_t why_bytes)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof a.sun_path) {
		snprintf(why, why_bytes, "the path of a Unix socket has at most %zu bytes", sizeof a.sun_path - 1);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	snprintf(why, why_bytes, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int open_socket(const char *address, bool *is_tcp, char *why, size_t why_bytes)
{
	*is_tcp = strncmp(address, "unix:", 5) != 0;
	if (!*is_tcp)
		return unix_socket(address + 5, why, why_bytes);
	const char *colon = strrchr(address, ':');
	if (!colon) {
		snprintf(why, why_bytes, "expected ADDRESS:PORT");
		return -1;
	}
	span host = {address, (size_t)(colon - address)};
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (span){host.p + 1, host.n - 2};
	char name[256];
	snprintf(name, sizeof name, "%.*s", SPAN_ARG(host));
	return tcp_socket(name, colon + 1, why, why_bytes);
}

struct listener *listener_open(struct loop *l, const char *address, void (*on_conn)(void *owner, struct conn *c),
	void *owner,
                               char *why, size_t why_bytes)
{
	bool is_tcp;
	int fd = open_socket(address, &is_tcp, why, why_bytes);
	struct listener *s = fd < 0 ? NULL : listener_take_fd(l, fd, is_tcp, on_conn, owner);
	if (fd >= 0 && !s)
		snprintf(why, why_bytes, "out of memory");
	if (s && !is_tcp)
		s->unix_path = strdup(address + 5);
	return s;
}

/* Where `first` listens, for one more socket. */
static int socket_beside(const struct listener *first, char *why, size_t why_bytes)
{
	struct sockaddr_storage address = {0};
	socklen_t n = sizeof address;
	int fd = -1;
	if (!first->is_tcp)
		fd = fcntl(first->fd, F_DUPFD_CLOEXEC, 0);
	else if (getsockname(first->fd, (struct sockaddr *)&address, &n) == 0)
		return bound_socket(&(struct addrinfo){.ai_family = address.ss_family, .ai_addrlen = n,
			.ai_addr = (struct sockaddr *)&address}, true, why, why_bytes);
	if (fd < 0)
		snprintf(why, why_bytes, "%s", strerror(errno));
	return fd;
}

struct listener *listener_open_beside(struct loop *l, const struct listener *first,
	void (*on_conn)(void *owner, struct conn *c), void *owner, char *why, size_t why_bytes)
{
	int fd = socket_beside(first, why, why_bytes);
	struct listener *s = fd < 0 ? NULL : listener_take_fd(l, fd, first->is_tcp, on_conn, owner);
	if (fd >= 0 && !s)
		snprintf(why, why_bytes, "out of memory");
	return s;
}

void listener_limit(struct listener *s, struct quota *conns, uint64_t most)
{
	s->conns = conns;
	s->most = most;
}

void listener_look(struct listener *s)
{
	if (!s->is_full || s->closed)
		return;
	alarm_clear(&s->again);
	on_again(s);
}

bool listener_has_queue(const struct listener *s)
{
	struct pollfd queue = {.fd = s->fd, .events = POLLIN};
	return poll(&queue, 1, 0) > 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct listener *s = handle->data;
	free(s->unix_path);
	free(s);
}

void listener_close(struct listener *s)
{
	s->closed = true;
	alarm_clear(&s->again);
	uv_close((uv_handle_t *)&s->poll, on_closed);
	close(s->fd);
	if (s->unix_path)
		unlink(s->unix_path);
}

const char *listener_name(const struct listener *s) { return s->name; }
