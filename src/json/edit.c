/* Edits as a copy with holes: the scanner walks over the text, and what lies between two places that change is copied as
 * it came. Parsing and printing again would be shorter, and would change numbers, escapes, white space and lone
 * surrogates that nobody asked it to change.
 *
 * 1. Bytes outside of edited values, their members' names and the commas of members that were taken out are copied.
 * 2. A member that an edit replaces stands once afterwards, even if the text had it twice.
 * 3. What comes out is JSON exactly if what went in was and the new values are.
 *
 * Pure, any thread. */
#include "json/edit.h"

#include "json/scan.h"

struct copy {
	struct json json;
	span text;
	size_t copied; /* bytes of text that were copied or passed over */
	struct buf *out;
	const struct json_edit *edit;
	size_t edits;
	bool adds;     /* edits that found no member add one to the outermost object */
};

static bool edit_next(struct copy *c, uint64_t set, int depth);

static size_t here(const struct copy *c) { return (size_t)c->json.offset; }

static void copy_to(struct copy *c, size_t end)
{
	buf_put(c->out, span_of(c->text.p + c->copied, end - c->copied));
	c->copied = end;
}

static span step_of(const struct json_edit *e, int depth)
{
	return depth < JSON_EDIT_STEPS ? e->step[depth] : (span){0};
}

/* The edits of the set whose path goes on with this step. */
static uint64_t follow(const struct copy *c, uint64_t set, int depth, span step)
{
	uint64_t found = 0;
	for (size_t i = 0; i < c->edits; i++)
		if (set >> i & 1 && step_of(&c->edit[i], depth).p && span_eq(step_of(&c->edit[i], depth), step))
			found |= 1ull << i;
	return found;
}

/* The edit of the set whose path ends here, or c->edits. */
static size_t target(const struct copy *c, uint64_t set, int depth)
{
	size_t i = 0;
	while (i < c->edits && !(set >> i & 1 && !step_of(&c->edit[i], depth).p))
		i++;
	return i;
}

static bool replace(struct copy *c, size_t i)
{
	copy_to(c, here(c)); /* the name */
	buf_put_byte(c->out, ':');
	buf_put(c->out, c->edit[i].value);
	bool good = json_pass(&c->json);
	c->copied = here(c);
	return good;
}

/* done: edits that have replaced a value of this object, as a set. */
static bool is_taken_out(const struct copy *c, size_t i, uint64_t done)
{
	return i < c->edits && (!c->edit[i].value.p || done >> i & 1);
}

/* The first members of the object were taken out; the comma before the next one goes too. */
static void pass_comma(struct copy *c)
{
	c->copied += span_find(span_from(c->text, c->copied), ',') + 1;
}

static void add_missing(struct copy *c, uint64_t done, bool is_empty)
{
	copy_to(c, here(c) - 1); /* up to the brace */
	for (size_t i = 0; i < c->edits; i++) {
		if (done >> i & 1)
			continue;
		if (!is_empty)
			buf_put_byte(c->out, ',');
		is_empty = false;
		buf_put_byte(c->out, '"');
		buf_put(c->out, c->edit[i].step[0]);
		buf_put(c->out, SPAN("\":"));
		buf_put(c->out, c->edit[i].value);
	}
}

/* Right after its brace. */
static bool edit_object(struct copy *c, uint64_t set, int depth)
{
	size_t end = here(c); /* of the last member */
	uint64_t done = 0;
	bool is_empty = true, comma_is_open = false;
	enum json_token token;
	for (; (token = json_next(&c->json)) == JSON_KEY; end = here(c)) {
		uint64_t followed = follow(c, set, depth, c->json.text);
		size_t i = target(c, followed, depth + 1);
		if (is_taken_out(c, i, done)) {
			copy_to(c, end);
			if (!json_pass(&c->json))
				return false;
			c->copied = here(c);
			comma_is_open = is_empty;
			continue;
		}
		if (comma_is_open)
			pass_comma(c);
		comma_is_open = is_empty = false;
		if (i < c->edits)
			done |= 1ull << i;
		if (!(i < c->edits ? replace(c, i) : followed ? edit_next(c, followed, depth + 1) : json_pass(&c->json)))
			return false;
	}
	if (token == JSON_OBJECT_END && depth == 0 && c->adds)
		add_missing(c, done, is_empty);
	return token == JSON_OBJECT_END;
}

static bool edit_value(struct copy *c, uint64_t set, int depth, enum json_token token)
{
	if (token == JSON_OBJECT)
		return edit_object(c, set, depth);
	uint64_t followed = token == JSON_ARRAY ? follow(c, set, depth, SPAN("[]")) : 0;
	if (!followed)
		return json_skip(&c->json, token);
	while ((token = json_next(&c->json)) != JSON_ARRAY_END)
		if (!edit_value(c, followed, depth + 1, token))
			return false;
	return true;
}

static bool edit_next(struct copy *c, uint64_t set, int depth)
{
	return edit_value(c, set, depth, json_next(&c->json));
}

static bool run(struct copy *c)
{
	size_t before = c->out->n;
	uint64_t all = c->edits == JSON_EDITS ? UINT64_MAX : (1ull << c->edits) - 1;
	json_init(&c->json);
	json_feed(&c->json, c->text, true);
	enum json_token first = json_next(&c->json);
	bool good = (!c->adds || first == JSON_OBJECT) && edit_value(c, all, 0, first)
		&& json_next(&c->json) == JSON_END;
	json_finish(&c->json);
	if (good)
		copy_to(c, c->text.n);
	good &= !c->out->failed;
	if (!good)
		c->out->n = before;
	return good;
}

bool json_edit(struct buf *out, span text, const struct json_edit *edits, size_t n)
{
	CHECK(n <= JSON_EDITS);
	return run(&(struct copy){.text = text, .out = out, .edit = edits, .edits = n});
}

/* The members of an object as edits. A name with escapes is nobody's. */
static bool list_members(struct json *s, span members, struct json_edit *edit, size_t *n)
{
	enum json_token token = json_next(s);
	if (token != JSON_OBJECT)
		return false;
	while ((token = json_next(s)) == JSON_KEY) {
		size_t name_end = (size_t)s->offset - 1;
		if (*n == JSON_EDITS || s->text.n > name_end)
			return false;
		span name = span_of(members.p + name_end - s->text.n, s->text.n);
		if (json_plain_bytes(name) != name.n || !span_eq(name, s->text))
			return false;
		size_t colon = name_end + 1 + span_find(span_from(members, name_end + 1), ':') + 1;
		if (!json_pass(s))
			return false;
		edit[(*n)++] = (struct json_edit){.step = {name},
			.value = span_of(members.p + colon, (size_t)s->offset - colon)};
	}
	return token == JSON_OBJECT_END;
}

bool json_merge(struct buf *out, span text, span members)
{
	struct json_edit edit[JSON_EDITS];
	struct json s;
	size_t n = 0;
	json_init(&s);
	json_feed(&s, members, true);
	bool good = list_members(&s, members, edit, &n) && json_next(&s) == JSON_END;
	json_finish(&s);
	return good && run(&(struct copy){.text = text, .out = out, .edit = edit, .edits = n, .adds = true});
}
