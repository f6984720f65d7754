/* What the files of `lastword check` share with one another and with their tests; main.c includes probe.h.
 *
 *	probe.c          the way from argv to the exit status: two questions, one report
 *	probe_ask.c      one question: a fetch into a generation, and into a look
 *	probe_watch.c    how many requests the upstream is busy with, by its own account
 *	probe_gauge.c    where servers say that; pure
 *	probe_look.c     what the bytes of an answer look like, whatever they mean; pure
 *	probe_advice.c   facts → what to configure and what to mend; pure
 *	probe_print.c    facts and advice → text for a person
 *	probe_json.c     the same as JSON
 *	config_probe.c   the command line */
#ifndef GATEWAY_PROBE_PARTS_H
#define GATEWAY_PROBE_PARTS_H

#include "gateway/ask.h"
#include "gateway/config.h"
#include "http/headers.h"

enum {
	PROBE_WORD = 64,          /* bytes kept of words of the upstream, NUL included */
	PROBE_BODY = 16 * 1024,   /* of a body that is no stream: its error is looked for there */
	PROBE_SENTENCES = 16,
	PROBE_SENTENCE = 480,
};

/* Looking. */

/* The last event: by what word an answer seems to end. Printable ASCII, or empty. */
struct probe_last {
	char name[PROBE_WORD], data[PROBE_WORD]; /* data: empty when it is longer */
};

struct probe_look {
	/* The head. Words are printable ASCII. */
	int status;                     /* 0: none came */
	enum http_framing framing;
	uint64_t length;
	char type[PROBE_WORD], encoding[PROBE_WORD], location[256];

	/* The body, as an event stream or NDJSON, whatever it calls itself. */
	uint64_t bytes, events, named, comments, pings; /* named: other than pings and "message" */
	struct probe_last last;         /* of the events with a name or data */
	const struct dialect *guess;    /* by the first event with data */
	bool guessed;
	struct buf kept;                /* the first PROBE_BODY bytes */
	struct sse sse;
};

/* syntax: of the dialect that was asked, for bodies whose media type says nothing. */
void probe_look_head(struct probe_look *l, const struct http_head *head, enum sse_syntax syntax);
void probe_look_body(struct probe_look *l, span bytes);
void probe_look_finish(struct probe_look *l);
/* Lines inside the events that are no field: newlines that somebody wrote into data. */
static inline uint64_t probe_look_raw_newlines(const struct probe_look *l) { return l->sse.no_field_lines; }
/* Copies what fits of text as printable ASCII. */
void probe_look_copy(char *to, size_t size, span text);

/* Facts. */

enum probe_known { KNOWN_NOT, KNOWN_BY_NAME, KNOWN_BY_PATH, KNOWN_BY_EVENT };

/* What the upstream did when the second question was left after its first token. */
enum probe_leaving {
	LEAVING_NOT_TRIED,
	LEAVING_FAILED,    /* the second question brought no token */
	LEAVING_TOO_SHORT, /* the answer ended at once, by itself or not */
	LEAVING_CLOSED,    /* it closed its side before its answer's end */
	LEAVING_WENT_ON,   /* it sent its answer to the end */
	LEAVING_STAYED,    /* when we closed, it was still there */
};

/* How many requests it is busy with, as it says itself, after we had left. */
enum probe_busy {
	BUSY_UNKNOWN,
	BUSY_FELL,        /* by one or more after our half of the connection was closed … */
	BUSY_FELL_LATER,  /* … or only after all of it was */
	BUSY_STAYED,
};

struct probe_facts {
	const struct route *route;        /* as asked */
	const struct dialect *dialect;    /* as read; text when nothing was recognised */
	enum probe_known known;
	bool by_get;
	const struct probe_look *look;
	const struct evidence *evidence;
	struct verdict verdict;
	const char *detail;               /* of a bad end: one safe sentence; else empty */
	const char *message;              /* what the upstream says of a status other than 200, safe; else empty */
	uint64_t text_events, text_bytes;
	uint64_t late_bytes;              /* of the body, after the event that decided */
	bool body_ended;                  /* and how: */
	int64_t connect_ms, head_ms, first_ms, end_ms, body_end_ms; /* since the question; -1: never */
	int64_t gap_ms;                   /* the longest between two reads after the first token */
	bool has_cr;                      /* text with carriage returns */

	enum probe_leaving leaving;
	int64_t leaving_ms;               /* from our leaving to the end that was seen */
	uint64_t leaving_events;          /* that came after it */
	enum probe_busy busy;
	const char *busy_by;              /* "/slots", "/metrics" …; not with BUSY_UNKNOWN */
	int64_t busy_ms;                  /* from our leaving until it fell */
};

/* True when the answer is whole and something proves it. */
static inline bool probe_is_proved(const struct probe_facts *f)
{
	return f->verdict.cause == CAUSE_FINISHED && f->verdict.proof != PROOF_NONE;
}

/* True when what came is a stream that a route would read. */
static inline bool probe_is_stream(const struct probe_facts *f)
{
	return f->evidence->status == 200 && !f->evidence->unusable;
}

/* Advice. A sentence may end with a line of code, behind a line break. */

struct probe_advice {
	struct route route;               /* what to configure: a copy of the route asked, changed; its strings are loans */
	bool has_route;                   /* … if one can be told: there was a stream, and its dialect is not in doubt */
	bool slow_first, slow_idle;       /* route.first_event_ms and idle_ms are to be said */
	size_t sentences;
	char sentence[PROBE_SENTENCES][PROBE_SENTENCE];
};
void probe_advise(struct probe_advice *a, const struct probe_facts *f);

/* Printing. */

void probe_print(const struct probe_facts *f, const struct probe_advice *a, struct buf *out);
void probe_print_json(const struct probe_facts *f, const struct probe_advice *a, struct buf *out);
/* The route as a file would say it, each line behind an indent. */
void probe_print_route(const struct probe_advice *a, struct buf *out);

/* Asking. */

struct question {
	const struct route *route;
	struct loop *loop;
	void (*on_change)(void *owner); /* after anything that came, the end included */
	void *owner;

	struct asked asked;
	struct journal *journal;
	struct generation generation;
	struct probe_look look;
	struct fetch *fetch;
	struct alarm clock;
	bool over;                      /* nothing more will come */
	enum fetch_end how;             /* and why; when body_ended */
	bool body_ended;
	uint64_t started_ns, connected_ns, answered_ns;
	uint64_t began_ns;              /* the first token, of text or reasoning */
	uint64_t ended_ns, over_ns;     /* the verdict; the last that came at all */
	uint64_t fed_ns, gap_ns;
};

/* False: it cannot be put to this upstream, for the reason in *wrong. question_finish in both cases. *q must not
 * move. */
MUST bool question_start(struct question *q, struct pool *p, const struct route *route, span prompt,
	void (*on_change)(void *owner), void *owner, struct refusal *wrong);
void question_hang_up(struct question *q); /* as a client that leaves; what still comes is read */
void question_cancel(struct question *q);  /* on_change is not called */
void question_finish(struct question *q);

/* Watching. */

enum { PROBE_GAUGES = 3 };
const char *probe_gauge_path(size_t gauge);               /* below PROBE_GAUGES */
int64_t probe_gauge_read(size_t gauge, span page);        /* requests that run; -1: it does not say */

struct watch {
	struct pool *pool;
	const struct upstream *upstream;
	void (*on_read)(void *owner, int64_t busy);
	void *owner;

	size_t gauge;
	struct fetch *fetch;
	struct alarm clock;
	int status;
	struct buf page;
};
void watch_init(struct watch *w, struct pool *p, const struct upstream *upstream,
	void (*on_read)(void *owner, int64_t busy), void *owner);
void watch_read(struct watch *w, size_t gauge); /* one call of on_read follows; none is under way */
void watch_finish(struct watch *w);

#endif
