/* Telling streams from everything else.
 *
 * A stream that is not recognised loses only its true end; something else that is taken for a stream would be torn to
 * pieces. So a dialect must be named by the route, or by a path that nobody uses for anything else, or by the members of
 * the first event; and the last is asked only of answers to a POST, because whoever GETs an event stream waits for its
 * head, which is held back while we look.
 *
 * A request for a stream that is answered with something else is a stream too: one that failed. */
#include "gateway/recognise.h"

#include <stdlib.h>

enum { AHEAD_BYTES = 256 * 1024 }; /* a longer first event is no token of anybody's */

const struct dialect *recognise_dialect(const struct route *r, const struct exchange *x)
{
	if (!r->dialect_auto)
		return r->dialect;
	return dialect_by_path(exchange_target(x)->path);
}

bool recognise_wants_stream(const struct dialect *d, const struct exchange *x, const struct asking *a)
{
	const struct url_target *t = exchange_target(x);
	return d && dialect_wants_stream(d, t->path, t->query, a->stream);
}

static bool is_type(const struct http_head *head, const char *type)
{
	return span_is_nocase(headers_media_type(headers_get(head, "content-type")), type);
}

static bool has_syntax(const struct http_head *head, enum sse_syntax syntax)
{
	return is_type(head, syntax == SSE_NDJSON ? "application/x-ndjson" : "text/event-stream");
}

/* The Model Context Protocol speaks in event streams that answer no question. */
static bool is_mcp(const struct http_head *head)
{
	return headers_get(head, "mcp-protocol-version").p || headers_get(head, "mcp-session-id").p;
}

static bool is_perhaps(const struct exchange *x, const struct http_head *answer)
{
	const struct http_head *head = exchange_head(x);
	bool has_events = has_syntax(answer, SSE_EVENT_STREAM) || has_syntax(answer, SSE_NDJSON);
	return has_events && !headers_get(answer, "content-encoding").n && !is_mcp(answer) && !is_mcp(head) &&
	       span_is(head->method, "POST");
}

enum recognised recognise_answer(const struct dialect *d, bool wants_stream, const struct exchange *x,
	const struct http_head *answer)
{
	if (answer->status != 200 || (x && exchange_is_head(x)))
		return RECOGNISED_PIPE;
	if (d)
		return has_syntax(answer, d->syntax) || wants_stream ? RECOGNISED_STREAM : RECOGNISED_PIPE;
	return x && is_perhaps(x, answer) ? RECOGNISED_PERHAPS : RECOGNISED_PIPE;
}

struct ahead *ahead_create(const struct http_head *answer)
{
	span type = headers_get(answer, "content-type");
	struct ahead *a = calloc(1, sizeof *a);
	if (!a || !(a->content_type = strndup(type.p, type.n))) {
		free(a);
		return NULL;
	}
	sse_init(&a->sse, has_syntax(answer, SSE_NDJSON) ? SSE_NDJSON : SSE_EVENT_STREAM, AHEAD_BYTES);
	return a;
}

void ahead_destroy(struct ahead *a)
{
	if (!a)
		return;
	sse_finish(&a->sse);
	buf_finish(&a->bytes);
	free(a->content_type);
	free(a);
}

bool ahead_take(struct ahead *a, span piece, const struct dialect **d)
{
	*d = NULL;
	buf_put(&a->bytes, piece);
	for (;;)
		switch (sse_next(&a->sse, &piece)) {
		case SSE_MORE:
			return a->bytes.n > AHEAD_BYTES;
		case SSE_COMMENT:
			break;
		case SSE_EVENT:
			if (!a->sse.event.has_data)
				break;
			*d = dialect_by_event(a->sse.syntax, &a->sse.event);
			return true;
		case SSE_TOO_LARGE:
		case SSE_NO_MEMORY:
			return true;
		}
}
