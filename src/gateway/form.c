/* Three ways to show one stream.
 *
 * A browser reads text with places; an SDK reads its provider's frames. Which of the two a journal holds is decided by
 * the route that started the stream, who reads it by the URL that is asked: so two of the four pairs are a plain copy
 * or a plain print, one is a retelling (stream/retell), and the fourth, frames of a stream that never had any, does not
 * exist.
 *
 * 1. Whatever the form, events go out in order, whole, each once.
 * 2. Frames carry their own end: it was written into the journal before that was sealed. Where there was no memory for
 *    it, the end cannot be said and the transport must break.
 *
 * One viewer's, on its worker. When to print is the viewer's business, how a browser's block looks is render.c's. */
#include "gateway/form.h"

#include "gateway/render.h"

#include <stdlib.h>

enum { SLICE_EVENTS = 4096 }; /* read in one go when they are only passed over: some milliseconds */

uint32_t form_begins(const struct face *face, uint32_t taken) { return face->dialect ? 1 : taken + 1; }

static bool open_retell(struct form *f, uint32_t taken, struct cursor *from)
{
	const struct route *route = f->face->route;
	f->retell = malloc(sizeof *f->retell);
	f->skips = taken;
	if (f->retell)
		retell_open(f->retell, from, f->face->dialect, &route->text, route->json);
	return f->retell;
}

bool form_open(struct form *f, struct face *face, bool as_upstream, uint32_t taken, struct cursor *from)
{
	CHECK(face->dialect || !as_upstream);
	*f = (struct form){.kind = as_upstream ? FORM_FRAMES : face->dialect ? FORM_RETOLD : FORM_TEXT, .face = face};
	if (f->kind == FORM_RETOLD)
		return open_retell(f, taken, from);
	f->cursor = cursor_take(from);
	return true;
}

void form_close(struct form *f)
{
	cursor_close(&f->cursor);
	if (f->retell)
		retell_close(f->retell);
	free(f->retell);
	f->retell = NULL;
}

bool form_is_due(const struct form *f)
{
	const struct journal *j = f->face->journal;
	return f->kind == FORM_RETOLD ? f->retell->next <= journal_told(j) : f->cursor.next <= journal_count(j);
}

/* One event. False: there is none. */
static bool read_one(struct form *f, enum journal_kind *kind, span *text)
{
	if (f->kind == FORM_RETOLD)
		return form_is_due(f) && retell_read(f->retell, kind, text);
	return cursor_read(&f->cursor, kind, text);
}

static void print_one(struct form *f, struct buf *out, enum journal_kind kind, span text)
{
	uint32_t n = f->kind == FORM_RETOLD ? f->retell->next - 1 : f->cursor.next - 1;
	if (kind == JOURNAL_FRAME)
		buf_put(out, text);
	else if (n > f->skips)
		render_event(out, face_id(f->face), n, kind, f->face->route->json, text);
}

bool form_print(struct form *f, struct buf *out, size_t room)
{
	enum journal_kind kind;
	span text;
	for (unsigned i = 0; i < SLICE_EVENTS && out->n < room && read_one(f, &kind, &text); i++)
		print_one(f, out, kind, text);
	return !out->failed && !(f->retell && f->retell->failed);
}

void form_skip_to(struct form *f, uint32_t next)
{
	enum journal_kind kind;
	span text;
	while (f->cursor.next < next && cursor_read(&f->cursor, &kind, &text))
		;
}

void form_print_first(const struct form *f, struct buf *out)
{
	if (f->kind != FORM_FRAMES)
		render_first(out, f->face->config->retry_ms, face_id(f->face), form_next(f) - 1);
}

bool form_print_end(const struct form *f, struct buf *out, const struct last_word *word)
{
	if (f->kind == FORM_FRAMES)
		return word->is_spoken;
	render_last_word(out, face_id(f->face), word);
	return !out->failed;
}

span form_heartbeat(const struct form *f)
{
	return f->kind == FORM_FRAMES ? f->face->dialect->heartbeat : RENDER_HEARTBEAT;
}

const char *form_media_type(const struct form *f)
{
	bool lines = f->kind == FORM_FRAMES && f->face->dialect->syntax == SSE_NDJSON;
	return lines ? "application/x-ndjson" : "text/event-stream";
}
