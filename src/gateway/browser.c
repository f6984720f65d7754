/* Starting work: on a browser route a prompt becomes a stream and the exchange its first viewer; POST /streams makes
 * the stream and only says where it is.
 *
 * The order of questions is the point. A place comes first: it costs nothing and must be answered even when the gateway
 * is full. Then an idempotency key: it may name work that is already paid. Only then is new work begun, if the
 * guards allow it and there is room. A native EventSource that reads a status other than 200 gives up for good, so
 * "full" is said to it as an empty stream with a retry time: the browser comes back by itself. */
#include "gateway/endpoints.h"

#include "base/log.h"
#include "gateway/ask.h"
#include "gateway/guard.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { BODY_BYTES = 1 << 20, KEY_BYTES = 256 };

/* Everything that a start needs beside the question. */
struct start {
	struct worker *worker;
	struct exchange *exchange;
	struct config *config;                 /* a loan; where the route is from */
	const struct route *route;
	void (*greet)(struct exchange *x, struct stream *s, bool is_new); /* answers the exchange */
	span key;                              /* p NULL: none */
	unsigned char digest[SHELF_DIGEST];    /* of the question */
};

static void answer_busy(struct worker *w, struct exchange *x)
{
	struct buf out = {0};
	unsigned jitter = 0;
	(void)!getrandom(&jitter, sizeof jitter, 0);
	uint64_t retry_ms = w->config->retry_ms;
	buf_printf(&out, "retry: %llu\n\n", (unsigned long long)(retry_ms + jitter % (2 * retry_ms + 1)));
	exchange_field(x, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_begin(x, 200, "text/event-stream", -1);
	exchange_put(x, buf_span(&out));
	exchange_end(x);
	buf_finish(&out);
}

static void greet_viewer(struct exchange *x, struct stream *s, bool is_new) { viewer_open(x, stream_admit(s), 0); }

static void greet_maker(struct exchange *x, struct stream *s, bool is_new)
{
	struct buf out = {0};
	char location[sizeof "streams/" + ID_LENGTH];
	snprintf(location, sizeof location, "streams/%s", s->face->id.text);
	buf_printf(&out, "{\"id\":\"%s\",\"url\":\"%s\"}\n", s->face->id.text, location);
	exchange_field(x, "Location", span_str(location));
	exchange_field(x, "Cache-Control", SPAN("no-store"));
	exchange_answer(x, is_new ? 201 : 200, "application/json", buf_span(&out));
	buf_finish(&out);
}

static void refuse_busy(struct exchange *x)
{
	exchange_field(x, "Retry-After", SPAN("1"));
	exchange_refuse(x, 503, "overloaded", "The gateway takes no new work now; ask again in a moment.");
}

/* Keys of different callers are different keys: the route, and the page's cookie. */
static void put_scope(const struct start *s, struct buf *out)
{
	span cookie = headers_cookie(exchange_head(s->exchange), "lastword_page");
	buf_put(out, span_str(s->route->path));
	buf_put_byte(out, '\n');
	buf_put(out, cookie);
}

/* True when the key named a stream, or was wrong: the exchange is answered. */
static bool attach_by_key(const struct start *s, span scope)
{
	struct shelf_entry *entry = shelf_find_key(&s->worker->shelf, scope, s->key);
	if (!entry)
		return false;
	if (!shelf_has_digest(entry, s->digest)) {
		exchange_refuse(s->exchange, 422, "idempotency_key_reused",
			"That idempotency key was used with another request.");
		return true;
	}
	s->worker->metrics.attached[ATTACHED_BY_KEY]++;
	s->greet(s->exchange, (struct stream *)((char *)entry - offsetof(struct stream, entry)), false);
	return true;
}

static void begin(const struct start *s, const struct wanted *q, span scope)
{
	struct asked asked;
	struct refusal wrong;
	struct stream *stream = NULL;
	if (!ask_make(s->route, q, s->exchange, &asked, &wrong))
		exchange_refuse(s->exchange, wrong.status, wrong.code, wrong.message);
	else if (!(stream = stream_start(s->worker, &(struct stream_plan){.config = s->config, .route = s->route,
		.request = &asked.request, .part = asked.part, .rules = &asked.rules, .peer = exchange_peer(s->exchange)})))
		exchange_refuse(s->exchange, 503, "overloaded", "There is no memory for another stream now.");
	asked_finish(&asked);
	if (!stream)
		return;
	if (s->key.p && shelf_take_key(&stream->entry, scope, s->key, s->digest) != CAUSE_NONE)
		log_say(LOG_WARN, "no_memory", "a stream could not keep its idempotency key");
	s->greet(s->exchange, stream, true);
}

static void start(struct start *s, const struct wanted *q)
{
	struct buf scope = {0};
	put_scope(s, &scope);
	bool attached = !scope.failed && s->key.p && attach_by_key(s, buf_span(&scope));
	bool is_full = scope.failed || worker_is_full(s->worker);
	if (!attached && is_full && s->greet == greet_maker)
		refuse_busy(s->exchange);
	else if (!attached && is_full)
		answer_busy(s->worker, s->exchange);
	else if (!attached)
		begin(s, q, buf_span(&scope));
	buf_finish(&scope);
}

static bool key_is_fine(span key)
{
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] < 0x20 || key.p[i] > 0x7e)
			return false;
	return key.n >= 1 && key.n <= KEY_BYTES;
}

/* The key that the request carries, in its header or (GET) its query. false: answered with 400. */
static bool find_key(struct start *s, struct buf *storage)
{
	span key = headers_get(exchange_head(s->exchange), "idempotency-key");
	if (!key.p && url_query_get(exchange_target(s->exchange)->query, "idempotency_key", storage) != URL_ABSENT)
		key = storage->p ? buf_span(storage) : SPAN("");
	s->key = key;
	if (!key.p || key_is_fine(key))
		return true;
	exchange_refuse(s->exchange, 400, "bad_idempotency_key",
		"An idempotency key is 1 to 256 bytes of printable ASCII.");
	return false;
}

static void digest(const char *kind, span bytes, unsigned char out[SHELF_DIGEST])
{
	SHA256_CTX c;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	SHA256_Init(&c);
	SHA256_Update(&c, kind, strlen(kind) + 1);
	SHA256_Update(&c, bytes.p ? bytes.p : "", bytes.n);
	SHA256_Final(out, &c);
#pragma GCC diagnostic pop
}

static bool resumed(struct worker *w, struct exchange *x)
{
	struct buf storage = {0};
	span place;
	bool answered = !streams_place(x, &storage, &place);
	if (!answered && place.p) {
		streams_resume(w, x, place);
		answered = true;
	}
	buf_finish(&storage);
	return answered;
}

static const char *prompt_complaint(enum url_query found, const struct buf *prompt)
{
	return found == URL_ABSENT ? "Say what to ask: ?prompt=TEXT."
	     : found == URL_BAD ? "The prompt is not well percent-encoded."
	     : prompt->n == 0 ? "The prompt is empty." : NULL;
}

void browser_get(struct worker *w, struct exchange *x, const struct route *route)
{
	struct start s = {.worker = w, .exchange = x, .config = w->config, .route = route, .greet = greet_viewer};
	struct buf prompt = {0}, key = {0};
	if (resumed(w, x) || !guard_start(w, x))
		return;
	enum url_query found = url_query_get(exchange_target(x)->query, "prompt", &prompt);
	const char *wrong = prompt_complaint(found, &prompt);
	if (wrong)
		exchange_refuse(x, 400, "missing_prompt", wrong);
	else if (find_key(&s, &key)) {
		digest("prompt", buf_span(&prompt), s.digest);
		start(&s, &(struct wanted){.prompt = buf_span(&prompt)});
	}
	buf_finish(&prompt);
	buf_finish(&key);
}

/* A POST whose body is on its way. */
struct post {
	struct worker *worker;
	struct config *config;     /* held */
	const struct route *route; /* NULL: POST /streams, the body may name it */
	struct exchange *exchange;
};

static const struct route *named_route(const struct config *c, json_t *name)
{
	for (size_t i = 0; i < c->routes; i++)
		if (c->route[i].kind == ROUTE_BROWSER && (!name || (json_is_string(name) && strcmp(json_string_value(name),
			c->route[i].path) == 0)))
			return &c->route[i];
	return NULL;
}

/* `route` is ours, everything else is the question. */
static bool choose_route(struct start *s, json_t *root)
{
	if (s->route)
		return true;
	s->route = named_route(s->config, json_object_get(root, "route"));
	json_object_del(root, "route");
	if (!s->route)
		exchange_refuse(s->exchange, 404, "unknown_route", "\"route\" names no browser route of this gateway.");
	return s->route;
}

static void answer_post(struct start *s, span body)
{
	struct refusal wrong;
	struct buf key = {0};
	json_t *root = ask_parse_body(body, &wrong);
	if (!root)
		exchange_refuse(s->exchange, wrong.status, wrong.code, wrong.message);
	else if (choose_route(s, root) && find_key(s, &key)) {
		json_t *prompt = json_object_get(root, "prompt");
		if (prompt && json_object_size(root) == 1) /* the same question as a GET's */
			digest("prompt", span_of(json_string_value(prompt), json_string_length(prompt)), s->digest);
		else
			digest("body", body, s->digest);
		start(s, &(struct wanted){.body = root});
	}
	json_decref(root);
	buf_finish(&key);
}

static void free_post(void *memory)
{
	struct post *p = memory;
	config_drop(p->config);
	free(p);
}

static void on_post_body(void *owner, span body)
{
	struct post *p = owner;
	struct start s = {.worker = p->worker, .exchange = p->exchange, .config = p->config, .route = p->route,
		.greet = p->route ? greet_viewer : greet_maker};
	loop_free_later(&p->worker->loop, p, free_post);
	answer_post(&s, body);
}

static void on_post_gone(void *owner)
{
	struct post *p = owner;
	loop_free_later(&p->worker->loop, p, free_post);
}

static void collect_post(struct worker *w, struct exchange *x, const struct route *route)
{
	static const struct exchange_events events = {.on_request = on_post_body, .on_gone = on_post_gone};
	struct post *p = malloc(sizeof *p);
	if (!p) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for this request now.");
		return;
	}
	*p = (struct post){w, config_hold(w->config), route, x};
	exchange_set_owner(x, &events, p);
	exchange_collect_body(x, BODY_BYTES);
}

void browser_post(struct worker *w, struct exchange *x, const struct route *route)
{
	if (!resumed(w, x) && guard_start(w, x))
		collect_post(w, x, route);
}

void streams_post(struct worker *w, struct exchange *x, const struct route *route)
{
	if (guard_start(w, x))
		collect_post(w, x, NULL);
}

void browser_head(struct worker *w, struct exchange *x, const struct route *route)
{
	exchange_field(x, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_begin(x, 200, "text/event-stream", -1);
	exchange_end(x);
}
