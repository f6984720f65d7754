/* What the gateway counts, and how Prometheus reads it. One struct for each worker, written by its thread; what is told
 * is their sum (census.h). Labels come from the configuration, never from a request. */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "base/buf.h"
#include "gateway/config.h"

enum { HISTOGRAM_BUCKETS = 14 };

/* Seconds; the bounds are in metrics.c: a bucket for each factor of about 3 from 10 µs to 100 s. */
struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS + 1];
	uint64_t count;
	double sum;
};

enum resume_result { RESUME_LIVE, RESUME_KEPT, RESUME_FORGOTTEN, RESUME_ENDED, RESUMES };
enum attached_by { ATTACHED_BY_ID, ATTACHED_BY_KEY, ATTACHED_BY_RETRY, ATTACHED_WAYS };
enum piped_end { PIPED_CLEAN, PIPED_CUT, PIPED_ENDS };

struct route_metrics {
	uint64_t started;
	uint64_t ended[CAUSES];
	bool warned_of_newlines; /* in the log, once (by each worker) */
};

struct metrics {
	struct route_metrics *route; /* struct route's index names one */
	size_t routes;
	uint64_t viewers;            /* now */
	uint64_t events, event_bytes, events_unwatched;
	uint64_t resumes[RESUMES], attached[ATTACHED_WAYS], piped[PIPED_ENDS];
	uint64_t unknown_callers;    /* refused for want of a key */
	uint64_t joined_foreign;     /* viewers of a stream whose home is another worker */
	uint64_t live, kept;         /* streams; only in a sum, told by the shelf */
	struct histogram first_event, added_latency;
};

/* The labels of all routes that there have been, whatever was loaded since: counters never go back. */
struct labels {
	char **label; /* route="/sse-proxy", with the quotes */
	size_t n;
};

/* Gives each route of a configuration its index: the one of its path, or a new one. Before other threads see it. */
MUST bool labels_adopt(struct labels *l, struct config *c); /* false: no memory, and the configuration is of no use */
void labels_finish(struct labels *l);

/* Zeroed: nothing was counted. */
void metrics_finish(struct metrics *m);
/* Rows for so many routes at least; those that are new count nothing. False: no memory. */
MUST bool metrics_make_room(struct metrics *m, size_t routes);
void metrics_observe(struct histogram *h, double seconds);
MUST bool metrics_add(struct metrics *sum, const struct metrics *m); /* false: no memory, the sum is worth nothing */

struct accounts;

/* What the budget knows of. */
struct memory_bytes {
	uint64_t journal, body, output;
};

/* Prometheus text. m: of all workers, with a row for each label. */
void metrics_print(struct buf *out, const struct metrics *m, const struct labels *l, const struct memory_bytes *memory);
/* What is counted by the names of `keys`; nothing where there never were any. */
void metrics_print_keys(struct buf *out, const struct accounts *a);

#endif
