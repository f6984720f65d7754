/* What the files of dialect/ tell a reader; everybody else uses dialect.h. */
#ifndef DIALECT_READER_H
#define DIALECT_READER_H

#include "dialect/fault.h"

/* Text and reasoning of choice 0, in WTF-8 or any bytes; held back until characters are whole. Empty pieces say
 * nothing. */
void reader_add_text(struct reader *r, span piece);
void reader_add_reasoning(struct reader *r, span piece);
void reader_add_tool(struct reader *r);

/* Text, or else reasoning, of a choice other than 0: evidence that is not shown. */
void reader_note_other(struct reader *r, bool text);

/* A choice was named; false when the index is beyond DIALECT_CHOICES. */
MUST bool reader_see_choice(struct reader *r, unsigned index);

/* A choice that was seen ended with the model's own word; failing: the word means a failure. */
void reader_end_choice(struct reader *r, unsigned index, span word, bool failing);

/* The event is itself the finish of every choice; the word may be empty. */
void reader_end_all(struct reader *r, span word, bool failing);

void reader_end_stream(struct reader *r); /* the terminator */
void reader_fail(struct reader *r, const struct fault *f);
void reader_give_up(struct reader *r, const char *why, ...) PRINTF_LIKE(2, 3);

/* An event by which a server only says that it lives. */
bool reader_is_ping(const struct sse_event *event);

/* For dialects whose errors are fault_read_body's. */
bool reader_take_error_body(struct reader *r, span body);

/* So that text can be taken back when what comes behind it shows that it is not choice 0's, or that its event is
 * broken. */
struct reader_mark {
	size_t text, reasoning; /* bytes */
	struct utf8 text_mend, reasoning_mend;
	uint64_t replaced;
	bool says, seen_text, seen_meaning;
};
struct reader_mark reader_mark(const struct reader *r);
void reader_take_back(struct reader *r, const struct reader_mark *mark);

#endif
