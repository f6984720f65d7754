/* What the gateway counts, and how Prometheus reads it. One struct for each worker, written by its thread. Labels come from
 * the configuration, never from a request. */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "base/buf.h"
#include "gateway/config.h"

struct worker;

enum { HISTOGRAM_BUCKETS = 14 };

/* Seconds; the bounds are in metrics.c: a bucket for each factor of about 3 from 10 µs to 100 s. */
struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS + 1];
	uint64_t count;
	double sum;
};

enum resume_result { RESUME_LIVE, RESUME_KEPT, RESUME_FORGOTTEN, RESUME_ENDED, RESUMES };
enum attached_by { ATTACHED_BY_ID, ATTACHED_BY_KEY, ATTACHED_WAYS };
enum piped_end { PIPED_CLEAN, PIPED_CUT, PIPED_ENDS };

struct route_metrics {
	uint64_t started;
	uint64_t ended[CAUSES];
	bool warned_of_newlines; /* in the log, once */
};

struct metrics {
	struct route_metrics *route; /* config.routes of them */
	uint64_t viewers;            /* now */
	uint64_t events, event_bytes, events_unwatched;
	uint64_t resumes[RESUMES], attached[ATTACHED_WAYS], piped[PIPED_ENDS];
	struct histogram first_event, added_latency;
};

void metrics_init(struct metrics *m, const struct config *c);
void metrics_finish(struct metrics *m);
void metrics_observe(struct histogram *h, double seconds);

/* Prometheus text of one worker. */
void metrics_print(struct buf *out, const struct worker *w);

#endif
