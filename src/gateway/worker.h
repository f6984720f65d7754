/* A worker: one thread, one loop, and all that lives on it. Nothing of it is for other threads but its mailbox. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "gateway/config.h"
#include "gateway/metrics.h"
#include "net/mailbox.h"
#include "server/server.h"
#include "stream/shelf.h"
#include "upstream/fetch.h"

#include <pthread.h>

struct crew;
struct doors;
struct pipe;
struct stream;
struct worker;

/* What one worker says to another. Embedded in what it is about; the reader's from worker_post on. */
struct letter {
	struct mail mail;
	void (*read)(struct worker *w, struct letter *l);
};

struct worker {
	struct crew *crew;
	unsigned index;          /* the home that ids of its streams name */
	pthread_t thread;
	struct loop loop;
	struct mailbox mailbox;
	atomic_uint orders;      /* of the crew; not carried out yet */
	struct letter order;

	struct config *config;   /* held; another one after a reload */
	struct resolver *names;
	struct pool *pool;
	struct server *front, *admin; /* the public listener and (of the first worker) the operator's, or NULL */
	struct shelf shelf;
	struct metrics metrics;
	struct buf scratch;      /* what is printed in this turn */

	LIST_HEAD(, stream) live;
	LIST_HEAD(, pipe) pipes; /* passthrough answers under way */
	struct doors *doors;     /* of absence.c */
	unsigned retries_away;   /* … that are looking for their streams on other workers */
	struct task make_room;   /* what waits for the kernel has grown */
	struct alarm sweep;      /* the shelf's next expiry */
	struct alarm settle;     /* draining: look whether everything has ended and was read */
	struct alarm deadline;   /* of the drain */
	uint64_t accepted;       /* draining: connections until the last look */
	unsigned door_looks;     /* … at which only the door was busy */
	bool out_of_time;        /* the last words had their time too */
	atomic_bool idle;        /* draining: nothing is left here */
	uint32_t old_peers[64];  /* addresses that were seen to speak HTTP/1.0, as hashes: each is logged once */
};

/* Opens its loop and its listeners; the first worker's come first. Belongs to the opener's thread until worker_start.
 * false: why says what failed, in one sentence. */
MUST bool worker_open(struct worker *w, struct crew *crew, unsigned index, struct config *c, char *why,
	size_t why_bytes);

/* New work goes by the new configuration, which is held; running streams keep the one they began with. What cannot
 * change while the process lives (listeners, workers, the model) stays as it was. */
void worker_use(struct worker *w, struct config *c);

/* No new work from now on. When the last stream has ended and was read, `idle` is true; at the latest when `drain` is
 * over: then the rest is told failed/shutdown. */
void worker_drain(struct worker *w);
/* That happens now. */
void worker_end(struct worker *w);

/* Its loop has stopped. First everyone leaves, which may say something to other workers; when all mail was read its
 * memory goes. */
void worker_close(struct worker *w);
void worker_finish(struct worker *w);

/* Any thread. l->read(w, l) is called on w's. */
void worker_post(struct worker *w, struct letter *l, void (*read)(struct worker *w, struct letter *l));

bool worker_is_draining(const struct worker *w);

/* New work is refused for now: draining, over limits.streams, or too little memory. */
bool worker_is_full(const struct worker *w);
/* The same, asked on behalf of new work: room is made for it first, if that can be. */
bool worker_refuses(struct worker *w);

#endif
