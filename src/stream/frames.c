/* Cutting an answer into frames, to the byte.
 *
 * A frame is everything from the end of the last event to the end of this one: comments, ids, retry times and blank
 * lines go with the event that they stand before. So all frames together are the answer, byte for byte, and between any
 * two of them something else may be said.
 *
 * 1. A frame that came whole is lent from the input; only one that came in pieces is copied together.
 * 2. How the bytes were sliced changes no frame. The parser closes an event at the CR of its blank line; in an answer
 *    whose lines end with CRLF the LF that belongs to it is taken as read, and dropped when it comes.
 *
 * Sans I/O; what an event means is the reader's business, what becomes of a frame the generation's. */
#include "stream/frames.h"

void frames_finish(struct frames *f) { buf_finish(&f->raw); }

static span pass_line_feed(struct frames *f, span bytes)
{
	if (!f->gave_line_feed || !bytes.n)
		return bytes;
	f->gave_line_feed = false;
	return span_from(bytes, bytes.p[0] == '\n');
}

void frames_take(struct frames *f, span bytes) { buf_put(&f->raw, pass_line_feed(f, bytes)); }

static bool lacks_line_feed(span frame)
{
	return frame.n && frame.p[frame.n - 1] == '\r' && memmem(frame.p, frame.n, "\r\n", 2);
}

span frames_close(struct frames *f, span bytes)
{
	bytes = pass_line_feed(f, bytes);
	if (!f->raw.n && !f->raw.failed && !lacks_line_feed(bytes))
		return bytes;
	buf_put(&f->raw, bytes);
	if (lacks_line_feed(buf_span(&f->raw))) {
		buf_put_byte(&f->raw, '\n');
		f->gave_line_feed = true;
	}
	span frame = f->raw.failed ? (span){0} : buf_span(&f->raw);
	f->raw.n = 0; /* its bytes stay where they are until the next frame begins */
	return frame;
}
