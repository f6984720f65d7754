/* The shelf: where a worker finds its streams again.
 *
 * Entries are intrusive and the trees are libuv's own copy of BSD's <sys/tree.h>, so that putting a stream on the shelf
 * cannot fail and costs no allocation; only a key, which a caller chose and few callers send, is copied. A hash map
 * would be faster at a million streams and needs a seed, a growth policy and a bad moment in which it grows; a worker
 * has thousands, and an id is looked for once a connection, not once an event.
 *
 * Expiry needs no heap: every stream is kept equally long, so the order of sealing is the order of expiry, and the
 * oldest is always the first of a list. The same order serves when memory runs short.
 *
 * Invariants:
 *	1. entry->shelf is set exactly while the entry is in `ids`.
 *	2. It is in `keys` exactly while it has a key (scope.p is set).
 *	3. It is in `ages` exactly while it is sealed; sealed_ms never falls along the list.
 *	4. live + kept is the number of entries in `ids`; kept_bytes is the sum over `ages`.
 *	5. on_drop is called with the entry out of everything and its key freed, and the loops that call it start
 *	   again from the head of the list each time: it may do what it likes to the shelf and to the entry.
 *
 * Owned by one worker and used on its thread. Not here: which worker's shelf an id belongs to (stream/id, the gateway's
 * mailboxes), and what an entry's owner does with viewers that are still reading when it is dropped. */
#include "stream/shelf.h"

#include <stdlib.h>

static int compare_ids(const struct shelf_entry *a, const struct shelf_entry *b)
{
	return memcmp(a->id.text, b->id.text, ID_LENGTH);
}

static int compare_spans(span a, span b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

static int compare_keys(const struct shelf_entry *a, const struct shelf_entry *b)
{
	int order = compare_spans(a->scope, b->scope);
	return order ? order : compare_spans(a->key, b->key);
}

RB_GENERATE_STATIC(shelf_ids, shelf_entry, by_id, compare_ids)
RB_GENERATE_STATIC(shelf_keys, shelf_entry, by_key, compare_keys)

void shelf_init(struct shelf *s, uint64_t keep_ms, void (*on_drop)(struct shelf_entry *entry))
{
	*s = (struct shelf){.keep_ms = keep_ms, .on_drop = on_drop};
	TAILQ_INIT(&s->ages);
}

void shelf_put(struct shelf *s, struct shelf_entry *entry)
{
	CHECK(!entry->shelf && !entry->is_sealed && !entry->scope.p);
	CHECK(id_is_valid(span_str(entry->id.text)));
	CHECK(!RB_INSERT(shelf_ids, &s->ids, entry));
	entry->shelf = s;
	s->live++;
}

void shelf_sealed(struct shelf_entry *entry, uint64_t now_ms, uint64_t memory_bytes)
{
	struct shelf *s = entry->shelf;
	CHECK(s && !entry->is_sealed);
	struct shelf_entry *youngest = TAILQ_LAST(&s->ages, shelf_ages);
	CHECK(!youngest || youngest->sealed_ms <= now_ms);
	entry->is_sealed = true;
	entry->sealed_ms = now_ms;
	entry->memory_bytes = memory_bytes;
	TAILQ_INSERT_TAIL(&s->ages, entry, by_age);
	s->live--;
	s->kept++;
	s->kept_bytes += memory_bytes;
}

void shelf_remove(struct shelf_entry *entry)
{
	struct shelf *s = entry->shelf;
	CHECK(s);
	shelf_release_key(entry);
	RB_REMOVE(shelf_ids, &s->ids, entry);
	if (entry->is_sealed) {
		TAILQ_REMOVE(&s->ages, entry, by_age);
		s->kept--;
		s->kept_bytes -= entry->memory_bytes;
	} else {
		s->live--;
	}
	entry->shelf = NULL;
	entry->is_sealed = false;
}

static void drop(struct shelf *s, struct shelf_entry *entry)
{
	shelf_remove(entry);
	s->on_drop(entry);
}

void shelf_finish(struct shelf *s)
{
	for (struct shelf_entry *first; (first = RB_MIN(shelf_ids, &s->ids));)
		drop(s, first);
}

struct shelf_entry *shelf_find(const struct shelf *s, span text)
{
	struct shelf_entry probe = {0};
	if (text.n != ID_LENGTH)
		return NULL;
	memcpy(probe.id.text, text.p, ID_LENGTH);
	return RB_FIND(shelf_ids, (struct shelf_ids *)&s->ids, &probe);
}

struct shelf_entry *shelf_find_key(const struct shelf *s, span scope, span key)
{
	struct shelf_entry probe = {.scope = scope, .key = key};
	return RB_FIND(shelf_keys, (struct shelf_keys *)&s->keys, &probe);
}

enum cause shelf_take_key(struct shelf_entry *entry, span scope, span key, const unsigned char digest[SHELF_DIGEST])
{
	CHECK(entry->shelf && !entry->scope.p);
	char *copy = malloc(scope.n + key.n + 1); /* never of size 0: its address says that there is a key */
	if (!copy)
		return CAUSE_OVERLOADED;
	if (scope.n)
		memcpy(copy, scope.p, scope.n);
	if (key.n)
		memcpy(copy + scope.n, key.p, key.n);
	entry->scope = span_of(copy, scope.n);
	entry->key = span_of(copy + scope.n, key.n);
	memcpy(entry->digest, digest, SHELF_DIGEST);
	CHECK(!RB_INSERT(shelf_keys, &entry->shelf->keys, entry));
	return CAUSE_NONE;
}

void shelf_release_key(struct shelf_entry *entry)
{
	if (!entry->scope.p)
		return;
	RB_REMOVE(shelf_keys, &entry->shelf->keys, entry);
	free((char *)entry->scope.p);
	entry->scope = entry->key = (span){0};
}

bool shelf_has_digest(const struct shelf_entry *entry, const unsigned char digest[SHELF_DIGEST])
{
	return entry->scope.p && memcmp(entry->digest, digest, SHELF_DIGEST) == 0;
}

/* Never wraps: a `keep` that has no end is a deadline that has none. */
static uint64_t expiry_ms(const struct shelf *s, const struct shelf_entry *entry)
{
	return s->keep_ms > SHELF_NEVER - entry->sealed_ms ? SHELF_NEVER : entry->sealed_ms + s->keep_ms;
}

uint64_t shelf_expire(struct shelf *s, uint64_t now_ms)
{
	for (struct shelf_entry *oldest; (oldest = TAILQ_FIRST(&s->ages));) {
		uint64_t due_ms = expiry_ms(s, oldest);
		if (due_ms == SHELF_NEVER || due_ms > now_ms)
			return due_ms;
		drop(s, oldest);
	}
	return SHELF_NEVER;
}

uint64_t shelf_trim(struct shelf *s, uint64_t budget_bytes)
{
	uint64_t freed = 0;
	for (struct shelf_entry *oldest; s->kept_bytes > budget_bytes && (oldest = TAILQ_FIRST(&s->ages));) {
		freed += oldest->memory_bytes;
		drop(s, oldest);
	}
	return freed;
}
