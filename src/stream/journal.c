/* The journal: one writer, any number of readers, no lock.
 *
 * Bytes live in segments, each one allocation that is filled from both ends: texts grow up from the front, and from the
 * back grows down an index of five bytes an event, where its text ends and of what kind it is. So the two share what
 * room there is, whatever the sizes of events, and nothing that was written ever moves. A growing array would move; an
 * allocation for each event would cost four times the index. Segments begin small, because most streams that are open
 * have said little, and grow to 64 KiB; an event that would fill more than half of one gets a segment of its own size,
 * so that little room is lost behind it.
 *
 * When memory is short the oldest segments can go, one by one, as soon as no cursor stands in them. Each segment counts
 * the cursors that do; moving on counts in the next one first and only then out of the present one. Cursors never go
 * back, and are opened by the writer, so the count of the oldest segment cannot grow while the writer looks at it: 0 is
 * 0 for good. The list of a journal begins with a segment that has no room, `start`, so that a cursor always stands
 * somewhere, also where nothing was said yet.
 *
 *	1. Events 1 … count are immutable and readable by any thread. An event's bytes and index, and the segment
 *	   that holds them with all pointers that lead to it, are written before the release store of `count` that
 *	   publishes it.
 *	2. Only the writer touches what is behind `count`, the tally, `first` and `last`. `told` is what a browser may name as a
 *	   place: `count`, but for a journal of frames.
 *	3. A segment holds the events first … next->first - 1; while it has no `next`, all from `first` on. `start`
 *	   holds none.
 *	4. `word` is final before the release store of `sealed`; neither it nor `count` changes after it.
 *	5. Appending fails before it changes anything.
 *	6. A segment's length and every offset in it fit 32 bits, because `weight` stays below 4 GiB; it counts five
 *	   bytes for each event, so the number of events stays below 2^32 - 2 by itself. What was given up counts on.
 *	7. Only the writer frees segments, from the front, or else the last who drops the journal. The last segment is
 *	   never given up.
 *	8. An open cursor is counted in exactly one segment, and touches only that and later ones.
 *
 * Who holds the journal (the generation, each cursor, the shelf's owner) keeps all of it that was not given up. Not here:
 * when that is necessary (gateway/budget), what is worth appending (stream/generation) and how it looks on the wire
 * (gateway/). */
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
	atomic_uint readers; /* cursors that stand here */
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

	struct segment *first, *last;
	uint32_t next_allocation;
	uint32_t weight;       /* text and index, bytes */
	struct last_word word; /* the tally so far, and in the end all of it */
	char *detail;    /* the memory of word's */
	struct segment start;
};

struct journal *journal_create(void)
{
	struct journal *j = calloc(1, sizeof *j);
	if (!j)
		return NULL;
	atomic_init(&j->holds, 1);
	atomic_init(&j->memory, sizeof *j);
	j->start.first = 1;
	j->first = j->last = &j->start;
	j->next_allocation = SEGMENT_SMALLEST;
	return j;
}

struct journal *journal_hold(struct journal *j)
{
	unsigned before = atomic_fetch_add_explicit(&j->holds, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return j;
}

static struct segment *next_of(const struct segment *s) { return atomic_load_explicit(&s->next, memory_order_acquire); }

/* The first segment leaves the list. */
static void drop_first(struct journal *j)
{
	struct segment *s = j->first;
	j->first = next_of(s);
	if (s != &j->start)
		free(s);
}

static void destroy(struct journal *j)
{
	while (j->first)
		drop_first(j);
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
	return text_bytes + INDEX <= s->size - s->used - (size_t)s->events * INDEX;
}

static struct segment *create_segment(struct journal *j, size_t text_bytes)
{
	size_t needed = sizeof(struct segment) + text_bytes + INDEX;
	size_t bytes = needed > j->next_allocation / 2 ? needed : j->next_allocation;
	struct segment *s = malloc(bytes);
	if (!s)
		return NULL;
	atomic_init(&s->next, NULL);
	atomic_init(&s->readers, 0);
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
	atomic_store_explicit(&j->last->next, s, memory_order_release);
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
	j->word.events++;
	if (text.n == 0) /* libdeflate takes a NULL pointer for a wish to begin anew */
		return;
	j->word.bytes += text.n;
	j->word.crc32 = libdeflate_crc32(j->word.crc32, text.p, text.n);
}

enum cause journal_append(struct journal *j, enum journal_kind kind, span text)
{
	CHECK(!atomic_load_explicit(&j->sealed, memory_order_relaxed));
	if (text.n > WEIGHT_MAX - INDEX || text.n + INDEX > WEIGHT_MAX - j->weight)
		return CAUSE_STREAM_TOO_LARGE;
	if (!fits(j->last, text.n)) {
		struct segment *s = create_segment(j, text.n);
		if (!s)
			return CAUSE_OVERLOADED;
		chain(j, s);
	}
	put(j->last, kind, text);
	j->weight += (uint32_t)text.n + INDEX;
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
	struct last_word whole = *word;
	journal_tally(j, &whole);
	j->word = whole;
	keep_detail(j, word->detail);
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
	out->events = j->word.events;
	out->bytes = j->word.bytes;
	out->crc32 = j->word.crc32;
}

/* Acquire: whatever readers did there is over. */
static bool is_passed(const struct segment *s)
{
	return atomic_load_explicit(&s->readers, memory_order_acquire) == 0;
}

static uint64_t size_of(const struct journal *j, const struct segment *s)
{
	return s == &j->start ? 0 : sizeof *s + s->size;
}

void journal_give_up(struct journal *j, uint64_t bytes)
{
	uint64_t given = 0;
	while (given < bytes && j->first != j->last && is_passed(j->first)) {
		given += size_of(j, j->first);
		drop_first(j);
	}
	atomic_fetch_sub_explicit(&j->memory, given, memory_order_relaxed);
}

uint32_t journal_first(const struct journal *j) { return j->first->first; }

static void enter(struct segment *s) { atomic_fetch_add_explicit(&s->readers, 1, memory_order_relaxed); }
static void leave(struct segment *s) { atomic_fetch_sub_explicit(&s->readers, 1, memory_order_release); }

/* The segment of event n, or the last one: from s on. */
static struct segment *seek(struct segment *s, uint32_t n)
{
	struct segment *next;
	while ((next = next_of(s)) && next->first <= n)
		s = next;
	return s;
}

void cursor_open(struct cursor *c, struct journal *j, uint32_t next)
{
	CHECK(next >= journal_first(j) && next <= journal_count(j) + 1);
	*c = (struct cursor){.journal = journal_hold(j), .next = next, .segment = seek(j->first, next)};
	enter(c->segment);
}

void cursor_close(struct cursor *c)
{
	if (c->journal) {
		leave(c->segment);
		journal_drop(c->journal);
	}
	*c = (struct cursor){0};
}

struct cursor cursor_take(struct cursor *from)
{
	struct cursor taken = *from;
	*from = (struct cursor){0};
	return taken;
}

/* To the segment of c->next, which is published: the pointers that lead there are too. */
static void move_on(struct cursor *c)
{
	struct segment *there = seek(c->segment, c->next);
	if (there == c->segment)
		return;
	enter(there);
	leave(c->segment);
	c->segment = there;
}

bool cursor_read(struct cursor *c, enum journal_kind *kind, span *text)
{
	if (c->next > journal_count(c->journal))
		return false;
	move_on(c);
	const struct segment *s = c->segment;
	uint32_t i = c->next - s->first;
	uint32_t begin = i ? end_of(s, i - 1) : 0;
	*text = span_of(s->room + begin, end_of(s, i) - begin);
	*kind = (enum journal_kind)index_of(s, i)[sizeof(uint32_t)];
	c->next++;
	return true;
}
