/* Two ways to ask. A server of dialect `text` is asked as the mission's is: GET with ?prompt=. Every server with a
 * JSON dialect is asked by POST: the dialect says its smallest body that asks this question for a stream, the caller's
 * own members go up with it where they do not contradict it, and the route's `request:` wins over both. */
#include "gateway/ask.h"

#include "base/utf8.h"

#include <stdlib.h>

enum { TARGET_BYTES = 64 * 1024 }; /* servers and proxies refuse longer ones, with worse sentences */

json_t *ask_parse_body(span body, struct refusal *wrong)
{
	json_error_t error;
	json_t *root = json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	json_t *prompt = json_object_get(root, "prompt"), *messages = json_object_get(root, "messages");
	*wrong = (struct refusal){0};
	if (!root)
		*wrong = (struct refusal){400, "invalid_json", "The body is not valid JSON; expected an object like {\"prompt\": \"…\"}."};
	else if (!json_is_object(root))
		*wrong = (struct refusal){400, "invalid_body", "The body must be a JSON object like {\"prompt\": \"…\"}."};
	else if (prompt && messages)
		*wrong = (struct refusal){400, "invalid_body", "The body must have either \"prompt\" or \"messages\", not both."};
	else if (prompt && (!json_is_string(prompt) || json_string_length(prompt) == 0))
		*wrong = (struct refusal){400, "missing_prompt", "\"prompt\" must be a string that is not empty."};
	else if (messages && (!json_is_array(messages) || json_array_size(messages) == 0))
		*wrong = (struct refusal){400, "invalid_body", "\"messages\" must be an array that is not empty."};
	if (!wrong->status)
		return root;
	json_decref(root);
	return NULL;
}

static span prompt_of(const struct wanted *q)
{
	json_t *prompt = json_object_get(q->body, "prompt");
	return q->body ? span_of(json_string_value(prompt), json_string_length(prompt)) : q->prompt;
}

/* A body in the dialect's own words: it goes up as it is. */
static bool is_own(const struct dialect *d, const struct wanted *q)
{
	return d && d->own && json_object_get(q->body, d->own);
}

static bool asks_nothing(const struct dialect *d, const struct wanted *q)
{
	return q->body && !json_object_get(q->body, "prompt") && !json_object_get(q->body, "messages") && !is_own(d, q);
}

static bool wants_get(const struct dialect *d) { return d == NULL || !d->put_question; }

static bool make_get(const struct route *route, const struct wanted *q, struct asked *out, struct refusal *wrong)
{
	if (json_object_get(q->body, "messages")) {
		*wrong = (struct refusal){422, "messages", "This route's model server takes a single prompt; \"messages\" cannot be passed on."};
		return false;
	}
	buf_put(&out->query, SPAN("prompt="));
	url_encode(&out->query, prompt_of(q));
	upstream_put_target(&route->upstream[0], buf_span(&out->query), &out->target);
	if (out->target.n > TARGET_BYTES) {
		*wrong = (struct refusal){413, "prompt_too_large", "The prompt is too long for this route, which passes it on in a URL of at most 64 KiB."};
		return false;
	}
	out->request.method = SPAN("GET");
	return true;
}

/* The members of the dialect's own smallest body. NULL: the question cannot be put in this dialect, or is no valid
 * UTF-8. */
static json_t *smallest_body(const struct dialect *d, const struct wanted *q)
{
	json_t *messages = json_object_get(q->body, "messages");
	char *text = messages ? json_dumps(messages, JSON_COMPACT) : NULL;
	struct dialect_question asked = {.prompt = messages ? (span){0} : prompt_of(q), .messages = span_str(text)};
	struct buf body = {0};
	buf_put_byte(&body, '{');
	bool said = (text || utf8_is_valid(asked.prompt)) && d->put_question(&body, &asked);
	buf_put_byte(&body, '}');
	json_t *root = said && !body.failed ? json_loadb(body.p, body.n, JSON_ALLOW_NUL, NULL) : NULL;
	buf_finish(&body);
	free(text);
	return root;
}

/* The caller's, made to want a stream as the smallest body does. */
static json_t *own_body(const struct dialect *d, const struct wanted *q)
{
	json_t *body = json_copy(q->body), *least = smallest_body(d, &(struct wanted){.prompt = SPAN("?")});
	json_t *stream = json_object_get(least, "stream");
	if (body && stream)
		json_object_set(body, "stream", stream);
	json_decref(least);
	return body;
}

static json_t *body_of(const struct dialect *d, const struct wanted *q)
{
	bool has_question = json_object_get(q->body, "prompt") || json_object_get(q->body, "messages") || !q->body;
	json_t *body = has_question ? smallest_body(d, q) : NULL, *mine = q->body ? json_copy(q->body) : NULL;
	json_object_del(mine, "prompt");
	json_object_del(mine, "messages");
	if (json_object_get(body, "stream"))
		json_object_del(mine, "stream");
	if (body && mine && is_own(d, q))
		json_object_update(body, mine);
	else if (body && mine)
		json_object_update_missing(body, mine);
	json_decref(mine);
	return body || !is_own(d, q) ? body : own_body(d, q);
}

static json_t *merged_body(const struct route *route, const struct dialect *d, const struct wanted *q)
{
	json_t *body = body_of(d, q);
	if (body && route->upstream[0].is_model)
		json_object_set_new(body, "stream_options", json_pack("{s:b}", "include_usage", 1));
	if (body && route->request) {
		json_t *more = json_loads(route->request, JSON_ALLOW_NUL, NULL);
		json_object_update(body, more);
		json_decref(more);
	}
	return body;
}

static int dump(const char *bytes, size_t n, void *out)
{
	buf_put(out, span_of(bytes, n));
	return 0;
}

static unsigned choices_of(json_t *body)
{
	json_int_t n = json_integer_value(json_object_get(body, "n"));
	return n < 1 ? 1 : n > DIALECT_CHOICES ? DIALECT_CHOICES : (unsigned)n;
}

static bool make_post(const struct route *route, const struct dialect *d, const struct wanted *q, struct asked *out,
	struct refusal *wrong)
{
	json_t *body = merged_body(route, d, q);
	bool printed = body && json_dump_callback(body, dump, &out->body, JSON_COMPACT) == 0;
	out->rules.n = choices_of(body);
	json_decref(body);
	if (!printed && json_object_get(q->body, "messages")) {
		*wrong = (struct refusal){422, "messages", "These \"messages\" cannot be put to this route's model server; a single prompt can."};
		return false;
	}
	if (!printed) {
		*wrong = (struct refusal){400, "invalid_text", "The prompt is not valid UTF-8."};
		return false;
	}
	buf_put(&out->query, d->query);
	upstream_put_target(&route->upstream[0], d->query, &out->target);
	buf_put(&out->fields, SPAN("Content-Type: application/json\r\n"));
	if (d->fields)
		buf_put(&out->fields, span_str(d->fields));
	out->request.method = SPAN("POST");
	return true;
}

void ask_put_credential(const struct route *route, const struct dialect *d, struct buf *out)
{
	if (!route->auth_value)
		return;
	if (route->auth_header)
		buf_printf(out, "%s: ", route->auth_header);
	else
		buf_put(out, d && d->credential ? span_str(d->credential) : SPAN("Authorization: Bearer "));
	buf_printf(out, "%s\r\n", route->auth_value);
}

/* For whom it is asked. */
static void put_forwarded(const struct client *by, struct buf *out)
{
	span trace = headers_get(exchange_head(by->exchange), "traceparent");
	client_put_forwarded(by, out);
	if (by->host.p)
		buf_printf(out, "X-Forwarded-Host: %.*s\r\n", SPAN_ARG(by->host));
	if (trace.p && trace.n <= 128)
		buf_printf(out, "traceparent: %.*s\r\n", SPAN_ARG(trace));
}

static void put_fields(const struct route *route, const struct dialect *d, const struct client *by, struct buf *out)
{
	buf_printf(out, "Accept: %s\r\nUser-Agent: lastword/%s\r\n", d && d->syntax == SSE_NDJSON
		? "application/x-ndjson" : "text/event-stream", LASTWORD_VERSION);
	if (by)
		put_forwarded(by, out);
	ask_put_credential(route, d, out);
}

/* The dialect that the request is made for and, unless it is found out by the first event, the answer is read by. */
static const struct dialect *dialect_of(const struct route *route)
{
	if (!route->dialect_auto)
		return route->dialect;
	if (route->upstream[0].is_model)
		return &dialect_openai_chat;
	return dialect_by_path(route->upstream[0].url.path);
}

bool ask_make(const struct route *route, const struct wanted *q, const struct client *by, struct asked *out,
	struct refusal *wrong)
{
	const struct dialect *d = dialect_of(route);
	*out = (struct asked){
		.request = {.upstream = &route->upstream[0]},
		.rules = {
			.dialect = d, .text = route->text,
			.end_marker = route->end_marker, .finish_optional = route->finish_optional, .json = route->json,
			.queue_comments = route->upstream[0].is_model, .secret = span_str(route->auth_value), .n = 1,
				.event_limit = route->event_bytes, .stream_limit = route->stream_bytes,
		},
	};
	if (asks_nothing(d, q)) {
		*wrong = (struct refusal){400, "missing_prompt", "The body must have a \"prompt\" or \"messages\", or be one of the model server's own dialect."};
		return false;
	}
	put_fields(route, d, by, &out->fields);
	if (!(wants_get(d) ? make_get(route, q, out, wrong) : make_post(route, d, q, out, wrong)))
		return false;
	out->request.target = buf_span(&out->target);
	out->request.fields = buf_span(&out->fields);
	out->request.body = buf_span(&out->body);
	out->part = buf_span(&out->query);
	if (out->target.failed || out->query.failed || out->fields.failed || out->body.failed) {
		*wrong = (struct refusal){503, "overloaded", "There is no memory for this request now."};
		return false;
	}
	return true;
}

void asked_finish(struct asked *a)
{
	buf_finish(&a->target);
	buf_finish(&a->query);
	buf_finish(&a->fields);
	buf_finish(&a->body);
}
