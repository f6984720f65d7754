/* A stream in the gateway: its journal, the generation that writes it, and the viewers that read it. It lives while it
 * is written and then, kept on the shelf, for late readers. Belongs to its worker's thread. */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "gateway/worker.h"
#include "upstream/run.h"

struct viewer;

struct stream {
	struct shelf_entry entry; /* its id */
	LIST_ENTRY(stream) link;  /* of the worker's live ones */
	struct worker *worker;
	struct config *config;    /* held: the one under which it was started, whatever is loaded later */
	const struct route *route;
	struct journal *journal;
	struct generation generation;
	struct run run;
	LIST_HEAD(, viewer) viewers;
	size_t viewers_n;
	struct alarm leave;       /* nobody watches: first_viewer, later grace */
	bool had_viewer;
	struct task wake;         /* viewers pull what is new, at the end of the turn */
	struct task measure;
	uint64_t arrived_ns;      /* the oldest event of this turn; 0: none */
	uint32_t counted;         /* events … */
	uint64_t counted_bytes;   /* … and bytes that the metrics know of */
	uint64_t counted_memory;  /* that the budget knows of */
	uint64_t unwatched;
	uint64_t started_ms;
	char peer[64];            /* who started it, for the log */
};

static inline span stream_id(const struct stream *s) { return span_of(s->entry.id.text, ID_LENGTH); }

/* Starts a generation on a browser route. NULL when there is no memory. */
struct stream *stream_start(struct worker *w, const struct route *route, const struct fetch_request *request,
	const struct generation_rules *rules,
                            const char *peer);

struct stream *stream_find(struct worker *w, span id);

/* Someone asked to stop: the upstream is cancelled, every viewer reads close/stopped. */
void stream_stop(struct stream *s);

void stream_end(struct stream *s, enum cause cause, const char *detail);

/* A viewer comes and goes. The last one that leaves starts `grace`. */
void stream_join(struct stream *s, struct viewer *v);
void stream_leave(struct stream *s, struct viewer *v);

/* The shelf lets go of it. */
void stream_drop(struct shelf_entry *entry);

/* Its state as JSON. */
void stream_print_state(const struct stream *s, struct buf *out);

#endif
