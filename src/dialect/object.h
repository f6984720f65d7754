/* An event whose data is one JSON object, which may be an error: what the JSON dialects share. For the files of
 * dialect/. A dialect's own struct begins with a struct object, and its tables of members (json_member) say what is
 * read. */
#ifndef DIALECT_OBJECT_H
#define DIALECT_OBJECT_H

#include "dialect/reader.h"

struct object {
	struct reader *reader;
	const char *why;    /* set by a member's reader that refuses what is good JSON: a sentence about the event */
	bool has_answer;    /* `"error":""` beside an answer is no error */
	bool is_error, is_blank; /* there is an `error` that says something; that is an empty string */
	struct json json;
};

#define OBJECT_COUNT(table) (sizeof(table) / sizeof *(table))

/* Rows of a table: what shows that the whole object is an error, `of` beginning with a struct object. What the error
 * says is read only then. */
#define OBJECT_ERROR_MEMBERS {SPAN("error"), object_see_error}, {SPAN("object"), object_see_kind}
bool object_see_error(void *of, struct json *s, span name);
bool object_see_kind(void *of, struct json *s, span name);

/* Reads data, all of it, and tells the reader of an error or of an event that cannot be read; what the event had said
 * before it turned out to be broken is then taken back. True when it was neither. */
MUST bool object_read(struct object *o, struct reader *r, span data, const struct json_member *members, size_t n);

/* An error that stands alone: `event: error`, or a line `error: …`. */
void object_fail_with(struct reader *r, span data);

/* What comes before any member: errors that the SSE fields announce, pings and empty data. True when it was one of
 * these, and nothing is left to do; otherwise *data is the event's, trimmed, and r->feeds_idle is set. */
MUST bool object_is_done(struct reader *r, const struct sse_event *event, span *data);

/* Values. Each takes the next value whole, whatever it is; false when the JSON is bad. */

/* A string: what fits of it, as fault_copy does. to is left alone for anything else. */
MUST bool object_take_clean(struct json *s, char *to, size_t size);

/* A string that is one of ours: bytes for bytes, fewer than size. to is left alone for anything else. */
MUST bool object_take_word(struct json *s, char *to, size_t size);

/* A string, given to add. */
MUST bool object_take_text(struct json *s, struct reader *r, void (*add)(struct reader *r, span piece));

/* true, or not. */
MUST bool object_take_flag(struct json *s, bool *flag);

/* A whole number of at most 18 digits; *count is -1 for any other number and left alone for anything else. */
MUST bool object_take_count(struct json *s, int64_t *count);

/* An array or object with anything in it. */
MUST bool object_take_filled(struct json *s, bool *filled);

/* Its JSON text, a loan of the event, for what must wait until another member says what it means. */
MUST bool object_take_raw(struct json *s, span *raw);

/* Readers of members: counts of tokens, of beginning with a struct object. */
bool object_read_prompt_tokens(void *of, struct json *s, span name);
bool object_read_completion_tokens(void *of, struct json *s, span name);

/* Adds raw's text, when it is a string; false when it is none, or empty. */
bool object_add_raw(struct reader *r, span raw, void (*add)(struct reader *r, span piece));

/* The word is a failure: error, abort, aborted. */
bool object_is_failing(span word);

#endif
