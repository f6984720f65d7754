/* Cutting an answer into frames, to the byte.
 *
 * A frame is everything from the end of the last event to the end of this one: comments, ids, retry times and blank
 * lines go with the event that they stand before. So all frames together are the answer, byte for byte, and between any
 * two of them something else may be said.
 *
 * 1. A frame that came whole is lent from the input; only one that came in pieces is copied together.
 * 2. How the bytes were sliced changes no frame. The parser closes an event at the CR of its blank line, and whether it has
 *    seen an LF behind that is chance. So the line end before decides: behind CRLF the LF is taken as read, and dropped
 *    when it comes; behind a lone CR it is left to the next frame.
 *
 * Sans I/O; what an event means is the reader's business, what becomes of a frame the generation's. */
#include "stream/raw.h"

void raw_finish(struct raw *r) { buf_finish(&r->held); }

/* What the next frame begins with, given what the last one took or left of the LF at its end. */
static span begin(struct raw *r, span bytes)
{
	if (!bytes.n)
		return bytes;
	if (r->left_line_feed)
		buf_put_byte(&r->held, '\n');
	size_t passed = r->gave_line_feed && bytes.p[0] == '\n';
	r->left_line_feed = r->gave_line_feed = false;
	return span_from(bytes, passed);
}

void raw_take(struct raw *r, span bytes) { buf_put(&r->held, begin(r, bytes)); }

/* The length of the line that s begins with, its end included; 0 while that has not come. */
static size_t whole_line(span s)
{
	size_t cr = span_find(s, '\r'), lf = span_find(s, '\n');
	if (cr >= lf)
		return lf < s.n ? lf + 1 : cr < s.n ? cr + 1 : 0;
	return cr + 1 + (lf == cr + 1);
}

/* Up to the blank line behind the last whole comment. What follows, half a line or half an event, would be glued to what
 * is said next. */
static size_t idle_blocks(span s)
{
	size_t whole = 0, at = 0;
	for (size_t n; (n = whole_line(span_from(s, at))) > 0; at += n) {
		if (s.p[at] == '\r' || s.p[at] == '\n')
			whole = at + n;
		else if (s.p[at] != ':')
			break;
	}
	return whole;
}

static size_t blank_lines(span s)
{
	size_t whole = 0;
	for (size_t i = 0; i < s.n && memchr(" \t\r\n", s.p[i], 4); i++)
		whole = s.p[i] == '\n' ? i + 1 : whole;
	return whole;
}

span raw_idle_part(const struct raw *r, span frame)
{
	return span_first(frame, r->syntax == SSE_NDJSON ? blank_lines(frame) : idle_blocks(frame));
}

span raw_rest(struct raw *r)
{
	if (r->left_line_feed)
		buf_put_byte(&r->held, '\n');
	r->left_line_feed = false;
	return r->held.failed ? (span){0} : r->held.n ? raw_idle_part(r, buf_span(&r->held)) : SPAN("");
}

static bool ends_with(span s, char c) { return s.n && s.p[s.n - 1] == c; }

/* Behind a CR half a line end may be missing. */
bool raw_is_idle(const struct raw *r)
{
	span held = buf_span(&r->held);
	return !ends_with(held, '\r') && raw_idle_part(r, held).n == held.n;
}

/* Before the blank line's CR stands the end of another line. If that is an LF, one belongs to the CR too. */
static bool lacks_line_feed(span frame)
{
	return frame.n >= 2 && ends_with(frame, '\r') && frame.p[frame.n - 2] == '\n';
}

static bool has_line_feed_too_many(span frame)
{
	return frame.n >= 3 && memcmp(frame.p + frame.n - 3, "\r\r\n", 3) == 0;
}

static span cut(struct raw *r, span frame)
{
	r->left_line_feed = has_line_feed_too_many(frame);
	return span_first(frame, frame.n - r->left_line_feed);
}

span raw_close(struct raw *r, span bytes)
{
	bytes = begin(r, bytes);
	if (!r->held.n && !r->held.failed && !lacks_line_feed(bytes))
		return cut(r, bytes);
	buf_put(&r->held, bytes);
	if (lacks_line_feed(buf_span(&r->held))) {
		buf_put_byte(&r->held, '\n');
		r->gave_line_feed = true;
	}
	span frame = r->held.failed ? (span){0} : cut(r, buf_span(&r->held));
	r->held.n = 0; /* its bytes stay where they are until the next frame begins */
	return frame;
}
