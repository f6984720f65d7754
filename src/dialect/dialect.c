/* Which dialect: by its name, by the path that an upstream answers on, or by the look of its first event.
 *
 * Paths are what people agree on: nobody serves Anthropic's events on /v1/chat/completions. So a path decides before
 * anything was sent, and how the upstream is asked depends on it. Only where the path says nothing (a custom server's
 * /generate) the first event with data is looked at, at the names of its top-level members, never at their text: an
 * answer that happens to be JSON must not be taken for a protocol, so what is looked for are members that no one
 * writes by chance, of the right type.
 *
 * 1. Every name of `rows` is a name of the configuration; `dialect` is NULL for those that are not built yet.
 * 2. A guess never fails: what is not recognised has no name, and the caller has a default.
 *
 * Pure, any thread. What the dialects mean is in a file for each. */
#include "dialect/dialect.h"

#include "json/scan.h"

struct row {
	const char *name;
	const struct dialect *dialect;
};

static const struct row rows[] = {
	{"text", &dialect_text},
	{"openai-chat", &dialect_openai_chat},
	{"openai-completions", &dialect_openai_completions},
	{"openai-responses", &dialect_openai_responses},
	{"anthropic", &dialect_anthropic},
	{"gemini", &dialect_gemini},
	{"ollama-chat", &dialect_ollama_chat},
	{"ollama-generate", &dialect_ollama_generate},
	{"llamacpp", &dialect_llamacpp},
	{"tgi", &dialect_tgi},
	{"sglang-generate", &dialect_sglang_generate},
	{"ai-ui", &dialect_ai_ui},
};

const struct dialect *dialect_by_name(span name, bool *known)
{
	*known = span_is(name, "auto");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (span_is(name, rows[i].name)) {
			*known = true;
			return rows[i].dialect;
		}
	return NULL;
}

static struct dialect_guess guess(const char *name)
{
	bool known = false;
	struct dialect_guess g = {.name = name};
	if (name) {
		g.dialect = dialect_by_name(span_str(name), &known);
		CHECK(known);
	}
	return g;
}

/* Paths. */

static const struct {
	const char *end, *name;
} paths[] = {
	{"/chat/completions", "openai-chat"}, /* behind /v1, /v1beta/openai, a deployment's name … */
	{"/v1/completions", "openai-completions"},
	{"/v1/responses", "openai-responses"},
	{"/v1/messages", "anthropic"},
	{":streamGenerateContent", "gemini"},
	{"/api/chat", "ollama-chat"},
	{"/api/generate", "ollama-generate"},
	{"/completion", "llamacpp"},
	{"/generate_stream", "tgi"},
};

static bool ends_with(span s, span end)
{
	return s.n >= end.n && span_eq(span_from(s, s.n - end.n), end);
}

struct dialect_guess dialect_by_path(span path)
{
	path = span_first(path, span_find(path, '?'));
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (ends_with(path, span_str(paths[i].end)))
			return guess(paths[i].name);
	return guess(NULL);
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

static const char *name_by_type(const struct look *l)
{
	static const char *const anthropic[] = {"message_start", "content_block_start", "content_block_delta",
		"content_block_stop", "message_delta", "message_stop", "ping"};
	static const char *const ai_ui[] = {"start", "start-step", "text-start", "text-delta", "reasoning-start",
		"error"};
	if (span_starts(span_str(l->type), SPAN("response.")))
		return "openai-responses";
	if (is_one_of(l->type, anthropic, sizeof anthropic / sizeof *anthropic))
		return "anthropic";
	if (strcmp(l->type, "error") == 0 && !l->error_text)
		return l->sequence_number ? "openai-responses" : l->error ? "anthropic" : NULL;
	return is_one_of(l->type, ai_ui, sizeof ai_ui / sizeof *ai_ui) ? "ai-ui" : NULL;
}

static const char *name_by_look(const struct look *l)
{
	if (l->choices || l->chunk || l->completion)
		return l->completion ? "openai-completions" : "openai-chat";
	if (l->type[0] && name_by_type(l))
		return name_by_type(l);
	if (l->candidates || l->block_reason)
		return "gemini";
	if (l->token)
		return "tgi";
	if (l->stop && l->content)
		return "llamacpp";
	if (l->text && l->meta_info)
		return "sglang-generate";
	/* An error alone: most servers of that shape speak OpenAI's, and its reader says what is wrong. */
	return l->error ? "openai-chat" : NULL;
}

/* An error alone looks the same in both of Ollama's. */
static const char *name_by_line(const struct look *l)
{
	if (l->done && l->response)
		return "ollama-generate";
	return (l->done && l->message) || l->error ? "ollama-chat" : NULL;
}

struct dialect_guess dialect_by_event(enum sse_syntax syntax, const struct sse_event *event)
{
	struct look l = {0};
	if (!look_at_event(&l, event->data))
		return guess(NULL);
	return guess(syntax == SSE_NDJSON ? name_by_line(&l) : name_by_look(&l));
}
