/* Events on their way to a client that speaks the dialect: what may go on as it came, and what of an event may.
 *
 * Official clients stop reading at the first event that looks like an end, and half of the errors that servers send
 * inside a stream are ignored by them. So an event that ends the answer badly does not go on. Two things of it may:
 * the error, when it already has the one shape that raises (struct raising), and the text that some servers put into
 * the same event, without what ends it (unfinish).
 *
 * 1. dialect_event_raises is asked only about events that the reader found to be errors; it looks at their shape alone.
 * 2. What dialect_put_unfinished appends is a whole frame whose reader finds the same text and no end.
 *
 * Pure, any thread. What we say ourselves is in voice.c. */
#include "dialect/dialect.h"

#include "json/scan.h"
#include "sse/print.h"

/* The members of an event that a shape asks for. */
struct shape {
	const struct raising *wanted;
	bool type, string, object, never;
};

static bool is_name(span name, const char *wanted) { return wanted && span_is(name, wanted); }

static bool read_code(void *of, struct json *s, span name)
{
	bool *is_status = of;
	enum json_token token = json_next(s);
	*is_status = token == JSON_NUMBER && s->text.n == 3 && (s->text.p[0] == '4' || s->text.p[0] == '5');
	return json_skip(s, token);
}

/* Right after the brace of the object that is wanted. */
static bool look_at_object(struct shape *shape, struct json *s)
{
	static const struct json_member members[] = {{SPAN("code"), read_code}};
	bool is_status = false;
	bool good = json_read_members(s, members, 1, &is_status);
	shape->object = is_status || !shape->wanted->coded;
	return good;
}

static bool look_at_member(struct shape *shape, struct json *s)
{
	const struct raising *w = shape->wanted;
	bool type = span_is(s->text, "type"), string = is_name(s->text, w->string), object = is_name(s->text, w->object);
	shape->never |= is_name(s->text, w->never);
	enum json_token token = json_next(s);
	shape->type |= type && token == JSON_STRING && w->type && span_is(s->text, w->type);
	shape->string |= string && token == JSON_STRING && s->text.n;
	return object && token == JSON_OBJECT ? look_at_object(shape, s) : json_skip(s, token);
}

static bool look_at_event(struct shape *shape, span data)
{
	struct json s;
	json_init(&s);
	json_feed(&s, data, true);
	enum json_token token = json_next(&s);
	bool good = token == JSON_OBJECT;
	while (good && (token = json_next(&s)) == JSON_KEY)
		good = look_at_member(shape, &s);
	json_finish(&s);
	return good && token == JSON_OBJECT_END;
}

bool dialect_event_raises(const struct dialect *d, const struct sse_event *event)
{
	const struct raising *w = &d->raising;
	struct shape shape = {.wanted = w};
	if (!event->has_data || (w->event ? !span_is(event->name, w->event) : event->name.n > 0))
		return false;
	if (!w->type && !w->string && !w->object)
		return true;
	return look_at_event(&shape, event->data) && shape.type == (w->type != NULL) &&
	       shape.string == (w->string != NULL) && shape.object == (w->object != NULL) && !shape.never;
}

static void put_frame(struct buf *out, const struct dialect *d, const struct sse_event *event, span data)
{
	if (d->syntax == SSE_NDJSON) {
		buf_put(out, data);
		buf_put_byte(out, '\n');
		return;
	}
	if (event->has_id)
		buf_printf(out, "id: %.*s\n", SPAN_ARG(event->id));
	if (event->has_name)
		buf_printf(out, "event: %.*s\n", SPAN_ARG(event->name));
	sse_print_data(out, SSE_TEXT, data);
	buf_put_byte(out, '\n');
}

bool dialect_put_unfinished(struct buf *out, const struct dialect *d, const struct sse_event *event)
{
	struct buf data = {0};
	size_t before = out->n;
	bool good = d->unfinishes && event->has_data && json_edit(&data, event->data, d->unfinish, d->unfinishes);
	if (good)
		put_frame(out, d, event, buf_span(&data));
	buf_finish(&data);
	if (out->failed)
		out->n = before;
	return good && !out->failed;
}
