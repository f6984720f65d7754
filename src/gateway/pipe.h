/* A pipe: one exchange on a passthrough route and the fetch that is to answer it, until it is known what the answer is.
 * The client's side is passthrough.c, the upstream's is pipe.c. Belongs to its worker's thread. */
#ifndef GATEWAY_PIPE_H
#define GATEWAY_PIPE_H

#include "gateway/absence.h"
#include "gateway/client.h"
#include "gateway/recognise.h"
#include "gateway/retry.h"
#include "gateway/worker.h"

#include <openssl/evp.h>

struct pipe {
	LIST_ENTRY(pipe) link;
	struct worker *worker;
	struct config *config; /* held */
	const struct route *route;
	const struct caller *who; /* of that configuration; NULL: no keys are configured */
	struct account *account;  /* his, of which it holds a place; a stream takes it over */
	struct exchange *exchange;
	struct fetch *fetch;
	struct garbage garbage;
	struct alarm connect, first_event, total;
	struct absence alone;
	uint64_t started_ns, connected_ns;
	size_t attempt;        /* which upstream of the route */
	const struct dialect *dialect; /* NULL: not known */
	struct asking asking;
	struct buf kept;       /* the request's body so far, if keeps */
	size_t counted;        /* bytes of it that the budget knows of */
	bool keeps, merges, waits, has_body, body_whole; /* waits: the request is sent when its body is whole */
	bool wants_stream;     /* known when the body is whole */
	EVP_MD_CTX *digest;    /* attach_retries: of the body so far */
	struct retry_key key;  /* … and when it is whole */
	char peer[CLIENT_NAME];
	struct ahead *ahead;   /* while the dialect is looked for */
	int status;            /* of the answer … */
	int64_t length;        /* … and how long it is, or -1; when ahead */
	bool begun;
};

/* After each change of `kept`. */
void pipe_count_kept(struct pipe *p);

/* Its clocks begin when it asks. */
void pipe_init_clocks(struct pipe *p);

/* Asks the present upstream, with what was kept of the body. False: there is no memory. */
MUST bool pipe_ask(struct pipe *p);
void pipe_ask_or_fail(struct pipe *p);

/* The answer cannot be given, or not to its end: the exchange is answered with an error or broken off. */
void pipe_fail(struct pipe *p, enum cause cause, const char *detail);
/* Nothing is said any more; the fetch is cancelled. */
void pipe_close(struct pipe *p);

/* An HTTP error, in the dialect if that is known (else NULL). */
void pipe_refuse(struct exchange *x, const struct dialect *d, enum cause cause, const char *detail);

#endif
