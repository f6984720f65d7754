/* Not paying twice.
 *
 * Official SDKs repeat a request by themselves when its connection breaks or its status says so, and mark the repetition:
 * X-Stainless-Retry-Count is above 0. The first request may still be at work, or even done. So every stream of such a
 * route is put on the shelf under the digest of its request; a retry's body is read whole, and its digest looked for on
 * every worker's shelf, one after the other (retries are rare, and nobody knows where the first one landed).
 *
 * A first request whose client has left before its answer began goes on alone for `grace` (passthrough.c) and is no
 * stream yet. The retry looks again after LOOK_AGAIN_MS, which keeps it alive.
 *
 * Only the mark makes a request a retry: people do ask the same thing twice, and want two answers. */
#include "gateway/retry.h"

#include "gateway/crew.h"
#include "gateway/endpoints.h"
#include "gateway/errand.h"
#include "gateway/forward.h"
#include "gateway/stream.h"
#include "gateway/viewer.h"

#include <openssl/sha.h>
#include <stdlib.h>

enum { LOOK_AGAIN_MS = 100 };

/* The exchange's while its body comes and while it waits; copied for each errand. */
struct retry {
	struct worker *worker;
	struct config *config; /* held */
	const struct route *route;
	const struct caller *who; /* of that configuration */
	struct exchange *exchange;
	struct garbage garbage;
	struct retry_key key;
	span body;             /* a loan until the exchange is over */
	struct alarm again;
	bool pends;            /* some worker has it under way */
	bool is_away;          /* counted in retries_away */
};

struct visit {
	struct errand errand;
	struct retry *retry;
	struct seat seat;
	struct audience *spare;
	bool pends;
};

/* A caller is one whatever place his key stood in; what else the client says of itself matters where it goes up. */
void retry_put_scope(const struct route *r, const struct caller *who, const struct exchange *x, struct buf *scope)
{
	buf_put(scope, SPAN("retry\n"));
	buf_put(scope, span_str(r->path));
	buf_put_byte(scope, '\n');
	buf_put(scope, exchange_head(x)->target);
	buf_put_byte(scope, '\n');
	buf_put(scope, who ? span_str(who->name) : SPAN(""));
	buf_put_byte(scope, '\n');
	if (!who || r->auth == AUTH_CLIENT)
		forward_put_credentials(exchange_head(x), true, scope);
}

void retry_print_key(const struct retry_key *k, char key[2 * RETRY_DIGEST + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < RETRY_DIGEST; i++) {
		key[2 * i] = digits[k->digest[i] >> 4];
		key[2 * i + 1] = digits[k->digest[i] & 15];
	}
	key[2 * RETRY_DIGEST] = 0;
}

bool retry_is_one(const struct route *r, const struct http_head *head)
{
	span count = headers_get(head, "x-stainless-retry-count");
	return r->attach_retries && count.n && !span_is(count, "0") && span_is(head->method, "POST");
}

static void free_retry(void *memory)
{
	struct retry *r = memory;
	buf_finish(&r->key.scope);
	config_drop(r->config);
	free(r);
}

static void set_away(struct retry *r, bool is_away)
{
	r->worker->retries_away += (unsigned)is_away - (unsigned)r->is_away;
	r->is_away = is_away;
}

static void close_retry(struct retry *r)
{
	set_away(r, false);
	alarm_clear(&r->again);
	loop_free_later(&r->worker->loop, &r->garbage, r, free_retry);
}

static void go(struct retry *r, unsigned worker);

/* A stream that failed is worth another try. So is one whose beginning was given up for memory. */
static bool is_worth_reading(const struct stream *s)
{
	const struct last_word *word = journal_last_word(s->face->journal);
	return s->face->dialect && (!word || word->cause == CAUSE_FINISHED);
}

/* On the worker that is asked. The retry itself is not touched there, but for its key, which does not change. */
static void look(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	char key[2 * RETRY_DIGEST + 1];
	retry_print_key(&v->retry->key, key);
	struct stream *s = stream_find_key(e->to, buf_span(&v->retry->key.scope), span_str(key));
	if (!s || !is_worth_reading(s) || !stream_admit(s, e->from, &v->seat, &v->spare))
		v->pends = passthrough_pends(e->to, &v->retry->key);
}

static void ask_anew(struct retry *r)
{
	struct exchange *x = r->exchange;
	passthrough_whole(r->worker, x, &(struct passing){r->config, r->route, r->who}, r->body);
	close_retry(r);
}

static void come_back(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	struct retry *r = v->retry;
	unsigned next = e->to->index + 1;
	v->retry = NULL;
	r->exchange = e->exchange;
	r->pends |= v->pends;
	if (v->seat.audience) {
		r->worker->metrics.attached[ATTACHED_BY_RETRY]++;
		r->worker->metrics.joined_foreign += e->to != e->from;
		viewer_open_frames(r->exchange, &v->seat);
		close_retry(r);
	} else if (next < r->worker->crew->workers)
		go(r, next);
	else if (r->pends) {
		set_away(r, false);
		alarm_set(&r->again, LOOK_AGAIN_MS);
	} else
		ask_anew(r);
}

/* Its client has left meanwhile. */
static void forget(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	audience_give_back(&v->seat);
	close_retry(v->retry);
	v->retry = NULL;
}

/* A retry that nobody took was refused for want of memory. */
static void finish(struct errand *e)
{
	struct visit *v = (struct visit *)e;
	free(v->spare);
	if (v->retry)
		close_retry(v->retry);
}

static void on_gone(void *owner) { close_retry(owner); }

static const struct exchange_events waiting = {.on_gone = on_gone};

static void go(struct retry *r, unsigned worker)
{
	struct visit v = {.errand = {.from = r->worker, .to = r->worker->crew->worker[worker], .exchange = r->exchange,
		.run = look, .answer = come_back, .forget = forget, .finish = finish}, .retry = r};
	exchange_set_owner(r->exchange, &waiting, r);
	set_away(r, true);
	if (v.errand.to != r->worker && !(v.spare = malloc(sizeof *v.spare))) {
		exchange_refuse(r->exchange, 503, "overloaded", "There is no memory for another viewer now.");
		close_retry(r);
		return;
	}
	errand_go(&v.errand, sizeof v);
}

static void on_again(void *owner)
{
	struct retry *r = owner;
	r->pends = false;
	go(r, 0);
}

static void on_body(void *owner, span body)
{
	struct retry *r = owner;
	r->body = body;
	SHA256((const unsigned char *)body.p, body.n, r->key.digest);
	if (r->key.scope.failed)
		ask_anew(r);
	else
		go(r, 0);
}

static const struct exchange_events collecting = {.on_request = on_body, .on_gone = on_gone};

void retry_open(struct worker *w, struct exchange *x, const struct route *route, const struct caller *who)
{
	struct retry *r = calloc(1, sizeof *r);
	if (!r) {
		exchange_refuse(x, 503, "overloaded", "There is no memory for this request now.");
		return;
	}
	*r = (struct retry){.worker = w, .config = config_hold(w->config), .route = route, .who = who,
		.exchange = x};
	alarm_init(&r->again, &w->loop, on_again, r);
	retry_put_scope(route, who, x, &r->key.scope);
	exchange_set_owner(x, &collecting, r);
	exchange_collect_body(x, w->config->limits.body_bytes ? w->config->limits.body_bytes : UINT64_MAX);
}
