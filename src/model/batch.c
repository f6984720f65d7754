/* Continuous batching: every step is one call of llama_decode for all answers together, so that the weights, which are
 * what a CPU waits for, are read once for all of them.
 *
 * A long prompt would make everybody else wait while it is read. So at most BATCH_SLICE tokens of prompts go into a
 * step, beside one token for each running answer; the first slice goes to another slot in each step, so that no prompt
 * is overtaken for ever.
 *
 * A step can be aborted between the operations of its graph. That throws away the work of everybody in it, so it is
 * done only when nobody wants it: the engine stops, or everyone in the step has left. Otherwise who leaves is let go
 * after the step.
 *
 * 1. A slot's memory in the context holds exactly the tokens 0 … past - 1 of its answer; of a free slot, nothing.
 * 2. in_step and output are set for the present step only.
 * 3. The context has room for every slot's whole context (engine.c), so "no room" is a failure like any other. */
#include "model/batch.h"

#include "base/log.h"

#include <stdlib.h>

static bool is_unwanted(const struct batch *b)
{
	if (atomic_load_explicit(b->stopping, memory_order_relaxed))
		return true;
	bool any = false;
	for (unsigned i = 0; i < b->slots; i++) {
		const struct sequence *s = &b->sequence[i];
		if (s->in_step && !atomic_load_explicit(&s->answer->left, memory_order_relaxed))
			return false;
		any = any || s->in_step;
	}
	return any;
}

/* From libllama's threads, during a step. */
static bool must_abort(void *owner)
{
	struct batch *b = owner;
	bool unwanted = is_unwanted(b);
	if (unwanted)
		atomic_store_explicit(&b->aborted, true, memory_order_relaxed);
	return unwanted;
}

void batch_open(struct batch *b)
{
	b->sequence = calloc(b->slots, sizeof *b->sequence);
	CHECK(b->sequence);
	for (unsigned i = 0; i < b->slots; i++)
		b->sequence[i].id = (llama_seq_id)i;
	b->tokens = llama_batch_init(BATCH_SLICE + (int32_t)b->slots, 0, 1);
	llama_set_abort_callback(b->llama, must_abort, b);
}

void batch_close(struct batch *b)
{
	for (unsigned i = 0; i < b->slots; i++)
		if (!sequence_is_free(&b->sequence[i]))
			sequence_finish(&b->sequence[i]);
	free(b->sequence);
	llama_batch_free(b->tokens);
	buf_finish(&b->text);
	llama_free(b->llama);
}

void batch_begin(struct batch *b, struct answer *a)
{
	unsigned i = 0;
	while (i < b->slots && !sequence_is_free(&b->sequence[i]))
		i++;
	CHECK(i < b->slots && a->prompt_n > 0 && a->prompt_n < b->context);
	sequence_begin(&b->sequence[i], a, llama_model_get_vocab(llama_get_model(b->llama)));
}

static void end(struct batch *b, struct sequence *s, enum answer_end how)
{
	struct answer *a = s->answer;
	llama_memory_seq_rm(llama_get_memory(b->llama), s->id, -1, -1);
	sequence_finish(s);
	b->on_end(b->owner, a, how);
}

void batch_sweep(struct batch *b)
{
	for (unsigned i = 0; i < b->slots; i++) {
		struct sequence *s = &b->sequence[i];
		if (!sequence_is_free(s) && atomic_load(&s->answer->left))
			end(b, s, ANSWER_LEFT);
	}
}

static void add(struct batch *b, struct sequence *s, llama_token token, bool output)
{
	int32_t i = b->tokens.n_tokens++;
	b->tokens.token[i] = token;
	b->tokens.pos[i] = (llama_pos)(s->past + s->in_step++);
	b->tokens.n_seq_id[i] = 1;
	b->tokens.seq_id[i][0] = s->id;
	b->tokens.logits[i] = output;
	if (output)
		s->output = i;
}

static unsigned add_prompt(struct batch *b, struct sequence *s, unsigned most)
{
	const struct answer *a = s->answer;
	unsigned left = (unsigned)a->prompt_n - s->past, n = left < most ? left : most;
	for (unsigned i = 0; i < n; i++)
		add(b, s, a->prompt[s->past + s->in_step], s->past + s->in_step + 1 == a->prompt_n);
	return n;
}

static void add_running(struct batch *b)
{
	for (unsigned i = 0; i < b->slots; i++) {
		struct sequence *s = &b->sequence[i];
		s->in_step = 0;
		s->output = -1;
		if (!sequence_is_free(s) && s->sampling && !atomic_load(&s->answer->paused))
			add(b, s, s->next, true);
	}
}

static void add_prompts(struct batch *b)
{
	unsigned budget = BATCH_SLICE;
	for (unsigned i = 0; i < b->slots && budget; i++) {
		struct sequence *s = &b->sequence[(b->turn + i) % b->slots];
		if (!sequence_is_free(s) && !s->sampling)
			budget -= add_prompt(b, s, budget);
	}
	b->turn++;
}

/* The step was decoded. */
static void take(struct batch *b, struct sequence *s)
{
	enum answer_end how = ANSWER_STOP;
	s->past += s->in_step;
	if (s->output < 0)
		return;
	buf_clear(&b->text);
	bool over = sequence_sample(s, b->llama, b->context, &b->text, &how);
	if (b->text.n)
		b->on_text(b->owner, s->answer, buf_span(&b->text));
	if (b->text.failed)
		end(b, s, ANSWER_FAILED);
	else if (over)
		end(b, s, how);
}

/* libllama could not decode the step, and the memory of those in it is in no known state. */
static void fail(struct batch *b, int32_t error)
{
	log_say(LOG_ERROR, "decode_failed", "llama_decode of %d tokens failed with %d", b->tokens.n_tokens, error);
	for (unsigned i = 0; i < b->slots; i++)
		if (b->sequence[i].in_step)
			end(b, &b->sequence[i], ANSWER_FAILED);
}

bool batch_step(struct batch *b)
{
	enum { ABORTED = 2 };
	b->tokens.n_tokens = 0;
	add_running(b);
	add_prompts(b);
	if (b->tokens.n_tokens == 0)
		return false;
	atomic_store(&b->aborted, false);
	int32_t error = llama_decode(b->llama, b->tokens);
	if (error && error != ABORTED)
		fail(b, error);
	for (unsigned i = 0; i < b->slots && !error; i++)
		if (b->sequence[i].in_step)
			take(b, &b->sequence[i]);
	return true;
}
