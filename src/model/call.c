/* A call's life:
 *
 *	READING → (HELD →) IN_LINE → RUNNING → ENDED
 *
 * with two ways out: a refusal before IN_LINE, and the client that leaves at any time. Exchange and answer end
 * independently: the client may leave while the engine computes for it, and the engine may be done while a slow client
 * still takes its text. So a call lives as long as it has either, and `drop` is the only exit.
 *
 * A stream's head goes out when the call enters the line: until then everything that is wrong is an HTTP error. After
 * that, a failure is a frame of its own kind, and no [DONE] and no `close` follow it.
 *
 * 1. exchange is NULL as soon as the exchange is over; nothing touches it then.
 * 2. The engine knows the answer exactly in RUNNING; the line knows the member in IN_LINE and RUNNING.
 * 3. When more than PAUSE_BYTES wait for a client, the engine pauses its answer until less than RESUME_BYTES do: a slow
 *    reader costs its slot, but no memory, and the others little time (batch.c).
 * 4. Whole characters only: the engine's text is never split here. */
#include "model/call.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAUSE_BYTES = 256 * 1024, RESUME_BYTES = 64 * 1024 };

enum { RETRY_AFTER_S = 5 };

static const char engine_failed[] = "The model could not go on with this answer.";

static void set_state(struct call *c, enum call_state to)
{
	static const unsigned char legal[] = {
		[CALL_READING] = 1 << CALL_HELD | 1 << CALL_IN_LINE | 1 << CALL_ENDED,
		[CALL_HELD] = 1 << CALL_IN_LINE | 1 << CALL_ENDED,
		[CALL_IN_LINE] = 1 << CALL_RUNNING | 1 << CALL_ENDED,
		[CALL_RUNNING] = 1 << CALL_ENDED,
		[CALL_ENDED] = 0,
	};
	CHECK(legal[c->state] & 1 << to);
	c->state = to;
}

struct call *call_of_answer(struct answer *a) { return (struct call *)((char *)a - offsetof(struct call, answer)); }

struct call *call_of_member(struct line_member *m)
{
	return (struct call *)((char *)m - offsetof(struct call, member));
}

static bool streams(const struct call *c) { return c->chat->stream; }

static void free_call(void *p)
{
	struct call *c = p;
	chat_destroy(c->chat);
	prompt_finish(&c->prompt);
	buf_finish(&c->out);
	free(c);
}

/* The only exit: neither a client nor the engine has to do with it any more. */
static void drop(struct call *c)
{
	CHECK(!c->exchange && c->state == CALL_ENDED);
	LIST_REMOVE(c, link);
	loop_free_later(c->serve->loop, &c->garbage, c, free_call);
}

void call_forget(struct call *c)
{
	LIST_REMOVE(c, link);
	free_call(c);
}

/* Answers before the line. */

static void over(struct call *c)
{
	c->exchange = NULL;
	set_state(c, CALL_ENDED);
	drop(c);
}

static void refuse(struct call *c, int status, const char *code, const char *message)
{
	exchange_refuse(c->exchange, status, code, message);
	over(c);
}

static void refuse_wrong(struct call *c, const struct chat_complaint *wrong)
{
	refuse(c, 400, wrong->code, wrong->message);
}

static void refuse_full(struct call *c)
{
	exchange_retry_after(c->exchange, RETRY_AFTER_S);
	refuse(c, 503, "queue_full", "The model is busy and its queue is full. Try again in a few seconds.");
}

static void answer_models(struct call *c)
{
	struct buf body = {0};
	frames_models(&body, c->serve->model, c->serve->started);
	exchange_answer_printed(c->exchange, 200, "application/json", &body);
	buf_finish(&body);
	over(c);
}

/* What waits for the client. */

static void set_paused(struct call *c, bool paused)
{
	if (c->paused == paused || c->state != CALL_RUNNING)
		return;
	c->paused = paused;
	engine_pause(c->serve->engine, &c->answer, paused);
}

static void end_exchange(struct call *c)
{
	struct exchange *x = c->exchange;
	c->exchange = NULL;
	exchange_end(x);
	drop(c);
}

/* Memory ran out for this client's frames: it must see a break, not a whole answer with a hole in it. */
static void break_exchange(struct call *c)
{
	struct exchange *x = c->exchange;
	c->exchange = NULL;
	if (c->state == CALL_RUNNING)
		engine_leave(c->serve->engine, &c->answer);
	exchange_break(x);
	if (c->state == CALL_ENDED)
		drop(c);
}

/* Streams: gives the client what it takes. The call may be gone after it. */
static void flush(struct call *c)
{
	if (c->out.failed) {
		break_exchange(c);
		return;
	}
	size_t room;
	while (c->out.n && (room = exchange_room(c->exchange)) > 0) {
		size_t n = room < c->out.n ? room : c->out.n;
		exchange_put(c->exchange, span_first(buf_span(&c->out), n));
		buf_drop_front(&c->out, n);
	}
	if (c->out.n > PAUSE_BYTES)
		set_paused(c, true);
	else if (c->out.n < RESUME_BYTES)
		set_paused(c, false);
	if (c->out.n == 0 && c->state == CALL_ENDED)
		end_exchange(c);
}

static void on_room(void *owner) { flush(owner); }

/* The client left. */
static void on_gone(void *owner)
{
	struct call *c = owner;
	c->exchange = NULL;
	switch (c->state) {
	case CALL_HELD:
		TAILQ_REMOVE(&c->serve->held, c, held_link);
		c->serve->held_n--;
		break;
	case CALL_IN_LINE:
		line_leave(&c->serve->line, &c->member);
		break;
	case CALL_RUNNING:
		engine_leave(c->serve->engine, &c->answer);
		return; /* until on_end */
	case CALL_READING:
	case CALL_ENDED:
		break;
	}
	if (c->state != CALL_ENDED)
		set_state(c, CALL_ENDED);
	drop(c);
}

/* Into the line. */

static void fill_answer(struct call *c)
{
	c->answer = (struct answer){.prompt = c->prompt.token, .prompt_n = c->prompt.n, .sampling = &c->chat->sampling,
	                            .stops = &c->chat->stops, .max_tokens = c->chat->max_tokens};
}

static void enter_line(struct call *c)
{
	struct serve *s = c->serve;
	struct chat_complaint wrong;
	if (line_is_full(&s->line)) {
		refuse_full(c);
		return;
	}
	if (!prompt_make(&s->prompts, c->chat, &c->prompt, &wrong)) {
		refuse_wrong(c, &wrong);
		return;
	}
	fill_answer(c);
	frames_init(&c->frames, s->model, c->chat->include_usage);
	set_state(c, CALL_IN_LINE);
	if (streams(c)) {
		exchange_field(c->exchange, "Cache-Control", SPAN("no-cache"));
		exchange_begin(c->exchange, 200, "text/event-stream", -1);
	}
	line_enter(&s->line, &c->member);
}

void call_go_on(struct call *c)
{
	if (c->kind == CALL_MODELS)
		answer_models(c);
	else
		enter_line(c);
}

/* The request is whole and understood. */
static void ask(struct call *c)
{
	struct serve *s = c->serve;
	if (s->loaded) {
		call_go_on(c);
	} else if (s->held_n >= s->line.slots + s->line.capacity) {
		refuse_full(c);
	} else {
		set_state(c, CALL_HELD);
		TAILQ_INSERT_TAIL(&s->held, c, held_link);
		s->held_n++;
	}
}

static void on_body(void *owner, span body)
{
	struct call *c = owner;
	struct chat_complaint wrong;
	c->chat = chat_parse(body, &wrong);
	if (c->chat)
		ask(c);
	else
		refuse_wrong(c, &wrong);
}

static void ask_with_query(struct call *c)
{
	struct chat_complaint wrong;
	struct buf prompt = {0};
	if (url_query_get(exchange_target(c->exchange)->query, "prompt", &prompt) != URL_FOUND)
		buf_clear(&prompt);
	c->chat = chat_of_prompt(buf_span(&prompt), &wrong);
	buf_finish(&prompt);
	if (c->chat)
		ask(c);
	else
		refuse_wrong(c, &wrong);
}

void call_start(struct serve *s, struct exchange *x, enum call_kind kind)
{
	static const struct exchange_events events = {.on_request = on_body, .on_room = on_room, .on_gone = on_gone};
	struct call *c = calloc(1, sizeof *c);
	if (!c) {
		exchange_refuse(x, 503, NULL, "There is no memory for this request.");
		return;
	}
	c->serve = s;
	c->exchange = x;
	c->kind = kind;
	LIST_INSERT_HEAD(&s->calls, c, link);
	exchange_set_owner(x, &events, c);
	if (kind == CALL_CHAT)
		exchange_collect_body(x, CHAT_BODY_BYTES);
	else if (kind == CALL_GENERATE)
		ask_with_query(c);
	else
		ask(c);
}

/* In the line, and served. */

void call_on_place(struct call *c, unsigned place)
{
	if (place == 0) {
		set_state(c, CALL_RUNNING);
		engine_begin(c->serve->engine, &c->answer);
		if (!c->exchange)
			engine_leave(c->serve->engine, &c->answer);
	}
	if (c->exchange && streams(c)) {
		frames_queue(&c->out, place);
		flush(c);
	}
}

static void put_role(struct call *c)
{
	if (!c->spoke && c->kind == CALL_CHAT)
		frames_role(&c->out, &c->frames);
	c->spoke = true;
}

void call_on_text(struct call *c, span text)
{
	if (!c->exchange)
		return;
	if (!streams(c)) {
		buf_put(&c->out, text);
		return;
	}
	put_role(c);
	if (c->kind == CALL_CHAT)
		frames_content(&c->out, &c->frames, text);
	else
		frames_plain(&c->out, text, &c->after_cr);
	flush(c);
}

static struct frames_usage usage_of(const struct call *c)
{
	return (struct frames_usage){(unsigned)c->prompt.n, c->answer.tokens};
}

static const char *finish_of(const struct call *c) { return c->answer.end == ANSWER_LENGTH ? "length" : "stop"; }

static void put_last_word(struct call *c)
{
	bool failed = c->answer.end == ANSWER_FAILED;
	if (c->kind == CALL_GENERATE) {
		if (failed)
			frames_plain_failed(&c->out, engine_failed);
		else
			frames_plain_close(&c->out, finish_of(c));
		return;
	}
	if (failed) {
		frames_error(&c->out, engine_failed);
		return;
	}
	put_role(c);
	frames_finish(&c->out, &c->frames, finish_of(c), usage_of(c));
}

static void answer_whole(struct call *c)
{
	struct exchange *x = c->exchange;
	struct buf body = {0};
	frames_completion(&body, &c->frames, buf_span(&c->out), finish_of(c), usage_of(c));
	c->exchange = NULL;
	if (c->answer.end == ANSWER_FAILED || c->out.failed || body.failed)
		exchange_refuse(x, 500, NULL, engine_failed);
	else
		exchange_answer(x, 200, "application/json", buf_span(&body));
	buf_finish(&body);
	drop(c);
}

void call_on_end(struct call *c)
{
	set_state(c, CALL_ENDED);
	line_leave(&c->serve->line, &c->member);
	if (!c->exchange) {
		drop(c);
	} else if (streams(c)) {
		put_last_word(c);
		flush(c);
	} else {
		answer_whole(c);
	}
}
