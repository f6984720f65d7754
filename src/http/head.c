/* The head of an HTTP/1.1 message, judged.
 *
 * http1.c collects a head and hands it over line by line or whole; nothing here keeps state. The obvious way would be
 * to read what can be read and repair the rest, as most parsers do. But a gateway stands between two readers, and
 * whatever it repairs the other one may repair differently: that is how requests are smuggled and how the end of an
 * answer gets lost. So all that RFC 9112 allows a recipient to mend (bare LF, obs-fold, spaces around names, lists of
 * equal lengths) is refused.
 *
 * 1. A head that passes has one reading of its length: at most one of Content-Length and Transfer-Encoding, once, and
 *    the latter says `chunked` and nothing else.
 * 2. No name, value, method or target that passes holds a control byte; a tab inside a value is the one exception.
 * 3. A request that passes names at most one host, and in an absolute-form target it is the same one.
 * 4. Every span handed in is a loan; what is put into the head points into it.
 *
 * Not here: limits and slicing (http1.c), what a path may hold (url.c), what a method means (the site). */
#include "http/head.h"

#include "http/chars.h"
#include "http/headers.h"
#include "http/url.h"

enum { METHOD_BYTES = 32 };

#define FINE ((struct http1_fault){0})

static struct http1_fault fault(int status, const char *message) { return (struct http1_fault){status, message}; }
static struct http1_fault bad(const char *message) { return fault(400, message); }

static bool is_token(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_token((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_visible(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_visible((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_value(span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_value((unsigned char)s.p[i]))
			return false;
	return true;
}

/* Takes what stands before the next space, and that space. */
static span take_word(span *rest)
{
	span word = span_first(*rest, span_find(*rest, ' '));
	*rest = span_from(*rest, word.n + 1);
	return word;
}

/* Start lines. */

static struct http1_fault read_version(struct http_head *head, span version)
{
	if (version.n != 8 || !span_starts(version, SPAN("HTTP/")) || !char_is_digit((unsigned char)version.p[5]) ||
	    version.p[6] != '.' || !char_is_digit((unsigned char)version.p[7]))
		return bad("the line must name its version as HTTP/1.1 or HTTP/1.0");
	if (version.p[5] != '1' || version.p[7] > '1')
		return fault(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	head->minor = version.p[7] - '0';
	return FINE;
}

static struct http1_fault judge_target(const struct http_head *head)
{
	span target = head->target;
	if (span_is(head->method, "CONNECT"))
		return fault(501, "CONNECT is not offered: this is no tunnel");
	if (!is_visible(target))
		return bad("the request target must be visible ASCII without spaces");
	if (target.p[0] == '/' || url_target_authority(target).n > 0)
		return FINE;
	if (span_is(target, "*") && span_is(head->method, "OPTIONS"))
		return FINE;
	return bad("the request target must be a path that begins with '/', or a URL");
}

struct http1_fault head_request_line(struct http_head *head, span line)
{
	span rest = line;
	head->method = take_word(&rest);
	head->target = take_word(&rest);
	if (!is_token(head->method))
		return bad("a request must begin with a method, a space and a target");
	if (head->method.n > METHOD_BYTES)
		return fault(501, "no method has more than 32 characters");
	struct http1_fault f = read_version(head, rest);
	return f.message ? f : judge_target(head);
}

/* 100–599, or 0. */
static int read_status(span code)
{
	int status = 0;
	if (code.n != 3)
		return 0;
	for (size_t i = 0; i < code.n; i++) {
		if (!char_is_digit((unsigned char)code.p[i]))
			return 0;
		status = status * 10 + (code.p[i] - '0');
	}
	return status >= 100 && status <= 599 ? status : 0;
}

struct http1_fault head_status_line(struct http_head *head, span line)
{
	span rest = line;
	struct http1_fault f = read_version(head, take_word(&rest));
	if (f.message)
		return f;
	head->status = read_status(take_word(&rest));
	head->reason = rest;
	if (!head->status)
		return bad("a response must begin with a version and a status of 100 to 599");
	return is_value(rest) ? FINE : bad("a reason phrase must not hold control bytes");
}

/* Fields. */

static struct http1_fault split_field(span line, struct http_field *out)
{
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return bad("a header line must not begin with whitespace (obs-fold)");
	size_t colon = span_find(line, ':');
	out->name = span_first(line, colon);
	if (colon == line.n || !is_token(out->name))
		return bad("a header line must be a name, a colon and a value, without space before the colon");
	out->value = span_trim(span_from(line, colon + 1));
	return is_value(out->value) ? FINE : bad("a header value must not hold control bytes, nor CR or LF");
}

struct http1_fault head_split_fields(struct http_head *head, span lines, struct http_field *table, enum http1_role role)
{
	head->fields = table;
	head->fields_n = 0;
	while (lines.n) {
		size_t lf = span_find(lines, '\n');
		struct http_field *field = &table[head->fields_n];
		struct http1_fault f = split_field(span_first(lines, lf - 1), field);
		if (f.message)
			return f;
		if (role == HTTP1_RESPONSES || span_find(field->name, '_') == field->name.n)
			head->fields_n++;
		lines = span_from(lines, lf + 1);
	}
	return FINE;
}

/* Framing (RFC 9112 §6). */

static struct http1_fault read_length(struct http_head *head, span value)
{
	uint64_t length = 0;
	for (size_t i = 0; i < value.n; i++) {
		uint64_t digit = (uint64_t)(unsigned char)value.p[i] - '0';
		if (digit > 9 || length > (INT64_MAX - digit) / 10)
			return bad("Content-Length must be one decimal number below 2^63");
		length = length * 10 + digit;
	}
	if (value.n == 0)
		return bad("Content-Length must not be empty");
	head->framing = HTTP_LENGTH;
	head->length = length;
	return FINE;
}

/* A list of codings that are well-formed and not known here, perhaps with `chunked` around them all, is a message that
 * somebody could read: 501. Everything else has no length that two readers would agree on. */
static struct http1_fault judge_unknown_codings(span list)
{
	static const char malformed[] = "Transfer-Encoding must be `chunked` and nothing else";
	while (list.n) {
		size_t comma = span_find(list, ',');
		span coding = span_trim(span_first(list, comma));
		bool last = comma == list.n;
		if (!is_token(coding) || (span_is_nocase(coding, "chunked") && !last) || comma + 1 == list.n)
			return bad(malformed);
		list = span_from(list, comma + 1);
	}
	return fault(501, "no transfer coding but `chunked` is known here");
}

static struct http1_fault read_coding(struct http_head *head, size_t codings, size_t lengths)
{
	span coding = headers_get(head, "Transfer-Encoding");
	if (lengths)
		return bad("a message must not have both Content-Length and Transfer-Encoding");
	if (codings > 1)
		return bad("there must be only one Transfer-Encoding field");
	if (head->minor == 0)
		return bad("HTTP/1.0 has no Transfer-Encoding");
	if (coding.n == 0)
		return bad("Transfer-Encoding must not be empty");
	if (!span_is_nocase(coding, "chunked"))
		return judge_unknown_codings(coding);
	head->framing = HTTP_CHUNKED;
	return FINE;
}

/* Sets framing and length when a field tells them; leaves what was there when none does. */
static struct http1_fault read_framing(struct http_head *head)
{
	size_t lengths = headers_count(head, "Content-Length");
	size_t codings = headers_count(head, "Transfer-Encoding");
	if (codings)
		return read_coding(head, codings, lengths);
	if (lengths > 1)
		return bad("there must be only one Content-Length field");
	return lengths ? read_length(head, headers_get(head, "Content-Length")) : FINE;
}

/* RFC 9112 §9.3 */
static bool wants_to_go_on(const struct http_head *head)
{
	if (headers_has_token(head, "Connection", "close"))
		return false;
	return head->minor >= 1 || headers_has_token(head, "Connection", "keep-alive");
}

/* Requests. */

static struct http1_fault judge_host(const struct http_head *head)
{
	size_t hosts = headers_count(head, "Host");
	if (hosts > 1)
		return bad("there must be only one Host field");
	if (hosts == 0)
		return head->minor == 0 ? FINE : bad("an HTTP/1.1 request must have a Host field");
	span host = headers_get(head, "Host"), name, port;
	if (!url_split_authority(host, &name, &port))
		return bad("Host must be one name or address, with or without a port");
	span authority = url_target_authority(head->target);
	if (authority.p && !span_eq_nocase(authority, host))
		return bad("the target's authority must be the same as Host");
	return FINE;
}

static struct http1_fault judge_expectation(struct http_head *head)
{
	span expected = headers_get(head, "Expect");
	head->expect_continue = false;
	if (!expected.p || head->minor == 0)
		return FINE;
	if (headers_count(head, "Expect") > 1 || !span_is_nocase(expected, "100-continue"))
		return fault(417, "the only expectation that can be met is 100-continue");
	head->expect_continue = head->framing == HTTP_CHUNKED || (head->framing == HTTP_LENGTH && head->length > 0);
	return FINE;
}

struct http1_fault head_judge_request(struct http_head *head)
{
	head->framing = HTTP_NO_BODY;
	head->length = 0;
	struct http1_fault f = read_framing(head);
	if (!f.message)
		f = judge_host(head);
	if (!f.message)
		f = judge_expectation(head);
	head->keep_alive = wants_to_go_on(head);
	return f;
}

/* Responses. */

/* A response that cannot have a body but announces one was made by somebody who may well send it. HEAD and 304 only
 * say what a GET would have got. */
static bool announces_forbidden_body(const struct http_head *head)
{
	return head->status == 204 && (head->framing == HTTP_CHUNKED || head->length > 0);
}

struct http1_fault head_judge_response(struct http_head *head, bool answers_head)
{
	head->framing = HTTP_UNTIL_CLOSE;
	head->length = 0;
	head->expect_continue = false;
	struct http1_fault f = read_framing(head);
	bool bodiless = answers_head || head->status < 200 || head->status == 204 || head->status == 304;
	head->keep_alive = wants_to_go_on(head) && !announces_forbidden_body(head) &&
	                   (bodiless || head->framing != HTTP_UNTIL_CLOSE);
	if (bodiless)
		head->framing = HTTP_NO_BODY;
	return f;
}
