/* Starting work: on a browser route a prompt becomes a stream and the exchange its first viewer; POST /streams makes
 * the stream and only says where it is.
 *
 * The order of questions is the point. A place comes first: it costs nothing and must be answered even when the gateway
 * is full. Then an idempotency key: it may name work that is already paid. Only then is new work begun, if the
 * guards allow it, there is room, and the caller's limits are not reached. A native EventSource that reads a status
 * other than 200 gives up for good, so "full" is said to it as an empty stream with a retry time: the browser comes back
 * by itself; and a limit of its own as a stream that failed, since to come back every second would not help.
 *
 * A key has a home too, the worker that its hash names, and a stream with a key is started there: whoever asks with the
 * same key asks the same thread, so "is there one, else start it" needs no lock and cannot happen twice. Without a key
 * the stream is the asking worker's own. */
#include "gateway/endpoints.h"

#include "base/clock.h"
#include "gateway/account.h"
#include "gateway/ask.h"
#include "gateway/crew.h"
#include "gateway/errand.h"
#include "gateway/forward.h"
#include "gateway/guard.h"
#include "gateway/render.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <libdeflate.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { BODY_BYTES = 1 << 20, KEY_BYTES = 256 };

enum outcome { OUTCOME_BUSY, OUTCOME_STARTED, OUTCOME_ATTACHED, OUTCOME_FORGOTTEN, OUTCOME_KEY_REUSED,
	OUTCOME_IMPOSSIBLE, OUTCOME_QUOTA };

/* A stream that is to be started, or found by its key. */
struct start {
	struct errand errand;
	struct config *config;              /* a loan, held while it travels; where the route is from */
	const struct route *route;
	const struct caller *who;           /* of that configuration; NULL: no keys are configured */
	bool only_makes;                    /* POST /streams: nobody reads yet */
	span key;                           /* p NULL: none. A loan, in `names` while it travels */
	struct buf names;                   /* the key's scope, and behind it the key */
	size_t scope_bytes;
	unsigned char digest[SHELF_DIGEST]; /* of the question */
	bool is_asked;
	struct asked asked;                 /* how the upstream is asked, … */
	struct refusal wrong;               /* … or why it cannot be */
	char peer[CLIENT_NAME];

	/* What became of it. */
	enum outcome outcome;
	struct shortage shortage;
	struct id id;
	struct seat seat;                   /* the viewer's */
	struct audience *spare;             /* memory for its audience */
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
	exchange_put_printed(x, &out);
	exchange_end(x);
	buf_finish(&out);
}

static void refuse_busy(struct exchange *x)
{
	exchange_retry_after(x, 1);
	exchange_refuse(x, 503, "overloaded", "The gateway takes no new work now; ask again in a moment.");
}

/* Under an id that is nobody's: the browser comes back with its end, and is told that this is all. */
static void answer_quota(struct worker *w, struct exchange *x, const struct shortage *why)
{
	struct buf out = {0};
	struct id id;
	id_make(&id, w->crew->generation, w->index);
	render_quota(&out, w->config->retry_ms, span_of(id.text, ID_LENGTH), why->sentence);
	streams_answer_failed(x, &out);
}

static void refuse_quota(struct exchange *x, const struct shortage *why)
{
	exchange_retry_after(x, why->retry_after_s);
	exchange_refuse(x, 429, "quota", why->sentence);
}

static void say_where(struct exchange *x, const struct id *id, bool is_new)
{
	struct buf out = {0};
	char location[sizeof "streams/" + ID_LENGTH];
	snprintf(location, sizeof location, "streams/%s", id->text);
	buf_printf(&out, "{\"id\":\"%s\",\"url\":\"%s\"}\n", id->text, location);
	exchange_field(x, "Location", span_str(location));
	exchange_field(x, "Cache-Control", SPAN("no-store"));
	exchange_answer_printed(x, is_new ? 201 : 200, "application/json", &out);
	buf_finish(&out);
}

/* Where callers have no keys: what the request says of who it is, or else the page's cookie. */
static void put_stranger(const struct http_head *head, struct buf *out)
{
	size_t before = out->n;
	forward_put_credentials(head, false, out);
	if (out->n > before)
		return;
	buf_put(out, SPAN("page "));
	buf_put(out, headers_cookie(head, "lastword_page"));
}

/* Idempotency keys of different callers are different keys. */
static bool put_names(struct start *s)
{
	buf_put(&s->names, span_str(s->route->path));
	buf_put_byte(&s->names, '\n');
	if (s->who)
		buf_put(&s->names, span_str(s->who->name));
	else
		put_stranger(exchange_head(s->errand.exchange), &s->names);
	s->scope_bytes = s->names.n;
	if (s->key.p)
		buf_put(&s->names, s->key);
	return !s->names.failed;
}

static span scope_of(const struct start *s) { return span_first(buf_span(&s->names), s->scope_bytes); }
static span key_of(const struct start *s) { return span_from(buf_span(&s->names), s->scope_bytes); }

static struct stream *find_by_key(struct start *s)
{
	struct stream *found = s->key.p ? stream_find_key(s->errand.to, scope_of(s), key_of(s)) : NULL;
	if (found)
		s->outcome = shelf_has_digest(&found->entry, s->digest) ? OUTCOME_ATTACHED : OUTCOME_KEY_REUSED;
	return found;
}

static struct stream *begin(struct start *s)
{
	struct stream_plan plan = {.config = s->config, .route = s->route, .request = &s->asked.request,
		.part = s->asked.part, .rules = &s->asked.rules, .peer = s->peer, .account = s->who ? s->who->account : NULL};
	if (!account_take(s->who, clock_ns(), &s->shortage)) {
		s->outcome = OUTCOME_QUOTA;
		return NULL;
	}
	struct stream *stream = stream_start(s->errand.to, &plan);
	if (!stream) {
		account_undo(s->who);
		return NULL;
	}
	s->outcome = OUTCOME_STARTED;
	/* Nothing was sent yet, and who asks again must not pay twice. */
	if (s->key.p && shelf_take_key(&stream->entry, scope_of(s), key_of(s), s->digest) != CAUSE_NONE)
		stream_end(stream, CAUSE_OVERLOADED, "There is no memory for the idempotency key.");
	return stream;
}

/* On the worker that is to be the stream's home. */
static void run(struct errand *e)
{
	struct start *s = (struct start *)e;
	struct stream *stream = find_by_key(s);
	if (!stream && worker_refuses(e->to))
		return;
	if (!stream && s->is_asked)
		stream = begin(s);
	else if (!stream)
		s->outcome = OUTCOME_IMPOSSIBLE;
	if (!stream || s->outcome == OUTCOME_KEY_REUSED)
		return;
	s->id = stream->face->id;
	if (!s->only_makes && !stream_admit(stream, e->from, &s->seat, &s->spare))
		s->outcome = OUTCOME_FORGOTTEN;
}

static void greet(struct start *s)
{
	struct metrics *m = &s->errand.from->metrics;
	m->attached[ATTACHED_BY_KEY] += s->outcome == OUTCOME_ATTACHED;
	m->joined_foreign += s->seat.audience && s->errand.from != s->errand.to;
	if (s->only_makes)
		say_where(s->errand.exchange, &s->id, s->outcome == OUTCOME_STARTED);
	else
		viewer_open(s->errand.exchange, &s->seat);
}

/* The paid work is there, but its beginning was given up for memory. */
static void answer_forgotten(struct start *s)
{
	char place[ID_PLACE_MAX];
	snprintf(place, sizeof place, "%s.0", s->id.text);
	streams_answer_forgotten(s->errand.from, s->errand.exchange, span_str(place));
}

static void answer(struct errand *e)
{
	struct start *s = (struct start *)e;
	switch (s->outcome) {
	case OUTCOME_BUSY:
		if (s->only_makes)
			refuse_busy(e->exchange);
		else
			answer_busy(e->from, e->exchange);
		return;
	case OUTCOME_QUOTA:
		if (s->only_makes)
			refuse_quota(e->exchange, &s->shortage);
		else
			answer_quota(e->from, e->exchange, &s->shortage);
		return;
	case OUTCOME_STARTED:
	case OUTCOME_ATTACHED:
		greet(s);
		return;
	case OUTCOME_FORGOTTEN:
		answer_forgotten(s);
		return;
	case OUTCOME_KEY_REUSED:
		exchange_refuse(e->exchange, 422, "idempotency_key_reused",
			"That idempotency key was used with another request.");
		return;
	case OUTCOME_IMPOSSIBLE:
		exchange_refuse(e->exchange, s->wrong.status, s->wrong.code, s->wrong.message);
		return;
	}
}

static void forget(struct errand *e)
{
	audience_give_back(&((struct start *)e)->seat);
}

static void finish(struct errand *e)
{
	struct start *s = (struct start *)e;
	asked_finish(&s->asked);
	buf_finish(&s->names);
	config_drop(s->config);
	free(s->spare);
}

static struct worker *home_of_key(const struct start *s)
{
	struct crew *crew = s->errand.from->crew;
	return crew->worker[libdeflate_crc32(0, s->names.p, s->names.n) % crew->workers];
}

/* false: there is no room for it, or no memory. */
static bool prepare(struct start *s)
{
	struct errand *e = &s->errand;
	if (!put_names(s) || (!s->key.p && worker_refuses(e->from)))
		return false;
	if (s->key.p)
		e->to = home_of_key(s);
	return e->to == e->from || s->only_makes || (s->spare = malloc(sizeof *s->spare));
}

/* The loans of *s end with this call. */
static void start(struct start *s, const struct wanted *q)
{
	struct errand *e = &s->errand;
	struct client by;
	s->config = config_hold(s->config);
	e->to = e->from;
	e->run = run;
	e->answer = answer;
	e->forget = forget;
	e->finish = finish;
	if (!prepare(s)) {
		answer(e); /* busy */
		finish(e);
		return;
	}
	client_read(&by, s->config, e->exchange);
	s->is_asked = ask_make(s->route, q, &by, &s->asked, &s->wrong);
	memcpy(s->peer, by.name, sizeof s->peer);
	errand_go(e, sizeof *s);
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
	span key = headers_get(exchange_head(s->errand.exchange), "idempotency-key");
	span query = exchange_target(s->errand.exchange)->query;
	if (!key.p && url_query_get(query, "idempotency_key", storage) != URL_ABSENT)
		key = storage->p ? buf_span(storage) : SPAN("");
	s->key = key;
	if (!key.p || key_is_fine(key))
		return true;
	exchange_refuse(s->errand.exchange, 400, "bad_idempotency_key",
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
	struct start s = {.errand = {.from = w, .exchange = x}, .config = w->config, .route = route};
	struct buf prompt = {0}, key = {0};
	if (resumed(w, x) || !guard_start(w, x, route, &s.who))
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
	const struct caller *who;  /* of that configuration, or NULL */
	struct exchange *exchange;
	struct garbage garbage;
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
		exchange_refuse(s->errand.exchange, 404, "unknown_route",
			"\"route\" names no browser route of this gateway.");
	return s->route;
}

static void answer_post(struct start *s, span body)
{
	struct refusal wrong;
	struct buf key = {0};
	json_t *root = ask_parse_body(body, &wrong);
	if (!root)
		exchange_refuse(s->errand.exchange, wrong.status, wrong.code, wrong.message);
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
	struct start s = {.errand = {.from = p->worker, .exchange = p->exchange}, .config = p->config,
		.route = p->route, .who = p->who, .only_makes = !p->route};
	loop_free_later(&p->worker->loop, &p->garbage, p, free_post);
	answer_post(&s, body);
}

static void on_post_gone(void *owner)
{
	struct post *p = owner;
	loop_free_later(&p->worker->loop, &p->garbage, p, free_post);
}

static void collect_post(struct worker *w, struct exchange *x, const struct route *route, const struct caller *who)
{
	static const struct exchange_events events = {.on_request = on_post_body, .on_gone = on_post_gone};
	struct post *p = malloc(sizeof *p);
	if (!p) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for this request now.");
		return;
	}
	*p = (struct post){.worker = w, .config = config_hold(w->config), .route = route, .who = who, .exchange = x};
	exchange_set_owner(x, &events, p);
	exchange_collect_body(x, BODY_BYTES);
}

void browser_post(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct caller *who;
	if (!resumed(w, x) && guard_start(w, x, route, &who))
		collect_post(w, x, route, who);
}

void streams_post(struct worker *w, struct exchange *x, const struct route *route)
{
	const struct caller *who;
	if (guard_start(w, x, NULL, &who))
		collect_post(w, x, NULL, who);
}

void browser_head(struct worker *w, struct exchange *x, const struct route *route)
{
	exchange_field(x, "Cache-Control", SPAN("no-cache, no-transform"));
	exchange_begin(x, 200, "text/event-stream", -1);
	exchange_end(x);
}
