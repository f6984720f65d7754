/* All slots of the engine, and the steps in which they are decoded together. Engine's thread, but for `stopping` and
 * the flags of the answers. */
#ifndef MODEL_BATCH_H
#define MODEL_BATCH_H

#include "model/sequence.h"

struct batch {
	struct llama_context *llama;
	unsigned context;        /* tokens of one slot */
	unsigned slots;
	struct sequence *sequence;
	atomic_bool *stopping;   /* any thread sets it */
	void (*on_text)(void *owner, struct answer *a, span text);
	void (*on_end)(void *owner, struct answer *a, enum answer_end end); /* the batch has forgotten it */
	void *owner;

	/* For batch.c. */
	atomic_bool aborted;     /* the present step; libllama complains of it as of an error */
	struct llama_batch tokens;
	unsigned turn;           /* whose prompt comes first in the next step */
	struct buf text;
};

/* The caller has filled everything above "For batch.c" but `sequence`. Takes the context. */
void batch_open(struct batch *b);
void batch_close(struct batch *b); /* answers that are left over are forgotten without a word */

/* There must be a free slot. */
void batch_begin(struct batch *b, struct answer *a);

/* Ends the answers that were left. */
void batch_sweep(struct batch *b);

/* One step: a token for each answer that runs, and a slice of the prompts that are not read yet. False: there was
 * nothing to do. */
MUST bool batch_step(struct batch *b);

/* The present step is being given up because nobody wants it. Any thread. */
static inline bool batch_is_aborted(const struct batch *b)
{
	return atomic_load_explicit(&b->aborted, memory_order_relaxed);
}

/* Tokens of prompts in one step. */
enum { BATCH_SLICE = 256 };

#endif
