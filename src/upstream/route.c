/* What follows from a route's values alone. */
#include "upstream/route.h"

void upstream_put_target(const struct upstream *u, span part, struct buf *out)
{
	if (u->is_model) {
		buf_put(out, SPAN("/v1/chat/completions"));
		return;
	}
	buf_put(out, u->url.path);
	if (u->url.query.n) {
		buf_put_byte(out, '?');
		buf_put(out, u->url.query);
	}
	if (part.n && !span_lists(u->url.query, '&', part)) {
		buf_put_byte(out, u->url.query.n ? '&' : '?');
		buf_put(out, part);
	}
}

bool route_retries_on(const struct route *r, int status)
{
	for (size_t i = 0; i < r->retry_on.n; i++)
		if (r->retry_on.status[i] == status)
			return true;
	return false;
}
