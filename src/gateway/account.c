/* The limits of a key hold for the process, not for a worker: two counters (base/quota, base/bucket), moved by
 * compare-and-swap, so that of a hundred requests that want the last place one gets it.
 *
 * 1. Whoever took gives once: a stream when it has ended, a passthrough request when it is over, unless a stream has
 *    taken it over.
 * 2. An account is found by its name alone. A key that gets a new secret keeps what it owes; a name that was taken away
 *    keeps its row in the metrics, and what runs under it runs on.
 * 3. The list grows on the first worker's thread, on which it is also read. */
#include "gateway/account.h"

#include <stdio.h>
#include <stdlib.h>

static struct account **find(struct accounts *a, const char *name)
{
	struct account **place = &a->first;
	while (*place && strcmp((*place)->name, name))
		place = &(*place)->next;
	return place;
}

static struct account *create(const char *name)
{
	struct account *a = calloc(1, sizeof *a);
	if (a && (a->name = strdup(name)))
		return a;
	free(a);
	return NULL;
}

bool accounts_adopt(struct accounts *a, struct config *c)
{
	for (size_t i = 0; i < c->callers.n; i++) {
		struct account **place = find(a, c->callers.caller[i].name);
		if (!*place && !(*place = create(c->callers.caller[i].name)))
			return false;
		c->callers.caller[i].account = *place;
	}
	return true;
}

void accounts_finish(struct accounts *a)
{
	for (struct account *one = a->first, *next; one; one = next) {
		next = one->next;
		free(one->name);
		free(one);
	}
	a->first = NULL;
}

static void refuse(const struct caller *c, enum account_limit which, uint64_t wait_ns, struct shortage *why)
{
	atomic_fetch_add_explicit(&c->account->refused[which], 1, memory_order_relaxed);
	why->retry_after_s = wait_ns ? (unsigned)((wait_ns + 999999999) / 1000000000) : 1;
	if (which == LIMIT_STREAMS)
		snprintf(why->sentence, sizeof why->sentence, "This key has %llu under way, as many as it may have at once.",
			(unsigned long long)c->streams);
	else
		snprintf(why->sentence, sizeof why->sentence, "This key may start %llu a minute; ask again in %u s.",
			(unsigned long long)c->starts_per_minute, why->retry_after_s);
}

bool account_take(const struct caller *c, uint64_t now_ns, struct shortage *why)
{
	if (!c)
		return true;
	if (!quota_take(&c->account->streams, c->streams)) {
		refuse(c, LIMIT_STREAMS, 0, why);
		return false;
	}
	uint64_t wait_ns = bucket_take(&c->account->starts, c->starts_per_minute, now_ns);
	if (wait_ns) {
		quota_give(&c->account->streams);
		refuse(c, LIMIT_STARTS, wait_ns, why);
		return false;
	}
	atomic_fetch_add_explicit(&c->account->started, 1, memory_order_relaxed);
	return true;
}

void account_undo(const struct caller *c)
{
	if (!c)
		return;
	bucket_give(&c->account->starts, c->starts_per_minute);
	account_give(c->account);
}

void account_give(struct account *a)
{
	if (a)
		quota_give(&a->streams);
}
