/* Dialect gemini: streamGenerateContent with alt=sse, whole responses that each hold the next piece.
 *
 * It has no terminator. A finishReason is only the last word if nothing follows it, because older models and some
 * translators write STOP on every chunk; so it counts when the body has ended, and framing has to prove that
 * (stream/ending, line 9). A prompt that is refused has no candidates at all but a promptFeedback, whose blockReason is
 * the finish.
 *
 * 1. `thought` may come behind a part's text, and a candidate's index behind its parts: a part waits as JSON until it
 *    is whole; what turns out to be of another candidate is taken back.
 * 2. Errors come behind `data:` or as bare JSON lines, and where alt=sse was forgotten as the only element of an array.
 * 3. The tokens of thoughts are counted with the answer's.
 *
 * What a bare JSON line is in an event stream is known to sse/parse; the rest of errors to object.c. */
#include "dialect/object.h"
#include "dialect/question.h"
#include "dialect/voice.h"

#include "sse/print.h"

struct candidate {
	int64_t index;
	bool text, reasoning, tool;
	char finish[DIALECT_WORD];
	struct reader_mark mark;
};

struct part {
	struct object *object;
	span text; /* JSON */
	bool thought, tool;
};

struct response {
	struct object object;
	struct candidate candidate; /* the present one */
	char block[DIALECT_WORD];
	int64_t answer_tokens, thought_tokens;
};

static bool read_part_text(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_raw(s, &p->text);
}

static bool read_thought(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_flag(s, &p->thought);
}

static bool read_call(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_filled(s, &p->tool);
}

static bool read_part(void *of, struct json *s)
{
	static const struct json_member members[] = {
		{SPAN("text"), read_part_text},
		{SPAN("thought"), read_thought},
		{SPAN("functionCall"), read_call},
	};
	struct response *response = of;
	struct candidate *c = &response->candidate;
	struct part part = {0};
	if (!json_read_members(s, members, OBJECT_COUNT(members), &part))
		return false;
	bool any = object_add_raw(response->object.reader, part.text,
				  part.thought ? reader_add_reasoning : reader_add_text);
	c->text |= any && !part.thought;
	c->reasoning |= any && part.thought;
	c->tool |= part.tool;
	return true;
}

static bool read_parts(void *of, struct json *s, span name) { return json_read_array(s, read_part, of); }

static bool read_content(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {{SPAN("parts"), read_parts}};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_finish(void *of, struct json *s, span name)
{
	struct response *r = of;
	bool good = object_take_clean(s, r->candidate.finish, sizeof r->candidate.finish);
	if (strcmp(r->candidate.finish, "FINISH_REASON_UNSPECIFIED") == 0)
		r->candidate.finish[0] = 0;
	return good;
}

static bool read_index(void *of, struct json *s, span name)
{
	struct response *r = of;
	return object_take_count(s, &r->candidate.index);
}

static bool finish_candidate(struct response *response)
{
	struct candidate *c = &response->candidate;
	struct reader *r = response->object.reader;
	if (c->index < 0 || c->index >= DIALECT_CHOICES || !reader_see_choice(r, (unsigned)c->index)) {
		response->object.why = "expected an index from 0 to 127 in each of `candidates`";
		return false;
	}
	if (c->index != 0) {
		reader_take_back(r, &c->mark);
		if (c->text || c->reasoning)
			reader_note_other(r, c->text);
	}
	if (c->tool)
		reader_add_tool(r);
	if (c->finish[0])
		reader_end_choice(r, (unsigned)c->index, span_str(c->finish), object_is_failing(span_str(c->finish)));
	return true;
}

static bool read_candidate(void *of, struct json *s)
{
	static const struct json_member members[] = {
		{SPAN("content"), read_content},
		{SPAN("finishReason"), read_finish},
		{SPAN("index"), read_index},
	};
	struct response *r = of;
	r->candidate = (struct candidate){.mark = reader_mark(r->object.reader)};
	r->object.has_answer = true;
	return json_read_members(s, members, OBJECT_COUNT(members), r) && finish_candidate(r);
}

static bool read_candidates(void *of, struct json *s, span name) { return json_read_array(s, read_candidate, of); }

static bool read_block_reason(void *of, struct json *s, span name)
{
	struct response *r = of;
	return object_take_clean(s, r->block, sizeof r->block);
}

static bool read_feedback(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {{SPAN("blockReason"), read_block_reason}};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static bool read_answer_tokens(void *of, struct json *s, span name)
{
	struct response *r = of;
	return object_take_count(s, &r->answer_tokens);
}

static bool read_thought_tokens(void *of, struct json *s, span name)
{
	struct response *r = of;
	return object_take_count(s, &r->thought_tokens);
}

static bool read_usage(void *of, struct json *s, span name)
{
	static const struct json_member members[] = {
		{SPAN("promptTokenCount"), object_read_prompt_tokens},
		{SPAN("candidatesTokenCount"), read_answer_tokens},
		{SPAN("thoughtsTokenCount"), read_thought_tokens},
	};
	return json_read_object(s, members, OBJECT_COUNT(members), of);
}

static const struct json_member members[] = {
	{SPAN("candidates"), read_candidates},
	{SPAN("usageMetadata"), read_usage},
	{SPAN("promptFeedback"), read_feedback},
	OBJECT_ERROR_MEMBERS,
};

static void take(struct reader *r, const struct response *response)
{
	int64_t answer = response->answer_tokens, thought = response->thought_tokens;
	if (answer >= 0 || thought >= 0)
		r->seen.completion_tokens = (answer > 0 ? answer : 0) + (thought > 0 ? thought : 0);
	if (response->block[0])
		reader_end_all(r, span_str(response->block), false);
}

static void read_event(struct reader *r, const struct sse_event *event)
{
	struct response response = {.answer_tokens = -1, .thought_tokens = -1};
	span data;
	if (object_is_done(r, event, &data))
		return;
	if (span_is(data, "[DONE]"))
		reader_end_stream(r);
	else if (object_read(&response.object, r, data, members, OBJECT_COUNT(members)))
		take(r, &response);
}

static bool read_error_body(struct reader *r, span body)
{
	struct json s;
	span first = body;
	json_init(&s);
	json_feed(&s, body, true);
	bool list = json_next(&s) == JSON_ARRAY && object_take_raw(&s, &first);
	json_finish(&s);
	return reader_take_error_body(r, list ? first : body);
}

/* Google's words (google.rpc.Code). */
static const char *status_word(int status)
{
	switch (status) {
	case 401:
		return "UNAUTHENTICATED";
	case 429:
		return "RESOURCE_EXHAUSTED";
	case 504:
		return "DEADLINE_EXCEEDED";
	default:
		return "UNAVAILABLE";
	}
}

static void put_error(struct buf *out, const struct failure *f)
{
	buf_put(out, SPAN("{\"error\":{\"code\":"));
	voice_put_number(out, f);
	buf_put(out, SPAN(",\"message\":"));
	sse_print_json_string(out, voice_message(f));
	buf_put(out, SPAN(",\"status\":"));
	voice_put_type(out, f, status_word(voice_status(f)));
	buf_put(out, SPAN("}}"));
}

/* System messages have a place of their own, and the assistant is called model. */
struct asked {
	struct buf system, contents;
};

static bool take_message(void *of, const struct message *m)
{
	struct asked *a = of;
	bool system = question_is_system(m), model = strcmp(m->role, "assistant") == 0;
	struct buf *list = system ? &a->system : &a->contents;
	buf_put(list, list->n ? SPAN(",") : SPAN(""));
	if (!system)
		buf_printf(list, "{\"role\":\"%s\",\"parts\":[", model ? "model" : "user");
	bool good = question_put_parts(list, m, "{\"text\":", "}");
	buf_put(list, system ? SPAN("") : SPAN("]}"));
	return good && (system || model || strcmp(m->role, "user") == 0);
}

static bool put_question(struct buf *out, const struct dialect_question *q)
{
	struct asked a = {0};
	bool good = question_each_message(q, take_message, &a) && !a.system.failed && !a.contents.failed;
	if (a.system.n) {
		buf_put(out, SPAN("\"systemInstruction\":{\"parts\":["));
		buf_put(out, buf_span(&a.system));
		buf_put(out, SPAN("]},"));
	}
	buf_put(out, SPAN("\"contents\":["));
	buf_put(out, buf_span(&a.contents));
	buf_put(out, SPAN("]"));
	buf_finish(&a.system);
	buf_finish(&a.contents);
	return good;
}

static const struct json_edit unfinish[] = {
	{{SPAN("candidates"), SPAN("[]"), SPAN("finishReason")}, SPAN("null")},
	{{SPAN("promptFeedback")}, {0}},
	{{SPAN("error")}, {0}},
	{{SPAN("object")}, {0}},
};

/* The Python client raises on any comment, and the JS client drops a frame that one is glued to. */
const struct dialect dialect_gemini = {
	.name = "gemini",
	.syntax = SSE_EVENT_STREAM,
	.has_finish = true,
	.has_terminator = false,
	.read = read_event,
	.read_error_body = read_error_body,
	.heartbeat = SPAN("\n"),
	.frame_begin = SPAN("data: "),
	.frame_end = SPAN("\n\n"),
	.query = SPAN("alt=sse"),
	.put_error = put_error,
	.raising = {.object = "error", .coded = true, .never = "candidates"},
	.unfinish = unfinish,
	.unfinishes = OBJECT_COUNT(unfinish),
	.credential = "x-goog-api-key: ",
	.stream_path = ":streamGenerateContent",
	.own = "contents",
	.put_question = put_question,
};
