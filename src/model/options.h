/* The command line of lastword-model. */
#ifndef MODEL_OPTIONS_H
#define MODEL_OPTIONS_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
	const char *model;  /* a GGUF */
	const char *listen; /* "127.0.0.1:8082", "unix:/path", …; NULL with listen_fd */
	int listen_fd;      /* an inherited listening Unix socket; -1: none */
	int lifeline_fd;    /* end when this pipe ends; -1: none */
	unsigned context;   /* tokens of one slot */
	unsigned slots;     /* answers at once */
	unsigned queue;     /* requests that may wait behind them */
	unsigned threads;   /* 0: one less than there are processors */
};

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

/* OPTIONS_WRONG: why is one sentence. Strings are argv's. */
MUST enum options_action options_parse(int argc, char **argv, struct options *o, char *why, size_t why_bytes);

const char *options_help(void);

#endif
