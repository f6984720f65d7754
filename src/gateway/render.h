/* How a stream looks to a browser (ARCHITECTURE.md, "The browser stream"): blocks of an event stream, appended to a
 * buffer. */
#ifndef GATEWAY_RENDER_H
#define GATEWAY_RENDER_H

#include "base/buf.h"
#include "stream/id.h"
#include "stream/journal.h"

/* The first block of every answer: the retry time and, without dispatching anything, the place from which it goes on.
 * */
void render_first(struct buf *out, uint64_t retry_ms, span id, uint64_t n);

void render_event(struct buf *out, span id, uint32_t n, enum journal_kind kind, bool json, span text);
void render_progress(struct buf *out, int queue);
void render_last_word(struct buf *out, span id, const struct last_word *word);

/* The whole answer to a place that is not kept here. place: what was asked for, printable. */
void render_forgotten(struct buf *out, uint64_t retry_ms, span place);
/* The whole answer to work that the caller may not start now. */
void render_quota(struct buf *out, uint64_t retry_ms, span id, const char *detail);

/* The members of a last word that state and stream share, without braces: "end":…,"crc32":… */
void render_ending(struct buf *out, const struct last_word *word);

#define RENDER_HEARTBEAT SPAN(":\n")

#endif
