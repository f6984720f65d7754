/* What the model server says, as text: OpenAI's chat completion, whole or in chunks, and the plain blocks of
 * /generate. */
#ifndef MODEL_FRAMES_H
#define MODEL_FRAMES_H

#include "base/buf.h"

#include <stdint.h>

/* What every frame of one answer repeats. */
struct frames {
	char id[40];         /* "chatcmpl-…" */
	const char *model;
	int64_t created;     /* seconds since 1970 */
	bool include_usage;  /* chunks say "usage":null, and a last one tells it */
};

struct frames_usage {
	unsigned prompt, completion; /* tokens */
};

void frames_init(struct frames *f, const char *model, bool include_usage);

/* `: queue N` */
void frames_queue(struct buf *out, unsigned place);

/* OpenAI, streaming. Text is valid UTF-8; finish is "stop" or "length". */
void frames_role(struct buf *out, const struct frames *f);
void frames_content(struct buf *out, const struct frames *f, span text);
void frames_finish(struct buf *out, const struct frames *f, const char *finish,
                   struct frames_usage usage); /* and [DONE] */
void frames_error(struct buf *out, const char *message); /* the stream ends after it */

/* OpenAI, whole: a JSON body. */
void frames_completion(struct buf *out, const struct frames *f, span text, const char *finish,
                       struct frames_usage usage);
void frames_models(struct buf *out, const char *model, int64_t created);

/* /generate. An event stream cannot carry a CR: CR and CRLF become LF; *after_cr keeps a CR at the end of the last
 * piece. Nothing is printed for a text of which nothing is left. */
void frames_plain(struct buf *out, span text, bool *after_cr);
void frames_plain_close(struct buf *out, const char *finish);
void frames_plain_failed(struct buf *out, const char *message);

#endif
