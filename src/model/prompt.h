/* From messages to tokens, by the model's own chat template and vocabulary. Any thread, once the model is loaded. */
#ifndef MODEL_PROMPT_H
#define MODEL_PROMPT_H

#include "model/chat.h"

struct llama_model;

struct prompts {
	const struct llama_model *model;
	const char *chat_template;
	unsigned context;   /* tokens of one slot */
	size_t piece_bytes; /* no token has more */
};

/* Says in the log when the model's template is none that libllama knows. */
void prompts_init(struct prompts *p, const struct llama_model *model, unsigned context);

struct prompt {
	int32_t *token;
	size_t n; /* at least 1, less than the context */
};

/* False and a complaint: 400, it does not fit. */
MUST bool prompt_make(const struct prompts *p, const struct chat *c, struct prompt *out, struct chat_complaint *wrong);
void prompt_finish(struct prompt *p);

#endif
