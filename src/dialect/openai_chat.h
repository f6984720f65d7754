/* What openai-chat and openai-completions share: the reader, and how an event is kept from ending the answer. For the files of dialect/. */
#ifndef DIALECT_OPENAI_CHAT_H
#define DIALECT_OPENAI_CHAT_H

#include "dialect/dialect.h"

void openai_chat_read(struct reader *r, const struct sse_event *event);

enum { OPENAI_UNFINISHES = 2 };
extern const struct json_edit openai_unfinish[OPENAI_UNFINISHES];

#endif
