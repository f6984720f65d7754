/* One JSON object an event. The dialects differ in the names of members; what they share is everything that can go
 * wrong: an error in one of its shapes, JSON that breaks off, a type nobody expected, an error announced by the event's
 * name instead of its data.
 *
 * An event is read in one pass, without a tree. A table of members says for each level what is wanted, the rest is
 * passed over without a token (json/pass). What cannot be understood until a later member has come is kept as a span
 * of its JSON text: the event outlives its reading, so nothing is copied.
 *
 * 1. An event that is not one JSON object is unreadable and says nothing; but a server that pastes its error's sentence
 *    between quotes, unescaped, has said that there is an error before the JSON broke.
 * 2. Members of types that nobody writes are passed: a peer's invention is no reason to end a good stream.
 * 3. A ping, by name, is passed whatever its data.
 * 4. JSON without `data:` counts only when it is an error.
 *
 * Shapes of errors are in fault.c, what is told of them in reader.c, what members mean in each dialect's file. */
#include "dialect/object.h"

#include <inttypes.h>

bool object_see_error(void *of, struct json *s, span name)
{
	struct object *o = of;
	enum json_token token = json_next(s);
	bool blank = token == JSON_STRING && s->text.n == 0;
	o->is_blank |= blank;
	o->is_error |= !blank && token != JSON_NULL && token != JSON_FALSE && token != JSON_BAD;
	return json_skip(s, token);
}

bool object_see_kind(void *of, struct json *s, span name)
{
	struct object *o = of;
	enum json_token token = json_next(s);
	o->is_error |= token == JSON_STRING && span_is(s->text, "error");
	return json_skip(s, token);
}

static void fail(struct reader *r, span data)
{
	struct fault f;
	fault_read_object(&f, data);
	reader_fail(r, &f);
}

void object_fail_with(struct reader *r, span data)
{
	struct fault f = {0};
	fault_read_data(&f, data);
	reader_fail(r, &f);
}

static bool read_all(struct object *o, span data, const struct json_member *members, size_t n)
{
	struct json *s = &o->json;
	json_feed(s, data, true);
	enum json_token token = json_next(s);
	if (token != JSON_OBJECT) {
		o->why = token == JSON_BAD ? NULL : "expected a JSON object";
		return false;
	}
	return json_read_members(s, members, n, o) && json_next(s) == JSON_END;
}

static void judge_broken(struct object *o, span data)
{
	struct json *s = &o->json;
	if (s->held.failed)
		o->reader->text.failed = true;
	else if (o->is_error)
		object_fail_with(o->reader, data);
	else if (o->why)
		reader_give_up(o->reader, "%s, at byte %" PRIu64 " of an event", o->why, s->offset);
	else
		reader_give_up(o->reader, "invalid JSON at byte %" PRIu64 " of an event: %s", s->offset, s->message);
}

bool object_read(struct object *o, struct reader *r, span data, const struct json_member *members, size_t n)
{
	struct reader_mark mark = reader_mark(r);
	o->reader = r;
	json_init(&o->json);
	bool good = read_all(o, data, members, n);
	if (!good) {
		reader_take_back(r, &mark);
		judge_broken(o, data);
	} else if (o->is_error || (o->is_blank && !o->has_answer)) {
		fail(r, data);
		good = false;
	}
	json_finish(&o->json);
	return good;
}

bool object_is_done(struct reader *r, const struct sse_event *event, span *data)
{
	*data = span_trim(event->data);
	r->feeds_idle = data->n && !(event->has_name && reader_is_ping(event));
	if (event->error_field.p)
		object_fail_with(r, event->error_field);
	else if (event->stray.p && !event->has_data)
		(void)!reader_take_error_body(r, event->stray);
	else if (event->has_name && span_is(event->name, "error"))
		object_fail_with(r, *data);
	else
		return !r->feeds_idle;
	return true;
}

bool object_take_word(struct json *s, char *to, size_t size)
{
	enum json_token token = json_next(s);
	if (token == JSON_STRING && s->text.n < size && (s->text.n == 0 || !memchr(s->text.p, 0, s->text.n))) {
		memcpy(to, s->text.p, s->text.n);
		to[s->text.n] = 0;
	}
	return json_skip(s, token);
}

bool object_take_clean(struct json *s, char *to, size_t size)
{
	enum json_token token = json_next(s);
	if (token == JSON_STRING)
		fault_copy(to, size, s->text);
	return json_skip(s, token);
}

bool object_take_text(struct json *s, struct reader *r, void (*add)(struct reader *r, span piece))
{
	enum json_token token = json_next(s);
	if (token == JSON_STRING)
		add(r, s->text);
	return json_skip(s, token);
}

bool object_take_flag(struct json *s, bool *flag)
{
	enum json_token token = json_next(s);
	*flag = token == JSON_TRUE;
	return json_skip(s, token);
}

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

bool object_take_count(struct json *s, int64_t *count)
{
	enum json_token token = json_next(s);
	if (token == JSON_NUMBER)
		*count = parse_count(s->text);
	return json_skip(s, token);
}

bool object_take_filled(struct json *s, bool *filled)
{
	span raw;
	if (!object_take_raw(s, &raw))
		return false;
	if (raw.p[0] != '[' && raw.p[0] != '{')
		return true;
	for (size_t i = 1; i < raw.n - 1 && !*filled; i++)
		*filled = !strchr(" \t\r\n", raw.p[i]);
	return true;
}

bool object_take_raw(struct json *s, span *raw)
{
	const char *behind_name = s->p;
	if (!json_pass(s))
		return false;
	*raw = span_of(behind_name, (size_t)(s->p - behind_name));
	while (raw->n && strchr(" \t\r\n:", raw->p[0]))
		*raw = span_from(*raw, 1);
	return true;
}

bool object_read_prompt_tokens(void *of, struct json *s, span name)
{
	struct object *o = of;
	return object_take_count(s, &o->reader->seen.prompt_tokens);
}

bool object_read_completion_tokens(void *of, struct json *s, span name)
{
	struct object *o = of;
	return object_take_count(s, &o->reader->seen.completion_tokens);
}

bool object_add_raw(struct reader *r, span raw, void (*add)(struct reader *r, span piece))
{
	struct json s;
	json_init(&s);
	json_feed(&s, raw, true);
	bool any = json_next(&s) == JSON_STRING && s.text.n > 0;
	if (any)
		add(r, s.text);
	r->text.failed |= s.held.failed;
	json_finish(&s);
	return any;
}

bool object_is_failing(span word)
{
	return span_is(word, "error") || span_is(word, "abort") || span_is(word, "aborted");
}
