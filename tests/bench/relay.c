/* The floor: a relay that knows nothing. Bytes that come on one socket go out on its twin; one read, one write and a
 * share of an epoll_wait for each event. Whoever parses, counts or remembers anything costs at least this.
 *
 *	relay PORT UPSTREAM_PORT
 *
 * It is no toy in one respect: what the kernel does not take is kept, and the other side is not read until it is gone.
 * In others it is: a connection is opened for each client, nothing times out, and both ends close together. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024, READY_AT_ONCE = 512, BACKLOG = 4096 };

struct side {
	int fd;
	struct side *twin;
	char *kept; /* bytes read from the twin that this socket did not take */
	size_t kept_n;
	bool connecting, closed;
};

static int epoll, upstream_port;
static struct side *closed[READY_AT_ONCE * 2]; /* freed after the turn */
static size_t closed_n;
static sigset_t waiting_mask;

static void fail(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void want(struct side *s, int operation, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};
	if (epoll_ctl(epoll, operation, s->fd, &e) != 0)
		fail("epoll_ctl");
}

static void close_both(struct side *s)
{
	struct side *both[] = {s, s->twin};
	for (int i = 0; i < 2; i++) {
		if (both[i]->closed)
			continue;
		both[i]->closed = true;
		close(both[i]->fd);
		closed[closed_n++] = both[i];
	}
}

static void keep(struct side *to, const char *p, size_t n)
{
	char *kept = malloc(n);
	if (!kept)
		fail("malloc");
	memcpy(kept, p, n);
	free(to->kept);
	to->kept = kept;
	to->kept_n = n;
	want(to, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	want(to->twin, EPOLL_CTL_MOD, 0);
}

static void copy(struct side *from)
{
	static char buffer[BUFFER_BYTES];
	struct side *to = from->twin;
	ssize_t n = read(from->fd, buffer, sizeof buffer);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_both(from);
		return;
	}
	ssize_t taken = to->connecting ? 0 : write(to->fd, buffer, (size_t)n);
	if (taken < 0 && errno != EAGAIN)
		close_both(from);
	else if (taken < n)
		keep(to, buffer + (taken > 0 ? taken : 0), (size_t)(n - (taken > 0 ? taken : 0)));
}

static void write_kept(struct side *to)
{
	to->connecting = false;
	ssize_t taken = to->kept_n ? write(to->fd, to->kept, to->kept_n) : 0;
	if (taken < 0 && errno != EAGAIN) {
		close_both(to);
		return;
	}
	to->kept_n -= taken > 0 ? (size_t)taken : 0;
	if (to->kept_n) {
		memmove(to->kept, to->kept + (taken > 0 ? taken : 0), to->kept_n);
		return;
	}
	free(to->kept);
	to->kept = NULL;
	want(to, EPOLL_CTL_MOD, EPOLLIN);
	want(to->twin, EPOLL_CTL_MOD, EPOLLIN);
}

static struct side *create_side(int fd)
{
	int on = 1;
	struct side *s = calloc(1, sizeof *s);
	if (!s || fd < 0)
		fail("a connection");
	s->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return s;
}

static void accept_one(int listener)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)upstream_port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct side *client = create_side(fd), *up = create_side(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	client->twin = up;
	up->twin = client;
	up->connecting = true;
	if (connect(up->fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS)
		fail("connect");
	want(client, EPOLL_CTL_ADD, EPOLLIN);
	want(up, EPOLL_CTL_ADD, EPOLLOUT);
}

static int listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, BACKLOG) != 0)
		fail("listen");
	return fd;
}

static void on_ready(struct side *s, uint32_t events)
{
	if (s->closed)
		return;
	if (events & EPOLLOUT)
		write_kept(s);
	if (!s->closed && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		copy(s);
}

/* SIGTERM comes only while it waits, so that none is missed between a look at `stopped` and the wait. */
static void turn(struct side *listener)
{
	struct epoll_event ready[READY_AT_ONCE];
	int n = epoll_pwait(epoll, ready, READY_AT_ONCE, -1, &waiting_mask);
	for (int i = 0; i < n; i++)
		if (ready[i].data.ptr == listener)
			accept_one(listener->fd);
		else
			on_ready(ready[i].data.ptr, ready[i].events);
	while (closed_n) {
		free(closed[--closed_n]->kept);
		free(closed[closed_n]);
	}
}

static volatile sig_atomic_t stopped;
static void on_signal(int number) { stopped = number; }

int main(int n, char **args)
{
	struct rlimit r;
	struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
	if (n != 3) {
		fprintf(stderr, "relay PORT UPSTREAM_PORT\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &waiting_mask);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	epoll = epoll_create1(0);
	upstream_port = atoi(args[2]);
	struct side listener = {.fd = listen_on(atoi(args[1]))};
	want(&listener, EPOLL_CTL_ADD, EPOLLIN);
	while (!stopped)
		turn(&listener);
	return 0;
}
