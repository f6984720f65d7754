/* One slot of the engine: an answer being generated, from its prompt's first token to its last character. Engine's
 * thread. */
#ifndef MODEL_SEQUENCE_H
#define MODEL_SEQUENCE_H

#include "base/utf8.h"
#include "model/engine.h"

#include <llama.h>

struct sequence {
	struct answer *answer;   /* NULL: the slot is free */
	llama_seq_id id;
	unsigned past;           /* tokens in the context's memory */
	bool sampling;           /* the prompt is done, and `next` is chosen but not yet decoded */
	llama_token next;
	unsigned in_step;        /* tokens in the present step */
	int32_t output;          /* index of our logits in the present step; -1: none */

	/* For sequence.c. */
	struct llama_sampler *sampler;
	struct utf8 mend;
	struct stop stop;
	struct buf piece;        /* the bytes of one token */
	struct buf whole;        /* whole characters that the stop strings have not seen */
};

void sequence_begin(struct sequence *s, struct answer *a, const struct llama_vocab *vocab);
void sequence_finish(struct sequence *s);
void sequence_move(struct sequence *from, struct sequence *to); /* into a free slot; its tokens are the caller's care */

static inline bool sequence_is_free(const struct sequence *s) { return !s->answer; }

/* After a step that had our output: chooses the next token and appends to out what text can go. True when the answer is
 * over: *end says how, and all of its text is out. out->failed: text was lost for want of memory. */
MUST bool sequence_sample(struct sequence *s, struct llama_context *llama, unsigned context, struct buf *out,
                          enum answer_end *end);

#endif
