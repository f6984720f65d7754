/* The reader that openai-chat and openai-completions share. For the files of dialect/. */
#ifndef DIALECT_OPENAI_CHAT_H
#define DIALECT_OPENAI_CHAT_H

#include "dialect/dialect.h"

void openai_chat_read(struct reader *r, const struct sse_event *event);

#endif
