/* One byte stream over a socket, read and written with recv(2) and send(2) when libuv's poll says that it can be. libuv's
 * own streams are not used: 1.44 reports data followed by a reset as data and then an end, and whether a stream was cut
 * by FIN or by reset is evidence.
 *
 * Reading: one recv for each time that the loop finds bytes, so that nobody waits for a peer that sends without end. The
 * kernel tells an error once, to whoever asks first; if a send heard of the reset, the read will only see an end, so that
 * is remembered.
 *
 * Writing: conn_put gathers, and a task of the loop makes one send at the end of the turn for each conn that was put to:
 * all who put are done by then, and the thousand sends of a stream's viewers stand in one row, which keeps both their
 * code and the kernel's warm. What the kernel does not take stays in `out` until the socket can be written to; what is
 * put meanwhile comes behind it.
 *
 * What waits from one turn to the next is told to the loop as memory in use: the buffers, not the bytes in them. A turn
 * whose bytes are all taken by the kernel at once tells nothing, which is nearly every one.
 *
 * TLS: what is put gathers as plaintext and is encrypted when the turn's send is made, so that many small puts are
 * one record of at most 16 KiB; what is read is decrypted on its way to the owner. Its alerts go out at once: who reads
 * of an end closes. A client that is expected to speak TLS gets its TLS with its first byte, so that thousands who say
 * nothing cost nothing; a first byte of something else makes the conn a plain one, whose owner can say so.
 *
 * Invariants
 * 1. on_end is called at most once with CONN_FIN and at most once with another end, which is the last; never after
 *    conn_close or conn_reset.
 * 2. No callback is called from inside a function of this file that the owner called.
 * 3. While `is_stuck`, the kernel has taken less of `out` than it was given, and nothing is sent until it has room.
 * 4. A failed send does not end the conn while reading is on: what the peer said before it broke is read first.
 * 5. Memory that ran out under what was put ends the conn at the end of the turn, by a reset: nothing goes out behind
 *    a hole. */
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
	uv_poll_t poll;
	struct loop *loop;
	const struct conn_events *events;
	void *owner;
	struct tls *tls;    /* NULL: plain */
	struct tls_identity *as; /* TLS is expected, its first byte has not come; held */
	struct buf plain;   /* with TLS: what was put, not encrypted yet */
	struct buf out;
	size_t taken;       /* bytes of out that the kernel has */
	size_t told;        /* memory of both that the loop's gauge knows of */
	TAILQ_ENTRY(conn) link; /* among the loop's unsent, while it is_unsent */
	int fd;             /* -1 once it is closed */
	int interest;       /* what is polled for: UV_READABLE, UV_WRITABLE */
	int send_error;     /* errno's; sending is over */
	bool is_unsent, is_stuck, is_tcp, reading, read_over, ended, wants_shutdown, wants_cut, closed;
	bool breaks;        /* bytes were lost: a close must not look like an end */
	char peer[INET6_ADDRSTRLEN + 8];
	bool peer_is_loopback;
};

static void flush(struct conn *c);
static void send_all(void *loop);

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

static void set_option(int fd, int level, int option, int value)
{
	/* Refusals (an old kernel, a socket that has just been reset) only cost the optimisation or the early notice. */
	(void)!setsockopt(fd, level, option, &value, sizeof value);
}

static void name_peer(struct conn *c)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	snprintf(c->peer, sizeof c->peer, "unix");
	c->peer_is_loopback = true;
	if (!c->is_tcp || getpeername(c->fd, (struct sockaddr *)&a, &n) != 0)
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
	if (!c || uv_poll_init(&l->uv, &c->poll, fd) != 0) {
		free(c);
		close(fd);
		return NULL;
	}
	c->poll.data = c;
	c->loop = l;
	c->is_tcp = is_tcp;
	c->fd = fd;
	if (!l->send.run)
		task_init(&l->send, send_all, l);
	if (is_tcp)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	name_peer(c);
	return c;
}

void conn_set_owner(struct conn *c, const struct conn_events *events, void *owner)
{
	c->events = events;
	c->owner = owner;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_for_what_is_wanted(struct conn *c)
{
	int wanted = (c->reading ? UV_READABLE : 0) | (c->is_stuck ? UV_WRITABLE : 0);
	if (c->closed || c->interest == wanted)
		return;
	c->interest = wanted;
	if (wanted)
		uv_poll_start(&c->poll, wanted, on_poll);
	else
		uv_poll_stop(&c->poll);
}

static void end(struct conn *c, enum conn_end how, const char *why)
{
	if (c->ended || c->closed || (how == CONN_FIN && c->read_over))
		return;
	c->read_over = true;
	c->reading = false;
	c->ended = how != CONN_FIN;
	poll_for_what_is_wanted(c);
	c->events->on_end(c->owner, how, why);
}

static void end_for(struct conn *c, int error)
{
	if (error == ECONNRESET || error == EPIPE)
		end(c, CONN_RESET, "connection reset by peer");
	else
		end(c, CONN_LOST, uv_strerror(uv_translate_sys_error(error)));
}

static void broken_tls(struct conn *c)
{
	if (c->out.n && !c->is_stuck && !c->send_error)
		(void)!send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
	end(c, CONN_LOST, tls_why(c->tls));
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
			broken_tls(c);
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

void conn_expect_tls(struct conn *c, struct tls_identity *as) { c->as = tls_identity_hold(as); }

/* false: there is no memory for TLS, and that was told. */
static bool judge_first_byte(struct conn *c, char first)
{
	bool is_tls = first == TLS_FIRST_BYTE;
	if (is_tls)
		c->tls = tls_create_serving(c->as, &c->out);
	tls_identity_drop(c->as);
	c->as = NULL;
	if (is_tls && !c->tls)
		end(c, CONN_LOST, "out of memory");
	return c->tls || !is_tls;
}

static void take(struct conn *c, span in)
{
	if (c->as && !judge_first_byte(c, *in.p))
		return;
	if (c->tls)
		take_ciphertext(c, in);
	else
		c->events->on_bytes(c->owner, in);
}

static void take_fin(struct conn *c)
{
	if (c->tls)
		end(c, CONN_LOST, tls_why(c->tls));
	else if (c->send_error)
		end(c, CONN_RESET, "connection reset by peer");
	else
		end(c, CONN_FIN, "connection closed by peer");
}

/* False: no more can be read now. */
static bool read_some(struct conn *c)
{
	ssize_t n = recv(c->fd, c->loop->read_buffer, LOOP_READ_BYTES, 0);
	if (n > 0)
		take(c, span_of(c->loop->read_buffer, (size_t)n));
	else if (n == 0)
		take_fin(c);
	else if (errno != EAGAIN && errno != EINTR)
		end_for(c, errno);
	else
		return false;
	return c->reading && !c->closed;
}

/* After a send, never for a put. */
static void tell_held(struct conn *c) { loop_tell_output(c->loop, &c->told, c->plain.cap + c->out.cap); }

/* libuv tells of an error once and polls no more: then all is read that came before it. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;
	bool is_broken = status < 0;
	if (is_broken)
		c->interest = 0;
	if (c->is_stuck && (is_broken || events & UV_WRITABLE)) {
		c->is_stuck = false;
		send_not(c);
		flush(c);
		tell_held(c);
	}
	if (c->reading && (is_broken || events & UV_READABLE))
		while (read_some(c) && is_broken)
			;
	poll_for_what_is_wanted(c);
}

void conn_read(struct conn *c, bool on)
{
	c->reading = on && !c->read_over;
	poll_for_what_is_wanted(c);
}

size_t conn_waiting(const struct conn *c) { return c->plain.n + c->out.n - c->taken; }

static void drained(struct conn *c)
{
	if (c->wants_shutdown) {
		c->wants_shutdown = false;
		shutdown(c->fd, SHUT_WR);
	}
	if (c->events->on_drained)
		c->events->on_drained(c->owner);
}

static void sending_failed(struct conn *c, int error)
{
	c->send_error = error;
	c->breaks = error == ENOMEM;
	c->taken = 0;
	buf_finish(&c->plain);
	buf_finish(&c->out);
	if (!c->reading || error == ENOMEM)
		end_for(c, error);
}

static void encrypt(struct conn *c)
{
	if (c->plain.n && !c->out.p && !c->out.failed)
		c->out = loop_borrow_buf(c->loop);
	if (c->plain.failed || (c->plain.n && !tls_put(c->tls, buf_span(&c->plain))))
		c->out.failed = true;
	loop_return_buf(c->loop, &c->plain);
	if (c->wants_shutdown && !c->wants_cut)
		tls_close(c->tls);
}

/* What the kernel has goes out of the buffer when that is most of it: else a conn that is never quite drained would
 * grow, and a large rest would be moved for each piece of it. */
static void get_stuck(struct conn *c)
{
	if (c->taken > c->out.n / 2) {
		buf_drop_front(&c->out, c->taken);
		c->taken = 0;
	}
	c->is_stuck = true;
	poll_for_what_is_wanted(c);
}

static void send_out(struct conn *c)
{
	ssize_t n = send(c->fd, c->out.p + c->taken, c->out.n - c->taken, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		sending_failed(c, errno);
		return;
	}
	c->taken += n > 0 ? (size_t)n : 0;
	if (c->taken < c->out.n) {
		get_stuck(c);
		return;
	}
	c->taken = 0;
	loop_return_buf(c->loop, &c->out);
	drained(c);
}

static void flush(struct conn *c)
{
	if (c->is_stuck || c->send_error)
		return;
	if (c->tls && tls_is_secured(c->tls))
		encrypt(c);
	if (c->out.failed)
		sending_failed(c, ENOMEM);
	else if (c->out.n)
		send_out(c);
	else
		drained(c);
}

static void send_all(void *loop)
{
	struct loop *l = loop;
	struct conn *c;
	while ((c = TAILQ_FIRST(&l->unsent))) {
		send_not(c);
		flush(c);
		tell_held(c);
	}
}

struct buf *conn_room(struct conn *c, size_t more)
{
	if (c->closed || c->send_error)
		return NULL;
	struct buf *out = c->tls ? &c->plain : &c->out;
	if (out->failed)
		return NULL;
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

void conn_fail(struct conn *c)
{
	if (c->closed || c->send_error)
		return;
	(c->tls ? &c->plain : &c->out)->failed = true;
	send_later(c);
}

void conn_shutdown(struct conn *c)
{
	if (c->closed || c->send_error)
		return;
	c->wants_shutdown = true;
	send_later(c);
}

void conn_cut(struct conn *c)
{
	c->wants_cut = true;
	conn_shutdown(c);
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

static void on_closed(uv_handle_t *poll)
{
	struct conn *c = poll->data;
	tls_destroy(c->tls);
	tls_identity_drop(c->as);
	buf_finish(&c->plain);
	buf_finish(&c->out);
	tell_held(c);
	free(c);
}

/* The peer must not take what it has for all: a body that only the close ends would look whole. */
static void reset_at_close(struct conn *c)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	if (!c->closed && c->is_tcp)
		(void)!setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void conn_close(struct conn *c)
{
	if (c->closed)
		return;
	if (c->breaks)
		reset_at_close(c);
	c->closed = true;
	send_not(c);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	close(c->fd);
	c->fd = -1;
}

void conn_reset(struct conn *c)
{
	reset_at_close(c);
	conn_close(c);
}

bool conn_is_quiet(const struct conn *c)
{
	char byte;
	return !c->read_over && !c->send_error && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

const char *conn_peer(const struct conn *c) { return c->peer; }

bool conn_is_secured(const struct conn *c) { return c->tls && tls_is_secured(c->tls); }

bool conn_is_shaking_hands(const struct conn *c) { return c->tls && !tls_is_secured(c->tls); }

bool conn_peer_is_loopback(const struct conn *c) { return c->peer_is_loopback; }
