/* The model server that never stalls: answers each request with an event stream and sends an event when it is told.
 *
 * One event is one chunk is one write, as servers do it. An event is a template whose digits are patched in place, so
 * that the generator stays cheap beside what it measures: '@', slot, number, the time of sending in nanoseconds, and
 * filling up to '#'. Neither sign occurs anywhere else. An event that the kernel does not take at once is fatal: the
 * run would otherwise measure a queue of ours. */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned upstream_streaming, upstream_accepted, upstream_requests;

enum { REQUEST_BYTES = 16 * 1024, EVENT_BYTES = 8 * 1024, BACKLOG = 4096 };

struct upstream {
	struct source source;
	char *request;
	size_t n;
	uint32_t seq;
};

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n";
static const char chat_before[] = "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                                  "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
static const char chat_behind[] = "\"},\"finish_reason\":null}]}";
static const char chat_finish[] = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                                  "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
static const char done[] = "data: [DONE]\n\n";

/* The head stands before the first event, which goes out with it. */
static char template[EVENT_BYTES];
static size_t event_at, digits_at, template_bytes, token_bytes;
static struct upstream *streams[STREAMS_MAX];

static void build_template(void)
{
	const char *before = plan.chat ? chat_before : "", *behind = plan.chat ? chat_behind : "";
	size_t around = strlen(before) + strlen(behind);
	if (plan.payload < around + DIGITS + 2 || plan.payload > EVENT_BYTES / 2)
		die("--payload must be between %zu and %d", around + DIGITS + 2, EVENT_BYTES / 2);
	token_bytes = plan.payload - around;
	event_at = strlen(head);
	int n = snprintf(template, sizeof template, "%s%zx\r\ndata: %s@", head, strlen("data: \n\n") + plan.payload, before);
	digits_at = (size_t)n;
	memset(template + n, '.', token_bytes - 2);
	n += (int)token_bytes - 2;
	n += snprintf(template + n, sizeof template - (size_t)n, "#%s\n\n\r\n", behind);
	template_bytes = (size_t)n;
}

size_t upstream_token_bytes(void) { return token_bytes; }

static void patch(size_t at, size_t digits, uint64_t value)
{
	for (size_t i = digits; i-- > 0; value >>= 4)
		template[at + i] = "0123456789abcdef"[value & 15];
}

static void send_whole(struct upstream *u, const char *p, size_t n)
{
	ssize_t sent = send(u->source.fd, p, n, MSG_NOSIGNAL);
	if (sent < 0 || (size_t)sent != n)
		die("the proxy takes no more: %s", sent < 0 ? strerror(errno) : "a part of an event");
}

static void send_event(unsigned slot, size_t from)
{
	struct upstream *u = streams[slot];
	patch(digits_at, SLOT_DIGITS, slot);
	patch(digits_at + SLOT_DIGITS, SEQ_DIGITS, u->seq++);
	patch(digits_at + SLOT_DIGITS + SEQ_DIGITS, TIME_DIGITS, now_ns());
	send_whole(u, template + from, template_bytes - from);
}

void upstream_send(unsigned slot)
{
	if (slot >= STREAMS_MAX || !streams[slot])
		die("stream %u was broken off by the proxy", slot);
	send_event(slot, event_at);
}

uint32_t upstream_sent(unsigned slot) { return streams[slot] ? streams[slot]->seq : 0; }

void upstream_end(unsigned slot)
{
	char text[1024];
	const char *finish = plan.chat ? chat_finish : "";
	int n = snprintf(text, sizeof text, "%zx\r\n%s%s\r\n0\r\n\r\n", strlen(finish) + strlen(done), finish, done);
	send_whole(streams[slot], text, (size_t)n);
	streams[slot] = NULL;
	upstream_streaming--;
}

static void begin(struct upstream *u)
{
	unsigned slot = 0;
	while (slot < STREAMS_MAX && streams[slot])
		slot++;
	if (slot == STREAMS_MAX)
		die("more streams than slots");
	streams[slot] = u;
	upstream_streaming++;
	upstream_requests++;
	u->n = 0;
	u->seq = 0;
	send_event(slot, 0);
}

/* Whole by Content-Length or by the last chunk; what a proxy under test sends is not checked further. */
static bool request_is_whole(struct upstream *u)
{
	u->request[u->n] = 0;
	char *end = strstr(u->request, "\r\n\r\n");
	if (!end)
		return false;
	char *length = strcasestr(u->request, "\r\ncontent-length:");
	if (length && length < end)
		return u->n >= (size_t)(end + 4 - u->request) + strtoul(length + 17, NULL, 10);
	char *coding = strcasestr(u->request, "\r\ntransfer-encoding:");
	return !coding || coding > end || strstr(end + 2, "\r\n0\r\n\r\n");
}

static void leave(struct upstream *u)
{
	for (unsigned slot = 0; slot < STREAMS_MAX; slot++)
		if (streams[slot] == u) {
			streams[slot] = NULL;
			upstream_streaming--;
		}
	close(u->source.fd);
	free(u->request);
	free(u);
}

static void on_request(struct source *s)
{
	struct upstream *u = (struct upstream *)s;
	ssize_t n = recv(s->fd, u->request + u->n, REQUEST_BYTES - 1 - u->n, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		leave(u);
		return;
	}
	u->n += (size_t)n;
	if (request_is_whole(u))
		begin(u);
}

static void on_connection(struct source *s)
{
	int on = 1, fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct upstream *u = calloc(1, sizeof *u);
	if (fd < 0 || !u || !(u->request = malloc(REQUEST_BYTES)))
		die("accept: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	u->source = (struct source){fd, on_request};
	upstream_accepted++;
	watch(&u->source);
}

void upstream_listen(void)
{
	static struct source listener;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan.port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, BACKLOG) != 0)
		die("port %d: %s", plan.port, strerror(errno));
	build_template();
	listener = (struct source){fd, on_connection};
	watch(&listener);
}
