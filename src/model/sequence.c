/* From logits to text.
 *
 * A token is bytes, not characters: an emoji may take four tokens. The bytes go through base/utf8, which holds back
 * what is not yet a whole character, then through the stop strings, which hold back what may become one; only then are
 * they text that a client may see. At the end both let go of what they hold.
 *
 * The sampler is a chain of libllama's own links in the order of llama.cpp's programs: biases, penalties (over the
 * last 64 tokens that were generated; the prompt is not punished), top-k, top-p, min-p, temperature, dice. Temperature
 * 0 takes the likeliest token, and no dice.
 *
 * 1. past + in_step never exceeds the slot's context: a token is only chosen when there is room to decode it, or the
 *    answer ends with it.
 * 2. `tokens` counts what was generated; the token that ends a generation is no text and is not counted. */
#include "model/sequence.h"

#include <stdlib.h>
#include <sys/random.h>

enum { PENALTY_TOKENS = 64, PIECE_BYTES = 256 };

static uint32_t roll_seed(void)
{
	uint32_t seed;
	CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
	return seed;
}

static void add_biases(struct llama_sampler *chain, const struct chat_sampling *c, int32_t n_vocab)
{
	llama_logit_bias *bias = calloc(c->biases, sizeof *bias);
	CHECK(bias);
	for (size_t i = 0; i < c->biases; i++)
		bias[i] = (llama_logit_bias){c->bias[i].token, c->bias[i].bias};
	llama_sampler_chain_add(chain, llama_sampler_init_logit_bias(n_vocab, (int32_t)c->biases, bias));
	free(bias);
}

static bool punishes(const struct chat_sampling *c)
{
	return c->repeat_penalty != 1 || c->frequency_penalty != 0 || c->presence_penalty != 0;
}

static void add_penalties(struct llama_sampler *chain, const struct chat_sampling *c, int32_t n_vocab)
{
	float repeat = (float)c->repeat_penalty, frequency = (float)c->frequency_penalty, presence = (float)c->presence_penalty;
	llama_sampler_chain_add(chain, llama_sampler_init_penalties(n_vocab, PENALTY_TOKENS, repeat, frequency, presence));
}

static void add_dice(struct llama_sampler *chain, const struct chat_sampling *c)
{
	if (c->top_k > 0)
		llama_sampler_chain_add(chain, llama_sampler_init_top_k((int32_t)c->top_k));
	llama_sampler_chain_add(chain, llama_sampler_init_top_p((float)c->top_p, 1));
	llama_sampler_chain_add(chain, llama_sampler_init_min_p((float)c->min_p, 1));
	llama_sampler_chain_add(chain, llama_sampler_init_temp((float)c->temperature));
	llama_sampler_chain_add(chain, llama_sampler_init_dist(c->has_seed ? c->seed : roll_seed()));
}

static struct llama_sampler *make_chain(const struct chat_sampling *c, int32_t n_vocab)
{
	struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
	if (c->biases)
		add_biases(chain, c, n_vocab);
	if (punishes(c))
		add_penalties(chain, c, n_vocab);
	if (c->temperature > 0)
		add_dice(chain, c);
	else
		llama_sampler_chain_add(chain, llama_sampler_init_greedy());
	return chain;
}

void sequence_begin(struct sequence *s, struct answer *a, const struct llama_vocab *vocab)
{
	*s = (struct sequence){.answer = a, .id = s->id, .output = -1, .stop = {.stops = a->stops}};
	utf8_init(&s->mend, false);
	s->sampler = make_chain(a->sampling, llama_vocab_n_tokens(vocab));
}

void sequence_finish(struct sequence *s)
{
	llama_sampler_free(s->sampler);
	stop_finish(&s->stop);
	buf_finish(&s->whole);
	buf_finish(&s->piece);
	*s = (struct sequence){.id = s->id};
}

void sequence_move(struct sequence *from, struct sequence *to)
{
	llama_seq_id left = from->id, entered = to->id;
	CHECK(sequence_is_free(to));
	*to = *from;
	to->id = entered;
	*from = (struct sequence){.id = left};
}

/* What was mended goes past the stop strings. */
static bool pass(struct sequence *s, struct buf *out)
{
	out->failed = out->failed || s->whole.failed || s->piece.failed;
	bool stopped = stop_feed(&s->stop, buf_span(&s->whole), out);
	buf_clear(&s->whole);
	return stopped;
}

static void put_token(struct sequence *s, const struct llama_vocab *vocab)
{
	struct buf *bytes = &s->piece;
	buf_clear(bytes);
	if (!buf_reserve(bytes, PIECE_BYTES))
		return;
	int32_t n = llama_token_to_piece(vocab, s->next, bytes->p, (int32_t)bytes->cap, 0, false);
	if (n < 0 && buf_reserve(bytes, (size_t)-n))
		n = llama_token_to_piece(vocab, s->next, bytes->p, (int32_t)bytes->cap, 0, false);
	bytes->n = n > 0 ? (size_t)n : 0;
	utf8_mend(&s->mend, buf_span(bytes), &s->whole);
}

/* All text is out that ever will be. */
static bool end_with(struct sequence *s, enum answer_end how, struct buf *out, enum answer_end *end)
{
	utf8_flush(&s->mend, &s->whole);
	bool stopped = pass(s, out);
	if (!stopped)
		stop_flush(&s->stop, out);
	*end = stopped ? ANSWER_STOP : how;
	return true;
}

bool sequence_sample(struct sequence *s, struct llama_context *llama, unsigned context, struct buf *out,
                     enum answer_end *end)
{
	const struct llama_vocab *vocab = llama_model_get_vocab(llama_get_model(llama));
	s->next = llama_sampler_sample(s->sampler, llama, s->output);
	s->sampling = true;
	if (llama_vocab_is_eog(vocab, s->next))
		return end_with(s, ANSWER_STOP, out, end);
	s->answer->tokens++;
	put_token(s, vocab);
	if (pass(s, out)) {
		*end = ANSWER_STOP;
		return true;
	}
	if (s->answer->tokens >= s->answer->max_tokens || s->past >= context)
		return end_with(s, ANSWER_LENGTH, out, end);
	return false;
}
