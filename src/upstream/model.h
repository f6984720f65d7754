/* The embedded model server, as the gateway sees it: a child process, lastword-model, that is started, watched and
 * started again when it dies. Its listening socket belongs to the gateway and outlives every child: what connects while
 * there is none waits in the socket. Belongs to its loop's thread; model_address may be asked from any. */
#ifndef UPSTREAM_MODEL_H
#define UPSTREAM_MODEL_H

#include "net/loop.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct model_options {
	const char *file;    /* a GGUF; NULL: the default one. Looked for as model_find.h says. Copied */
	const char *program; /* lastword-model; NULL: beside our own executable, else in PATH. Copied */
	unsigned context;    /* tokens of one slot; this and the next two: at least 1 */
	unsigned slots;      /* answers at once */
	unsigned queue;      /* requests that may wait behind them */
	unsigned threads;    /* 0 = auto */
};

struct model;

/* NULL and a sentence in why when the file or the program is not there. A child that dies later, at once even, is
 * started again after 100 ms, then twice as long each time, up to 5 s. The loop runs until model_stop is through. */
MUST struct model *model_start(struct loop *l, const struct model_options *o, char *why, size_t why_bytes);

/* Where to connect: a Unix socket with no path in any file system. Valid and unchanged until model_stop is through. */
const struct sockaddr_un *model_address(const struct model *m, socklen_t *bytes);

pid_t model_pid(const struct model *m);      /* 0 while there is no child */
bool model_is_running(const struct model *m);
unsigned model_restarts(const struct model *m); /* children that died on their own */

/* Lets the child go (its lifeline ends; after 2 s it is killed), then on_stopped, and m is no more. */
void model_stop(struct model *m, void (*on_stopped)(void *owner), void *owner);

#endif
