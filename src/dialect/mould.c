/* Events that repeat the last one but for their text. A model server prints the same two hundred bytes of ids, names
 * and nulls around every token, and reading them again costs ten times what the token does.
 *
 * So the reader remembers the bytes around the piece. The next event with the same name, the same head and the same
 * tail, and between them a string without quotes, escapes or control characters, is the same JSON with another string
 * in the same place: it must be valid if the last one was, and mean the same. Nothing is guessed and nothing is less
 * strict; an event that differs in one byte is read as ever.
 *
 * 1. A shape is only taken from an event that changed nothing (no evidence, no state of its dialect) but added one
 *    piece of text or of reasoning, which the reader proves by comparing.
 * 2. Any event that does not fit breaks the mould: between two events of one shape nothing else has happened.
 * 3. head ends with the opening quote and tail begins with the closing one. Dialect text has neither and never fits.
 * 4. At most FRAME_BYTES for each stream; without memory there is no shape.
 *
 * What a dialect's members mean is not known here. */
#include "dialect/mould.h"

#include "json/scan.h"

enum {
	FRAME_BYTES = 2048,
	PATIENCE = 8, /* casts in vain; then only one of PATIENCE events is tried: some servers number their events */
};

span mould_piece(struct mould *m, const struct sse_event *event)
{
	span data = event->data;
	if (m->head == 0 || data.n < m->head + m->tail || event->name.n != m->name || event->error_field.p ||
	    event->stray.p)
		return (span){0};
	const char *name = m->frame.p, *head = name + m->name, *tail = head + m->head;
	if (memcmp(data.p, head, m->head) != 0 || memcmp(data.p + data.n - m->tail, tail, m->tail) != 0)
		return (span){0};
	if (m->name && memcmp(event->name.p, name, m->name) != 0)
		return (span){0};
	span piece = span_of(data.p + m->head, data.n - m->head - m->tail);
	if (json_plain_bytes(span_from(data, m->head)) != piece.n)
		return (span){0};
	m->casts = 0;
	return piece;
}

/* piece lies between two quotes of data. */
static bool is_string_in(span data, span piece)
{
	uintptr_t at = (uintptr_t)piece.p - (uintptr_t)data.p; /* anything, for a piece that was decoded elsewhere */
	bool inside = at > 0 && at < data.n && piece.n < data.n - at;
	return inside && data.p[at - 1] == '"' && data.p[at + piece.n] == '"';
}

void mould_cast(struct mould *m, const struct sse_event *event, span piece, bool is_reasoning)
{
	span data = event->data;
	mould_break(m);
	if (m->casts++ >= PATIENCE && m->casts % PATIENCE != 0)
		return;
	if (event->error_field.p || event->name.n + data.n > FRAME_BYTES || !is_string_in(data, piece))
		return;
	span head = span_first(data, (size_t)(piece.p - data.p)), tail = span_from(data, head.n + piece.n);
	buf_put(&m->frame, event->name);
	buf_put(&m->frame, head);
	buf_put(&m->frame, tail);
	if (m->frame.failed)
		return;
	m->name = event->name.n;
	m->head = head.n;
	m->tail = tail.n;
	m->is_reasoning = is_reasoning;
}

void mould_break(struct mould *m)
{
	buf_clear(&m->frame);
	m->head = 0;
}

void mould_finish(struct mould *m)
{
	buf_finish(&m->frame);
	*m = (struct mould){0};
}
