/* Dialect openai-chat: chat.completion.chunk objects, as OpenAI writes them and as vLLM, llama.cpp, SGLang, TGI,
 * transformers serve, Ollama and OpenRouter write what they take for the same.
 *
 * An event is read in one pass, and so a choice's text may come before its index. Remembering the text would mean to
 * copy all of it; instead it goes straight to where it belongs if it is choice 0's, which it nearly always is, and is
 * taken back if not.
 *
 * 1. Only `[DONE]`, alone, is the terminator. Inside a string it is text.
 * 2. Text in an event that also has a finish or an error is text.
 * 3. `finish_reason` ends a choice when it is a string that is not empty; some servers write "" for null.
 * 4. `text` instead of `delta` is openai-completions: the same frames, errors and end otherwise.
 *
 * The verdict is stream/ending's; what all JSON dialects share is object.c's; halves of characters are the reader's. */
#include "dialect/openai_chat.h"

#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

struct choice {
	unsigned index;
	bool text, reasoning, tool;
	bool failing;
	char finish[DIALECT_WORD];
	char reasoning_name; /* of the member that is read: servers in transition write the same text under two names */
	struct reader_mark mark;
};

struct chunk {
	struct object object;
	struct choice choice; /* the present one */
};

typedef void add_text(struct chunk *c, span piece);

static void add_content(struct chunk *c, span piece)
{
	reader_add_text(c->object.reader, piece);
	c->choice.text |= piece.n > 0;
}

static void add_reasoning(struct chunk *c, span piece)
{
	reader_add_reasoning(c->object.reader, piece);
	c->choice.reasoning |= piece.n > 0;
}

static bool take_content(struct chunk *c, add_text *add);

/* Mistral writes content as a list of parts: {"type":"text","text":…}, {"type":"thinking","thinking":[…]}. */
static bool read_part(struct chunk *c, add_text *add)
{
	struct json *s = &c->object.json;
	enum json_token token;
	while ((token = json_next(s)) == JSON_KEY) {
		span name = s->text;
		bool good = span_is(name, "text") ? take_content(c, add) :
		            span_is(name, "thinking") ? take_content(c, add_reasoning) : json_pass(s);
		if (!good)
			return false;
	}
	return token == JSON_OBJECT_END;
}

static bool read_parts(struct chunk *c, add_text *add)
{
	struct json *s = &c->object.json;
	enum json_token token;
	while ((token = json_next(s)) != JSON_ARRAY_END) {
		bool good = token == JSON_OBJECT ? read_part(c, add) : json_skip(s, token);
		if (!good)
			return false;
	}
	return true;
}

static bool take_content(struct chunk *c, add_text *add)
{
	struct json *s = &c->object.json;
	enum json_token token = json_next(s);
	if (token == JSON_ARRAY)
		return read_parts(c, add);
	if (token == JSON_STRING)
		add(c, s->text);
	return json_skip(s, token);
}

static bool read_content(void *of, struct json *s, span name) { return take_content(of, add_content); }

static bool read_reasoning(void *of, struct json *s, span name)
{
	struct chunk *c = of;
	char last = name.p[name.n - 1];
	if (c->choice.reasoning && c->choice.reasoning_name != last)
		return json_pass(s);
	c->choice.reasoning_name = last;
	return take_content(c, add_reasoning);
}

static bool read_tool(void *of, struct json *s, span name)
{
	struct chunk *c = of;
	return object_take_filled(s, &c->choice.tool);
}

static bool read_delta(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("content"), read_content},
		{SPAN("refusal"), read_content},
		{SPAN("reasoning_content"), read_reasoning},
		{SPAN("reasoning"), read_reasoning},
		{SPAN("tool_calls"), read_tool},
		{SPAN("function_call"), read_tool},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_finish(void *of, struct json *s, span name)
{
	struct chunk *c = of;
	enum json_token token = json_next(s);
	if (token == JSON_STRING) {
		c->choice.failing |= object_is_failing(s->text);
		fault_copy(c->choice.finish, sizeof c->choice.finish, s->text);
	}
	return json_skip(s, token);
}

static bool refuse_index(struct chunk *c)
{
	c->object.why = "expected an index from 0 to 127 in each of `choices`";
	return false;
}

static bool read_index(void *of, struct json *s, span name)
{
	struct chunk *c = of;
	int64_t index = c->choice.index;
	if (!object_take_count(s, &index))
		return false;
	if (index < 0 || index >= DIALECT_CHOICES)
		return refuse_index(c);
	c->choice.index = (unsigned)index;
	return true;
}

static bool finish_choice(struct chunk *c)
{
	struct choice *choice = &c->choice;
	struct reader *r = c->object.reader;
	if (!reader_see_choice(r, choice->index))
		return refuse_index(c);
	if (choice->index != 0) {
		reader_take_back(r, &choice->mark);
		if (choice->text || choice->reasoning)
			reader_note_other(r, choice->text);
	}
	if (choice->tool)
		reader_add_tool(r);
	if (choice->finish[0])
		reader_end_choice(r, choice->index, span_str(choice->finish), choice->failing);
	return true;
}

/* Without an index its place in the list counts. */
static bool read_choice(struct chunk *c, unsigned place)
{
	static const struct json_member members[] = {
		{SPAN("index"), read_index},
		{SPAN("delta"), read_delta},
		{SPAN("text"), read_content},
		{SPAN("finish_reason"), read_finish},
	};
	c->choice = (struct choice){.index = place, .mark = reader_mark(c->object.reader)};
	return json_read_members(&c->object.json, members, OBJECT_COUNT(members), c) && finish_choice(c);
}

static bool read_choices(void *of, struct json *s, span name)
{
	struct chunk *c = of;
	unsigned place = 0;
	enum json_token token = json_next(s);
	if (token != JSON_ARRAY)
		return json_skip(s, token);
	for (; (token = json_next(s)) != JSON_ARRAY_END; place++) {
		bool good = token == JSON_OBJECT ? read_choice(c, place) : json_skip(s, token);
		if (!good)
			return false;
	}
	c->object.has_answer |= place > 0;
	return true;
}

static bool read_usage(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("prompt_tokens"), object_read_prompt_tokens},
		{SPAN("completion_tokens"), object_read_completion_tokens},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static const struct json_member members[] = {
	{SPAN("choices"), read_choices},
	{SPAN("usage"), read_usage},
	OBJECT_ERROR_MEMBERS,
};

void openai_chat_read(struct reader *r, const struct sse_event *event)
{
	struct chunk c = {0};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else
		(void)!object_read(&c.object, r, data, members, OBJECT_COUNT(members));
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	question_put_messages(out, q, "messages");
	buf_put(out, SPAN(",\"stream\":true"));
	return true;
}

static const struct json_edit unfinish[] = {
	{{SPAN("choices"), SPAN("[]"), SPAN("finish_reason")}, SPAN("null")},
	{{SPAN("error")}, {0}},
	{{SPAN("object")}, SPAN("\"chat.completion.chunk\"")},
};

const struct dialect dialect_openai_chat = {
	.name = "openai-chat",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = openai_chat_read,
	.read_error_body = reader_take_error_body,
	.terminator = SPAN("data: [DONE]\n\n"),
	.heartbeat = SPAN(":\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.put_error = voice_put_openai_error,
	.raising = {.object = "error", .never = "choices"},
	.unfinish = unfinish,
	.unfinishes = sizeof unfinish / sizeof *unfinish,
	.put_question = put_question,
};
