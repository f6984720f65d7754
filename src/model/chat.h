/* What a client asks of the model: the request of OpenAI's POST /v1/chat/completions, read and judged. */
#ifndef MODEL_CHAT_H
#define MODEL_CHAT_H

#include "base/buf.h"
#include "model/stop.h"

#include <stdint.h>

enum { CHAT_BODY_BYTES = 1024 * 1024, CHAT_MAX_TOKENS = 512, CHAT_MESSAGES = 1024, CHAT_BIASES = 1024 };

struct chat_message {
	const char *role; /* "system", "user" or "assistant" */
	char *content;    /* valid UTF-8 without NUL */
};

struct chat_bias {
	int32_t token;
	float bias;
};

/* How tokens are chosen. What a request leaves out is as in llama.cpp's own programs. */
struct chat_sampling {
	double temperature;       /* 0.3, since small models ramble at the usual 0.8; 0: always the likeliest */
	double top_p;             /* 0.9 */
	double min_p;             /* 0.05 */
	int64_t top_k;            /* 40; 0: off */
	double repeat_penalty;    /* 1: off */
	double presence_penalty;  /* 0: off */
	double frequency_penalty; /* 0: off */
	bool has_seed;
	uint32_t seed;
	struct chat_bias *bias;
	size_t biases;
};

struct chat {
	struct chat_message *message;
	size_t messages;
	struct chat_sampling sampling;
	struct stops stops;
	unsigned max_tokens;
	bool stream;
	bool include_usage;
};

/* A request that cannot be served. */
struct chat_complaint {
	const char *code; /* NULL or a short word */
	char message[512];
};

/* NULL and a complaint (status 400) when it cannot be served as it is. Members that say how to spend money, whom to
 * bill or what to log are ignored; those that would change the answer and are not built are refused, not ignored. */
MUST struct chat *chat_parse(span body, struct chat_complaint *wrong);

/* One user message, everything else as if left out. prompt: at most CHAT_BODY_BYTES. */
MUST struct chat *chat_of_prompt(span prompt, struct chat_complaint *wrong);
void chat_destroy(struct chat *c);

#endif
