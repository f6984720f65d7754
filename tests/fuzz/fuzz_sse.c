/* However a body is cut, the same items come; memory stays within the limit. The first byte chooses the syntax and the
 * limit, the second how the rest is cut. */
#include "sse/parse.h"

#include <stdint.h>
#include <stdlib.h>

static void write_field(struct buf *out, char letter, bool has, span value)
{
	if (has)
		buf_printf(out, "%c%zu:", letter, value.n);
	if (has)
		buf_put(out, value);
}

static void write_item(struct buf *out, const struct sse *p, enum sse_item item)
{
	const struct sse_event *e = &p->event;
	CHECK(item != SSE_NO_MEMORY);
	buf_printf(out, "\n%d", (int)item);
	if (item == SSE_COMMENT)
		buf_put(out, p->comment);
	if (item != SSE_EVENT)
		return;
	write_field(out, 'n', e->has_name, e->name);
	write_field(out, 'd', e->has_data, e->data);
	write_field(out, 'i', e->has_id, e->id);
	write_field(out, 'e', e->error_field.p != NULL, e->error_field);
	write_field(out, 's', e->stray.p != NULL, e->stray);
}

static void parse_piece(struct sse *p, span piece, struct buf *out)
{
	char *copy = malloc(piece.n + 1);
	CHECK(copy);
	if (piece.n)
		memcpy(copy, piece.p, piece.n);
	span in = span_of(copy, piece.n);
	for (enum sse_item item; (item = sse_next(p, &in)) != SSE_MORE;)
		write_item(out, p, item);
	CHECK(in.n == 0);
	CHECK(p->line.n <= p->limit && p->data.kept.n <= p->limit && p->name.kept.n <= p->limit);
	free(copy);
}

static void parse(span body, enum sse_syntax syntax, size_t limit, size_t step, struct buf *out)
{
	struct sse p;
	sse_init(&p, syntax, limit);
	for (; body.n; body = span_from(body, step))
		parse_piece(&p, span_first(body, step), out);
	if (!p.failed)
		buf_printf(out, "\n%d", sse_is_inside_event(&p));
	write_item(out, &p, sse_end(&p));
	buf_printf(out, "\n%d", (int)p.no_field_lines);
	sse_finish(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	enum sse_syntax syntax = data[0] & 1 ? SSE_NDJSON : SSE_EVENT_STREAM;
	size_t limit = data[0] & 2 ? 8 + data[0] : 1 << 20;
	span body = span_of(data + 2, size - 2);
	struct buf whole = {0}, cut = {0};
	parse(body, syntax, limit, body.n, &whole);
	parse(body, syntax, limit, data[1] % 32 + 1u, &cut);
	CHECK(span_eq(buf_span(&whole), buf_span(&cut)));
	buf_finish(&whole);
	buf_finish(&cut);
	return 0;
}
