/* Cutting an answer into frames, to the byte.
 *
 * A frame is everything from the end of the last event to the end of this one: comments, ids, retry times and blank
 * lines go with the event that they stand before. So all frames together are the answer, byte for byte, and between any
 * two of them something else may be said.
 *
 * 1. A frame that came whole is lent from the input; only one that came in pieces is copied together.
 * 2. How the bytes were sliced changes no frame. The parser closes an event at the CR of its blank line; in a frame with
 *    any LF in it the one that belongs to that CR is taken as read, and dropped when it comes.
 *
 * Sans I/O; what an event means is the reader's business, what becomes of a frame the generation's. */
#include "stream/raw.h"

void raw_finish(struct raw *r) { buf_finish(&r->held); }

static span pass_line_feed(struct raw *r, span bytes)
{
	if (!r->gave_line_feed || !bytes.n)
		return bytes;
	r->gave_line_feed = false;
	return span_from(bytes, bytes.p[0] == '\n');
}

void raw_take(struct raw *r, span bytes) { buf_put(&r->held, pass_line_feed(r, bytes)); }

static bool lacks_line_feed(span frame)
{
	return frame.n && frame.p[frame.n - 1] == '\r' && span_find(frame, '\n') < frame.n;
}

span raw_close(struct raw *r, span bytes)
{
	bytes = pass_line_feed(r, bytes);
	if (!r->held.n && !r->held.failed && !lacks_line_feed(bytes))
		return bytes;
	buf_put(&r->held, bytes);
	if (lacks_line_feed(buf_span(&r->held))) {
		buf_put_byte(&r->held, '\n');
		r->gave_line_feed = true;
	}
	span frame = r->held.failed ? (span){0} : buf_span(&r->held);
	r->held.n = 0; /* its bytes stay where they are until the next frame begins */
	return frame;
}
