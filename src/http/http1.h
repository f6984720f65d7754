/* HTTP/1.1 messages, sans I/O: bytes in, steps out (RFC 9112). One parser serves one direction of one connection and is
 * resumable at any byte: whatever the slicing of the input, the steps are the same (body pieces may be cut
 * differently). It is strict: a message whose length two readers could understand differently is refused, never
 * repaired. It knows nothing of sockets, clocks and threads.
 *
 *	span in = what arrived;
 *	for (;;)
 *		switch (http1_next(&p, &in)) {
 *		case HTTP1_MORE: return;                       // all of `in` is used; feed again
 *		case HTTP1_HEAD: look at p.head; continue;     // valid until HTTP1_END is followed by http1_next
 *		case HTTP1_BODY: look at p.body; continue;     // a loan inside `in`
 *		case HTTP1_END: message over, `in` may hold the next one; return or continue;
 *		case HTTP1_BAD: p.bad says why; nothing further is parsed;
 *		}
 */
#ifndef HTTP_HTTP1_H
#define HTTP_HTTP1_H

#include "base/buf.h"
#include "base/cause.h"

#include <stdint.h>

enum http1_role { HTTP1_REQUESTS, HTTP1_RESPONSES };

enum http1_step { HTTP1_MORE, HTTP1_HEAD, HTTP1_BODY, HTTP1_END, HTTP1_BAD };

/* How the length of the body is told (RFC 9112 §6.3). */
enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

struct http_field {
	span name;  /* as it came; compare with span_is_nocase */
	span value; /* trimmed */
};

/* The limits of one parser; each is in bytes or a count, and 0 stands for the default behind it. */
struct http1_limits {
	size_t line;   /* request or status line, without CRLF: 8 KiB; more is 414 for a request */
	size_t fields; /* all header lines together, with theirs: 32 KiB; more is 431 */
	size_t count;  /* header lines: 100; more is 431 */
};

struct http_head {
	int minor;       /* HTTP/1.minor: 0 or 1 */
	span method;     /* requests */
	span target;     /* requests: as it came */
	int status;      /* responses */
	span reason;     /* responses */
	const struct http_field *fields; /* of a request: without those with '_' in their names, which CGI-like servers
	                                  * could not tell from those with '-' */
	size_t fields_n;
	enum http_framing framing;
	uint64_t length; /* HTTP_LENGTH: bytes */
	bool keep_alive; /* the peer will read or send another message on this connection (RFC 9112 §9.3) */
	bool expect_continue; /* the client waits for 100 before it sends the body; never with HTTP/1.0 or without a body */
};

struct http1_fault {
	int status;          /* requests: what to answer: 400, 414, 417, 431, 501, 503 (no memory), 505; responses: 0 */
	const char *message; /* one sentence: what was wrong and what was expected; NULL: nothing */
};

struct http1 {
	/* For the caller to read. */
	struct http_head head;
	span body;
	struct http1_fault bad;
	uint64_t body_bytes; /* of this message so far, framing not counted */

	/* For http1.c. */
	enum http1_role role;
	struct http1_limits limits;
	int state;
	bool no_body;           /* the response belongs to a HEAD request */
	struct buf text;        /* the head's bytes; head's spans point into it */
	size_t line_at;         /* where in text the line begins that is being collected */
	size_t fields_at;       /* where the fields begin */
	size_t lines;           /* of fields; before a start line: empty lines passed over */
	struct http_field *table;
	size_t table_cap;
	uint64_t left;          /* bytes left of the body or chunk */
	size_t counted;         /* of the limit that the present state watches */
	size_t extensions;      /* bytes of chunk extensions in this body */
	int informational;      /* 1xx responses skipped */
};

void http1_init(struct http1 *p, enum http1_role role, struct http1_limits limits);
void http1_finish(struct http1 *p);

/* Takes from the front of *in what it needs for the next step. After HTTP1_END the next call starts a new message.
 * Interim 1xx responses are skipped (at most 10; 101 is bad). */
MUST enum http1_step http1_next(struct http1 *p, span *in);

/* Responses: call before the bytes of the response to a HEAD request. */
void http1_expect_no_body(struct http1 *p);

/* Gives back the memory of the head that was said last, not inside the next one. Its spans and fields become empty, what
 * else it says stays. For messages that are answered, or come, for long. */
void http1_forget_head(struct http1 *p);

/* What it means that the connection ended now. */
enum http1_eof {
	HTTP1_EOF_IDLE,  /* between messages: nothing was lost */
	HTTP1_EOF_ENDS,  /* the end of a close-delimited body: an end, but it proves nothing */
	HTTP1_EOF_HEAD,  /* inside a head, or between an interim response and the final one */
	HTTP1_EOF_CUTS,  /* inside a framed body, `0 CRLF` without its last CRLF included */
};
enum http1_eof http1_eof(const struct http1 *p);

/* Requests: true from the first byte of a message until its head is whole. */
bool http1_in_head(const struct http1 *p);

#endif
