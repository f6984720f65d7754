/* Which dialect: by its name, by the path that an upstream answers on, or by the look of its first event.
 *
 * Paths are what people agree on: nobody serves Anthropic's events on /v1/chat/completions. So a path decides before
 * anything was sent, and how the upstream is asked depends on it. Only where the path says nothing (a custom server's
 * /generate) the first event with data is looked at, at the names of its top-level members, never at their text: an
 * answer that happens to be JSON must not be taken for a protocol, so what is looked for are members that no one
 * writes by chance, of the right type.
 *
 * A guess never fails: what is not recognised is NULL, and the caller has a default.
 *
 * Pure, any thread. What the dialects mean is in a file for each. */
#include "dialect/dialect.h"

#include "json/scan.h"

static const struct dialect *const all[] = {
	&dialect_text, &dialect_openai_chat, &dialect_openai_completions, &dialect_openai_responses, &dialect_anthropic,
	&dialect_gemini, &dialect_ollama_chat, &dialect_ollama_generate, &dialect_llamacpp, &dialect_tgi,
	&dialect_sglang_generate, &dialect_ai_ui,
};

const struct dialect *dialect_by_name(span name)
{
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (span_is(name, all[i]->name))
			return all[i];
	return NULL;
}

/* Paths. */

static const struct {
	const char *end;
	const struct dialect *dialect;
} paths[] = {
	{"/chat/completions", &dialect_openai_chat}, /* behind /v1, /v1beta/openai, a deployment's name … */
	{"/v1/completions", &dialect_openai_completions},
	{"/v1/responses", &dialect_openai_responses},
	{"/v1/messages", &dialect_anthropic},
	{":streamGenerateContent", &dialect_gemini},
	{"/api/chat", &dialect_ollama_chat},
	{"/api/generate", &dialect_ollama_generate},
	{"/completion", &dialect_llamacpp},
	{"/generate_stream", &dialect_tgi},
};

static bool ends_with(span s, span end)
{
	return s.n >= end.n && span_eq(span_from(s, s.n - end.n), end);
}

const struct dialect *dialect_by_path(span path)
{
	path = span_first(path, span_find(path, '?'));
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (ends_with(path, span_str(paths[i].end)))
			return paths[i].dialect;
	return NULL;
}

bool dialect_wants_stream(const struct dialect *d, span path, span query, int says)
{
	if (d->query.n && !span_lists(query, '&', d->query))
		return false;
	if (d->stream_path)
		return ends_with(path, span_str(d->stream_path));
	return d->streams_by_default ? says != 0 : says > 0;
}

/* First events. */

/* What is of interest in an event's top level: which members it has, and what they are. */
struct look {
	bool choices, chunk, completion, candidates, block_reason, token, stop, content, done, message, response, text,
	     meta_info, error, sequence_number, error_text;
	char type[32]; /* empty when there is none, or a longer one */
};

static void look_at_string(struct look *l, span name, span value)
{
	l->content |= span_is(name, "content");
	l->response |= span_is(name, "response");
	l->text |= span_is(name, "text");
	l->error |= span_is(name, "error");
	l->error_text |= span_is(name, "errorText");
	if (span_is(name, "object")) {
		l->chunk |= span_is(value, "chat.completion.chunk");
		l->completion |= span_is(value, "text_completion");
		l->error |= span_is(value, "error");
	} else if (span_is(name, "type") && value.n < sizeof l->type && memchr(value.p, 0, value.n) == NULL) {
		memcpy(l->type, value.p, value.n);
		l->type[value.n] = 0;
	}
}

static void look_at_object(struct look *l, span name)
{
	l->token |= span_is(name, "token");
	l->message |= span_is(name, "message");
	l->meta_info |= span_is(name, "meta_info");
	l->block_reason |= span_is(name, "promptFeedback");
	l->error |= span_is(name, "error");
}

static void look_at(struct look *l, span name, enum json_token token, span value)
{
	if (token == JSON_STRING)
		look_at_string(l, name, value);
	else if (token == JSON_OBJECT)
		look_at_object(l, name);
	else if (token == JSON_ARRAY) {
		l->choices |= span_is(name, "choices");
		l->candidates |= span_is(name, "candidates");
	} else if (token == JSON_TRUE || token == JSON_FALSE) {
		l->stop |= span_is(name, "stop");
		l->done |= span_is(name, "done");
	} else if (token == JSON_NUMBER) {
		l->sequence_number |= span_is(name, "sequence_number");
	}
}

enum { NAME = 32 }; /* bytes; longer names are none of ours */

static bool look_at_member(struct look *l, struct json *s)
{
	char name[NAME];
	size_t n = s->text.n < NAME ? s->text.n : 0;
	memcpy(name, s->text.p, n);
	enum json_token token = json_next(s);
	look_at(l, span_of(name, n), token, s->text);
	return json_skip(s, token);
}

static bool look_at_event(struct look *l, span data)
{
	struct json s;
	json_init(&s);
	json_feed(&s, data, true);
	enum json_token token = json_next(&s);
	bool good = token == JSON_OBJECT;
	while (good && (token = json_next(&s)) == JSON_KEY)
		good = look_at_member(l, &s);
	good = good && token == JSON_OBJECT_END && json_next(&s) == JSON_END;
	json_finish(&s);
	return good;
}

static bool is_one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, words[i]) == 0)
			return true;
	return false;
}

static const struct dialect *by_type(const struct look *l)
{
	static const char *const anthropic[] = {"message_start", "content_block_start", "content_block_delta",
		"content_block_stop", "message_delta", "message_stop", "ping"};
	static const char *const ai_ui[] = {"start", "start-step", "text-start", "text-delta", "reasoning-start",
		"error"};
	if (span_starts(span_str(l->type), SPAN("response.")))
		return &dialect_openai_responses;
	if (is_one_of(l->type, anthropic, sizeof anthropic / sizeof *anthropic))
		return &dialect_anthropic;
	if (strcmp(l->type, "error") == 0 && !l->error_text)
		return l->sequence_number ? &dialect_openai_responses : l->error ? &dialect_anthropic : NULL;
	return is_one_of(l->type, ai_ui, sizeof ai_ui / sizeof *ai_ui) ? &dialect_ai_ui : NULL;
}

static const struct dialect *by_look(const struct look *l)
{
	if (l->choices || l->chunk || l->completion)
		return l->completion ? &dialect_openai_completions : &dialect_openai_chat;
	if (l->type[0] && by_type(l))
		return by_type(l);
	if (l->candidates || l->block_reason)
		return &dialect_gemini;
	if (l->token)
		return &dialect_tgi;
	if (l->stop && l->content)
		return &dialect_llamacpp;
	if (l->text && l->meta_info)
		return &dialect_sglang_generate;
	/* An error alone: most servers of that shape speak OpenAI's, and its reader says what is wrong. */
	return l->error ? &dialect_openai_chat : NULL;
}

/* An error alone looks the same in both of Ollama's. */
static const struct dialect *by_line(const struct look *l)
{
	if (l->done && l->response)
		return &dialect_ollama_generate;
	return (l->done && l->message) || l->error ? &dialect_ollama_chat : NULL;
}

const struct dialect *dialect_by_event(enum sse_syntax syntax, const struct sse_event *event)
{
	struct look l = {0};
	if (!look_at_event(&l, event->data))
		return NULL;
	return syntax == SSE_NDJSON ? by_line(&l) : by_look(&l);
}
