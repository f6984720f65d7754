/* Reading chat requests.
 *
 * The body is read whole by jansson: it is small (1 MiB at most), it is ours to judge and not to pass on. A client must
 * never get an answer to another question than it asked. So a member that changes what is generated is either
 * understood or refused with 400 (tools, n > 1, logprobs, a response format); one that does not (user, metadata, store
 * …) is ignored, as is the model's name: there is one model. Numbers outside their range are refused, not bent.
 *
 * Numbers are rows of a table: name, place, limits, whether whole. A new parameter is a new row.
 *
 * 1. A chat that is handed out is whole: at least one message, each content valid UTF-8 without NUL (the chat template
 *    works on C strings; jansson refuses \u0000 and bad UTF-8).
 * 2. The first thing that is wrong is what the complaint says.
 *
 * Whether the prompt fits the context is known only after tokenizing: prompt.c. */
#include "model/chat.h"

#include "base/utf8.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool complain(struct chat_complaint *wrong, const char *code, const char *message, ...) PRINTF_LIKE(3, 4);

static bool complain(struct chat_complaint *wrong, const char *code, const char *message, ...)
{
	va_list args;
	va_start(args, message);
	vsnprintf(wrong->message, sizeof wrong->message, message, args);
	va_end(args);
	wrong->code = code;
	return false;
}

static bool complain_memory(struct chat_complaint *wrong)
{
	return complain(wrong, NULL, "There is no memory for this request.");
}

enum number_kind { WHOLE, REAL };

static const struct number {
	const char *name;
	size_t at; /* in struct chat */
	enum number_kind kind;
	double least, most;
} numbers[] = {
	{"temperature", offsetof(struct chat, sampling.temperature), REAL, 0, 2},
	{"top_p", offsetof(struct chat, sampling.top_p), REAL, 0, 1},
	{"min_p", offsetof(struct chat, sampling.min_p), REAL, 0, 1},
	{"top_k", offsetof(struct chat, sampling.top_k), WHOLE, -1, INT32_MAX},
	{"repeat_penalty", offsetof(struct chat, sampling.repeat_penalty), REAL, 0.01, 10},
	{"presence_penalty", offsetof(struct chat, sampling.presence_penalty), REAL, -2, 2},
	{"frequency_penalty", offsetof(struct chat, sampling.frequency_penalty), REAL, -2, 2},
};

static const json_t *given(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	return json_is_null(value) ? NULL : value;
}

static bool is_in_range(const json_t *value, enum number_kind kind, double least, double most)
{
	if (kind == WHOLE ? !json_is_integer(value) : !json_is_number(value))
		return false;
	double number = json_number_value(value);
	return isfinite(number) && number >= least && number <= most;
}

static bool read_number(const json_t *root, const struct number *row, struct chat *c, struct chat_complaint *wrong)
{
	const json_t *value = given(root, row->name);
	if (!value)
		return true;
	if (!is_in_range(value, row->kind, row->least, row->most))
		return complain(wrong, NULL, "\"%s\" must be %s from %g to %g.", row->name,
		                row->kind == WHOLE ? "a whole number" : "a number", row->least, row->most);
	if (row->kind == WHOLE)
		*(int64_t *)((char *)c + row->at) = json_integer_value(value);
	else
		*(double *)((char *)c + row->at) = json_number_value(value);
	return true;
}

static bool read_numbers(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (!read_number(root, &numbers[i], c, wrong))
			return false;
	return true;
}

static bool read_max_tokens(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	const char *name = given(root, "max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
	const json_t *value = given(root, name);
	if (!value)
		return true;
	if (!is_in_range(value, WHOLE, 1, INT32_MAX))
		return complain(wrong, NULL, "\"%s\" must be a whole number, at least 1.", name);
	c->max_tokens = (unsigned)json_integer_value(value);
	return true;
}

static bool read_seed(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	const json_t *value = given(root, "seed");
	if (!value)
		return true;
	if (!json_is_integer(value))
		return complain(wrong, NULL, "\"seed\" must be a whole number.");
	uint64_t seed = (uint64_t)json_integer_value(value);
	c->sampling.has_seed = true;
	c->sampling.seed = (uint32_t)(seed ^ seed >> 32);
	return true;
}

static bool read_flag(const json_t *object, const char *name, bool *flag, struct chat_complaint *wrong)
{
	const json_t *value = given(object, name);
	if (value && !json_is_boolean(value))
		return complain(wrong, NULL, "\"%s\" must be true or false.", name);
	*flag = json_is_true(value);
	return true;
}

static bool read_stream(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	const json_t *options = given(root, "stream_options");
	if (options && !json_is_object(options))
		return complain(wrong, NULL, "\"stream_options\" must be an object.");
	return read_flag(root, "stream", &c->stream, wrong) &&
	       read_flag(options, "include_usage", &c->include_usage, wrong);
}

static bool add_stop(const json_t *value, struct chat *c, struct chat_complaint *wrong)
{
	if (json_is_string(value) && stops_add(&c->stops, span_of(json_string_value(value), json_string_length(value))))
		return true;
	return complain(wrong, NULL, "\"stop\" must be a string or a list of at most %d strings, each of 1 to %d bytes.",
	                STOPS, STOP_BYTES);
}

static bool read_stops(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	const json_t *stop = given(root, "stop");
	if (!stop || json_is_string(stop))
		return !stop || add_stop(stop, c, wrong);
	if (!json_is_array(stop))
		return add_stop(NULL, c, wrong);
	for (size_t i = 0; i < json_array_size(stop); i++)
		if (!add_stop(json_array_get(stop, i), c, wrong))
			return false;
	return true;
}

static bool read_one_bias(const char *token, const json_t *bias, struct chat_sampling *s)
{
	char *end;
	long id = strtol(token, &end, 10);
	if (*token < '0' || *token > '9' || *end || id > INT32_MAX || !is_in_range(bias, REAL, -100, 100))
		return false;
	s->bias[s->biases++] = (struct chat_bias){(int32_t)id, (float)json_number_value(bias)};
	return true;
}

static bool read_bias(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	json_t *map = json_object_get(root, "logit_bias");
	if (!map || json_is_null(map))
		return true;
	if (!json_is_object(map) || json_object_size(map) > CHAT_BIASES)
		return complain(wrong, NULL, "\"logit_bias\" must be an object of at most %d members.", CHAT_BIASES);
	c->sampling.bias = calloc(json_object_size(map) + 1, sizeof *c->sampling.bias);
	if (!c->sampling.bias)
		return complain_memory(wrong);
	const char *token;
	json_t *bias;
	json_object_foreach(map, token, bias)
		if (!read_one_bias(token, bias, &c->sampling))
			return complain(wrong, NULL, "\"logit_bias\" must map the numbers of tokens to numbers from -100 to 100.");
	return true;
}

/* A role of ours for what the client wrote; NULL when there is none. */
static const char *role_of(const char *name)
{
	static const char *const roles[][2] = {
		{"system", "system"}, {"developer", "system"}, {"user", "user"}, {"assistant", "assistant"}};
	for (size_t i = 0; name && i < sizeof roles / sizeof *roles; i++)
		if (strcmp(name, roles[i][0]) == 0)
			return roles[i][1];
	return NULL;
}

/* [{"type":"text","text":"…"}, …] */
static bool join_parts(const json_t *parts, struct buf *out, struct chat_complaint *wrong)
{
	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *part = json_array_get(parts, i);
		const char *type = json_string_value(json_object_get(part, "type"));
		const json_t *text = json_object_get(part, "text");
		if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
			return complain(wrong, NULL,
			                "A message's \"content\" may be a string or a list of {\"type\":\"text\",\"text\":…}: "
			                "this model reads text only.");
		buf_put(out, span_of(json_string_value(text), json_string_length(text)));
	}
	return true;
}

static bool read_content(const json_t *message, struct buf *out, struct chat_complaint *wrong)
{
	const json_t *content = json_object_get(message, "content");
	if (json_is_string(content))
		buf_put(out, span_of(json_string_value(content), json_string_length(content)));
	else if (json_is_array(content))
		return join_parts(content, out, wrong);
	else
		return complain(wrong, NULL, "Each message needs a \"content\".");
	return true;
}

static bool read_message(const json_t *message, struct chat *c, struct chat_complaint *wrong)
{
	const char *role = role_of(json_string_value(json_object_get(message, "role")));
	struct buf content = {0};
	if (!role)
		return complain(wrong, NULL,
		                "Each message needs a \"role\": \"system\", \"developer\", \"user\" or \"assistant\".");
	bool fine = read_content(message, &content, wrong);
	if (fine && !buf_cstr(&content))
		fine = complain_memory(wrong);
	if (!fine) {
		buf_finish(&content);
		return false;
	}
	c->message[c->messages++] = (struct chat_message){role, content.p};
	return true;
}

static bool read_messages(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	const json_t *list = json_object_get(root, "messages");
	size_t n = json_array_size(list);
	if (n == 0 || n > CHAT_MESSAGES)
		return complain(wrong, NULL, "\"messages\" must be a list of 1 to %d messages.", CHAT_MESSAGES);
	c->message = calloc(n, sizeof *c->message);
	if (!c->message)
		return complain_memory(wrong);
	for (size_t i = 0; i < n; i++)
		if (!read_message(json_array_get(list, i), c, wrong))
			return false;
	return true;
}

/* What would change the answer and is not built. */
static bool refuse_unbuilt(const json_t *root, struct chat_complaint *wrong)
{
	static const char *const lists[] = {"tools", "functions"};
	const json_t *n = given(root, "n"), *format = given(root, "response_format");
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (json_array_size(json_object_get(root, lists[i])))
			return complain(wrong, "unsupported_parameter", "This model server has no tools: leave out \"%s\".",
			                lists[i]);
	if (n && !(json_is_integer(n) && json_integer_value(n) == 1))
		return complain(wrong, "unsupported_parameter",
		                "This model server gives one answer to a request: \"n\" must be 1.");
	if (json_is_true(json_object_get(root, "logprobs")))
		return complain(wrong, "unsupported_parameter", "This model server gives no \"logprobs\".");
	const char *type = json_string_value(json_object_get(format, "type"));
	if (format && !(type && strcmp(type, "text") == 0))
		return complain(wrong, "unsupported_parameter",
		                "This model server writes text: \"response_format\" must be {\"type\":\"text\"}.");
	return true;
}

static struct chat *create(void)
{
	struct chat *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->sampling = (struct chat_sampling){.temperature = 0.3, .top_p = 0.9, .min_p = 0.05, .top_k = 40,
	                                     .repeat_penalty = 1};
	c->max_tokens = CHAT_MAX_TOKENS;
	return c;
}

static bool read_all(const json_t *root, struct chat *c, struct chat_complaint *wrong)
{
	return read_messages(root, c, wrong) && refuse_unbuilt(root, wrong) && read_numbers(root, c, wrong) &&
	       read_max_tokens(root, c, wrong) && read_seed(root, c, wrong) && read_stops(root, c, wrong) &&
	       read_bias(root, c, wrong) && read_stream(root, c, wrong);
}

static json_t *load(span body, struct chat_complaint *wrong)
{
	json_error_t error;
	json_t *root = json_loadb(body.n ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		complain(wrong, "invalid_json", "The body is not valid JSON: line %d, column %d: %s.", error.line,
		         error.column, error.text);
	else if (!json_is_object(root)) {
		json_decref(root);
		root = NULL;
		complain(wrong, "invalid_json", "The body must be a JSON object.");
	}
	return root;
}

struct chat *chat_parse(span body, struct chat_complaint *wrong)
{
	json_t *root = load(body, wrong);
	if (!root)
		return NULL;
	struct chat *c = create();
	if (!c)
		complain_memory(wrong);
	else if (!read_all(root, c, wrong)) {
		chat_destroy(c);
		c = NULL;
	}
	json_decref(root);
	return c;
}

struct chat *chat_of_prompt(span prompt, struct chat_complaint *wrong)
{
	if (prompt.n == 0 || memchr(prompt.p, 0, prompt.n) || !utf8_is_valid(prompt)) {
		complain(wrong, NULL, "The query needs a \"prompt\": text in UTF-8 without NUL.");
		return NULL;
	}
	struct chat *c = create();
	struct chat_message *message = calloc(1, sizeof *message);
	char *content = strndup(prompt.p, prompt.n);
	if (!c || !message || !content) {
		complain_memory(wrong);
		free(c);
		free(message);
		free(content);
		return NULL;
	}
	*message = (struct chat_message){"user", content};
	c->message = message;
	c->messages = 1;
	c->stream = true;
	return c;
}

void chat_destroy(struct chat *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->messages; i++)
		free(c->message[i].content);
	free(c->message);
	free(c->sampling.bias);
	stops_finish(&c->stops);
	free(c);
}
