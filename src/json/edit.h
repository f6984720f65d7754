/* Changing a few values in a JSON text and leaving every other byte as it is. */
#ifndef JSON_EDIT_H
#define JSON_EDIT_H

#include "base/buf.h"

enum {
	JSON_EDIT_STEPS = 3,
	JSON_EDITS = 64, /* at most, in one text */
};

/* Where a value stands, and what becomes of it. A step is a member's name, or "[]" for each element of an array; an
 * empty span ends the path. */
struct json_edit {
	span step[JSON_EDIT_STEPS];
	span value; /* JSON text; p NULL: the member is taken out */
};

/* Appends text, edited, to out. A path that leads nowhere changes nothing. False: text is not one whole JSON value, or
 * there is no memory, and out is as it was. */
MUST bool json_edit(struct buf *out, span text, const struct json_edit *edits, size_t n);

/* Appends text, a JSON object, with the members of another object in it: one that text has already is replaced where
 * it stands, the others come last. False, and out as it was: either is no whole JSON object, there are more than
 * JSON_EDITS members, or there is no memory. */
MUST bool json_merge(struct buf *out, span text, span members);

#endif
