/* One byte stream over a socket, on libuv.
 *
 * Writing: conn_put gathers, and a task of the loop tries one send(2) at the end of the turn for each conn that was put
 * to: all who put are done by then, and the thousand sends of a stream's viewers stand in one row, which keeps both
 * their code and the kernel's warm. What the kernel does not take goes on as the one uv_write in flight (libuv's try
 * would ask first whether one is, which is known here), whose memory is the very buffer that was gathered, while new
 * bytes gather in a second one. Its request lives as long as the flight, because most conns never need one. A FIN is
 * sent by shutdown(2): nothing is in flight then, and libuv's would be a request of its own.
 *
 * Reading: libuv 1.44 reports data followed by a reset as data and then UV_EOF. Whether a stream was cut by FIN or by
 * reset is evidence, so on UV_EOF the socket is asked itself. The kernel tells an error once, to whoever asks first;
 * if a write heard of the reset, the read will only see an end, so that is remembered.
 *
 * TLS: what is put gathers as plaintext and is encrypted when the turn's write is made, so that many small puts are
 * one record; what is read is decrypted on its way to the owner.
 *
 * Invariants
 * 1. on_end is called at most once with CONN_FIN and at most once with another end, which is the last; never after
 *    conn_close or conn_reset.
 * 2. No callback is called from inside a function of this file that the owner called.
 * 3. At most one uv_write is in flight; `flight` is its memory and is not touched before it is done.
 * 4. A failed write does not end the conn while reading is on: what the peer said before it broke is read first. */
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TLS_RECORD_BYTES = 16 * 1024, NOTSENT_BYTES = 16 * 1024, KEEPALIVE_IDLE_S = 30, KEEPALIVE_INTERVAL_S = 10,
	KEEPALIVE_PROBES = 3 };

struct conn {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	struct loop *loop;
	const struct conn_events *events;
	void *owner;
	struct tls *tls;    /* NULL: plain */
	struct buf plain;   /* with TLS: what was put, not encrypted yet */
	struct buf out, flight;
	size_t flight_left; /* bytes of flight that are not known to be taken */
	TAILQ_ENTRY(conn) link; /* among the loop's unsent, while it is_unsent */
	int fd;             /* the handle's; -1 once it is closed */
	int write_error;    /* libuv's; writing is over */
	bool is_unsent, is_tcp, reading, read_over, in_flight, ended, wants_shutdown, closed;
	char peer[INET6_ADDRSTRLEN + 8];
	bool peer_is_loopback;
};

static void send_all(void *owner);

static void send_later(struct conn *c)
{
	if (c->is_unsent)
		return;
	c->is_unsent = true;
	TAILQ_INSERT_TAIL(&c->loop->unsent, c, link);
	task_queue(c->loop, &c->loop->send);
}

/* It is sent for now, or closed. */
static void send_not(struct conn *c)
{
	if (!c->is_unsent)
		return;
	c->is_unsent = false;
	TAILQ_REMOVE(&c->loop->unsent, c, link);
}

static void name_peer(struct conn *c)
{
	struct sockaddr_storage a;
	int n = sizeof a;
	snprintf(c->peer, sizeof c->peer, "unix");
	c->peer_is_loopback = true;
	if (!c->is_tcp || uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &n) != 0)
		return;
	char ip[INET6_ADDRSTRLEN] = "";
	if (a.ss_family == AF_INET) {
		struct sockaddr_in *v4 = (void *)&a;
		uv_ip4_name(v4, ip, sizeof ip);
		snprintf(c->peer, sizeof c->peer, "%s:%u", ip, ntohs(v4->sin_port));
		c->peer_is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	} else {
		struct sockaddr_in6 *v6 = (void *)&a;
		const unsigned char *b = v6->sin6_addr.s6_addr;
		uv_ip6_name(v6, ip, sizeof ip);
		snprintf(c->peer, sizeof c->peer, "[%s]:%u", ip, ntohs(v6->sin6_port));
		c->peer_is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)
			&& b[12] == 127);
	}
}

struct conn *conn_take_fd(struct loop *l, int fd, bool is_tcp)
{
	struct conn *c = calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return NULL;
	}
	c->loop = l;
	if (!l->send.run)
		task_init(&l->send, send_all, l);
	c->is_tcp = is_tcp;
	c->fd = fd;
	int status = is_tcp ? uv_tcp_init(&l->uv, &c->tcp) : uv_pipe_init(&l->uv, &c->pipe, 0);
	CHECK(status == 0);
	c->handle.data = c;
	status = is_tcp ? uv_tcp_open(&c->tcp, fd) : uv_pipe_open(&c->pipe, fd);
	if (status != 0) {
		close(fd);
		conn_close(c);
		return NULL;
	}
	if (is_tcp)
		uv_tcp_nodelay(&c->tcp, 1);
	name_peer(c);
	return c;
}

void conn_set_owner(struct conn *c, const struct conn_events *events, void *owner)
{
	c->events = events;
	c->owner = owner;
}

static void end(struct conn *c, enum conn_end how, const char *why)
{
	if (c->ended || c->closed || (how == CONN_FIN && c->read_over))
		return;
	c->read_over = true;
	c->ended = how != CONN_FIN;
	if (c->reading)
		uv_read_stop(&c->stream);
	c->reading = false;
	c->events->on_end(c->owner, how, why);
}

/* What UV_EOF really was: see the essay. */
static void end_of_reading(struct conn *c)
{
	if (c->tls) {
		end(c, CONN_LOST, tls_why(c->tls));
		return;
	}
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (c->write_error || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
		end(c, CONN_RESET, "connection reset by peer");
	else if (n < 0 && errno != EAGAIN)
		end(c, CONN_LOST, strerror(errno));
	else
		end(c, CONN_FIN, "connection closed by peer");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct conn *c = handle->data;
	*out = (uv_buf_t){.base = c->loop->read_buffer, .len = LOOP_READ_BYTES};
}

/* The owner may close the conn in any of these calls, so that is asked each time. */
static void take_ciphertext(struct conn *c, span in)
{
	char plain[TLS_RECORD_BYTES];
	size_t n;
	tls_feed(c->tls, in);
	while (!c->closed && !c->ended)
		switch (tls_next(c->tls, plain, sizeof plain, &n)) {
		case TLS_MORE:
			if (c->out.n)
				send_later(c);
			return;
		case TLS_SECURED:
			c->events->on_secured(c->owner);
			break;
		case TLS_BYTES:
			c->events->on_bytes(c->owner, span_of(plain, n));
			break;
		case TLS_CLOSED:
			end(c, CONN_FIN, "connection closed by peer");
			return;
		case TLS_BROKEN:
			end(c, CONN_LOST, tls_why(c->tls));
			return;
		}
}

bool conn_start_tls(struct conn *c, const struct tls_trust *trust, const char *host)
{
	c->tls = tls_create(trust, host, &c->out);
	if (c->tls)
		take_ciphertext(c, (span){0});
	return c->tls;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct conn *c = stream->data;
	if (n > 0 && c->tls)
		take_ciphertext(c, span_of(bytes->base, (size_t)n));
	else if (n > 0)
		c->events->on_bytes(c->owner, span_of(bytes->base, (size_t)n));
	else if (n == UV_EOF)
		end_of_reading(c);
	else if (n == UV_ECONNRESET)
		end(c, CONN_RESET, "connection reset by peer");
	else if (n < 0)
		end(c, CONN_LOST, uv_strerror((int)n));
}

void conn_read(struct conn *c, bool on)
{
	if (c->read_over || c->closed || c->reading == on)
		return;
	c->reading = on;
	if (on)
		CHECK(uv_read_start(&c->stream, on_alloc, on_read) == 0);
	else
		uv_read_stop(&c->stream);
}

size_t conn_waiting(const struct conn *c) { return c->plain.n + c->out.n + c->flight_left; }

static void drained(struct conn *c)
{
	if (c->wants_shutdown) {
		c->wants_shutdown = false;
		shutdown(c->fd, SHUT_WR);
	}
	if (c->events->on_drained)
		c->events->on_drained(c->owner);
}

static void writing_failed(struct conn *c, int status)
{
	c->write_error = status;
	buf_finish(&c->plain);
	buf_finish(&c->out);
	buf_finish(&c->flight);
	c->flight_left = 0;
	if (!c->reading)
		end(c, status == UV_ECONNRESET || status == UV_EPIPE ? CONN_RESET : CONN_LOST, uv_strerror(status));
}

static void on_written(uv_write_t *write, int status)
{
	struct conn *c = write->data;
	free(write);
	c->in_flight = false;
	if (c->closed)
		return;
	loop_return_buf(c->loop, &c->flight);
	c->flight_left = 0;
	if (status != 0)
		writing_failed(c, status);
	else if (c->out.n || c->plain.n)
		send_later(c);
	else
		drained(c);
}

static void fly(struct conn *c, size_t taken)
{
	c->flight = c->out;
	c->out = (struct buf){0};
	c->flight_left = c->flight.n - taken;
	uv_write_t *write = calloc(1, sizeof *write);
	if (!write) {
		writing_failed(c, UV_ENOMEM);
		end(c, CONN_LOST, "out of memory");
		return;
	}
	c->in_flight = true;
	write->data = c;
	uv_buf_t rest = uv_buf_init(c->flight.p + taken, (unsigned)c->flight_left);
	int status = uv_write(write, &c->stream, &rest, 1, on_written);
	if (status == 0)
		return;
	free(write);
	c->in_flight = false;
	writing_failed(c, status);
}

static void encrypt(struct conn *c)
{
	if (c->plain.n && (c->plain.failed || !tls_put(c->tls, buf_span(&c->plain))))
		c->out.failed = true;
	loop_return_buf(c->loop, &c->plain);
	if (c->wants_shutdown)
		tls_close(c->tls);
}

/* How much the kernel takes at once, or libuv's word for why it takes nothing any more. */
static ssize_t try_send(int fd, span bytes)
{
	ssize_t n;
	do
		n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == ENOBUFS ? 0 : uv_translate_sys_error(errno);
}

static void flush(struct conn *c)
{
	if (c->closed || c->in_flight || c->write_error)
		return;
	if (c->tls && tls_is_secured(c->tls))
		encrypt(c);
	if (c->out.failed) {
		writing_failed(c, UV_ENOMEM);
		end(c, CONN_LOST, "out of memory");
		return;
	}
	if (!c->out.n) {
		drained(c);
		return;
	}
	ssize_t taken = try_send(c->fd, buf_span(&c->out));
	if (taken < 0)
		writing_failed(c, (int)taken);
	else if ((size_t)taken == c->out.n) {
		loop_return_buf(c->loop, &c->out);
		drained(c);
	} else
		fly(c, (size_t)taken);
}

static void send_all(void *owner)
{
	struct loop *l = owner;
	struct conn *c;
	while ((c = TAILQ_FIRST(&l->unsent))) {
		send_not(c);
		flush(c);
	}
}

struct buf *conn_room(struct conn *c, size_t more)
{
	if (c->closed || c->write_error)
		return NULL;
	struct buf *out = c->tls ? &c->plain : &c->out;
	if (!out->p)
		*out = loop_borrow_buf(c->loop);
	send_later(c);
	return buf_reserve(out, more) ? out : NULL;
}

void conn_put(struct conn *c, span bytes)
{
	struct buf *out = conn_room(c, bytes.n);
	if (out)
		buf_put(out, bytes);
}

void conn_shutdown(struct conn *c)
{
	if (c->closed || c->write_error)
		return;
	c->wants_shutdown = true;
	send_later(c);
}

static void set_option(int fd, int level, int option, int value)
{
	/* Refusals (an old kernel, a socket that has just been reset) only cost the optimisation or the early notice. */
	(void)!setsockopt(fd, level, option, &value, sizeof value);
}

void conn_set_write_timeout(struct conn *c, uint64_t ms)
{
	int fd = c->fd;
	if (!c->is_tcp || fd < 0)
		return;
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms > INT32_MAX ? INT32_MAX : (int)ms);
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;
	tls_destroy(c->tls);
	buf_finish(&c->plain);
	buf_finish(&c->out);
	buf_finish(&c->flight);
	free(c);
}

void conn_close(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	send_not(c);
	uv_close(&c->handle, on_closed);
	c->fd = -1;
}

void conn_reset(struct conn *c)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	if (!c->closed && c->is_tcp)
		(void)!setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	conn_close(c);
}

bool conn_is_quiet(const struct conn *c)
{
	char byte;
	return !c->read_over && !c->write_error && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

const char *conn_peer(const struct conn *c) { return c->peer; }

bool conn_peer_is_loopback(const struct conn *c) { return c->peer_is_loopback; }
