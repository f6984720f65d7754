/* Making prompts.
 *
 * The template is the one in the model's file. libllama does not run it (it is a Jinja program) but recognises it among
 * the templates that it has built in, which covers the known families; an unknown one is replaced by ChatML, and the
 * log says so, because the answers may be poor and nobody would know why.
 *
 * Markers such as <|im_end|> in a message's own text are read as markers too, as in llama.cpp's programs: whoever may
 * write messages may write all of them, roles included, so nothing is gained by forging one. A gateway that puts its
 * own system message in front must not take that for a wall.
 *
 * Tokenizing takes about a second for a megabyte, on the loop's thread. A text that cannot fit, because even the
 * longest tokens would not cover it, is refused before. */
#include "model/prompt.h"

#include "base/log.h"

#include <llama.h>
#include <stdio.h>
#include <stdlib.h>

enum { SPECIALS = 8 /* tokens that a vocabulary may add around a text */ };

static bool knows(const char *chat_template)
{
	llama_chat_message hello = {"user", "hello"};
	return llama_chat_apply_template(chat_template, &hello, 1, true, NULL, 0) > 0;
}

static size_t longest_piece(const struct llama_vocab *vocab)
{
	int32_t longest = 1;
	for (llama_token t = 0; t < llama_vocab_n_tokens(vocab); t++) {
		int32_t n = llama_token_to_piece(vocab, t, NULL, 0, 0, true);
		longest = -n > longest ? -n : longest;
	}
	return (size_t)longest;
}

void prompts_init(struct prompts *p, const struct llama_model *model, unsigned context)
{
	const char *own = llama_model_chat_template(model, NULL);
	*p = (struct prompts){.model = model, .chat_template = own, .context = context};
	p->piece_bytes = longest_piece(llama_model_get_vocab(model));
	if (own && knows(own))
		return;
	p->chat_template = "chatml";
	log_say(LOG_WARN, "chat_template", "the model has %s: ChatML is used instead",
	        own ? "a chat template that libllama does not know" : "no chat template");
}

static bool complain(struct chat_complaint *wrong, const char *code, const char *message)
{
	wrong->code = code;
	snprintf(wrong->message, sizeof wrong->message, "%s", message);
	return false;
}

static bool complain_memory(struct chat_complaint *wrong)
{
	return complain(wrong, NULL, "There is no memory for this request.");
}

static bool complain_length(const struct prompts *p, size_t tokens, struct chat_complaint *wrong)
{
	char count[48] = "far more";
	if (tokens)
		snprintf(count, sizeof count, "%zu", tokens);
	complain(wrong, "context_length_exceeded", "");
	snprintf(wrong->message, sizeof wrong->message,
	         "This model's context is %u tokens, of which one is for the answer; the messages are %s tokens. Shorten them.", p->context, count);
	return false;
}

/* The messages as the template writes them, up to where the answer begins. */
static bool apply_template(const struct prompts *p, const struct chat *c, struct buf *out)
{
	llama_chat_message *message = calloc(c->messages, sizeof *message);
	if (!message)
		return false;
	for (size_t i = 0; i < c->messages; i++)
		message[i] = (llama_chat_message){c->message[i].role, c->message[i].content};
	int32_t n = llama_chat_apply_template(p->chat_template, message, c->messages, true, NULL, 0);
	bool fine = n > 0 && buf_reserve(out, (size_t)n + 1) &&
	            llama_chat_apply_template(p->chat_template, message, c->messages, true, out->p, n + 1) == n;
	out->n = fine ? (size_t)n : 0;
	free(message);
	return fine;
}

static bool tokenize(const struct prompts *p, span text, struct prompt *out, struct chat_complaint *wrong)
{
	int32_t room = (int32_t)text.n + SPECIALS;
	out->token = calloc((size_t)room, sizeof *out->token);
	if (!out->token)
		return complain_memory(wrong);
	int32_t n = llama_tokenize(llama_model_get_vocab(p->model), text.p, (int32_t)text.n, out->token, room, true, true);
	if (n <= 0)
		return complain(wrong, NULL, "The messages cannot be tokenized.");
	out->n = (size_t)n;
	return out->n < p->context || complain_length(p, out->n, wrong);
}

static bool check_biases(const struct prompts *p, const struct chat_sampling *s, struct chat_complaint *wrong)
{
	for (size_t i = 0; i < s->biases; i++)
		if (s->bias[i].token >= llama_vocab_n_tokens(llama_model_get_vocab(p->model)))
			return complain(wrong, NULL, "\"logit_bias\" names a token that this model does not have.");
	return true;
}

bool prompt_make(const struct prompts *p, const struct chat *c, struct prompt *out, struct chat_complaint *wrong)
{
	struct buf text = {0};
	struct prompt made = {0};
	bool fine = check_biases(p, &c->sampling, wrong);
	if (fine && !apply_template(p, c, &text))
		fine = complain_memory(wrong);
	if (fine && text.n / p->piece_bytes > p->context)
		fine = complain_length(p, 0, wrong);
	fine = fine && tokenize(p, buf_span(&text), &made, wrong);
	buf_finish(&text);
	if (fine)
		*out = made;
	else
		prompt_finish(&made);
	return fine;
}

void prompt_finish(struct prompt *p)
{
	free(p->token);
	*p = (struct prompt){0};
}
