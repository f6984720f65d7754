/* Dialect sglang-generate: SGLang's native /generate, which sends the whole text again with every token.
 *
 * What was delivered is not kept, only its length and a hash of it: a text that begins with the same bytes goes on
 * where they end. With incremental output each text is only the new piece; it shows itself by the first text that
 * does not begin with what was delivered, and from then on every text is taken as it is.
 *
 * 1. A byte of the answer is delivered once, as long as the server does not change its mind in mid-stream.
 * 2. meta_info.finish_reason is an object with a `type`, or that word itself; `abort` is a failure, which no client
 *    notices. `[DONE]` follows, behind errors too.
 * 3. Choices other than 0 have an `index`; their text is not shown.
 *
 * The hash guards against nothing but chance. The server's OpenAI routes speak openai-chat. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

enum phase { CUMULATIVE, INCREMENTAL }; /* reader.state.phase */

struct frame {
	struct object object;
	span text; /* JSON */
	int64_t index;
	char finish[DIALECT_WORD];
};

static bool read_text(void *of, struct json *s, span name)
{
	struct frame *f = of;
	f->object.has_answer = true;
	return object_take_raw(s, &f->text);
}

static bool read_index(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_count(s, &f->index);
}

static bool read_finish_type(void *of, struct json *s, span name)
{
	struct frame *f = of;
	return object_take_clean(s, f->finish, sizeof f->finish);
}

static bool read_finish(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {{SPAN("type"), read_finish_type}};
	struct frame *f = of;
	enum json_token token = json_next(s);
	if (token == JSON_OBJECT)
		return json_read_members(s, members, OBJECT_COUNT(members), of);
	if (token == JSON_STRING)
		fault_copy(f->finish, sizeof f->finish, s->text);
	return json_skip(s, token);
}

static bool read_meta_info(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("finish_reason"), read_finish},
		{SPAN("prompt_tokens"), object_read_prompt_tokens},
		{SPAN("completion_tokens"), object_read_completion_tokens},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static const struct json_member members[] = {
	{SPAN("text"), read_text},
	{SPAN("meta_info"), read_meta_info},
	{SPAN("index"), read_index},
	OBJECT_ERROR_MEMBERS,
};

/* FNV-1a. */
static uint64_t hash_on(uint64_t hash, span s)
{
	for (size_t i = 0; i < s.n; i++)
		hash = (hash ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return hash;
}

static bool goes_on(const struct dialect_state *state, span text)
{
	return state->phase == CUMULATIVE && text.n >= state->length &&
	       hash_on(0, span_first(text, state->length)) == state->hash;
}

static void add_new(struct reader *r, span text)
{
	struct dialect_state *state = &r->state;
	if (goes_on(state, text))
		text = span_from(text, state->length);
	else
		state->phase = INCREMENTAL;
	state->hash = hash_on(state->hash, text);
	state->length += text.n;
	reader_add_text(r, text);
}

static void note_other(struct reader *r, span text) { reader_note_other(r, true); }

static void take(struct reader *r, const struct frame *f)
{
	if (f->index < 0 || f->index >= DIALECT_CHOICES || !reader_see_choice(r, (unsigned)f->index)) {
		reader_give_up(r, "expected an index from 0 to 127");
		return;
	}
	if (f->text.n)
		object_add_raw(r, f->text, f->index ? note_other : add_new);
	if (f->finish[0])
		reader_end_choice(r, (unsigned)f->index, span_str(f->finish), object_is_failing(span_str(f->finish)));
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct frame f = {0};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&f.object, r, data, members, OBJECT_COUNT(members)))
		take(r, &f);
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"error\":{\"message\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN("}}"));
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	if (!question_put_prompt(out, q, "text"))
		return false;
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

static const struct json_edit unfinish[] = {
	{{SPAN("meta_info"), SPAN("finish_reason")}, SPAN("null")},
	{{SPAN("error")}, {0}},
	{{SPAN("object")}, {0}},
};

const struct dialect dialect_sglang_generate = {
	.name = "sglang-generate",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
	.terminator = SPAN("data: [DONE]\n\n"),
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.put_error = put_error,
	.raising = {.object = "error"},
	.unfinish = unfinish,
	.unfinishes = OBJECT_COUNT(unfinish),
	.own = "text",
	.put_question = put_question,
};
