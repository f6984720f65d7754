/* The parts of the load generator: what is measured (plan), who sends (upstream), who reads (client), what it cost
 * (meter). One thread, one epoll. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SLOT_DIGITS = 4,
	SEQ_DIGITS = 8,
	TIME_DIGITS = 16,
	DIGITS = SLOT_DIGITS + SEQ_DIGITS + TIME_DIGITS,
	STREAMS_MAX = 9500, /* two descriptors each, within 20,000 */
	PIDS_MAX = 32,
};

struct plan {
	int port, to_port;        /* where the upstream listens; where the clients go */
	const char *target;       /* of the clients' requests */
	const char *last_word;    /* what the last 512 bytes of each answer must hold */
	bool chat;                /* POST, and events as chat.completion.chunk */
	unsigned streams, rate;   /* events/s of each stream */
	unsigned viewers;         /* of all streams together, a multiple of them; 0: one of each */
	bool join_alike;          /* those who join ask as the first did, and not for its stream by its id */
	unsigned spread_ms;       /* over which a storm's viewers come back */
	unsigned events, warm;    /* events of each stream; so many of them before the meter starts */
	unsigned payload;         /* bytes behind "data: " in each event */
	unsigned tick_us;         /* events that are due in one tick leave together; 0: each at its own time */
	int pids[PIDS_MAX], pids_n;
};
extern struct plan plan;

/* A descriptor in the epoll set. Level-triggered; on_ready may free the source. */
struct source {
	int fd;
	void (*on_ready)(struct source *);
};
void watch(struct source *s);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);

/* Each request that arrives becomes a stream with the next free slot and gets its head and event 0 in one write. */
extern unsigned upstream_streaming, upstream_accepted, upstream_requests;
void upstream_listen(void);
void upstream_send(unsigned slot);
void upstream_end(unsigned slot);
uint32_t upstream_sent(unsigned slot); /* events, the first one included */
size_t upstream_token_bytes(void); /* from '@' to '#', both included */

extern unsigned clients_begun, clients_ended; /* event 0 was read; the answer was read to its end */
extern uint64_t events_read;
void client_open(unsigned i);
void client_ask(unsigned i);
void client_join(unsigned i, unsigned other); /* one more viewer of the stream that `other` reads, from its beginning */
void clients_close(void);

/* A storm: all are cut off; each comes back behind what it has read, and is back when it has all that was sent before. */
extern unsigned clients_back;
void clients_cut(void);
void client_return(unsigned i);

/* Nanoseconds, one for each event that is read while recording. */
extern bool recording;
void latency_add(uint64_t ns);
void latency_clear(void);
size_t latency_count(void);
double latency_us(double quantile);
uint64_t meter_cpu_ns(void); /* of plan.pids, all their threads */
uint64_t meter_pss_bytes(void);

#endif
