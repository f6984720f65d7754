/* The life of a call to the model, between a client and an engine that are both played here: what the real ones do only
 * when something breaks, or when a client is slow, is done on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "model/call.h"

/* The client's side: one exchange. */

struct exchange {
	const struct exchange_events *events;
	void *owner;
	struct http_head head;
	struct url_target target;
	struct buf body, fields;
	size_t room;
	int status;
	enum { OPEN, ENDED, BROKEN, GONE } end;
};

void exchange_set_owner(struct exchange *x, const struct exchange_events *events, void *owner)
{
	x->events = events;
	x->owner = owner;
}

const struct http_head *exchange_head(const struct exchange *x) { return &x->head; }
const struct url_target *exchange_target(const struct exchange *x) { return &x->target; }
void exchange_collect_body(struct exchange *x, uint64_t limit) {}
void exchange_field(struct exchange *x, const char *name,
                    span value) { buf_printf(&x->fields, "%s: %.*s\n", name, SPAN_ARG(value)); }
void exchange_retry_after(struct exchange *x, unsigned seconds) { buf_printf(&x->fields, "Retry-After: %u\n", seconds); }

void exchange_answer(struct exchange *x, int status, const char *content_type, span body)
{
	assert_int_equal(x->end, OPEN);
	x->status = status;
	buf_put(&x->body, body);
	x->end = ENDED;
}

void exchange_answer_printed(struct exchange *x, int status, const char *content_type, const struct buf *body)
{
	assert_false(body->failed);
	exchange_answer(x, status, content_type, buf_span(body));
}

void exchange_refuse(struct exchange *x, int status, const char *code, const char *message)
{
	exchange_answer(x, status, "application/json", span_str(code ? code : message));
}

void exchange_begin(struct exchange *x, int status, const char *content_type, int64_t length) { x->status = status; }
size_t exchange_room(struct exchange *x) { return x->room; }

void exchange_put(struct exchange *x, span bytes)
{
	assert_int_equal(x->end, OPEN);
	buf_put(&x->body, bytes);
	x->room -= bytes.n < x->room ? bytes.n : x->room;
}

void exchange_end(struct exchange *x) { x->end = ENDED; }
void exchange_break(struct exchange *x) { x->end = BROKEN; }

/* The engine's side. */

static struct {
	struct answer *running[8];
	unsigned n;
	struct answer *left, *paused;
	unsigned pauses;
} engine;

void engine_begin(struct engine *e, struct answer *a) { engine.running[engine.n++] = a; }
void engine_leave(struct engine *e, struct answer *a) { engine.left = a; }

void engine_pause(struct engine *e, struct answer *a, bool paused)
{
	engine.paused = paused ? a : NULL;
	engine.pauses++;
}

void prompts_init(struct prompts *p, const struct llama_model *model, unsigned context) {}

bool prompt_make(const struct prompts *p, const struct chat *c, struct prompt *out, struct chat_complaint *wrong)
{
	if (strcmp(c->message[0].content, "too long") == 0) {
		*wrong = (struct chat_complaint){.code = "context_length_exceeded"};
		return false;
	}
	*out = (struct prompt){calloc(3, sizeof *out->token), 3};
	return true;
}

void prompt_finish(struct prompt *p) { free(p->token); }

/* The loop frees at the end of a turn; here that is the end of a test. */
static struct {
	void *p;
	void (*free_it)(void *p);
} garbage[32];
static size_t garbage_n;

void loop_free_later(struct loop *l, struct garbage *g, void *p, void (*free_it)(void *p))
{
	for (size_t i = 0; i < garbage_n; i++)
		assert_ptr_not_equal(garbage[i].p, p);
	garbage[garbage_n].p = p;
	garbage[garbage_n++].free_it = free_it;
}

/* A scene: a server with one slot and two places behind it, and its clients. */

static struct serve server;
static struct exchange client[4];

static int set_scene(void **state)
{
	memset(&server, 0, sizeof server);
	memset(client, 0, sizeof client);
	memset(&engine, 0, sizeof engine);
	server.model = "m";
	serve_init(&server, 1, 2);
	serve_on_loaded(&server, &(struct engine_facts){0});
	for (size_t i = 0; i < 4; i++)
		client[i].room = 1 << 20;
	return 0;
}

static int clear_scene(void **state)
{
	for (size_t i = 0; i < garbage_n; i++)
		garbage[i].free_it(garbage[i].p);
	garbage_n = 0;
	assert_true(LIST_EMPTY(&server.calls)); /* nobody is forgotten */
	assert_int_equal(server.line.served + server.line.waiting, 0);
	for (size_t i = 0; i < 4; i++) {
		buf_finish(&client[i].body);
		buf_finish(&client[i].fields);
	}
	return 0;
}

static void ask(struct exchange *x, const char *method, const char *path, const char *query)
{
	x->head.method = span_str(method);
	x->target = (struct url_target){.path = span_str(path), .query = span_str(query)};
	serve_on_request(&server, x);
}

static void ask_chat(struct exchange *x, bool stream, const char *content)
{
	struct buf body = {0};
	buf_printf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"stream\":%s}", content, stream ? "true"
	           : "false");
	ask(x, "POST", "/v1/chat/completions", NULL);
	x->events->on_request(x->owner, buf_span(&body));
	buf_finish(&body);
}

static void ask_plain(struct exchange *x) { ask(x, "GET", "/generate", "prompt=hi"); }

static void leave(struct exchange *x)
{
	x->end = GONE;
	x->events->on_gone(x->owner);
}

static void say(struct answer *a, const char *text) { serve_on_text(&server, a, span_str(text)); }

static void end(struct answer *a, enum answer_end how)
{
	a->end = how;
	serve_on_end(&server, a);
}

static bool has(struct exchange *x, const char *words)
{
	const char *said = buf_cstr(&x->body);
	return strstr(said, words) != NULL;
}

static void an_answer_from_end_to_end(void **state)
{
	ask_chat(&client[0], true, "hi");
	assert_int_equal(client[0].status, 200);
	assert_true(span_is(buf_span(&client[0].body), ": queue 0\n\n"));
	say(engine.running[0], "Hel");
	say(engine.running[0], "lo");
	end(engine.running[0], ANSWER_STOP);
	assert_int_equal(client[0].end, ENDED);
	assert_true(has(&client[0], "\"Hel\"") && has(&client[0], "\"lo\"") &&
	            has(&client[0], "\"finish_reason\":\"stop\""));
	assert_true(has(&client[0], "data: [DONE]\n\n"));
}

static void an_answer_without_a_word_is_an_answer(void **state)
{
	ask_chat(&client[0], true, "hi");
	end(engine.running[0], ANSWER_STOP);
	assert_true(has(&client[0], "\"role\":\"assistant\"") && has(&client[0], "[DONE]"));
	assert_int_equal(client[0].end, ENDED);
}

static void a_failure_in_a_chat_is_an_error_and_no_done(void **state)
{
	ask_chat(&client[0], true, "hi");
	say(engine.running[0], "Hel");
	end(engine.running[0], ANSWER_FAILED);
	assert_true(has(&client[0], "data: {\"error\":{\"message\":"));
	assert_false(has(&client[0], "[DONE]") || has(&client[0], "\"finish_reason\":\"stop\""));
	assert_int_equal(client[0].end, ENDED);
}

static void a_failure_in_generate_is_failed_and_no_close(void **state)
{
	ask_plain(&client[0]);
	say(engine.running[0], "Hel");
	end(engine.running[0], ANSWER_FAILED);
	assert_true(has(&client[0], "data: Hel\n\nevent: failed\ndata: "));
	assert_false(has(&client[0], "event: close"));
}

static void a_failure_of_a_whole_answer_is_500(void **state)
{
	ask_chat(&client[0], false, "hi");
	say(engine.running[0], "Hel");
	end(engine.running[0], ANSWER_FAILED);
	assert_int_equal(client[0].status, 500);
	assert_false(has(&client[0], "Hel"));
}

static void who_leaves_while_running_keeps_the_slot_until_the_engine_lets_go(void **state)
{
	ask_chat(&client[0], true, "hi");
	ask_chat(&client[1], true, "hi");
	leave(&client[0]);
	assert_ptr_equal(engine.left, engine.running[0]);
	say(engine.running[0], "was on its way");
	assert_int_equal(engine.n, 1);
	end(engine.running[0], ANSWER_LEFT);
	assert_int_equal(engine.n, 2);
	assert_true(has(&client[1], ": queue 1\n\n: queue 0\n\n"));
	end(engine.running[1], ANSWER_LENGTH);
	assert_true(has(&client[1], "\"length\""));
}

static void who_leaves_the_queue_never_reaches_the_engine(void **state)
{
	ask_plain(&client[0]);
	ask_plain(&client[1]);
	ask_plain(&client[2]);
	leave(&client[1]);
	assert_true(has(&client[2], ": queue 2\n\n: queue 1\n\n"));
	end(engine.running[0], ANSWER_STOP);
	assert_int_equal(engine.n, 2);
	end(engine.running[1], ANSWER_STOP);
	assert_int_equal(client[2].end, ENDED);
}

static void a_full_queue_is_503_with_retry_after(void **state)
{
	for (int i = 0; i < 4; i++)
		ask_plain(&client[i]);
	assert_int_equal(client[3].status, 503);
	assert_true(has(&client[3], "queue_full"));
	assert_non_null(strstr(buf_cstr(&client[3].fields), "Retry-After: "));
	for (int i = 0; i < 3; i++)
		end(engine.running[i], ANSWER_STOP);
}

static void a_prompt_that_does_not_fit_takes_no_place(void **state)
{
	ask_chat(&client[0], true, "too long");
	assert_int_equal(client[0].status, 400);
	assert_true(has(&client[0], "context_length_exceeded"));
	assert_int_equal(engine.n, 0);
}

static void a_slow_client_pauses_its_answer_and_gets_all_of_it(void **state)
{
	char text[1025];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	ask_plain(&client[0]);
	size_t before = client[0].body.n;
	client[0].room = 0;
	for (int i = 0; i < 300; i++)
		say(engine.running[0], text);
	assert_ptr_equal(engine.paused, engine.running[0]);
	assert_int_equal(engine.pauses, 1);
	assert_int_equal(client[0].body.n, before);
	client[0].room = 1 << 20;
	client[0].events->on_room(client[0].owner);
	assert_null(engine.paused);
	assert_int_equal(client[0].body.n - before, 300 * (1024 + strlen("data: \n\n")));
	end(engine.running[0], ANSWER_STOP);
	assert_true(has(&client[0], "event: close"));
}

static void a_slot_is_free_while_a_slow_client_still_takes_its_end(void **state)
{
	ask_plain(&client[0]);
	ask_plain(&client[1]);
	client[0].room = 0;
	say(engine.running[0], "Hello");
	end(engine.running[0], ANSWER_STOP);
	assert_int_equal(client[0].end, OPEN);
	assert_int_equal(engine.n, 2);
	client[0].room = 8;
	client[0].events->on_room(client[0].owner);
	assert_int_equal(client[0].end, OPEN);
	client[0].room = 1000;
	client[0].events->on_room(client[0].owner);
	assert_int_equal(client[0].end, ENDED);
	assert_true(has(&client[0], "data: Hello\n\nevent: close\n"));
	end(engine.running[1], ANSWER_STOP);
}

static void a_slow_client_may_leave_before_its_end_is_out(void **state)
{
	ask_plain(&client[0]);
	client[0].room = 0;
	end(engine.running[0], ANSWER_STOP);
	leave(&client[0]);
}

static void while_the_model_loads_requests_are_held_and_then_served(void **state)
{
	server.loaded = false;
	ask_plain(&client[0]);
	ask(&client[1], "GET", "/v1/models", NULL);
	ask_chat(&client[2], false, "hi");
	assert_int_equal(server.held_n, 3);
	ask_plain(&client[3]);
	assert_int_equal(client[3].status, 503);
	leave(&client[0]);
	serve_on_loaded(&server, &(struct engine_facts){0});
	assert_int_equal(client[1].status, 200);
	assert_int_equal(engine.n, 1);
	end(engine.running[0], ANSWER_STOP);
	assert_int_equal(client[2].status, 200);
}

static void who_leaves_before_its_body_is_whole(void **state)
{
	ask(&client[0], "POST", "/v1/chat/completions", NULL);
	leave(&client[0]);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, set_scene, clear_scene)
	const struct CMUnitTest tests[] = {
		SCENE(an_answer_from_end_to_end),
		SCENE(an_answer_without_a_word_is_an_answer),
		SCENE(a_failure_in_a_chat_is_an_error_and_no_done),
		SCENE(a_failure_in_generate_is_failed_and_no_close),
		SCENE(a_failure_of_a_whole_answer_is_500),
		SCENE(who_leaves_while_running_keeps_the_slot_until_the_engine_lets_go),
		SCENE(who_leaves_the_queue_never_reaches_the_engine),
		SCENE(a_full_queue_is_503_with_retry_after),
		SCENE(a_prompt_that_does_not_fit_takes_no_place),
		SCENE(a_slow_client_pauses_its_answer_and_gets_all_of_it),
		SCENE(a_slot_is_free_while_a_slow_client_still_takes_its_end),
		SCENE(a_slow_client_may_leave_before_its_end_is_out),
		SCENE(while_the_model_loads_requests_are_held_and_then_served),
		SCENE(who_leaves_before_its_body_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
