/* Writing event streams: the browser stream of lastword (ARCHITECTURE.md, "The browser stream"). LF only. */
#ifndef SSE_PRINT_H
#define SSE_PRINT_H

#include "base/buf.h"

enum sse_data { SSE_TEXT, SSE_JSON };

/* Appends the data lines of one event: "data: " and the text, split at LF into several lines; in SSE_JSON the text
 * as one JSON string. The text is valid UTF-8 and, in SSE_TEXT, free of CR. No blank line. */
void sse_print_data(struct buf *out, enum sse_data form, span text);

/* CR and CRLF become LF, in place: what SSE_TEXT asks for. *after_cr remembers a CR at the end, for the next piece. */
void sse_unify_line_ends(struct buf *text, bool *after_cr);

/* Appends s as a JSON string with its quotes: control characters, quote, backslash and DEL escaped, and "<", U+2028
 * and U+2029 too, so that the string is safe in any script or page. s is valid UTF-8. */
void sse_print_json_string(struct buf *out, span s);

#endif
