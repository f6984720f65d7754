/* What session.c, exchange.c and server.c share: one client's connection and the exchange that it carries. Not for
 * others. */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "server/server.h"

#include <stdint.h>

enum {
	EARLY_BYTES = 16 * 1024,     /* of a pipelined request, read ahead of its turn; then reading stops */
	LINGER_BYTES = 256 * 1024,
		/* of a refused request, read and thrown away so that the answer is not erased by a reset … */
	LINGER_MS = 2000,            /* … for at most so long (RFC 9112 §9.6) */
	BODY_GRACE_MS = 5000,        /* after that a request body must come at … */
	BODY_BYTES_PER_S = 500,      /* … this rate on average */
	OUT_BYTES = 15 * 1024,
		/* of a response wait for the kernel before there is no room: with a usual event and its framing a buffer of
		 * 16 KiB, which the loop keeps for the next one. The kernel has a buffer of its own; this one need not be large,
		 * and thousands of viewers that do not read have one each */
	HEAD_MS = 10 * 1000,
	IDLE_MS = 75 * 1000,
	WRITE_TIMEOUT_MS = 30 * 1000,
	TLS_SAID_AT_ONCE = 10,         /* handshakes that failed are logged, a worker's first ten, … */
	TLS_SAID_EVERY_MS = 10 * 1000, /* … then one in so long: scanners try every port all day */
};

enum session_state {
	SESSION_SECURING, /* TLS: until its handshake is over */
	SESSION_WAITING,  /* for the first byte of a request */
	SESSION_HEAD,     /* inside a request's head */
	SESSION_EXCHANGE, /* a request is being answered */
	SESSION_FLUSHING, /* the last answer must still reach the kernel, then the end */
	SESSION_LINGERING,/* the answer is out, what the client still sends is thrown away */
	SESSION_CLOSED,
};

enum exchange_reading { READING_NOTHING, READING_WHOLE, READING_PIECES };
enum exchange_phase { PHASE_ASKED, PHASE_BEGUN };

struct exchange {
	const struct exchange_events *events;
	void *owner;
	struct url_target target;
	enum exchange_phase phase;
	enum exchange_reading reading;
	uint64_t body_limit;
	struct buf body;        /* collected … */
	size_t body_told;       /* … as far as the server's gauge knows of it */
	struct buf fields;      /* of the answer */
	bool request_whole;     /* the request's last byte was read */
	bool head_only;         /* HEAD */
	bool chunked;           /* the response is */
	bool until_close;       /* the response ends by close: HTTP/1.0 */
	bool wants_room;        /* room was asked for and there was none */
	bool half_close;        /* tolerated */
};

struct session {
	LIST_ENTRY(session) link;
	struct server *server;
	struct conn *conn;
	struct garbage garbage;
	enum session_state state;
	struct http1 parser;
	struct exchange exchange;
	struct buf early;      /* bytes behind the present request */
	struct alarm alarm;    /* the deadline of the present state */
	struct task proceed;   /* the answer begins: forget its request; it is over: go on with what came early */
	uint64_t body_since_ms, body_seen;
	size_t discarded;
	bool keep_alive;       /* after this exchange */
	bool paused;           /* exchange_pause_body */
	bool parsing;          /* the parser is on the stack */
	bool peer_done;        /* FIN was read */
	bool break_at_end;     /* SESSION_FLUSHING: with a reset */
};

struct server {
	struct loop *loop;
	struct listener *listener;
	struct server_limits limits;
	struct site site;
	struct tls_identity *tls; /* held; NULL: plain */
	uint64_t tls_saying_ms;   /* when all that was logged of failed handshakes had its time */
	uint64_t tls_unsaid;      /* … since the last line */
	LIST_HEAD(, session) sessions;
	struct quota *quota, own; /* of connections */
	struct gauge *bodies, own_bodies;
	struct garbage garbage;
	uint64_t accepted;        /* connections, ever */
	bool draining;
};

static inline struct session *session_of(const struct exchange *x)
{
	return (struct session *)((char *)x - offsetof(struct session, exchange));
}

void session_start(struct server *s, struct conn *c);
void session_close(struct session *s);                 /* at once; an exchange is told on_gone */
void session_leave(struct session *s);                 /* between two exchanges: says by TLS that nothing is missing */
void session_exchange_over(struct session *s);         /* by exchange.c: the answer is put, whole */
void session_exchange_broken(struct session *s);       /* by exchange.c: end visibly after what was put */
void session_linger(struct session *s);
	/* by exchange.c: the answer is put, the connection ends after it */
void session_read_body(struct session *s);             /* by exchange.c: the body was asked for */
void session_body_too_large(struct session *s);        /* 413, and the owner is told on_gone */
void session_pause(struct session *s, bool paused);

/* An answer without an exchange, and the connection's end: a head that could not be understood. */
void exchange_refuse_session(struct session *s, int status, const char *message);

#endif
