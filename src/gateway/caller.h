/* Who calls: the key that a request carries, looked for in every place where one may stand (ARCHITECTURE.md,
 * "Guards"). */
#ifndef GATEWAY_CALLER_H
#define GATEWAY_CALLER_H

#include "gateway/config.h"
#include "http/headers.h"
#include "http/url.h"

/* What a request says of who it is. Zeroed: nothing. */
struct caller_seen {
	const struct caller *caller; /* the first key that is one of ours; NULL: none is */
	bool is_torn;     /* there is another key, of ours but not his */
	bool is_strange;  /* there is one that is nobody's */
	bool is_by_field; /* the caller's stands in a field that no page can make a browser send without asking first */
};

/* Where to look: everywhere, or, where the other places are the upstream's (`auth: client`), in Lastword-Key and the
 * cookie alone. */
enum caller_places { CALLER_EVERYWHERE, CALLER_OWN_PLACES };
struct caller_seen caller_find(const struct callers *all, enum caller_places places, const struct http_head *head,
	span query);

/* He may start work: a key of his, and no other one beside it. */
static inline bool caller_is_known(const struct caller_seen *seen)
{
	return seen->caller && !seen->is_torn && !seen->is_strange;
}

/* The value of such a field, or of the query's `key`, is the key of somebody here. */
MUST bool caller_has_key_of(const struct callers *all, span field_value);
MUST bool caller_has_key_in(const struct callers *all, span query_part);

#endif
