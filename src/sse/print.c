/* Writing: the two things that must be right about an event's data are that no byte of a token can end its line early,
 * and that a page which joins the lines again gets the token back, spaces and empty lines included.
 *
 * An event stream's data is split at LF by the reader, so a token is split at LF by the writer: n line feeds make n + 1
 * data lines. One space is written behind each colon because readers remove one: a token's own leading space survives.
 * JSON strings are escaped beyond what RFC 8259 asks, so that they can be pasted into any script or page.
 *
 * 1. Every line that is written here ends with LF and holds no other LF and no CR.
 * 2. Text is copied in runs; bytes are looked at once.
 *
 * The blank line that ends an event, ids and names are the caller's (stream/, gateway/). */
#include "sse/print.h"

#include "sse/line.h"

/* In place, with one question for room: this is done for every token and every viewer. */
static void print_line(struct buf *out, span line)
{
	static const char name[] = {'d', 'a', 't', 'a', ':', ' '};
	if (!buf_reserve(out, sizeof name + line.n + 1))
		return;
	char *to = out->p + out->n;
	memcpy(to, name, sizeof name);
	if (line.n)
		memcpy(to + sizeof name, line.p, line.n);
	to[sizeof name + line.n] = '\n';
	out->n += sizeof name + line.n + 1;
}

static void print_text_lines(struct buf *out, span text)
{
	for (;;) {
		size_t n = sse_find_line_end(text);
		print_line(out, span_first(text, n));
		if (n == text.n)
			return;
		CHECK(text.p[n] == '\n');
		text = span_from(text, n + 1);
	}
}

void sse_print_data(struct buf *out, enum sse_data form, span text)
{
	if (form == SSE_TEXT) {
		print_text_lines(out, text);
		return;
	}
	buf_put(out, SPAN("data: "));
	sse_print_json_string(out, text);
	buf_put_byte(out, '\n');
}

void sse_unify_line_ends(struct buf *text, bool *after_cr)
{
	if (text->n == 0 || (!*after_cr && !memchr(text->p, '\r', text->n)))
		return;
	size_t n = 0;
	for (size_t i = 0; i < text->n; i++) {
		bool belongs_to_cr = *after_cr && text->p[i] == '\n';
		*after_cr = text->p[i] == '\r';
		if (!belongs_to_cr)
			text->p[n++] = *after_cr ? '\n' : text->p[i];
	}
	text->n = n;
}

static bool is_separator(span s)
{
	return span_starts(s, SPAN("\xE2\x80\xA8")) || span_starts(s, SPAN("\xE2\x80\xA9"));
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != 0x7F && c != 0xE2;
}

/* Bytes that need no escape. 0xE2 begins U+2028 and U+2029, and many good characters. */
static size_t count_plain(span s)
{
	size_t n = 0;
	while (n < s.n && (is_plain((unsigned char)s.p[n]) ||
	                   ((unsigned char)s.p[n] == 0xE2 && !is_separator(span_from(s, n)))))
		n++;
	return n;
}

static void print_escape(struct buf *out, unsigned char c)
{
	static const char bytes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *at = c ? strchr(bytes, c) : NULL;
	if (at) {
		buf_put_byte(out, '\\');
		buf_put_byte(out, letters[at - bytes]);
	} else {
		buf_printf(out, "\\u%04x", c);
	}
}

void sse_print_json_string(struct buf *out, span s)
{
	buf_put_byte(out, '"');
	for (;;) {
		size_t n = count_plain(s);
		buf_put(out, span_first(s, n));
		s = span_from(s, n);
		if (s.n == 0)
			break;
		if (is_separator(s)) {
			buf_printf(out, "\\u202%c", s.p[2] == '\xA8' ? '8' : '9');
			s = span_from(s, 3);
		} else {
			print_escape(out, (unsigned char)s.p[0]);
			s = span_from(s, 1);
		}
	}
	buf_put_byte(out, '"');
}
