/* The model server's routes: GET /health, GET /v1/models, POST /v1/chat/completions, GET /generate?prompt=. */
#ifndef MODEL_SERVE_H
#define MODEL_SERVE_H

#include "model/engine.h"
#include "model/line.h"
#include "model/prompt.h"
#include "server/server.h"

struct call;

struct serve {
	/* Filled by the caller. */
	struct loop *loop;
	struct engine *engine;
	const char *model;      /* its name, as clients see it */

	/* For serve.c and call.c. */
	int64_t started;        /* seconds since 1970 */
	bool loaded;
	struct line line;
	struct prompts prompts;
	LIST_HEAD(, call) calls;
	TAILQ_HEAD(held_calls, call) held; /* came before the model was loaded */
	unsigned held_n;
};

void serve_init(struct serve *s, unsigned slots, unsigned queue);

/* What the server's site does. */
void serve_on_request(void *serve, struct exchange *x);

/* The model is there: who waited for it goes on. */
void serve_on_loaded(struct serve *s, const struct engine_facts *facts);

/* The engine's news about answers; `a` is inside a call. */
void serve_on_text(void *serve, struct answer *a, span text);
void serve_on_end(void *serve, struct answer *a);

/* After server_close and engine_stop: nothing will be said any more about what is left. */
void serve_finish(struct serve *s);

#endif
