/* Continuous batching: every step is one call of llama_decode for all answers together, so that the weights, which are
 * what a CPU waits for, are read once for all of them.
 *
 * A long prompt would make everybody else wait while it is read. So at most BATCH_SLICE tokens of prompts go into a
 * step, beside one token for each running answer; the first slice goes to another slot in each step, so that no prompt
 * is overtaken for ever.
 *
 * Each slot has a cache of its own in the context. In one cache for all, attention looks at everybody's cells to pass
 * over those of the others: with 16 answers a fifth of the time. The price is that libllama decodes together only
 * slots whose numbers follow each other, in that order. So a step is put together by slot, and where an answer ended
 * between two others the last one moves into its place (a copy of its cache, about the time of one step). Who is
 * paused stays: while it is, those before and those behind it are decoded one after the other.
 *
 * A step can be aborted between the operations of its graph. That throws away the work of everybody in it, so it is
 * done only when nobody wants it: the engine stops, or everyone in the step has left. Otherwise who leaves is let go
 * after the step.
 *
 * 1. A slot's memory in the context holds exactly the tokens 0 … past - 1 of its answer; of a free slot, nothing.
 * 2. in_step and output are set for the present step only; they are counted before a token of it is put down.
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

static bool is_running(const struct sequence *s)
{
	return !sequence_is_free(s) && s->sampling && !atomic_load(&s->answer->paused);
}

static bool is_reading(const struct sequence *s) { return !sequence_is_free(s) && !s->sampling; }

/* The free slot between two others, or `slots`; *last is the last that is not free. */
static unsigned find_gap(const struct batch *b, unsigned *last)
{
	unsigned i = 0;
	*last = b->slots - 1;
	while (*last > 0 && sequence_is_free(&b->sequence[*last]))
		--*last;
	while (i < *last && sequence_is_free(&b->sequence[i]))
		i++;
	while (i < *last && !sequence_is_free(&b->sequence[i]))
		i++;
	return i < *last ? i : b->slots;
}

static void close_gap(struct batch *b)
{
	unsigned last, gap = find_gap(b, &last);
	if (gap == b->slots)
		return;
	llama_memory_t memory = llama_get_memory(b->llama);
	struct sequence *from = &b->sequence[last], *to = &b->sequence[gap];
	llama_memory_seq_cp(memory, from->id, to->id, -1, -1);
	llama_memory_seq_rm(memory, from->id, -1, -1);
	sequence_move(from, to);
}

/* How many tokens of each slot go into the step. */
static void share_out(struct batch *b)
{
	for (unsigned i = 0; i < b->slots; i++)
		b->sequence[i].in_step = is_running(&b->sequence[i]);
	unsigned budget = BATCH_SLICE;
	for (unsigned i = 0; i < b->slots; i++) {
		struct sequence *s = &b->sequence[(b->turn + i) % b->slots];
		unsigned left = is_reading(s) ? (unsigned)s->answer->prompt_n - s->past : 0;
		if (left) {
			s->in_step = left < budget ? left : budget;
			budget -= s->in_step;
		}
	}
	b->turn++;
}

static void put(struct batch *b, struct sequence *s, unsigned k)
{
	const struct answer *a = s->answer;
	int32_t i = b->tokens.n_tokens++;
	unsigned place = s->past + k;
	bool output = s->sampling || place + 1 == a->prompt_n;
	b->tokens.token[i] = s->sampling ? s->next : a->prompt[place];
	b->tokens.pos[i] = (llama_pos)place;
	b->tokens.n_seq_id[i] = 1;
	b->tokens.seq_id[i][0] = s->id;
	b->tokens.logits[i] = output;
	if (output)
		s->output = i;
}

static void put_together(struct batch *b)
{
	b->tokens.n_tokens = 0;
	for (unsigned i = 0; i < b->slots; i++) {
		struct sequence *s = &b->sequence[i];
		s->output = -1;
		for (unsigned k = 0; k < s->in_step; k++)
			put(b, s, k);
	}
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
	close_gap(b);
	share_out(b);
	put_together(b);
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
