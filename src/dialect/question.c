/* How servers are asked: the members that carry a prompt or messages, in each dialect's words.
 *
 * What comes in is a prompt, or messages as the text of OpenAI's JSON array. Where a server takes them as they are
 * they are copied, byte for byte; where it has roles and parts of its own they are printed anew, and then only text
 * is taken: what cannot be said in the other form is refused, never dropped in silence, since an answer to half a
 * question looks like an answer.
 *
 * 1. Only members are printed, no braces: the caller merges them with those of its own.
 * 2. False means that nothing was printed that could be sent.
 * 3. The prompt is valid UTF-8 and messages a JSON array; both were checked when they came in.
 *
 * Credentials, paths, models and limits are the route's (gateway/ask). */
#include "dialect/question.h"

#include "dialect/object.h"
#include "sse/print.h"

bool question_put_prompt(struct buf *out, const struct dialect_question *q, const char *name)
{
	if (q->messages.p)
		return false;
	buf_printf(out, "\"%s\":", name);
	sse_print_json_string(out, q->prompt);
	return true;
}

static void put_user_message(struct buf *out, span prompt)
{
	buf_put(out, SPAN("{\"role\":\"user\",\"content\":"));
	sse_print_json_string(out, prompt);
	buf_put(out, SPAN("}"));
}

void question_put_messages(struct buf *out, const struct dialect_question *q, const char *name)
{
	buf_printf(out, "\"%s\":", name);
	if (q->messages.p) {
		buf_put(out, q->messages);
		return;
	}
	buf_put_byte(out, '[');
	put_user_message(out, q->prompt);
	buf_put_byte(out, ']');
}

struct walk {
	question_take *take;
	void *of;
};

static bool read_role(void *of, struct json *s, span name)
{
	struct message *m = of;
	return object_take_word(s, m->role, sizeof m->role);
}

static bool read_content(void *of, struct json *s, span name)
{
	struct message *m = of;
	return object_take_raw(s, &m->content);
}

static const struct json_member members[] = {
	{SPAN("role"), read_role},
	{SPAN("content"), read_content},
};

static bool has_content(const struct message *m)
{
	return m->role[0] && m->content.n && (m->content.p[0] == '"' || m->content.p[0] == '[');
}

static bool walk_messages(const struct walk *w, struct json *s)
{
	enum json_token token = json_next(s);
	if (token != JSON_ARRAY)
		return false;
	while ((token = json_next(s)) == JSON_OBJECT) {
		struct message m = {0};
		const char *begin = s->p - 1;
		if (!json_read_members(s, members, OBJECT_COUNT(members), &m))
			return false;
		m.json = span_of(begin, (size_t)(s->p - begin));
		if (!has_content(&m) || !w->take(w->of, &m))
			return false;
	}
	return token == JSON_ARRAY_END;
}

bool question_each_message(const struct dialect_question *q, question_take *take, void *of)
{
	struct json s;
	struct buf list = {0};
	struct walk w = {take, of};
	if (!q->messages.p) {
		buf_put_byte(&list, '[');
		put_user_message(&list, q->prompt);
		buf_put_byte(&list, ']');
	}
	json_init(&s);
	json_feed(&s, q->messages.p ? q->messages : buf_span(&list), true);
	bool good = !list.failed && walk_messages(&w, &s);
	json_finish(&s);
	buf_finish(&list);
	return good;
}

bool question_is_system(const struct message *m)
{
	return strcmp(m->role, "system") == 0 || strcmp(m->role, "developer") == 0;
}

struct part {
	char type[16];
	span text; /* JSON */
};

static bool read_type(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_word(s, p->type, sizeof p->type);
}

static bool read_text(void *of, struct json *s, span name)
{
	struct part *p = of;
	return object_take_raw(s, &p->text);
}

struct parts {
	struct buf *out;
	const char *before, *behind;
	bool any;
};

static void put_part(struct parts *list, span text)
{
	if (list->any)
		buf_put_byte(list->out, ',');
	buf_put(list->out, span_str(list->before));
	buf_put(list->out, text);
	buf_put(list->out, span_str(list->behind));
	list->any = true;
}

static bool put_texts(struct parts *list, struct json *s)
{
	static const struct json_member of_part[] = {{SPAN("type"), read_type}, {SPAN("text"), read_text}};
	enum json_token token = json_next(s);
	while (token == JSON_ARRAY && (token = json_next(s)) == JSON_OBJECT) {
		struct part part = {0};
		bool good = json_read_members(s, of_part, OBJECT_COUNT(of_part), &part);
		if (!good || strcmp(part.type, "text") != 0 || part.text.n == 0 || part.text.p[0] != '"')
			return false;
		put_part(list, part.text);
		token = JSON_ARRAY;
	}
	return token == JSON_ARRAY_END && list->any;
}

bool question_put_parts(struct buf *out, const struct message *m, const char *before, const char *behind)
{
	struct parts list = {.out = out, .before = before, .behind = behind};
	struct json s;
	if (m->content.p[0] == '"') {
		put_part(&list, m->content);
		return true;
	}
	json_init(&s);
	json_feed(&s, m->content, true);
	bool good = put_texts(&list, &s);
	json_finish(&s);
	return good;
}
