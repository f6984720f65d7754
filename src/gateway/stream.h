/* A stream in the gateway, as its home knows it: the generation that writes it, who reads it, and what that has cost so
 * far. It lives while it is written and then, kept on the shelf, for late readers. Belongs to its home's thread; what
 * others may see of it is its face. */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "gateway/absence.h"
#include "gateway/audience.h"
#include "upstream/run.h"

struct stream {
	struct shelf_entry entry;
	LIST_ENTRY(stream) link;  /* of the worker's live ones */
	struct garbage garbage;
	struct worker *worker;    /* its home */
	struct face *face;        /* held */
	struct generation generation;
	struct run run;
	struct audience own;      /* the viewers here … */
	LIST_HEAD(, audience) foreign; /* … and on other workers */
	size_t viewers;           /* all of them, those on their way included */
	struct absence absence;   /* nobody watches: first_viewer, later grace */
	bool had_viewer;
	struct task wake;         /* viewers pull what is new, at the end of the turn */
	uint64_t arrived_ns;      /* the oldest event of this turn; 0: none */
	uint32_t counted;         /* events … */
	uint64_t counted_bytes;   /* … and bytes that the metrics know of */
	uint64_t counted_memory;  /* that the budget knows of */
	bool gives_way;           /* the budget ended it */
	uint64_t unwatched;
	bool began;               /* … and that it began */
	size_t counted_body;      /* of the request, that the budget knows of */
	struct account *account;  /* under whose key it was started; holds one of its places while it lives. NULL: nobody's */
	char peer[64];            /* who started it, for the log */
};

/* Everything that a new stream begins with. */
struct stream_plan {
	struct config *config;     /* a loan; the stream holds it */
	const struct route *route; /* of that configuration */
	span part;                           /* of the request's query, for the route's other upstreams */
	const struct fetch_request *request; /* or, where it was sent already: */
	struct fetch *fetch;                 /* … its fetch, from whose on_head this is called (run_adopt) … */
	const struct http_head *head;        /* … the answer's head … */
	span so_far;                         /* … and what has come of its body */
	uint64_t started_ns, connected_ns;
	const struct generation_rules *rules;
	struct account *account;             /* one of its places, which the stream takes over; or NULL */
	const char *peer;
};

static inline span stream_id(const struct stream *s) { return face_id(s->face); }

/* Starts a generation. NULL when there is no room (limits.streams) or no memory; then the account's place was not taken
 * over. */
struct stream *stream_start(struct worker *w, const struct stream_plan *plan);

/* Of those that are at home there; NULL: unknown, or no longer kept. */
struct stream *stream_find(struct worker *w, span id);
struct stream *stream_find_key(struct worker *w, span scope, span key);

/* Someone asked to stop: the upstream is cancelled, every viewer reads close/stopped. */
void stream_stop(struct stream *s);

void stream_end(struct stream *s, enum cause cause, const char *detail);

/* A viewer will read on that worker, behind seat->taken events: it counts from now on until audience_left says that it has
 * gone. *spare: memory for an audience of another worker, and NULL afterwards when it was needed; the home's own needs
 * none. False: where it would have to begin was given up for memory. */
MUST bool stream_admit(struct stream *s, struct worker *w, struct seat *seat, struct audience **spare);

/* By the audience: so many have gone. The last one of all starts `grace`. */
void stream_left(struct stream *s, size_t viewers);

/* The shelf lets go of it. */
void stream_drop(struct shelf_entry *entry);

/* Its state as JSON. */
void stream_print_state(const struct stream *s, struct buf *out);

#endif
