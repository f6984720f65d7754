/* The journal: the events of one stream in order, and the only buffer between the upstream and the viewers. Written by
 * one thread (the stream's home), read by any. Bytes never move once they are written; an event is published by a
 * release store of the count. What every reader has passed may be given up. */
#ifndef STREAM_JOURNAL_H
#define STREAM_JOURNAL_H

#include "base/cause.h"
#include "stream/ending.h"

#include <stdint.h>

/* A journal holds either text and reasoning, as browsers are told them, or the upstream's own frames (passthrough). */
enum journal_kind { JOURNAL_TEXT, JOURNAL_REASONING, JOURNAL_FRAME };

/* The end of a stream as every reader is told it. Written once, before the journal is sealed. */
struct last_word {
	enum cause cause;
	enum proof proof;
	char finish[DIALECT_WORD];     /* empty: null */
	const char *detail;            /* bad ends: one sentence, no secret, no HTML; NULL or empty: the cause's own does */
	int upstream_status;           /* cause status; else 0 */
	bool is_spoken;                /* a journal of frames: the last of them says this end in the dialect */
	uint64_t events;               /* text events, … */
	uint64_t bytes;                /* … their bytes … */
	uint32_t crc32;                /* … and the IEEE CRC-32 of those in order */
};

static inline const char *last_word_detail(const struct last_word *word)
{
	return word->detail && *word->detail ? word->detail : cause_row(word->cause)->sentence;
}

struct journal;

/* NULL when there is no memory. The caller has one hold. */
struct journal *journal_create(void);
struct journal *journal_hold(struct journal *j);
void journal_drop(struct journal *j); /* the last drop frees it; any thread */

/* Writer. CAUSE_OVERLOADED when there is no memory (the journal is unchanged), CAUSE_STREAM_TOO_LARGE when text and
 * index would pass 4 GiB or 2^32 - 2 events. */
MUST enum cause journal_append(struct journal *j, enum journal_kind kind, span text);

/* Writer, for a journal of frames: a browser that reads the stream is told one more event, of this text. */
void journal_tell(struct journal *j, enum journal_kind kind, span text);

/* Writer: the last thing that happens to a journal. word->events, bytes and crc32 are filled in here, and its detail is
 * copied; where there is no memory for it, the journal's is empty. It is never NULL. */
void journal_seal(struct journal *j, const struct last_word *word);

/* Writer: gives up the oldest events until that many bytes have come back, or up to where a cursor stands. The newest
 * stay. Numbers and counts go on as if nothing had happened. */
void journal_give_up(struct journal *j, uint64_t bytes);

/* Writer: number of the first event that is still there; in an empty journal 1. */
uint32_t journal_first(const struct journal *j);

/* Any thread. */
uint32_t journal_count(const struct journal *j);  /* events published; they are numbered from 1 */
uint32_t journal_told(const struct journal *j);   /* events that a browser is told: all, or those of journal_tell */
uint64_t journal_memory(const struct journal *j); /* bytes allocated, and not given up */

/* NULL until sealed. A count that is read after this returned a word is final; one that was read before may not be. */
const struct last_word *journal_last_word(const struct journal *j);

/* Counts so far (writer's thread, or after sealing). */
void journal_tally(const struct journal *j, struct last_word *out);

/* A reader's place: the next event is number `next`. All from there on stays. */
struct cursor {
	struct journal *journal; /* held */
	uint32_t next;
	struct segment *segment; /* counted there; it has `next`, or the last event that was read */
};

/* Writer. Takes a hold on the journal. next: journal_first … count + 1. */
void cursor_open(struct cursor *c, struct journal *j, uint32_t next);

/* From here on: one thread at a time, and any. */
void cursor_close(struct cursor *c);

/* From hand to hand: the cursor that is left behind is closed. */
struct cursor cursor_take(struct cursor *from);

/* The event `next`, and steps on; false when it is not there yet. The text is a loan until the next call for the same
 * cursor. */
MUST bool cursor_read(struct cursor *c, enum journal_kind *kind, span *text);

#endif
