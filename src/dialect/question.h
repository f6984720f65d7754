/* Pieces of request bodies. For the files of dialect/; everybody else uses dialect.h. */
#ifndef DIALECT_QUESTION_H
#define DIALECT_QUESTION_H

#include "dialect/dialect.h"

/* "NAME":"the prompt"; false, and nothing put, when there are messages instead. */
MUST bool question_put_prompt(struct buf *out, const struct dialect_question *q, const char *name);

/* "NAME":[…]: the messages as they came, a prompt as one message of the user. */
void question_put_messages(struct buf *out, const struct dialect_question *q, const char *name);

struct message {
	char role[16];
	span content; /* JSON: a string, or a list of parts */
	span json;    /* all of it */
};

/* Messages in order; a prompt is one message of the user. False when take says so, or when what came is no list of
 * objects with a role and a content. */
typedef bool question_take(void *of, const struct message *m);
MUST bool question_each_message(const struct dialect_question *q, question_take *take, void *of);

bool question_is_system(const struct message *m);

/* The texts of a message as a list of parts, BEFORE"text"BEHIND, separated by commas. False when it has a part that is
 * no text. */
MUST bool question_put_parts(struct buf *out, const struct message *m, const char *before, const char *behind);

#endif
