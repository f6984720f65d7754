/* Telling frames again.
 *
 * The journal of a passthrough stream keeps what SDKs want, the upstream's bytes. Browsers may watch such a stream too,
 * and want text with places that they can come back to. Keeping both would double the memory of every stream for the few
 * that are watched so; reading the frames again costs a viewer what it cost the generation, and only when it is there.
 *
 * 1. The events, their order and their numbers are those that the generation counted with journal_tell, because both
 *    feed the same bytes to the same reader; half a character at the end comes out at the end.
 * 2. Of what stands behind the event that decides (the error frame that the generation wrote itself, a terminator)
 *    nothing is read.
 *
 * Reading cannot be begun in the middle, since a reader's state is the sum of all events before it: a viewer that comes
 * back passes what it has seen, and can come back only while the journal still has its first frame. */
#include "stream/retell.h"

#include "sse/print.h"

void retell_open(struct retell *r, struct cursor *from, const struct dialect *dialect,
                 const struct dialect_text_rules *rules, bool json)
{
	CHECK(from->next == 1);
	*r = (struct retell){.next = 1, .json = json, .cursor = cursor_take(from)};
	sse_init(&r->sse, dialect->syntax, 0);
	reader_init(&r->reader, dialect, rules, 1);
}

void retell_close(struct retell *r)
{
	cursor_close(&r->cursor);
	sse_finish(&r->sse);
	reader_finish(&r->reader);
}

static void take_what_was_said(struct retell *r)
{
	struct reader *reader = &r->reader;
	r->failed |= reader->text.failed;
	if (!r->json) {
		sse_unify_line_ends(&reader->reasoning, &r->reasoning_after_cr);
		sse_unify_line_ends(&reader->text, &r->text_after_cr);
	}
	r->has_reasoning = reader->reasoning.n > 0;
	r->has_text = reader->text.n > 0;
}

static void take(struct retell *r, enum sse_item item)
{
	if (item == SSE_NO_MEMORY || item == SSE_TOO_LARGE)
		r->failed = true;
	if (item != SSE_EVENT)
		return;
	reader_read(&r->reader, &r->sse.event);
	take_what_was_said(r);
}

static void flush(struct retell *r)
{
	r->flushed = true;
	reader_flush(&r->reader);
	take_what_was_said(r);
}

/* An NDJSON answer whose last line has no LF. */
static void take_last(struct retell *r)
{
	if (r->sse.syntax == SSE_NDJSON && !seen_decides(&r->reader.seen))
		take(r, sse_end(&r->sse));
}

/* One step towards the next event. False: there is none, or none yet. */
static bool step(struct retell *r)
{
	enum journal_kind kind;
	if (r->frame.n && !seen_decides(&r->reader.seen)) {
		take(r, sse_next(&r->sse, &r->frame));
		return true;
	}
	/* The word is asked for first: a count that is read after it is final. */
	bool is_over = journal_last_word(r->cursor.journal) != NULL;
	if (cursor_read(&r->cursor, &kind, &r->frame))
		return true;
	if (!is_over || r->flushed)
		return false;
	take_last(r);
	if (!r->has_text && !r->has_reasoning)
		flush(r);
	return true;
}

bool retell_read(struct retell *r, enum journal_kind *kind, span *text)
{
	while (!r->has_reasoning && !r->has_text && !r->failed)
		if (!step(r))
			return false;
	if (r->failed)
		return false;
	*kind = r->has_reasoning ? JOURNAL_REASONING : JOURNAL_TEXT;
	*text = buf_span(r->has_reasoning ? &r->reader.reasoning : &r->reader.text);
	*(r->has_reasoning ? &r->has_reasoning : &r->has_text) = false;
	r->next++;
	return true;
}
