/* Pieces of error frames. For the files of dialect/; everybody else uses dialect.h. */
#ifndef DIALECT_VOICE_H
#define DIALECT_VOICE_H

#include "dialect/dialect.h"

/* The upstream's words, or else our sentence. */
span voice_message(const struct failure *f);

int voice_status(const struct failure *f);

/* What kind of error it is: where the status says that it is the caller's in the words of OpenAI and Anthropic, else that
 * one. */
const char *voice_kind(const struct failure *f, const char *otherwise);

/* JSON values: the upstream's own, or else ours. */
void voice_put_type(struct buf *out, const struct failure *f, const char *ours);
void voice_put_code(struct buf *out, const struct failure *f);   /* a string */
void voice_put_number(struct buf *out, const struct failure *f); /* an HTTP status */

/* {"message":…,"type":…,"param":null,"code":…}, and {"error":…,"lastword":…} around it. */
void voice_put_openai_object(struct buf *out, const struct failure *f);
void voice_put_openai_error(struct buf *out, const struct failure *f);

#endif
