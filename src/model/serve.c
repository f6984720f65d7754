/* The routes, and what all calls share: the line and the wait for the model.
 *
 * The server accepts from its first moment, while the model still loads: /health says so with 503, and everything else
 * is held, as many requests as could stand in line afterwards. So a supervisor need not guess how long a model takes,
 * and a client that comes early is served instead of refused.
 *
 * One call's life is in call.c, the wire's text in frames.c. */
#include "model/serve.h"

#include "model/call.h"

#include <time.h>

static void on_place(struct line_member *m, unsigned place) { call_on_place(call_of_member(m), place); }

void serve_init(struct serve *s, unsigned slots, unsigned queue)
{
	s->started = time(NULL);
	LIST_INIT(&s->calls);
	TAILQ_INIT(&s->held);
	line_init(&s->line, slots, queue, on_place);
}

static void answer_health(struct serve *s, struct exchange *x)
{
	struct buf body = {0};
	buf_printf(&body, "{\"status\":\"%s\",\"slots\":%u,\"busy\":%u,\"queued\":%u}\n", s->loaded ? "ok" : "loading",
	           s->line.slots,
	           s->line.served, s->loaded ? s->line.waiting : s->held_n);
	if (!s->loaded)
		exchange_retry_after(x, 1);
	exchange_answer_printed(x, s->loaded ? 200 : 503, "application/json", &body);
	buf_finish(&body);
}

static void start_chat(struct serve *s, struct exchange *x) { call_start(s, x, CALL_CHAT); }
static void start_generate(struct serve *s, struct exchange *x) { call_start(s, x, CALL_GENERATE); }
static void start_models(struct serve *s, struct exchange *x) { call_start(s, x, CALL_MODELS); }

static const struct endpoint {
	const char *path, *method;
	void (*answer)(struct serve *s, struct exchange *x);
} endpoints[] = {
	{"/health", "GET", answer_health},
	{"/v1/models", "GET", start_models},
	{"/v1/chat/completions", "POST", start_chat},
	{"/generate", "GET", start_generate},
};

void serve_on_request(void *serve, struct exchange *x)
{
	span path = exchange_target(x)->path, method = exchange_head(x)->method;
	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
		const struct endpoint *e = &endpoints[i];
		if (!span_is(path, e->path))
			continue;
		if (span_is(method, e->method)) {
			e->answer(serve, x);
		} else {
			exchange_field(x, "Allow", span_str(e->method));
			exchange_refuse(x, 405, NULL, "This path takes another method; the Allow field names it.");
		}
		return;
	}
	exchange_refuse(x, 404, NULL,
	                "There are GET /health, GET /v1/models, POST /v1/chat/completions and GET /generate?prompt=.");
}

void serve_on_loaded(struct serve *s, const struct engine_facts *facts)
{
	struct call *c;
	s->loaded = true;
	prompts_init(&s->prompts, facts->model, facts->context);
	while ((c = TAILQ_FIRST(&s->held))) {
		TAILQ_REMOVE(&s->held, c, held_link);
		s->held_n--;
		call_go_on(c);
	}
}

void serve_on_text(void *serve, struct answer *a, span text) { call_on_text(call_of_answer(a), text); }
void serve_on_end(void *serve, struct answer *a) { call_on_end(call_of_answer(a)); }

void serve_finish(struct serve *s)
{
	while (!LIST_EMPTY(&s->calls))
		call_forget(LIST_FIRST(&s->calls));
}
