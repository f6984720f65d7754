/* Where a line of an event stream ends. */
#ifndef SSE_LINE_H
#define SSE_LINE_H

#include "base/span.h"

/* Index of the first LF or CR, or s.n when there is none. */
size_t sse_find_line_end(span s);

#endif
