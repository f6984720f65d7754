/* The bare fan-out: what one send for each event and viewer costs, and nothing else. The first client's request goes to
 * the upstream as it came; what the upstream answers, head and framing included, goes to every client from its first byte
 * on, whatever it asked. Whoever parses, counts or names anything, or sends a second time, costs at least this.
 *
 *	fan PORT UPSTREAM_PORT
 *
 * One answer, kept whole, read by all at their own place. A client that takes no more is waited for; it ends when the
 * upstream does. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024, READY_AT_ONCE = 512, BACKLOG = 4096, CLIENTS_MAX = 9500, SAID_BYTES = 64 << 20 };

struct client {
	int fd;
	size_t at;     /* of what the upstream said */
	int has_asked; /* before that nothing is sent to it */
};

static int epoll, upstream = -1, upstream_port;
static struct client clients[CLIENTS_MAX];
static size_t clients_n, said_n;
static char *said;

static void fail(const char *what)
{
	fprintf(stderr, "fan: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int fd, int operation, uint32_t events, void *who)
{
	struct epoll_event e = {.events = events, .data.ptr = who};
	if (epoll_ctl(epoll, operation, fd, &e) != 0)
		fail("epoll_ctl");
}

static void tell(struct client *c)
{
	if (c->fd < 0 || !c->has_asked || c->at == said_n)
		return;
	ssize_t n = send(c->fd, said + c->at, said_n - c->at, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		close(c->fd);
		c->fd = -1;
		return;
	}
	c->at += n > 0 ? (size_t)n : 0;
	if (c->at < said_n)
		watch(c->fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT, c);
}

static void hear(void)
{
	ssize_t n = recv(upstream, said + said_n, SAID_BYTES - said_n, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close(upstream);
		upstream = -1;
		return;
	}
	said_n += (size_t)n;
	for (size_t i = 0; i < clients_n; i++)
		tell(&clients[i]);
}

static void ask(const char *request, size_t n)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)upstream_port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	upstream = socket(AF_INET, SOCK_STREAM, 0);
	if (upstream < 0 || connect(upstream, (struct sockaddr *)&a, sizeof a) != 0
		|| send(upstream, request, n, MSG_NOSIGNAL) != (ssize_t)n)
		fail("the upstream");
	watch(upstream, EPOLL_CTL_ADD, EPOLLIN, &upstream);
}

static void on_client(struct client *c, uint32_t events)
{
	static char request[BUFFER_BYTES];
	if (events & EPOLLOUT)
		watch(c->fd, EPOLL_CTL_MOD, EPOLLIN, c);
	ssize_t n = events & EPOLLOUT ? -1 : recv(c->fd, request, sizeof request, 0);
	if (n == 0) {
		close(c->fd);
		c->fd = -1;
		return;
	}
	if (n > 0 && upstream < 0 && !said_n)
		ask(request, (size_t)n);
	c->has_asked |= n > 0;
	tell(c);
}

static void accept_one(int listener)
{
	int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (clients_n == CLIENTS_MAX) {
		close(fd);
		return;
	}
	struct client *c = &clients[clients_n++];
	*c = (struct client){.fd = fd};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	watch(fd, EPOLL_CTL_ADD, EPOLLIN, c);
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

int main(int n, char **args)
{
	struct epoll_event ready[READY_AT_ONCE];
	struct rlimit r;
	if (n != 3) {
		fprintf(stderr, "fan PORT UPSTREAM_PORT\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	said = malloc(SAID_BYTES);
	epoll = epoll_create1(0);
	upstream_port = atoi(args[2]);
	int listener = listen_on(atoi(args[1]));
	watch(listener, EPOLL_CTL_ADD, EPOLLIN, &listener);
	if (!said)
		fail("malloc");
	for (;;)
		for (int i = 0, found = epoll_wait(epoll, ready, READY_AT_ONCE, -1); i < found; i++)
			if (ready[i].data.ptr == &listener)
				accept_one(listener);
			else if (ready[i].data.ptr == &upstream)
				hear();
			else
				on_client(ready[i].data.ptr, ready[i].events);
}
