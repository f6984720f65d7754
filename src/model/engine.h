/* The engine: a thread that owns libllama's model and context and decodes up to `slots` answers at once. It is told
 * what to do from the loop's thread; what it has to say comes back by mail, in order, on the loop's thread. */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include "model/chat.h"
#include "net/mailbox.h"

#include <stdatomic.h>

struct llama_model;

struct engine_options {
	const char *file;
	unsigned context; /* tokens of one slot; cut to what the model was trained for */
	unsigned slots;
	unsigned threads; /* 0: one less than there are processors for us */
};

/* What became of it, once the model is loaded. */
struct engine_facts {
	const struct llama_model *model; /* may be asked about its vocabulary from any thread */
	unsigned context;                /* of one slot */
	unsigned total;                  /* shared by all slots */
	unsigned threads;
	uint64_t load_ms;
};

enum answer_end {
	ANSWER_STOP,   /* the model ended it, or a stop string did */
	ANSWER_LENGTH, /* max_tokens, or the slot's context is full */
	ANSWER_LEFT,   /* by engine_leave */
	ANSWER_FAILED, /* the engine could not go on with it */
};

enum engine_news_kind { ENGINE_LOADED, ENGINE_NOT_LOADED, ENGINE_TEXT, ENGINE_END };

struct engine_news {
	struct mail mail;
	enum engine_news_kind kind;
	struct answer *answer;
};

/* One answer to be generated. Embed it; it must live until on_end. */
struct answer {
	/* Filled before engine_begin, unchanged until on_end. */
	const int32_t *prompt; /* tokens, at least one and fewer than the slot's context */
	size_t prompt_n;
	const struct chat_sampling *sampling;
	const struct stops *stops;
	unsigned max_tokens;

	/* To read in on_end. */
	enum answer_end end;
	unsigned tokens; /* generated */

	/* For engine.c. */
	STAILQ_ENTRY(answer) link;
	atomic_bool left, paused;
	struct engine_news last;
};

/* All from the loop. */
struct engine_events {
	/* NULL: it could not be loaded; the log says why. */
	void (*on_loaded)(void *owner, const struct engine_facts *facts);
	void (*on_text)(void *owner, struct answer *a, span text); /* whole characters, never empty */
	void (*on_end)(void *owner, struct answer *a); /* its slot is free; the engine has forgotten it */
};

struct engine;

/* Starts the thread, which begins to load. */
MUST struct engine *engine_start(struct loop *l, const struct engine_options *o, const struct engine_events *events,
                                 void *owner);

/* Aborts whatever is going on, at most a few ms of computing, and waits for the thread. No callback any more. False:
 * the thread hangs in the system (a file that cannot be read, say), and only _exit is left. */
MUST bool engine_stop(struct engine *e);
void engine_destroy(struct engine *e); /* after engine_stop, and after the loop has turned once more */

/* After on_loaded; never more than `slots` between begin and on_end. */
void engine_begin(struct engine *e, struct answer *a);

/* The answer is not wanted any more: it ends within the present step, and on_end says ANSWER_LEFT, or how it ended
 * before. */
void engine_leave(struct engine *e, struct answer *a);

/* Paused: no further token is decoded for it (those on their way still come). */
void engine_pause(struct engine *e, struct answer *a, bool paused);

#endif
