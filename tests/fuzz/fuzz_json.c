/* However a text is cut, the same tokens, offsets and errors come. Skipping and passing agree with reading, and members
 * that are picked out are those that reading finds. The first byte says how the rest is cut. */
#include "json/scan.h"

#include <stdint.h>
#include <stdlib.h>

static void write_token(struct buf *out, const struct json *s, enum json_token token)
{
	CHECK(s->depth >= 0 && s->depth <= JSON_DEPTH);
	buf_printf(out, "%d@%d/%d ", (int)token, (int)s->offset, s->depth);
	if (token == JSON_KEY || token == JSON_STRING || token == JSON_NUMBER)
		buf_put(out, s->text);
	if (token == JSON_BAD)
		buf_put(out, span_str(s->message));
}

/* Pieces lie in memory of their own, which is gone when the next one comes. */
static char *feed(struct json *s, char *before, span *rest, size_t step)
{
	span piece = span_first(*rest, step);
	char *copy = malloc(piece.n + 1);
	free(before);
	CHECK(copy);
	if (piece.n)
		memcpy(copy, piece.p, piece.n);
	*rest = span_from(*rest, step);
	json_feed(s, span_of(copy, piece.n), rest->n == 0);
	return copy;
}

static enum json_token scan(span text, size_t step, struct buf *out)
{
	struct json s;
	enum json_token token;
	json_init(&s);
	char *piece = feed(&s, NULL, &text, step);
	while ((token = json_next(&s)) != JSON_END && token != JSON_BAD)
		if (token == JSON_MORE)
			piece = feed(&s, piece, &text, step);
		else
			write_token(out, &s, token);
	write_token(out, &s, token);
	json_finish(&s);
	free(piece);
	return token;
}

static bool skip(span text)
{
	struct json s;
	json_init(&s);
	json_feed(&s, text, true);
	enum json_token token = json_next(&s);
	bool good = json_skip(&s, token) && json_next(&s) == JSON_END;
	json_finish(&s);
	return good;
}

static bool pass(span text)
{
	struct json s;
	json_init(&s);
	json_feed(&s, text, true);
	bool good = json_pass(&s) && json_next(&s) == JSON_END;
	json_finish(&s);
	return good;
}

/* Members named a or b of the outermost object: their names, and the first token of their values. */
static void write_member(struct buf *out, struct json *s, span name, enum json_token token)
{
	buf_put(out, name);
	buf_printf(out, "%d@%d/%d ", (int)token, (int)s->offset, s->depth);
	if (token == JSON_STRING || token == JSON_NUMBER)
		buf_put(out, s->text);
}

static bool read_wanted(void *of, struct json *s, span name)
{
	enum json_token token = json_next(s);
	write_member(of, s, name, token);
	return json_skip(s, token);
}

static bool pick_members(struct json *s, struct buf *out)
{
	static const struct json_member wanted[] = {{SPAN("a"), read_wanted}, {SPAN("b"), read_wanted}};
	return json_read_members(s, wanted, 2, out);
}

static bool find_members(struct json *s, struct buf *out)
{
	enum json_token token;
	while ((token = json_next(s)) == JSON_KEY) {
		span name = span_is(s->text, "a") ? SPAN("a") : span_is(s->text, "b") ? SPAN("b") : (span){0};
		token = json_next(s);
		if (name.p)
			write_member(out, s, name, token);
		for (int depth = s->depth - (token == JSON_OBJECT || token == JSON_ARRAY); s->depth > depth;) {
			token = json_next(s);
			if (token == JSON_BAD)
				return false;
		}
	}
	return token == JSON_OBJECT_END;
}

static bool read_object(span text, bool (*members)(struct json *s, struct buf *out), struct buf *out)
{
	struct json s;
	json_init(&s);
	json_feed(&s, text, true);
	bool good = json_next(&s) == JSON_OBJECT && members(&s, out) && json_next(&s) == JSON_END;
	if (!good && json_next(&s) == JSON_BAD)
		buf_printf(out, "!%d:%s", (int)s.offset, s.message);
	json_finish(&s);
	return good;
}

static void check_members(span text)
{
	struct buf picked = {0}, found = {0};
	CHECK(read_object(text, pick_members, &picked) == read_object(text, find_members, &found));
	CHECK(span_eq(buf_span(&picked), buf_span(&found)));
	buf_finish(&picked);
	buf_finish(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	span text = span_of(data + 1, size - 1);
	struct buf whole = {0}, cut = {0};
	enum json_token end = scan(text, text.n + 1, &whole);
	CHECK(scan(text, data[0] % 32 + 1u, &cut) == end);
	CHECK(span_eq(buf_span(&whole), buf_span(&cut)));
	CHECK(skip(text) == (end == JSON_END));
	CHECK(pass(text) == (end == JSON_END));
	check_members(text);
	buf_finish(&whole);
	buf_finish(&cut);
	return 0;
}
