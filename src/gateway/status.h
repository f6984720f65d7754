/* What the gateway does now, as JSON for the operator's page and scripts. */
#ifndef GATEWAY_STATUS_H
#define GATEWAY_STATUS_H

#include "base/buf.h"

struct census;
struct stream;
struct worker;

/* One object, without a whole id, prompt or answer in it:
 *
 *	now, version, uptime_ms, draining, full (new work is refused: draining, limits.streams or memory)
 *	live, kept, viewers
 *	memory   {journal, limit}, bytes; limit 0: none
 *	ends     those that happened since the start: {route, end, cause, side, sentence, count}
 *	keys     of `keys`, those that a reload took away included: {name, live, started, refused} and, of those in force,
 *	         streams, starts_per_minute (0: no limit)
 *	streams  the live ones, newest first: {id (its first characters, as in the log), route, state, age_ms, events, bytes,
 *	         viewers}, and key (under whose it was started), idle_ms (since the last event that fed the idle clock, when
 *	         that runs), queue (its place behind the embedded model). state: connecting, queued, waiting (for the first
 *	         event), answering
 *	more     live streams that are not listed */
void status_print(struct buf *out, const struct worker *w, struct census *c);

/* One of the live ones. Its home's thread. */
void status_print_stream(struct buf *out, const struct stream *s);

#endif
