/* The clients: each asks once, reads its answer, and believes nothing. Every event must come, once, whole and in order,
 * all of one upstream stream, and the answer must be framed whole and end with the last word that the plan names.
 * Anything else ends the run with an error, because a fast proxy that loses an event has not been measured.
 *
 * Chunks are decoded properly, since a proxy may cut them anywhere; what is in them is searched for '@' and '#' only, so
 * that the same code reads events that were copied and events that were written anew. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned clients_begun, clients_ended, clients_back;
uint64_t events_read;

enum { HEAD_BYTES = 4096, TAIL_BYTES = 512, OPENING_BYTES = 64, READ_BYTES = 64 * 1024 };

enum phase { PHASE_HEAD, PHASE_SIZE, PHASE_DATA, PHASE_DATA_END, PHASE_LAST, PHASE_OVER };

struct client {
	struct source source;
	enum phase phase;
	char line[HEAD_BYTES]; /* the head, then each chunk's size */
	size_t line_n, chunk_left;
	char digits[DIGITS];
	size_t token_n; /* bytes since '@', with it; 0 outside of a token */
	long slot;      /* of the upstream, -1 before the first event */
	uint32_t seq;
	uint32_t missed_until; /* of a client that comes back: the events that it must have to be back; 0: it is */
	uint64_t asked_ns;
	char opening[OPENING_BYTES]; /* of the body, where a stream's id stands */
	size_t opening_n;
	char id[32];
	char tail[TAIL_BYTES + 1];
	size_t tail_n;
};

static struct client *clients[STREAMS_MAX];
static unsigned clients_n;
static uint64_t read_at_ns;

static uint64_t number(const char *digits, size_t n)
{
	char text[TIME_DIGITS + 1] = "";
	memcpy(text, digits, n);
	return strtoull(text, NULL, 16);
}

static void look_whether_back(struct client *c)
{
	if (!c->missed_until || c->seq < c->missed_until)
		return;
	c->missed_until = 0;
	clients_back++;
	latency_add(read_at_ns - c->asked_ns);
}

static void on_token(struct client *c)
{
	long slot = (long)number(c->digits, SLOT_DIGITS);
	uint32_t seq = (uint32_t)number(c->digits + SLOT_DIGITS, SEQ_DIGITS);
	uint64_t sent_ns = number(c->digits + SLOT_DIGITS + SEQ_DIGITS, TIME_DIGITS);
	if (c->token_n != upstream_token_bytes())
		die("an event of %zu bytes, not %zu", c->token_n, upstream_token_bytes());
	if (c->slot >= 0 && slot != c->slot)
		die("an event of another stream");
	if (seq != c->seq)
		die("event %u came, %u was due", seq, c->seq);
	c->slot = slot;
	if (c->seq++ == 0)
		clients_begun++;
	events_read++;
	if (recording)
		latency_add(read_at_ns - sent_ns);
	c->token_n = 0;
	look_whether_back(c);
}

/* One step: up to the end of `p`, or of the token, or of its digits. */
static size_t scan_some(struct client *c, const char *p, size_t n)
{
	const char *end;
	size_t step = n;
	if (c->token_n == 0) {
		if ((end = memchr(p, '@', n))) {
			c->token_n = 1;
			step = (size_t)(end - p) + 1;
		}
		return step;
	}
	if (c->token_n <= DIGITS) {
		c->digits[c->token_n++ - 1] = *p;
		return 1;
	}
	if ((end = memchr(p, '#', n)))
		step = (size_t)(end - p) + 1;
	c->token_n += step;
	if (end)
		on_token(c);
	return step;
}

static void keep_tail(struct client *c, const char *p, size_t n)
{
	if (n > TAIL_BYTES) {
		p += n - TAIL_BYTES;
		n = TAIL_BYTES;
	}
	size_t keep = c->tail_n < TAIL_BYTES - n ? c->tail_n : TAIL_BYTES - n;
	memmove(c->tail, c->tail + c->tail_n - keep, keep);
	memcpy(c->tail + keep, p, n);
	c->tail_n = keep + n;
	c->tail[c->tail_n] = 0;
}

static void keep_opening(struct client *c, const char *p, size_t n)
{
	size_t room = OPENING_BYTES - 1 - c->opening_n;
	memcpy(c->opening + c->opening_n, p, n < room ? n : room);
	c->opening_n += n < room ? n : room;
}

static void scan(struct client *c, const char *p, size_t n)
{
	keep_opening(c, p, n);
	keep_tail(c, p, n);
	for (size_t at = 0; at < n;)
		at += scan_some(c, p + at, n - at);
}

static void on_head(struct client *c)
{
	if (strncmp(c->line, "HTTP/1.1 200", 12) != 0)
		die("the proxy answers: %.*s", (int)strcspn(c->line, "\r\n"), c->line);
	if (!strcasestr(c->line, "\r\ntransfer-encoding: chunked"))
		die("the answer is not chunked");
	c->phase = PHASE_SIZE;
	look_whether_back(c);
}

static void die_of_tail(struct client *c)
{
	const char *last = c->tail + (c->tail_n > 300 ? c->tail_n - 300 : 0);
	for (char *p = c->tail; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	die("an answer ends without '%s': %s", plan.last_word, last);
}

static void on_end(struct client *c)
{
	if (!strstr(c->tail, plan.last_word))
		die_of_tail(c);
	c->phase = PHASE_OVER;
	clients_ended++;
}

/* Lines: the whole head counts as one. */
static void on_line(struct client *c)
{
	if (c->phase == PHASE_HEAD)
		on_head(c);
	else if (c->phase == PHASE_DATA_END)
		c->phase = PHASE_SIZE;
	else if (c->phase == PHASE_LAST)
		on_end(c);
	else {
		c->chunk_left = strtoul(c->line, NULL, 16);
		c->phase = c->chunk_left ? PHASE_DATA : PHASE_LAST;
	}
}

static void gather_line(struct client *c, char byte)
{
	const char *end = c->phase == PHASE_HEAD ? "\r\n\r\n" : "\r\n";
	size_t n = strlen(end);
	if (c->line_n == HEAD_BYTES - 1)
		die("a line without end");
	c->line[c->line_n++] = byte;
	if (c->line_n < n || memcmp(c->line + c->line_n - n, end, n) != 0)
		return;
	c->line[c->line_n] = 0;
	c->line_n = 0;
	on_line(c);
}

static size_t take_data(struct client *c, const char *p, size_t n)
{
	size_t step = n < c->chunk_left ? n : c->chunk_left;
	scan(c, p, step);
	c->chunk_left -= step;
	if (!c->chunk_left)
		c->phase = PHASE_DATA_END;
	return step;
}

static void feed(struct client *c, const char *p, size_t n)
{
	for (size_t at = 0; at < n;)
		if (c->phase == PHASE_OVER)
			die("bytes behind the end of an answer");
		else if (c->phase == PHASE_DATA)
			at += take_data(c, p + at, n - at);
		else
			gather_line(c, p[at++]);
}

static void on_answer(struct source *s)
{
	static char bytes[READ_BYTES];
	struct client *c = (struct client *)s;
	ssize_t n = recv(s->fd, bytes, sizeof bytes, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 && c->phase == PHASE_OVER) { /* kept alive by the proxy for as long as it likes */
		close(s->fd);
		s->fd = -1;
		return;
	}
	if (n <= 0)
		die("an answer was broken off after %u events", c->seq);
	read_at_ns = now_ns();
	feed(c, bytes, (size_t)n);
}

static void ask(struct client *c, const char *text, int n)
{
	c->phase = PHASE_HEAD;
	c->line_n = c->token_n = c->tail_n = c->opening_n = 0;
	c->asked_ns = now_ns();
	if (c->source.fd < 0 || send(c->source.fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		die("a connection to the proxy has gone");
}

void client_ask(unsigned i)
{
	static const char body[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Tell me something.\"}],\"stream\":true}";
	char text[1024];
	int n = plan.chat
		? snprintf(text, sizeof text,
		           "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
		           "Accept: text/event-stream\r\nContent-Length: %zu\r\n\r\n%s", plan.target, plan.to_port, strlen(body), body)
		: snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n",
		           plan.target, plan.to_port);
	clients[i]->slot = -1;
	clients[i]->seq = 0;
	ask(clients[i], text, n);
}

/* The stream's id, out of the first block: "id: ID.n". */
static void take_id(struct client *c)
{
	char *at = strstr(c->opening, "id: ");
	size_t n = at ? strcspn(at + 4, ".\n") : 0;
	if (n == 0 || n >= sizeof c->id || at[4 + n] != '.')
		die("an answer that begins without a stream's id: %s", c->opening);
	memcpy(c->id, at + 4, n);
}

/* GET streams/ID, behind the event `seen`. */
static void ask_for_stream(struct client *c, uint32_t seen)
{
	char text[512];
	ask(c, text, snprintf(text, sizeof text, "GET /streams/%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n"
	                      "Last-Event-ID: %s.%u\r\n\r\n", c->id, plan.to_port, c->id, seen));
}

/* A connect over loopback returns at once while the proxy's backlog has room; the caller opens few at a time. */
static int connect_to_proxy(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan.to_port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		die("port %d: %s", plan.to_port, strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static struct client *create(unsigned i)
{
	struct client *c = calloc(1, sizeof *c);
	if (!c)
		die("no memory for a client");
	c->source = (struct source){connect_to_proxy(), on_answer};
	c->slot = -1;
	clients[i] = c;
	clients_n = i + 1;
	watch(&c->source);
	return c;
}

void client_open(unsigned i)
{
	create(i);
	client_ask(i);
}

void client_join(unsigned i, unsigned other)
{
	if (plan.join_alike) {
		client_open(i);
		return;
	}
	struct client *c = create(i);
	take_id(clients[other]);
	memcpy(c->id, clients[other]->id, sizeof c->id);
	ask_for_stream(c, 0);
}

void clients_close(void)
{
	for (unsigned i = 0; i < clients_n; i++)
		if (clients[i]->source.fd >= 0)
			close(clients[i]->source.fd);
}

void clients_cut(void)
{
	clients_close();
	for (unsigned i = 0; i < clients_n; i++) {
		clients[i]->source.fd = -1;
		take_id(clients[i]);
	}
	clients_back = 0;
}

void client_return(unsigned i)
{
	struct client *c = clients[i];
	c->source.fd = connect_to_proxy();
	watch(&c->source);
	c->missed_until = upstream_sent((unsigned)c->slot);
	ask_for_stream(c, c->seq);
}
