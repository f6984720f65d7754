/* The answering side of an exchange, as HTTP/1.1 writes it.
 *
 * A streamed answer is chunked and keep-alive and never says `Connection: close`: a client library was seen to take a
 * cut for a clean end when it reads that field (and closing after the last chunk without having said so is allowed).
 * HTTP/1.0 knows no chunks: there the end of the body is the end of the connection, and a break is told by a reset.
 *
 * Invariants
 * 1. One head for each exchange; nothing is put before it.
 * 2. What could not be printed whole, for want of memory, is a break of the connection at the end of the turn.
 * 3. exchange_answer, exchange_end, exchange_break and the refusals are last calls: the session goes on by itself. */
#include "server/session.h"

#include "sse/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"}, {201, "Created"}, {204, "No Content"}, {304, "Not Modified"}, {400, "Bad Request"}, {401,
		"Unauthorized"},
	{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408,
		"Request Timeout"},
	{409, "Conflict"}, {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"}, {417,
		"Expectation Failed"},
	{421, "Misdirected Request"}, {422, "Unprocessable Content"}, {426, "Upgrade Required"}, {429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {501, "Not Implemented"}, {502,
		"Bad Gateway"},
	{503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* One exchange's answer is put together in one buffer and put in one piece. */
static void put_date(struct buf *out)
{
	char text[64];
	time_t now = time(NULL);
	struct tm t;
	gmtime_r(&now, &t);
	strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &t);
	buf_put(out, span_str(text));
}

static void put_head(struct exchange *x, struct buf *out, int status, const char *content_type, int64_t length,
	bool close)
{
	bool has_body = status != 204 && status != 304;
	buf_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	put_date(out);
	if (content_type)
		buf_printf(out, "Content-Type: %s\r\n", content_type);
	if (has_body && length >= 0)
		buf_printf(out, "Content-Length: %lld\r\n", (long long)length);
	else if (x && x->chunked)
		buf_put(out, SPAN("Transfer-Encoding: chunked\r\n"));
	if (close)
		buf_put(out, SPAN("Connection: close\r\n"));
	if (x)
		buf_put(out, buf_span(&x->fields));
	if (x && x->fields.failed)
		out->failed = true;
	buf_put(out, SPAN("\r\n"));
}

/* Gives what was put together to the connection; without memory the client sees a break, never a half message as
 * whole. */
static void send_and_finish(struct session *s, struct buf *out)
{
	if (out->failed)
		conn_fail(s->conn);
	else
		conn_put(s->conn, buf_span(out));
	buf_finish(out);
}

void exchange_set_owner(struct exchange *x, const struct exchange_events *events, void *owner)
{
	x->events = events;
	x->owner = owner;
}

void *exchange_owner(const struct exchange *x) { return x->owner; }
struct loop *exchange_loop(const struct exchange *x) { return session_of(x)->server->loop; }
const struct http_head *exchange_head(const struct exchange *x) { return &session_of(x)->parser.head; }
const struct url_target *exchange_target(const struct exchange *x) { return &x->target; }
const char *exchange_peer(const struct exchange *x) { return conn_peer(session_of(x)->conn); }
bool exchange_peer_is_loopback(const struct exchange *x) { return conn_peer_is_loopback(session_of(x)->conn); }
bool exchange_is_secure(const struct exchange *x) { return conn_is_secured(session_of(x)->conn); }
bool exchange_is_head(const struct exchange *x) { return x->head_only; }
void exchange_tolerate_half_close(struct exchange *x) { x->half_close = true; }
void exchange_set_write_timeout(struct exchange *x, uint64_t ms) { conn_set_write_timeout(session_of(x)->conn, ms); }
void exchange_pause_body(struct exchange *x, bool paused) { session_pause(session_of(x), paused); }

static void ask_for_body(struct exchange *x, enum exchange_reading reading, uint64_t limit)
{
	struct session *s = session_of(x);
	x->reading = reading;
	x->body_limit = limit;
	if (s->parser.head.framing == HTTP_LENGTH && s->parser.head.length > limit)
		session_body_too_large(s);
	else
		session_read_body(s);
}

void exchange_collect_body(struct exchange *x, uint64_t limit) { ask_for_body(x, READING_WHOLE, limit); }
void exchange_read_body(struct exchange *x, uint64_t limit) { ask_for_body(x, READING_PIECES, limit); }

void exchange_field(struct exchange *x, const char *name, span value)
{
	buf_printf(&x->fields, "%s: ", name);
	buf_put(&x->fields, value);
	buf_put(&x->fields, SPAN("\r\n"));
}

void exchange_retry_after(struct exchange *x, unsigned seconds)
{
	buf_printf(&x->fields, "Retry-After: %u\r\n", seconds);
}

static bool closes_after(const struct exchange *x)
{
	const struct session *s = session_of(x);
	return !s->keep_alive || !x->request_whole || s->server->draining;
}

static void answer(struct exchange *x, int status, const char *content_type, const struct buf *body, bool close)
{
	struct session *s = session_of(x);
	struct buf out = {.failed = body->failed};
	CHECK(x->phase == PHASE_ASKED);
	put_head(x, &out, status, content_type, (int64_t)body->n, close);
	if (!x->head_only)
		buf_put(&out, buf_span(body));
	send_and_finish(s, &out);
	if (close)
		session_linger(s);
	else
		session_exchange_over(s);
}

void exchange_answer(struct exchange *x, int status, const char *content_type, span body)
{
	const struct buf lent = {.p = (char *)body.p, .n = body.n};
	answer(x, status, content_type, &lent, closes_after(x));
}

void exchange_answer_printed(struct exchange *x, int status, const char *content_type, const struct buf *body)
{
	answer(x, status, content_type, body, closes_after(x));
}

static const char *error_type(int status)
{
	return status == 401 ? "authentication_error" : status == 403 ? "permission_error" : status == 429
		? "rate_limit_error"
	     : status >= 500 ? "server_error" : "invalid_request_error";
}

static void put_error(struct buf *out, int status, const char *code, const char *message)
{
	buf_put(out, SPAN("{\"error\":{\"message\":"));
	sse_print_json_string(out, span_str(message));
	buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":", error_type(status));
	if (code)
		buf_printf(out, "\"%s\"", code);
	else
		buf_put(out, SPAN("null"));
	buf_put(out, SPAN("}}\n"));
}

static void refuse(struct exchange *x, int status, const char *code, const char *message, bool close)
{
	struct buf body = {0};
	put_error(&body, status, code, message);
	answer(x, status, "application/json", &body, close);
	buf_finish(&body);
}

void exchange_refuse(struct exchange *x, int status, const char *code, const char *message)
{
	refuse(x, status, code, message, closes_after(x));
}

void exchange_refuse_and_close(struct exchange *x, int status, const char *code, const char *message)
{
	refuse(x, status, code, message, true);
}

void exchange_refuse_session(struct session *s, int status, const char *message)
{
	struct buf out = {0}, body = {0};
	put_error(&body, status, NULL, message);
	out.failed = body.failed;
	put_head(NULL, &out, status, "application/json", (int64_t)body.n, true);
	buf_put(&out, buf_span(&body));
	buf_finish(&body);
	send_and_finish(s, &out);
	session_linger(s);
}

void exchange_begin(struct exchange *x, int status, const char *content_type, int64_t length)
{
	struct session *s = session_of(x);
	struct buf out = {0};
	CHECK(x->phase == PHASE_ASKED);
	x->phase = PHASE_BEGUN;
	bool has_body = status != 204 && status != 304;
	x->chunked = has_body && length < 0 && s->parser.head.minor >= 1;
	x->until_close = has_body && length < 0 && s->parser.head.minor == 0;
	put_head(x, &out, status, content_type, length, x->until_close || (length >= 0 && closes_after(x)));
	send_and_finish(s, &out);
	buf_finish(&x->fields);
	task_queue(s->server->loop, &s->proceed);
}

size_t exchange_room(struct exchange *x)
{
	size_t waiting = conn_waiting(session_of(x)->conn);
	size_t room = waiting < OUT_BYTES ? OUT_BYTES - waiting : 0;
	x->wants_room = room == 0;
	return room;
}

enum { CHUNK_FRAMING = 2 * sizeof(size_t) + 4 };

/* Returns the bytes that it wrote. */
static size_t print_chunk_size(char *out, size_t n)
{
	size_t digits = 1;
	for (size_t more = n / 16; more; more /= 16)
		digits++;
	for (size_t at = digits; at-- > 0; n /= 16)
		out[at] = "0123456789abcdef"[n % 16];
	memcpy(out + digits, "\r\n", 2);
	return digits + 2;
}

static void put_chunk(struct conn *c, span bytes)
{
	struct buf *out = conn_room(c, bytes.n + CHUNK_FRAMING);
	if (!out)
		return;
	out->n += print_chunk_size(out->p + out->n, bytes.n);
	memcpy(out->p + out->n, bytes.p, bytes.n);
	memcpy(out->p + out->n + bytes.n, "\r\n", 2);
	out->n += bytes.n + 2;
}

void exchange_put(struct exchange *x, span bytes)
{
	struct conn *c = session_of(x)->conn;
	CHECK(x->phase == PHASE_BEGUN);
	if (!bytes.n || x->head_only)
		return;
	if (x->chunked)
		put_chunk(c, bytes);
	else
		conn_put(c, bytes);
}

void exchange_put_printed(struct exchange *x, const struct buf *bytes)
{
	if (bytes->failed)
		conn_fail(session_of(x)->conn);
	else
		exchange_put(x, buf_span(bytes));
}

void exchange_end(struct exchange *x)
{
	struct session *s = session_of(x);
	CHECK(x->phase == PHASE_BEGUN);
	if (x->chunked && !x->head_only)
		conn_put(s->conn, SPAN("0\r\n\r\n"));
	session_exchange_over(s);
}

void exchange_break(struct exchange *x)
{
	struct session *s = session_of(x);
	CHECK(x->phase == PHASE_BEGUN);
	session_exchange_broken(s);
}
