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
	char *label; /* route="/sse-proxy", with the quotes */
	uint64_t started;
	uint64_t ended[CAUSES];
	bool warned_of_newlines; /* in the log, once */
};

struct metrics {
	struct route_metrics *route; /* of all configurations so far; struct route's index names one */
	size_t routes;
	uint64_t viewers;            /* now */
	uint64_t events, event_bytes, events_unwatched;
	uint64_t resumes[RESUMES], attached[ATTACHED_WAYS], piped[PIPED_ENDS];
	struct histogram first_event, added_latency;
};

void metrics_init(struct metrics *m);
/* Gives each route of a configuration its row: the one of its path, counts kept, or a new one. */
void metrics_adopt(struct metrics *m, struct config *c);
void metrics_finish(struct metrics *m);
void metrics_observe(struct histogram *h, double seconds);

/* Prometheus text of one worker. */
void metrics_print(struct buf *out, const struct worker *w);

#endif
