/* What an in-band error says, in whatever shape a server says it. For the files of dialect/. */
#ifndef DIALECT_FAULT_H
#define DIALECT_FAULT_H

#include "dialect/dialect.h"
#include "json/scan.h"

/* Zeroed: nothing was said. Valid UTF-8 without control characters, NUL at the end. */
struct fault {
	char type[DIALECT_WORD], code[DIALECT_WORD], message[DIALECT_SENTENCE];
	bool is_error;   /* `object` is "error", or there is an `error` that says something */
	bool is_blank;   /* there is an `error` and it is an empty string */
	bool has_detail;
	bool is_nested;  /* for fault.c: what an inner object said stands */
};

/* Copies what fits of text (WTF-8, or any bytes) into size bytes, NUL included: mended, control characters turned into
 * spaces, cut at a whole character. */
void fault_copy(char *to, size_t size, span text);

/* Without that credential, which servers repeat when they refuse it: an ellipsis stands for it, and for the beginning of
 * one where what was said had to be cut. */
void fault_hide(struct fault *f, span secret);

/* data stands alone where an error is announced (`event: error`): a JSON object, or a sentence. */
void fault_read_data(struct fault *f, span data);

/* data is an object that is known to be an error. */
void fault_read_object(struct fault *f, span data);

/* True when body is a JSON object that is an error: it has a member `error` or `detail`, or `object` is "error". */
MUST bool fault_read_body(struct fault *f, span body);

#endif
