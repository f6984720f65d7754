/* Dialling: several sockets race, one conn comes out.
 *
 * `localhost` is ::1 first while many a model server listens on 127.0.0.1 only; names have dead addresses among good
 * ones. So the addresses of a name are tried in turn without waiting for the slow ones (RFC 8305 in its simplest
 * form). Connecting is done on plain descriptors behind uv_poll, so that the winner can become a conn and the others
 * just be closed. A Unix socket's connect is immediate, except that a full backlog says EAGAIN: then it is tried again
 * until the caller's clock ends it.
 *
 * Invariants
 * 1. done is called exactly once and never from inside dial_start; after it, and after dial_cancel, nothing is left.
 * 2. Every descriptor is in one attempt, and an attempt's descriptor is closed or given away exactly once. */
#include "net/dial.h"

#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NEXT_ADDRESS_MS = 250, UNIX_AGAIN_MS = 10 };

struct attempt {
	uv_poll_t poll; /* first, so that its close callback can free the attempt */
	struct dial *dial;
	int fd;
	char name[INET6_ADDRSTRLEN + 8];
};

struct dial {
	struct resolver *resolver;
	struct loop *loop;
	struct garbage garbage;
	struct resolve_wait wait;
	struct resolved addresses;
	size_t next;                 /* address to try */
	struct attempt *attempt[RESOLVE_ADDRESSES];
	size_t racing;
	struct alarm alarm;          /* the next address, or a Unix socket again */
	struct task begin;
	dial_done *done;
	void *owner;
	struct buf tried;            /* for the detail */
	char host[256];
	uint16_t port;
	struct sockaddr_storage socket;
	socklen_t socket_bytes;
};

static void free_attempt(uv_handle_t *handle) { free(handle); }

/* Gives the descriptor back when it is wanted, or closes it. */
static int end_attempt(struct attempt *a, bool keep_fd)
{
	int fd = a->fd;
	uv_close((uv_handle_t *)&a->poll, free_attempt);
	if (!keep_fd)
		close(fd);
	return keep_fd ? fd : -1;
}

static void free_dial(void *p)
{
	struct dial *d = p;
	buf_finish(&d->tried);
	free(d);
}

static void wind_up(struct dial *d)
{
	for (size_t i = 0; i < d->addresses.n; i++)
		if (d->attempt[i])
			end_attempt(d->attempt[i], false);
	alarm_clear(&d->alarm);
	task_cancel(d->loop, &d->begin);
	if (d->host[0])
		resolve_cancel(d->resolver, span_str(d->host), &d->wait);
	loop_free_later(d->loop, &d->garbage, d, free_dial);
}

static void succeed(struct dial *d, int fd, bool is_tcp)
{
	struct conn *c = conn_take_fd(d->loop, fd, is_tcp);
	wind_up(d);
	d->done(d->owner, c, c ? NULL : "out of memory");
}

static void fail(struct dial *d)
{
	const char *detail = buf_cstr(&d->tried);
	wind_up(d);
	d->done(d->owner, NULL, detail && *detail ? detail : "no address to connect to");
}

static void note(struct dial *d, const char *name, int error)
{
	buf_printf(&d->tried, "%s%s: %s", d->tried.n ? "; " : "", name, strerror(error));
}

static void try_next(struct dial *d);

static void on_writable(uv_poll_t *poll, int status, int what)
{
	struct attempt *a = (struct attempt *)poll;
	struct dial *d = a->dial;
	int error = 0;
	socklen_t n = sizeof error;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	for (size_t i = 0; i < d->addresses.n; i++)
		if (d->attempt[i] == a)
			d->attempt[i] = NULL;
	d->racing--;
	if (!error) {
		succeed(d, end_attempt(a, true), true);
		return;
	}
	note(d, a->name, error);
	end_attempt(a, false);
	try_next(d);
}

static void name_address(const struct sockaddr_storage *s, char *out, size_t n)
{
	char ip[INET6_ADDRSTRLEN] = "";
	if (s->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)s;
		uv_ip4_name(v4, ip, sizeof ip);
		snprintf(out, n, "%s:%u", ip, ntohs(v4->sin_port));
	} else {
		const struct sockaddr_in6 *v6 = (const void *)s;
		uv_ip6_name(v6, ip, sizeof ip);
		snprintf(out, n, "[%s]:%u", ip, ntohs(v6->sin6_port));
	}
}

/* 0 when the attempt is under way, else errno. */
static int start_attempt(struct dial *d, size_t i, const struct sockaddr_storage *to, const char *name)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	socklen_t n = to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (connect(fd, (const struct sockaddr *)to, n) != 0 && errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		return error;
	}
	struct attempt *a = calloc(1, sizeof *a);
	if (!a || uv_poll_init(&d->loop->uv, &a->poll, fd) != 0) {
		free(a);
		close(fd);
		return ENOMEM;
	}
	a->dial = d;
	a->fd = fd;
	snprintf(a->name, sizeof a->name, "%s", name);
	uv_poll_start(&a->poll, UV_WRITABLE, on_writable);
	d->attempt[i] = a;
	d->racing++;
	return 0;
}

static void try_next(struct dial *d)
{
	while (d->next < d->addresses.n) {
		size_t i = d->next++;
		struct sockaddr_storage to = d->addresses.address[i];
		if (to.ss_family == AF_INET)
			((struct sockaddr_in *)&to)->sin_port = htons(d->port);
		else
			((struct sockaddr_in6 *)&to)->sin6_port = htons(d->port);
		char name[INET6_ADDRSTRLEN + 8];
		name_address(&to, name, sizeof name);
		int error = start_attempt(d, i, &to, name);
		if (!error) {
			alarm_set(&d->alarm, NEXT_ADDRESS_MS);
			return;
		}
		note(d, name, error);
	}
	if (!d->racing)
		fail(d);
}

static void dial_unix(struct dial *d)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&d->socket, d->socket_bytes) == 0) {
		succeed(d, fd, false);
		return;
	}
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (error == EAGAIN) {
		alarm_set(&d->alarm, UNIX_AGAIN_MS);
		return;
	}
	note(d, "Unix socket", error);
	fail(d);
}

static void on_alarm(void *owner)
{
	struct dial *d = owner;
	if (d->socket_bytes)
		dial_unix(d);
	else
		try_next(d);
}

static void on_resolved(void *owner, const struct resolved *addresses, const char *why)
{
	struct dial *d = owner;
	if (addresses)
		d->addresses = *addresses;
	else
		buf_put(&d->tried, span_str(why));
	try_next(d);
}

static bool is_address(const char *host, struct resolved *out)
{
	memset(&out->address[0], 0, sizeof out->address[0]);
	struct sockaddr_in *v4 = (void *)&out->address[0];
	struct sockaddr_in6 *v6 = (void *)&out->address[0];
	out->n = 1;
	return uv_ip4_addr(host, 0, v4) == 0 || uv_ip6_addr(host, 0, v6) == 0;
}

static void begin(void *owner)
{
	struct dial *d = owner;
	if (d->socket_bytes)
		dial_unix(d);
	else if (is_address(d->host, &d->addresses))
		try_next(d);
	else {
		d->addresses.n = 0;
		if (!resolve_name(d->resolver, span_str(d->host), &d->wait))
			on_resolved(d, NULL, "out of memory");
	}
}

struct dial *dial_start(struct resolver *r, const struct dial_to *to, dial_done *done, void *owner)
{
	struct dial *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->resolver = r;
	d->loop = resolver_loop(r);
	d->done = done;
	d->owner = owner;
	d->port = to->port;
	d->wait = (struct resolve_wait){.on_resolved = on_resolved, .owner = d};
	CHECK(to->host.n < sizeof d->host && to->socket_bytes <= sizeof d->socket);
	if (to->host.n)
		memcpy(d->host, to->host.p, to->host.n);
	if (to->socket_bytes)
		memcpy(&d->socket, to->socket, to->socket_bytes);
	d->socket_bytes = to->socket_bytes;
	alarm_init(&d->alarm, d->loop, on_alarm, d);
	task_init(&d->begin, begin, d);
	task_queue(d->loop, &d->begin);
	return d;
}

void dial_cancel(struct dial *d) { wind_up(d); }

const char *dial_progress(struct dial *d)
{
	if (!d->tried.n)
		for (size_t i = 0; i < d->addresses.n; i++)
			if (d->attempt[i])
				return d->attempt[i]->name;
	const char *s = buf_cstr(&d->tried);
	return s ? s : "";
}
