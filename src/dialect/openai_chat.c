/* Dialect openai-chat: chat.completion.chunk objects, as OpenAI writes them and as vLLM, llama.cpp, SGLang, TGI,
 * transformers serve, Ollama and OpenRouter write what they take for the same.
 *
 * An event is read in one pass, without a tree: members are taken as they come and the rest is skipped. The price is
 * that a choice's text may come before its index, and a broken end after good text. Remembering the text would mean to
 * copy all of it; instead it goes straight to where it belongs if it is choice 0's, which it nearly always is, and is
 * taken back if not.
 *
 * 1. Only `[DONE]`, alone, is the terminator. Inside a string it is text.
 * 2. An event that is not one JSON object is unreadable, and says no text; but a server that pastes its error's
 *    sentence between quotes, unescaped, has said that there is an error before the JSON broke.
 * 3. Text in an event that also has a finish or an error is text.
 * 4. `finish_reason` ends a choice when it is a string that is not empty; some servers write "" for null.
 * 5. Members of types that nobody writes are skipped: a peer's invention is no reason to end a good stream.
 *
 * The verdict is stream/ending's; shapes of errors are fault.c's; halves of characters are the reader's. */
#include "dialect/reader.h"

#include <inttypes.h>

struct choice {
	unsigned index;
	bool text, reasoning, tool;
	bool failing;
	char finish[DIALECT_WORD];
	char reasoning_name; /* of the member that is read: servers in transition write the same text under two names */
	struct reader_mark mark;
};

struct chunk {
	struct reader *reader;
	struct json json;
	struct choice choice; /* the present one */
	bool has_choices;
	struct fault fault;
	const char *why;      /* unreadable though it is JSON */
};

typedef void add_text(struct chunk *c, span piece);

static void add_content(struct chunk *c, span piece)
{
	reader_add_text(c->reader, piece);
	c->choice.text |= piece.n > 0;
}

static void add_reasoning(struct chunk *c, span piece)
{
	reader_add_reasoning(c->reader, piece);
	c->choice.reasoning |= piece.n > 0;
}

static bool skip_value(struct json *s)
{
	enum json_token token = json_next(s);
	return json_skip(s, token);
}

static bool read_content(struct chunk *c, add_text *add);

/* Mistral writes content as a list of parts: {"type":"text","text":…}, {"type":"thinking","thinking":[…]}. */
static bool read_part(struct chunk *c, add_text *add)
{
	enum json_token token;
	while ((token = json_next(&c->json)) == JSON_KEY) {
		span name = c->json.text;
		bool good = span_is(name, "text") ? read_content(c, add) :
		            span_is(name, "thinking") ? read_content(c, add_reasoning) : skip_value(&c->json);
		if (!good)
			return false;
	}
	return token == JSON_OBJECT_END;
}

static bool read_parts(struct chunk *c, add_text *add)
{
	enum json_token token;
	while ((token = json_next(&c->json)) != JSON_ARRAY_END) {
		bool good = token == JSON_OBJECT ? read_part(c, add) : json_skip(&c->json, token);
		if (!good)
			return false;
	}
	return true;
}

static bool read_content(struct chunk *c, add_text *add)
{
	enum json_token token = json_next(&c->json);
	if (token == JSON_ARRAY)
		return read_parts(c, add);
	if (token == JSON_STRING)
		add(c, c->json.text);
	return json_skip(&c->json, token);
}

static bool read_reasoning(struct chunk *c, char name)
{
	if (c->choice.reasoning && c->choice.reasoning_name != name)
		return skip_value(&c->json);
	c->choice.reasoning_name = name;
	return read_content(c, add_reasoning);
}

/* An array or object with anything in it. */
static bool read_tool(struct chunk *c)
{
	enum json_token token = json_next(&c->json);
	if (token != JSON_ARRAY && token != JSON_OBJECT)
		return json_skip(&c->json, token);
	while ((token = json_next(&c->json)) != JSON_ARRAY_END && token != JSON_OBJECT_END) {
		if (!json_skip(&c->json, token))
			return false;
		c->choice.tool = true;
	}
	return true;
}

static bool read_delta_member(struct chunk *c, span name)
{
	if (span_is(name, "content") || span_is(name, "refusal"))
		return read_content(c, add_content);
	if (span_is(name, "reasoning_content"))
		return read_reasoning(c, 'c');
	if (span_is(name, "reasoning"))
		return read_reasoning(c, 'r');
	if (span_is(name, "tool_calls") || span_is(name, "function_call"))
		return read_tool(c);
	return skip_value(&c->json);
}

static bool read_delta(struct chunk *c)
{
	enum json_token token = json_next(&c->json);
	if (token != JSON_OBJECT)
		return json_skip(&c->json, token);
	while ((token = json_next(&c->json)) == JSON_KEY)
		if (!read_delta_member(c, c->json.text))
			return false;
	return token == JSON_OBJECT_END;
}

static bool read_finish(struct chunk *c)
{
	static const char *const failures[] = {"error", "abort", "aborted"};
	enum json_token token = json_next(&c->json);
	if (token != JSON_STRING)
		return json_skip(&c->json, token);
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
		c->choice.failing |= span_is(c->json.text, failures[i]);
	fault_copy(c->choice.finish, sizeof c->choice.finish, c->json.text);
	return true;
}

/* A whole number of at most 18 digits; -1 for anything else. */
static int64_t parse_count(span s)
{
	int64_t n = 0;
	if (s.n == 0 || s.n > 18)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		n = 10 * n + (s.p[i] - '0');
	}
	return n;
}

static bool refuse_index(struct chunk *c)
{
	c->why = "expected an index from 0 to 127 in each of `choices`";
	return false;
}

static bool read_index(struct chunk *c)
{
	enum json_token token = json_next(&c->json);
	if (token != JSON_NUMBER)
		return json_skip(&c->json, token);
	int64_t index = parse_count(c->json.text);
	if (index < 0 || index >= DIALECT_CHOICES)
		return refuse_index(c);
	c->choice.index = (unsigned)index;
	return true;
}

static bool finish_choice(struct chunk *c)
{
	struct choice *choice = &c->choice;
	if (!reader_see_choice(c->reader, choice->index))
		return refuse_index(c);
	if (choice->index != 0) {
		reader_take_back(c->reader, &choice->mark);
		if (choice->text || choice->reasoning)
			reader_note_other(c->reader, choice->text);
	}
	if (choice->tool)
		reader_add_tool(c->reader);
	if (choice->finish[0])
		reader_end_choice(c->reader, choice->index, span_str(choice->finish), choice->failing);
	return true;
}

/* Without an index its place in the list counts. */
static bool read_choice(struct chunk *c, unsigned place)
{
	enum json_token token;
	c->choice = (struct choice){.index = place, .mark = reader_mark(c->reader)};
	while ((token = json_next(&c->json)) == JSON_KEY) {
		span name = c->json.text;
		bool good = span_is(name, "index") ? read_index(c) :
		            span_is(name, "delta") ? read_delta(c) :
		            span_is(name, "finish_reason") ? read_finish(c) : skip_value(&c->json);
		if (!good)
			return false;
	}
	return token == JSON_OBJECT_END && finish_choice(c);
}

static bool read_choices(struct chunk *c)
{
	unsigned place = 0;
	enum json_token token = json_next(&c->json);
	if (token != JSON_ARRAY)
		return json_skip(&c->json, token);
	for (; (token = json_next(&c->json)) != JSON_ARRAY_END; place++) {
		bool good = token == JSON_OBJECT ? read_choice(c, place) : json_skip(&c->json, token);
		if (!good)
			return false;
	}
	c->has_choices |= place > 0;
	return true;
}

static bool read_usage(struct chunk *c)
{
	struct seen *seen = &c->reader->seen;
	enum json_token token = json_next(&c->json);
	if (token != JSON_OBJECT)
		return json_skip(&c->json, token);
	while ((token = json_next(&c->json)) == JSON_KEY) {
		int64_t *count = span_is(c->json.text, "prompt_tokens") ? &seen->prompt_tokens :
		                 span_is(c->json.text, "completion_tokens") ? &seen->completion_tokens : NULL;
		token = json_next(&c->json);
		if (count && token == JSON_NUMBER)
			*count = parse_count(c->json.text);
		if (!json_skip(&c->json, token))
			return false;
	}
	return token == JSON_OBJECT_END;
}

static bool read_member(struct chunk *c, span name)
{
	if (span_is(name, "choices"))
		return read_choices(c);
	if (span_is(name, "usage"))
		return read_usage(c);
	return fault_read_member(&c->fault, &c->json, name);
}

static bool read_members(struct chunk *c)
{
	enum json_token token = json_next(&c->json);
	if (token != JSON_OBJECT) {
		c->why = token == JSON_BAD ? NULL : "expected a JSON object";
		return false;
	}
	while ((token = json_next(&c->json)) == JSON_KEY)
		if (!read_member(c, c->json.text))
			return false;
	return token == JSON_OBJECT_END && json_next(&c->json) == JSON_END;
}

static void fail_with_data(struct reader *r, span data)
{
	struct fault f = {0};
	fault_read_data(&f, data);
	reader_fail(r, &f);
}

static void judge_broken(struct chunk *c, span data)
{
	if (c->json.held.failed)
		c->reader->text.failed = true;
	else if (c->fault.is_error)
		fail_with_data(c->reader, data);
	else if (c->why)
		reader_give_up(c->reader, "%s, at byte %" PRIu64 " of an event", c->why, c->json.offset);
	else
		reader_give_up(c->reader, "invalid JSON at byte %" PRIu64 " of an event: %s", c->json.offset,
			       c->json.message);
}

static void read_chunk(struct reader *r, span data)
{
	struct chunk c = {.reader = r};
	struct reader_mark mark = reader_mark(r);
	json_init(&c.json);
	json_feed(&c.json, data, true);
	if (!read_members(&c)) {
		reader_take_back(r, &mark);
		judge_broken(&c, data);
	} else if (c.fault.is_error || (c.fault.is_blank && !c.has_choices)) {
		reader_fail(r, &c.fault);
	}
	json_finish(&c.json);
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	span data = span_trim(event->data);
	r->feeds_idle = data.n && !reader_is_ping(event);
	if (event->error_field.p)
		fail_with_data(r, event->error_field);
	else if (span_is(event->name, "error"))
		fail_with_data(r, data);
	else if (!r->feeds_idle)
		return;
	else if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else
		read_chunk(r, data);
}

const struct dialect dialect_openai_chat = {
	.name = "openai-chat",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = true,
	.read = read_event,
	.read_error_body = reader_take_error_body,
};
