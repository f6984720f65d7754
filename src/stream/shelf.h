/* The shelf: all streams of one worker, live ones and those kept after their end, found by id or by idempotency key. It
 * owns nothing: the owner embeds a struct shelf_entry in its own stream struct, puts it here, and is told by on_drop
 * when the shelf lets go of it. Live streams are never let go of; ended ones are, oldest first, when `keep` is over or
 * when they hold more memory than is allowed. No clock inside: whoever calls brings the time. One thread, the worker's.
 *
 *	put ── live ── shelf_sealed ── kept ── shelf_expire / shelf_trim ── on_drop
 */
#ifndef STREAM_SHELF_H
#define STREAM_SHELF_H

#include "base/cause.h"
#include "stream/id.h"

#include <sys/queue.h>
#include <uv/tree.h>

enum { SHELF_DIGEST = 32 }; /* bytes: SHA-256 of a request body */
#define SHELF_NEVER UINT64_MAX

struct shelf_entry {
	struct id id; /* the owner sets it before shelf_put and never changes it; the rest starts zeroed */

	/* For shelf.c. */
	struct shelf *shelf; /* where it stands, or NULL */
	RB_ENTRY(shelf_entry) by_id, by_key;
	TAILQ_ENTRY(shelf_entry) by_age;
	span scope, key;     /* both in one allocation that begins at scope.p; scope.p NULL: no key */
	unsigned char digest[SHELF_DIGEST];
	uint64_t sealed_ms, memory_bytes;
	bool is_sealed;
};

RB_HEAD(shelf_ids, shelf_entry);
RB_HEAD(shelf_keys, shelf_entry);
TAILQ_HEAD(shelf_ages, shelf_entry);

struct shelf {
	/* To read. */
	size_t live, kept;   /* entries */
	uint64_t kept_bytes; /* of the kept ones, as told to shelf_sealed */

	uint64_t keep_ms;    /* may be changed at any time, also for streams already kept; 0: nothing is kept */

	/* For shelf.c. */
	struct shelf_ids ids;
	struct shelf_keys keys;
	struct shelf_ages ages; /* the kept, oldest first */
	void (*on_drop)(struct shelf_entry *entry);
};

/* on_drop: the entry has left the shelf, its id and its key are unknown here from now on. Called from shelf_expire,
 * shelf_trim and shelf_finish only; it may free the entry, and may call any function of this page. */
void shelf_init(struct shelf *s, uint64_t keep_ms, void (*on_drop)(struct shelf_entry *entry));

/* Lets go of everything, live entries included. */
void shelf_finish(struct shelf *s);

/* A live stream. Its id is new here. */
void shelf_put(struct shelf *s, struct shelf_entry *entry);

/* The stream ended: kept from now on, as old as now_ms (never less than in an earlier call). memory_bytes: what it
 * holds and gives back when it is dropped. Even with keep_ms 0 it stays until the next shelf_expire. */
void shelf_sealed(struct shelf_entry *entry, uint64_t now_ms, uint64_t memory_bytes);

/* The owner takes its entry back, live or kept; on_drop is not called. */
void shelf_remove(struct shelf_entry *entry);

/* text: an id as it came from outside, of any length. NULL: unknown. */
struct shelf_entry *shelf_find(const struct shelf *s, span text);

/* Idempotency keys (ARCHITECTURE.md, "Endpoints"). scope: whatever tells callers apart, of any bytes. A key stands for
 * one stream, and a stream has one key at most; the key lives until its entry leaves the shelf or releases it. */
struct shelf_entry *shelf_find_key(const struct shelf *s, span scope, span key);

/* Gives the entry its key. The pair is not taken yet (ask shelf_find_key first) and the entry, which is on a shelf, has
 * none. scope and key are copied; CAUSE_OVERLOADED when there is no memory for that (the entry has no key then). */
MUST enum cause shelf_take_key(struct shelf_entry *entry, span scope, span key,
                               const unsigned char digest[SHELF_DIGEST]);

/* The key starts new work again: its stream failed before its first event. Nothing happens when there is none. */
void shelf_release_key(struct shelf_entry *entry);

/* The body behind the entry's key was this one; if not, the request is wrong (422). */
bool shelf_has_digest(const struct shelf_entry *entry, const unsigned char digest[SHELF_DIGEST]);

/* Drops what has been kept for keep_ms. Returns when to call again, in ms of the same clock; SHELF_NEVER: not before
 * another stream is sealed. */
uint64_t shelf_expire(struct shelf *s, uint64_t now_ms);

/* Drops the oldest of the kept until they hold no more than budget_bytes. Returns the bytes that were let go of. */
uint64_t shelf_trim(struct shelf *s, uint64_t budget_bytes);

#endif
