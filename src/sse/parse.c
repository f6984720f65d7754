/* Reading event streams, line by line. Upstreams send their events mostly whole, one in a packet, so the way that is
 * worth being short is a block of one data line that is there as a whole (take_plain_block): find the line's end, see
 * that a blank line follows, lend what stands between. Any other block goes line by line. Nothing is copied and no byte
 * is looked at but in search of a line's end (line.c). Only when the input ends inside a block do the lent values move
 * into memory of our own, and only a line that crosses two inputs is gathered first.
 *
 * The obvious state machine decides something at every byte and is no shorter; splitting on LF alone and trimming CR
 * is wrong, since a CR by itself ends a line, and waiting to see whether an LF follows it would hold an
 * event back until the next one comes.
 *
 * 1. Items do not depend on how the input is sliced; their spans are good until the next call.
 * 2. A CR ends its line at once; an LF right behind it is swallowed when it comes.
 * 3. Between calls (after SSE_MORE) no value is lent.
 * 4. Memory is bounded by the limit: a block's lines count together, a comment only while it is being read. After an
 *    event that needed much, memory is returned.
 * 5. A block with any line that is no comment is an event when its blank line comes, even if it says nothing.
 * 6. The plain block is a shorter way to the same item: where it is not certain at once, nothing has been used up.
 *
 * What an event means is not here (dialect/), nor is UTF-8 (base/utf8). */
#include "sse/parse.h"

#include "sse/line.h"

enum { KEPT_BYTES = 4096 }; /* memory that an idle stream may keep for its next event */

static const char bom[] = "\xEF\xBB\xBF";

/* Values. */

static void set_value(struct sse_value *v, span s, bool lend)
{
	v->is_set = true;
	v->is_lent = lend;
	v->lent = s;
	if (lend)
		return;
	v->kept.n = 0;
	buf_put(&v->kept, s);
}

static void keep_value(struct sse_value *v)
{
	if (v->is_lent)
		set_value(v, v->lent, false);
}

static void append_line(struct sse_value *v, span s, bool lend)
{
	if (!v->is_set) {
		set_value(v, s, lend);
		return;
	}
	keep_value(v);
	buf_put_byte(&v->kept, '\n');
	buf_put(&v->kept, s);
}

static span value_span(const struct sse_value *v) { return v->is_lent ? v->lent : buf_span(&v->kept); }

static void forget_bytes(struct buf *b)
{
	if (b->cap > KEPT_BYTES)
		buf_finish(b);
	else
		b->n = 0;
}

static void forget_value(struct sse_value *v)
{
	v->is_set = v->is_lent = false;
	forget_bytes(&v->kept);
}

static bool is_out_of_memory(const struct sse *p)
{
	return p->line.failed || p->name.kept.failed || p->data.kept.failed || p->id.kept.failed ||
	       p->error.kept.failed || p->stray.kept.failed;
}

/* Blocks. */

static APART void forget_event(struct sse *p)
{
	forget_value(&p->name);
	forget_value(&p->data);
	forget_value(&p->id);
	forget_value(&p->error);
	forget_value(&p->stray);
	forget_bytes(&p->line);
	p->block_bytes = 0;
	p->is_open = p->delivered = false;
}

static enum sse_item deliver(struct sse *p)
{
	struct sse_event *e = &p->event;
	*e = (struct sse_event){.has_name = p->name.is_set, .has_data = p->data.is_set, .has_id = p->id.is_set};
	if (e->has_name)
		e->name = value_span(&p->name);
	if (e->has_data)
		e->data = value_span(&p->data);
	if (e->has_id)
		e->id = value_span(&p->id);
	if (p->error.is_set)
		e->error_field = value_span(&p->error).n ? value_span(&p->error) : SPAN("");
	if (p->stray.is_set)
		e->stray = value_span(&p->stray);
	p->delivered = true;
	return SSE_EVENT;
}

static enum sse_item fail(struct sse *p, span *in, enum sse_item why)
{
	p->failed = true;
	in->n = 0;
	return why;
}

/* The values of a block that goes on after this input. */
static enum sse_item pause(struct sse *p, span *in)
{
	if (!p->is_open && p->line.n == 0) {
		forget_bytes(&p->line);
		return SSE_MORE;
	}
	keep_value(&p->name);
	keep_value(&p->data);
	keep_value(&p->id);
	keep_value(&p->error);
	keep_value(&p->stray);
	if (p->line.n == 0)
		forget_bytes(&p->line);
	return is_out_of_memory(p) ? fail(p, in, SSE_NO_MEMORY) : SSE_MORE;
}

/* Lines. */

/* A line of n bytes, as far as it is known, that begins with `first`. */
static bool is_too_large(const struct sse *p, char first, size_t n)
{
	if (p->syntax == SSE_EVENT_STREAM && first == ':')
		return n > p->limit;
	return n && (n >= p->limit || p->block_bytes > p->limit - n - 1);
}

/* NDJSON: only LF ends a line; a CR is JSON's white space. */
static size_t find_line_end(const struct sse *p, span s)
{
	return p->syntax == SSE_NDJSON ? span_find(s, '\n') : sse_find_line_end(s);
}

static bool is_blank(span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r'))
		s = span_from(s, 1);
	return s.n == 0;
}

/* Of no field that a browser knows. */
static void take_odd_line(struct sse *p, span line, size_t colon, bool lend)
{
	span name = span_first(line, colon), value = span_from(line, colon + 1);
	p->no_field_lines += colon == line.n && !span_is(name, "retry");
	if (p->stray.is_set || line.p[0] == '{' || line.p[0] == '[')
		append_line(&p->stray, line, lend);
	else if (colon < line.n && span_is(name, "error"))
		set_value(&p->error, value.n && value.p[0] == ' ' ? span_from(value, 1) : value, lend);
}

static void take_field(struct sse *p, span line, bool lend)
{
	size_t colon = span_starts(line, SPAN("data:")) ? 4 : span_find(line, ':');
	span name = span_first(line, colon), value = span_from(line, colon + 1);
	if (value.n && value.p[0] == ' ')
		value = span_from(value, 1);
	if (span_is(name, "data"))
		append_line(&p->data, value, lend);
	else if (span_is(name, "event"))
		set_value(&p->name, value, lend);
	else if (span_is(name, "id"))
		set_value(&p->id, value, lend);
	else
		take_odd_line(p, line, colon, lend);
}

static enum sse_item take_json_line(struct sse *p, span line, bool lend)
{
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (is_blank(line))
		return SSE_MORE;
	set_value(&p->data, line, lend);
	return deliver(p);
}

/* A whole line without its end. SSE_MORE: it makes no item. */
static enum sse_item take_line(struct sse *p, span line, bool lend)
{
	if (p->syntax == SSE_NDJSON)
		return take_json_line(p, line, lend);
	if (line.n == 0)
		return p->is_open ? deliver(p) : SSE_MORE;
	if (line.p[0] == ':') {
		p->comment = span_from(line, 1);
		return SSE_COMMENT;
	}
	p->is_open = true;
	p->block_bytes += line.n + 1;
	take_field(p, line, lend);
	return SSE_MORE;
}

/* Bytes of a BOM that turn out not to be one begin the first line. */
static void pass_bom(struct sse *p, span *in)
{
	while (p->bom >= 0 && in->n) {
		if (in->p[0] != bom[p->bom]) {
			buf_put(&p->line, span_of(bom, (size_t)p->bom));
			p->bom = -1;
			return;
		}
		*in = span_from(*in, 1);
		if (++p->bom == 3)
			p->bom = -1;
	}
}

static void pass_lf_after_cr(struct sse *p, span *in)
{
	if (!p->after_cr || in->n == 0)
		return;
	p->after_cr = false;
	if (in->p[0] == '\n')
		*in = span_from(*in, 1);
}

static void pass_line_end(struct sse *p, span *in)
{
	p->after_cr = in->p[0] == '\r';
	*in = span_from(*in, 1);
	pass_lf_after_cr(p, in);
}

/* One line of the input, or what there is of it. */
static enum sse_item read_line(struct sse *p, span *in)
{
	span line = span_first(*in, find_line_end(p, *in));
	bool whole = line.n < in->n, joined = p->line.n || !whole;
	if (is_too_large(p, p->line.n ? p->line.p[0] : in->p[0], p->line.n + line.n))
		return fail(p, in, SSE_TOO_LARGE);
	*in = span_from(*in, line.n);
	if (joined) {
		buf_put(&p->line, line);
		line = buf_span(&p->line);
	}
	if (!whole)
		return SSE_MORE;
	pass_line_end(p, in);
	p->line.n = 0; /* its bytes stay where they are until the next line begins */
	return take_line(p, line, !joined);
}

static bool is_between_blocks(const struct sse *p)
{
	return p->syntax == SSE_EVENT_STREAM && p->bom < 0 && !p->after_cr && !p->is_open && p->line.n == 0;
}

/* Bytes of the line end and the blank line that s begins with; 0: others, or it may go on behind s. */
static size_t count_block_end(span s)
{
	return span_starts(s, SPAN("\n\n")) ? 2 : span_starts(s, SPAN("\r\n\r\n")) ? 4 : 0;
}

/* A block that is one line of data and whole in the input. False: it is another, and nothing was used up. */
static bool take_plain_block(struct sse *p, span *in)
{
	const span field = SPAN("data: ");
	if (!span_starts(*in, field) || !is_between_blocks(p))
		return false;
	span line = span_first(*in, sse_find_line_end(*in));
	size_t end = count_block_end(span_from(*in, line.n));
	if (!end || is_too_large(p, 'd', line.n))
		return false;
	p->event = (struct sse_event){.data = span_from(line, field.n), .has_data = true};
	*in = span_from(*in, line.n + end);
	return true;
}

void sse_init(struct sse *p, enum sse_syntax syntax, size_t limit)
{
	*p = (struct sse){.syntax = syntax, .limit = limit ? limit : SIZE_MAX};
}

void sse_finish(struct sse *p)
{
	buf_finish(&p->line);
	buf_finish(&p->name.kept);
	buf_finish(&p->data.kept);
	buf_finish(&p->id.kept);
	buf_finish(&p->error.kept);
	buf_finish(&p->stray.kept);
	*p = (struct sse){.failed = true};
}

static APART enum sse_item read_lines(struct sse *p, span *in)
{
	pass_bom(p, in);
	pass_lf_after_cr(p, in);
	while (in->n) {
		enum sse_item item = read_line(p, in);
		if (is_out_of_memory(p))
			return fail(p, in, SSE_NO_MEMORY);
		if (item != SSE_MORE)
			return item;
	}
	return pause(p, in);
}

enum sse_item sse_next(struct sse *p, span *in)
{
	if (p->failed) {
		in->n = 0;
		return SSE_MORE;
	}
	if (p->delivered)
		forget_event(p);
	return take_plain_block(p, in) ? SSE_EVENT : read_lines(p, in);
}

static enum sse_item end_stray(struct sse *p)
{
	span line = buf_span(&p->line);
	bool begins = line.n && (line.p[0] == '{' || line.p[0] == '[');
	if (p->data.is_set || !(p->stray.is_set || begins))
		return SSE_MORE;
	p->line.n = 0;
	if (line.n)
		take_field(p, line, false);
	return is_out_of_memory(p) ? SSE_NO_MEMORY : deliver(p);
}

enum sse_item sse_end(struct sse *p)
{
	if (p->failed)
		return SSE_MORE;
	if (p->delivered)
		forget_event(p);
	if (p->syntax == SSE_EVENT_STREAM)
		return end_stray(p);
	if (is_blank(buf_span(&p->line)))
		return SSE_MORE;
	span line = buf_span(&p->line);
	p->line.n = 0;
	return take_json_line(p, line, false);
}

bool sse_is_inside_event(const struct sse *p)
{
	span line = buf_span(&p->line);
	if (p->syntax == SSE_NDJSON)
		return !is_blank(line) || p->bom > 0;
	bool line_has_begun = p->bom > 0 || (line.n && line.p[0] != ':');
	return line_has_begun || (p->is_open && !p->delivered);
}
