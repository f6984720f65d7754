/* The journal: one writer, any number of readers, no lock.
 *
 * Bytes live in segments, each one allocation that is filled from both ends: texts grow up from the front, and from the
 * back grows down an index of five bytes an event, where its text ends and of what kind it is. So the two share what
 * room there is, whatever the sizes of events, and nothing that was written ever moves: a reader may keep a span for as
 * long as it holds the journal. A growing array would move; an allocation for each event would cost four times the
 * index. Segments begin small, because most streams that are open have said little, and grow to 64 KiB; an event that
 * would fill more than half of one gets a segment of its own size, so that little room is lost behind it.
 *
 *	1. Events 1 … count are immutable and readable by any thread. An event's bytes and index, and the segment
 *	   that holds them with all pointers that lead to it, are written before the release store of `count` that
 *	   publishes it.
 *	2. Only the writer touches what is behind `count`, the tally and `last`. `told` is what a browser may name as a
 *	   place: `count`, but for a journal of frames.
 *	3. A segment holds the events first … next->first - 1; while it has no `next`, all from `first` on.
 *	4. `word` is written once, before the release store of `sealed`; `count` never changes after it.
 *	5. Appending fails before it changes anything.
 *	6. A segment's length and every offset in it fit 32 bits, because `weight` stays below 4 GiB; it counts five
 *	   bytes for each event, so the number of events stays below 2^32 - 2 by itself.
 *
 * Who holds the journal (the generation, each cursor, the shelf's owner) keeps all of it. Not here: what is worth
 * appending (stream/generation) and how it looks on the wire (gateway/). */
#include "stream/journal.h"

#include <libdeflate.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	SEGMENT_SMALLEST = 1024,     /* bytes of an allocation */
	SEGMENT_LARGEST = 64 * 1024, /* but for a larger event */
	INDEX = sizeof(uint32_t) + 1,
};

#define WEIGHT_MAX UINT32_MAX

struct segment {
	_Atomic(struct segment *) next;
	uint32_t first;  /* number of its first event */
	uint32_t size;   /* bytes of room */
	uint32_t used;   /* bytes of text; writer */
	uint32_t events; /* writer */
	char room[];
};

struct journal {
	atomic_uint holds;
	atomic_uint count;
	atomic_uint told;
	atomic_bool sealed;
	atomic_uint_least64_t memory;
	_Atomic(struct segment *) first;

	struct segment *last;
	size_t next_allocation;
	uint64_t weight; /* text and index, bytes */
	uint64_t texts, text_bytes;
	uint32_t crc32;
	struct last_word word;
	char *detail;    /* the memory of word's */
};

struct journal *journal_create(void)
{
	struct journal *j = calloc(1, sizeof *j);
	if (!j)
		return NULL;
	atomic_init(&j->holds, 1);
	atomic_init(&j->memory, sizeof *j);
	j->next_allocation = SEGMENT_SMALLEST;
	return j;
}

struct journal *journal_hold(struct journal *j)
{
	unsigned before = atomic_fetch_add_explicit(&j->holds, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return j;
}

static void destroy(struct journal *j)
{
	struct segment *next;
	for (struct segment *s = atomic_load(&j->first); s; s = next) {
		next = atomic_load(&s->next);
		free(s);
	}
	free(j->detail);
	free(j);
}

void journal_drop(struct journal *j)
{
	unsigned before = atomic_fetch_sub_explicit(&j->holds, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before == 1)
		destroy(j);
}

/* The index entry of the segment's event i, counted from 0. Not aligned. */
static char *index_of(const struct segment *s, uint32_t i)
{
	return (char *)s->room + s->size - ((size_t)i + 1) * INDEX;
}

static uint32_t end_of(const struct segment *s, uint32_t i)
{
	uint32_t end;
	memcpy(&end, index_of(s, i), sizeof end);
	return end;
}

static bool fits(const struct segment *s, size_t text_bytes)
{
	return s && text_bytes + INDEX <= s->size - s->used - (size_t)s->events * INDEX;
}

static struct segment *create_segment(struct journal *j, size_t text_bytes)
{
	size_t needed = sizeof(struct segment) + text_bytes + INDEX;
	size_t bytes = needed > j->next_allocation / 2 ? needed : j->next_allocation;
	struct segment *s = malloc(bytes);
	if (!s)
		return NULL;
	atomic_init(&s->next, NULL);
	s->first = journal_count(j) + 1;
	s->size = (uint32_t)(bytes - sizeof *s);
	s->used = s->events = 0;
	atomic_fetch_add_explicit(&j->memory, bytes, memory_order_relaxed);
	if (j->next_allocation < SEGMENT_LARGEST)
		j->next_allocation *= 2;
	return s;
}

/* Release: a reader that finds the pointer may look into the segment at once. */
static void chain(struct journal *j, struct segment *s)
{
	atomic_store_explicit(j->last ? &j->last->next : &j->first, s, memory_order_release);
	j->last = s;
}

static void put(struct segment *s, enum journal_kind kind, span text)
{
	if (text.n)
		memcpy(s->room + s->used, text.p, text.n);
	s->used += (uint32_t)text.n;
	char *index = index_of(s, s->events++);
	memcpy(index, &s->used, sizeof s->used);
	index[sizeof s->used] = (char)kind;
}

static void tally(struct journal *j, enum journal_kind kind, span text)
{
	if (kind == JOURNAL_FRAME)
		return;
	atomic_store_explicit(&j->told, atomic_load_explicit(&j->told, memory_order_relaxed) + 1, memory_order_release);
	if (kind != JOURNAL_TEXT)
		return;
	j->texts++;
	if (text.n == 0) /* libdeflate takes a NULL pointer for a wish to begin anew */
		return;
	j->text_bytes += text.n;
	j->crc32 = libdeflate_crc32(j->crc32, text.p, text.n);
}

enum cause journal_append(struct journal *j, enum journal_kind kind, span text)
{
	CHECK(!atomic_load_explicit(&j->sealed, memory_order_relaxed));
	if (text.n > WEIGHT_MAX - INDEX || j->weight + text.n + INDEX > WEIGHT_MAX)
		return CAUSE_STREAM_TOO_LARGE;
	if (!fits(j->last, text.n)) {
		struct segment *s = create_segment(j, text.n);
		if (!s)
			return CAUSE_OVERLOADED;
		chain(j, s);
	}
	put(j->last, kind, text);
	j->weight += text.n + INDEX;
	tally(j, kind, text);
	atomic_store_explicit(&j->count, journal_count(j) + 1, memory_order_release);
	return CAUSE_NONE;
}

void journal_tell(struct journal *j, enum journal_kind kind, span text)
{
	CHECK(kind != JOURNAL_FRAME);
	tally(j, kind, text);
}

static void keep_detail(struct journal *j, const char *detail)
{
	if (detail && *detail)
		j->detail = strdup(detail);
	if (j->detail)
		atomic_fetch_add_explicit(&j->memory, strlen(detail) + 1, memory_order_relaxed);
	j->word.detail = j->detail ? j->detail : "";
}

void journal_seal(struct journal *j, const struct last_word *word)
{
	CHECK(!atomic_load_explicit(&j->sealed, memory_order_relaxed));
	CHECK(word->cause != CAUSE_NONE);
	j->word = *word;
	keep_detail(j, word->detail);
	journal_tally(j, &j->word);
	atomic_store_explicit(&j->sealed, true, memory_order_release);
}

uint32_t journal_count(const struct journal *j)
{
	return atomic_load_explicit(&j->count, memory_order_acquire);
}

uint32_t journal_told(const struct journal *j) { return atomic_load_explicit(&j->told, memory_order_acquire); }

const struct last_word *journal_last_word(const struct journal *j)
{
	return atomic_load_explicit(&j->sealed, memory_order_acquire) ? &j->word : NULL;
}

uint64_t journal_memory(const struct journal *j)
{
	return atomic_load_explicit(&j->memory, memory_order_relaxed);
}

void journal_tally(const struct journal *j, struct last_word *out)
{
	out->events = j->texts;
	out->bytes = j->text_bytes;
	out->crc32 = j->crc32;
}

void cursor_open(struct cursor *c, struct journal *j, uint32_t next)
{
	CHECK(next >= 1 && next <= journal_count(j) + 1);
	*c = (struct cursor){.journal = journal_hold(j), .next = next};
}

void cursor_close(struct cursor *c)
{
	if (c->journal)
		journal_drop(c->journal);
	*c = (struct cursor){0};
}

/* The segment of c->next, which is published: the pointers that lead there are too. */
static struct segment *seek(struct cursor *c)
{
	struct segment *s = c->segment, *next;
	if (!s)
		s = atomic_load_explicit(&c->journal->first, memory_order_acquire);
	while ((next = atomic_load_explicit(&s->next, memory_order_acquire)) && next->first <= c->next)
		s = next;
	return c->segment = s;
}

bool cursor_read(struct cursor *c, enum journal_kind *kind, span *text)
{
	if (c->next > journal_count(c->journal))
		return false;
	const struct segment *s = seek(c);
	uint32_t i = c->next - s->first;
	uint32_t begin = i ? end_of(s, i - 1) : 0;
	*text = span_of(s->room + begin, end_of(s, i) - begin);
	*kind = (enum journal_kind)index_of(s, i)[sizeof(uint32_t)];
	c->next++;
	return true;
}
