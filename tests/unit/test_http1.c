/* The HTTP/1.1 parser, told in bytes. Every input is read whole, one byte at a time, and split at every position; the
 * readings must be the same to the letter. Names A1 … C32 are rows of docs/faults.md. */
#include "http1_steps.h"

#include "http/chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Reading. */

struct reader {
	enum http1_role role;
	struct http1_limits limits;
	bool answers_head;
};

static struct buf read_sliced(struct reader r, span input, size_t first, size_t step)
{
	struct steps s = {0};
	http1_init(&s.p, r.role, r.limits);
	if (r.answers_head)
		http1_expect_no_body(&s.p);
	bool on = steps_feed(&s, span_first(input, first));
	for (size_t i = first; on && i < input.n; i += step)
		on = steps_feed(&s, span_first(span_from(input, i), step));
	steps_finish(&s);
	return s.out;
}

/* Long inputs are split at some thousand places, the last ones among them. */
static size_t next_split(size_t at, size_t n) { return at + (n < 6000 || n - at < 64 ? 1 : n / 1500); }

/* The steps, as text that lives until the next call. */
static const char *steps(struct reader r, span input)
{
	static struct buf whole;
	buf_finish(&whole);
	whole = read_sliced(r, input, input.n, 1);
	for (size_t at = 0; at < input.n; at = next_split(at, input.n)) {
		struct buf other = read_sliced(r, input, at, at ? input.n : 1);
		if (!span_eq(buf_span(&other), buf_span(&whole)))
			print_error("split at %zu:\n%s\nwhole:\n%s\n", at, other.p, whole.p);
		assert_true(span_eq(buf_span(&other), buf_span(&whole)));
		buf_finish(&other);
	}
	return whole.p;
}

static const char *requests(span input) { return steps((struct reader){.role = HTTP1_REQUESTS}, input); }
static const char *responses(span input) { return steps((struct reader){.role = HTTP1_RESPONSES}, input); }
static const char *answer_to_head(span input)
{
	return steps((struct reader){.role = HTTP1_RESPONSES, .answers_head = true}, input);
}

#define REQUESTS(bytes, expected) assert_string_equal(requests(SPAN(bytes)), expected)
#define RESPONSES(bytes, expected) assert_string_equal(responses(SPAN(bytes)), expected)

/* A head with these lines behind Host, and whatever follows. */
#define POST(lines) "POST /p HTTP/1.1\r\nHost: h\r\n" lines
#define POST_REFUSED(status, lines) REQUESTS(POST(lines "\r\n"), "! " #status "\n")
#define CHUNKED "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "> POST /p 1.1 chunked keep {Host: h} {Transfer-Encoding: chunked}\n"
#define GET_HEAD "> GET / 1.1 none keep {Host: h}\n"
#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define HOST_REFUSED(host) REQUESTS("GET / HTTP/1.1\r\nHost: " host "\r\n\r\n", "! 400\n")
#define TARGET_REFUSED(target) REQUESTS("GET " target " HTTP/1.1\r\nHost: h\r\n\r\n", "! 400\n")
#define CHUNKS_REFUSED(body, before) REQUESTS(CHUNKED body, CHUNKED_HEAD before "! 400\n")
#define OK_CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define OK_CHUNKED_HEAD "< 200 1.1 chunked keep (OK) {Transfer-Encoding: chunked}\n"

/* Requests as they should be. */

static void test_a_get_has_no_body(void **state)
{
	REQUESTS("", "~ idle\n");
	REQUESTS(GET, GET_HEAD ".\n~ idle\n");
	REQUESTS("GET /sse-proxy?prompt=a%0Ab HTTP/1.1\r\nHost: h:80\r\nA:b\r\nEmpty:\r\nC: \t d e \t \r\n\r\n",
		"> GET /sse-proxy?prompt=a%0Ab 1.1 none keep {Host: h:80} {A: b} {Empty: } {C: d e}\n.\n~ idle\n");
}

static void test_bodies_arrive_whole_and_no_further(void **state)
{
	REQUESTS(POST("Content-Length: 5\r\n\r\nhello"),
		"> POST /p 1.1 length=5 keep {Host: h} {Content-Length: 5}\n| hello\n.\n~ idle\n");
	REQUESTS(POST("Content-Length: 5\r\n\r\nhell"),
		"> POST /p 1.1 length=5 keep {Host: h} {Content-Length: 5}\n| hell\n~ cuts\n");
	REQUESTS(POST("Content-Length: 0\r\n\r\n"),
		"> POST /p 1.1 length=0 keep {Host: h} {Content-Length: 0}\n.\n~ idle\n");
	REQUESTS(POST("Content-Length: 2\r\n\r\nhi") GET,
		"> POST /p 1.1 length=2 keep {Host: h} {Content-Length: 2}\n| hi\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS(POST("Content-Length: 9223372036854775807\r\n\r\nx"),
		"> POST /p 1.1 length=9223372036854775807 keep {Host: h} {Content-Length: 9223372036854775807}\n| x\n~ cuts\n");
}

static void test_chunks_are_joined(void **state)
{
	REQUESTS(CHUNKED "5\r\nhello\r\n1\r\n \r\n00A\r\n0123456789\r\n0\r\n\r\n" GET,
		CHUNKED_HEAD "| hello 0123456789\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS(CHUNKED "0\r\n\r\n", CHUNKED_HEAD ".\n~ idle\n");
	REQUESTS(CHUNKED "a\r\n\r\n0\r\n\r\n\r\n\0\r\n0\r\n\r\n", CHUNKED_HEAD "| \r\n0\r\n\r\n\r\n");
}

static void test_the_case_of_names_and_codings_does_not_matter(void **state)
{
	REQUESTS("POST / HTTP/1.1\r\nhOST: h\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n",
		"> POST / 1.1 chunked keep {hOST: h} {transfer-encoding: CHUNKED}\n.\n~ idle\n");
}

static void test_an_end_inside_chunks_is_a_cut(void **state)
{
	REQUESTS(CHUNKED, CHUNKED_HEAD "~ cuts\n");
	REQUESTS(CHUNKED "5", CHUNKED_HEAD "~ cuts\n");
	REQUESTS(CHUNKED "1\r\na", CHUNKED_HEAD "| a\n~ cuts\n");
	REQUESTS(CHUNKED "1\r\na\r\n", CHUNKED_HEAD "| a\n~ cuts\n");
	REQUESTS(CHUNKED "1\r\na\r\n0", CHUNKED_HEAD "| a\n~ cuts\n");
	REQUESTS(CHUNKED "1\r\na\r\n0\r\n", CHUNKED_HEAD "| a\n~ cuts\n");
	REQUESTS(CHUNKED "1\r\na\r\n0\r\n\r", CHUNKED_HEAD "| a\n~ cuts\n");
	REQUESTS(CHUNKED "1\r\na\r\n0\r\nA: b\r\n", CHUNKED_HEAD "| a\n~ cuts\n");
}

static void test_keep_alive_is_what_rfc_9112_says(void **state)
{
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"> GET / 1.1 none last {Host: h} {Connection: close}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n",
		"> GET / 1.1 none last {Host: h} {Connection: x, Close}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: keep-alive , close\r\n\r\n",
		"> GET / 1.1 none last {Host: h} {Connection: x} {Connection: keep-alive , close}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n",
		"> GET / 1.1 none keep {Host: h} {Connection: closed}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.0\r\n\r\n", "> GET / 1.0 none last\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
		"> GET / 1.0 none keep {Connection: Keep-Alive}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
		"> GET / 1.0 none last {Connection: keep-alive, close}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n",
		"> GET / 1.0 none last {Proxy-Connection: keep-alive}\n.\n~ idle\n");
}

static void test_a_few_empty_lines_before_a_request_are_passed_over(void **state)
{
	REQUESTS("\r\n", "~ idle\n");
	REQUESTS("\r\n\r\n" GET "\r\n" GET, GET_HEAD ".\n" GET_HEAD ".\n~ idle\n");
	REQUESTS("\r\n\r\n\r\n\r\n" GET, GET_HEAD ".\n~ idle\n");
	REQUESTS("\r\n\r\n\r\n\r\n\r\n" GET, "! 400\n");
	REQUESTS("\n" GET, "! 400\n");
	REQUESTS("\r\r\n" GET, "! 400\n");
}

static void test_in_head_is_true_from_the_first_byte_to_the_last(void **state)
{
	static const char input[] = "\r\n" GET;
	struct http1 p;
	http1_init(&p, HTTP1_REQUESTS, (struct http1_limits){0});
	for (size_t i = 0; i < sizeof input - 1; i++) {
		span one = {input + i, 1};
		bool whole = i == sizeof input - 2;
		assert_int_equal(http1_next(&p, &one), whole ? HTTP1_HEAD : HTTP1_MORE);
		assert_int_equal(http1_in_head(&p), i != 1 && !whole);
	}
	http1_finish(&p);
}

/* Client → gateway. */

static void test_A1_both_lengths(void **state)
{
	POST_REFUSED(400, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
	POST_REFUSED(400, "Transfer-Encoding: gzip\r\ncontent-length: 0\r\n");
}

static void test_A2_two_content_lengths(void **state)
{
	POST_REFUSED(400, "Content-Length: 5\r\nContent-Length: 6\r\n");
	POST_REFUSED(400, "Content-Length: 5\r\nContent-Length: 5\r\n");
	POST_REFUSED(400, "Content-Length: 5, 5\r\n");
	POST_REFUSED(400, "Content-Length: 5,\r\n");
}

static void test_A3_malformed_content_length(void **state)
{
	POST_REFUSED(400, "Content-Length: +5\r\n");
	POST_REFUSED(400, "Content-Length: -1\r\n");
	POST_REFUSED(400, "Content-Length: 0x5\r\n");
	POST_REFUSED(400, "Content-Length: 1_0\r\n");
	POST_REFUSED(400, "Content-Length:  5 5\r\n");
	POST_REFUSED(400, "Content-Length:\r\n");
	POST_REFUSED(400, "Content-Length: \"5\"\r\n");
	POST_REFUSED(400, "Content-Length: 5.0\r\n");
	POST_REFUSED(400, "Content-Length: 9223372036854775808\r\n");
	POST_REFUSED(400, "Content-Length: 18446744073709551621\r\n");
	POST_REFUSED(400, "Content-Length: 100000000000000000000000000000000000005\r\n");
}

static void test_A4_transfer_encoding(void **state)
{
	POST_REFUSED(501, "Transfer-Encoding: xchunked\r\n");
	POST_REFUSED(501, "Transfer-Encoding: identity\r\n");
	POST_REFUSED(501, "Transfer-Encoding: gzip, chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked, chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked, gzip\r\n");
	POST_REFUSED(400, "Transfer-Encoding: ,chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked,\r\n");
	POST_REFUSED(400, "Transfer-Encoding: gzip,\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked;x\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: \"chunked\"\r\n");
	POST_REFUSED(400, "Transfer-Encoding:\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: \vchunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked\f\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked\0\r\n");
	POST_REFUSED(400, "Transfer-Encoding: \xa0" "chunked\r\n");
	POST_REFUSED(400, "Transfer-Encoding: chunked\xa0\r\n");
}

static void test_A5_transfer_encoding_in_http_1_0(void **state)
{
	REQUESTS("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "! 400\n");
}

static void test_A6_malformed_names(void **state)
{
	POST_REFUSED(400, "A : b\r\n");
	POST_REFUSED(400, "A\t: b\r\n");
	POST_REFUSED(400, ": b\r\n");
	POST_REFUSED(400, "no colon\r\n");
	POST_REFUSED(400, "A\r\n");
	POST_REFUSED(400, "A(: b\r\n");
	POST_REFUSED(400, "\xc3\xa4: b\r\n");
	POST_REFUSED(400, "A\x7f: b\r\n");
	POST_REFUSED(400, "Content-Length : 5\r\n");
	POST_REFUSED(400, "Transfer-Encoding : chunked\r\n");
}

static void test_A7_folded_lines(void **state)
{
	POST_REFUSED(400, "A: b\r\n c\r\n");
	POST_REFUSED(400, "A: b\r\n\tc\r\n");
	POST_REFUSED(400, "A: b\r\n \r\n");
	REQUESTS("GET / HTTP/1.1\r\n Host: h\r\n\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1\r\n\tA: b\r\nHost: h\r\n\r\n", "! 400\n");
}

static void test_A8_bare_line_ends_and_nul(void **state)
{
	REQUESTS("GET / HTTP/1.1\nHost: h\r\n\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\n\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\n\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1\rHost: h\r\n\r\n", "! 400\n");
	REQUESTS("GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "! 400\n");
	REQUESTS("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", "! 400\n");
	POST_REFUSED(400, "A: b\rc\r\n");
	POST_REFUSED(400, "A: b\r\r\n");
	POST_REFUSED(400, "A: \rb\r\n");
	POST_REFUSED(400, "A\r: b\r\n");
	POST_REFUSED(400, "A\0: b\r\n");
	POST_REFUSED(400, "A: b\0c\r\n");
	POST_REFUSED(400, "A: \x01\r\n");
	POST_REFUSED(400, "A: \x7f\r\n");
	POST_REFUSED(400, "\r\r\n");
}

static void test_A9_chunk_sizes(void **state)
{
	CHUNKS_REFUSED("0x5\r\nhello\r\n", "");
	CHUNKS_REFUSED("+5\r\nhello\r\n", "");
	CHUNKS_REFUSED("-1\r\nhello\r\n", "");
	CHUNKS_REFUSED("5_0\r\nhello\r\n", "");
	CHUNKS_REFUSED(" 5\r\nhello\r\n", "");
	CHUNKS_REFUSED("5 \r\nhello\r\n", "");
	CHUNKS_REFUSED("\r\n\r\n", "");
	CHUNKS_REFUSED(";a=b\r\n\r\n", "");
	CHUNKS_REFUSED("g\r\n", "");
	CHUNKS_REFUSED("00000000000000005\r\nhello\r\n", "");
	CHUNKS_REFUSED("FFFFFFFFFFFFFFFFF\r\n", "");
	CHUNKS_REFUSED("1\r\na\r\n\r\n", "| a\n");
	REQUESTS(CHUNKED "0000000000000005\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD "| hello\n.\n~ idle\n");
	REQUESTS(CHUNKED "FFFFFFFFFFFFFFFF\r\nhello", CHUNKED_HEAD "| hello\n~ cuts\n");
}

static void test_A10_chunk_endings(void **state)
{
	CHUNKS_REFUSED("5\nhello\r\n0\r\n\r\n", "");
	CHUNKS_REFUSED("5\rhello\r\n0\r\n\r\n", "");
	CHUNKS_REFUSED("5\r\nhello\n0\r\n\r\n", "| hello\n");
	CHUNKS_REFUSED("5\r\nhello\rx0\r\n\r\n", "| hello\n");
	CHUNKS_REFUSED("5\r\nhello0\r\n\r\n", "| hello\n");
	CHUNKS_REFUSED("5\r\nhelloxx0\r\n\r\n", "| hello\n");
	CHUNKS_REFUSED("0\n\r\n", "");
	CHUNKS_REFUSED("0\r\n\n", "");
	CHUNKS_REFUSED("0\r\n\rx", "");
}

/* A body of that many chunks, each with an extension of so many bytes. */
static const char *read_extensions(size_t chunks, size_t bytes)
{
	struct buf b = {0};
	buf_put(&b, SPAN(CHUNKED));
	for (size_t i = 0; i < chunks; i++)
		buf_printf(&b, "1;%0*d\r\nx\r\n", (int)bytes - 1, 0);
	buf_put(&b, SPAN("0\r\n\r\n"));
	const char *said = requests(buf_span(&b));
	buf_finish(&b);
	return said;
}

static void test_A11_chunk_extensions(void **state)
{
	REQUESTS(CHUNKED "5;a=b;c=\"d \t;\xff\"\r\nhello\r\n0;end\r\n\r\n", CHUNKED_HEAD "| hello\n.\n~ idle\n");
	REQUESTS(CHUNKED "5;\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD "| hello\n.\n~ idle\n");
	CHUNKS_REFUSED("5;a\nhello\r\n0\r\n\r\n", "");
	CHUNKS_REFUSED("5;a\rb\r\nhello\r\n0\r\n\r\n", "");
	CHUNKS_REFUSED("5;a\0\r\nhello\r\n0\r\n\r\n", "");
	CHUNKS_REFUSED("5;a\x1b\r\nhello\r\n0\r\n\r\n", "");
	assert_string_equal(read_extensions(1, 256), CHUNKED_HEAD "| x\n.\n~ idle\n");
	assert_string_equal(read_extensions(1, 257), CHUNKED_HEAD "! 400\n");
	assert_string_equal(read_extensions(16, 256), CHUNKED_HEAD "| xxxxxxxxxxxxxxxx\n.\n~ idle\n");
	assert_string_equal(read_extensions(17, 256), CHUNKED_HEAD "| xxxxxxxxxxxxxxxx\n! 400\n");
}

static void test_A11_extensions_are_counted_for_each_body_alone(void **state)
{
	struct buf b = {0};
	for (int body = 0; body < 3; body++) {
		buf_put(&b, SPAN(CHUNKED));
		for (int i = 0; i < 12; i++)
			buf_printf(&b, "1;%0250d\r\nx\r\n", 0);
		buf_put(&b, SPAN("0\r\n\r\n"));
	}
	static const char one[] = CHUNKED_HEAD "| xxxxxxxxxxxx\n.\n";
	const char *said = requests(buf_span(&b));
	for (int body = 0; body < 3; body++, said += sizeof one - 1)
		assert_memory_equal(said, one, sizeof one - 1);
	assert_string_equal(said, "~ idle\n");
	buf_finish(&b);
}

static void test_a_message_leaves_no_count_behind(void **state)
{
	REQUESTS(CHUNKED "0\r\nA: 0123456789012345\r\n\r\n" CHUNKED "0000000000000001;a\r\nx\r\n0\r\n\r\n",
		CHUNKED_HEAD ".\n" CHUNKED_HEAD "| x\n.\n~ idle\n");
}

static const char *read_trailer(size_t bytes)
{
	struct buf b = {0};
	buf_printf(&b, CHUNKED "0\r\nA: %0*d\r\n\r\n", (int)bytes - 3, 0);
	const char *said = requests(buf_span(&b));
	buf_finish(&b);
	return said;
}

static void test_A12_trailers_are_read_and_dropped(void **state)
{
	REQUESTS(CHUNKED "1\r\na\r\n0\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n" GET,
		CHUNKED_HEAD "| a\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS(CHUNKED "0\r\nA:\r\nB: \xff\t\r\n\r\n", CHUNKED_HEAD ".\n~ idle\n");
	CHUNKS_REFUSED("0\r\nA: b\n\r\n", "");
	CHUNKS_REFUSED("0\r\nA: b\r\n c\r\n\r\n", "");
	CHUNKS_REFUSED("0\r\nA : b\r\n\r\n", "");
	CHUNKS_REFUSED("0\r\n: b\r\n\r\n", "");
	CHUNKS_REFUSED("0\r\nA\r\n\r\n", "");
	CHUNKS_REFUSED("0\r\nA: b\0\r\n\r\n", "");
	CHUNKS_REFUSED("0\r\nA: b\rc\r\n\r\n", "");
	CHUNKS_REFUSED("0\r\nGET / HTTP/1.1\r\n\r\n", "");
	assert_string_equal(read_trailer(8191), CHUNKED_HEAD ".\n~ idle\n"); /* and its CR */
	assert_string_equal(read_trailer(8192), CHUNKED_HEAD "! 400\n");
}

/* The word that a request whose parts are so long is answered with: ">" or "! 414". */
static const char *read_sizes(struct http1_limits limits, size_t line, size_t fields, size_t count)
{
	static const char host[] = "Host: h\r\n";
	struct buf b = {0};
	buf_printf(&b, "GET /%0*d HTTP/1.1\r\n%s", (int)(line - 14), 0, host);
	size_t used = sizeof host - 1;
	for (size_t i = 1; i < count; i++, used += 6)
		buf_put(&b, SPAN("A: b\r\n"));
	if (fields > used)
		buf_printf(&b, "B: %0*d\r\n", (int)(fields - used - 5), 0);
	buf_put(&b, SPAN("\r\n"));
	const char *said = steps((struct reader){.role = HTTP1_REQUESTS, .limits = limits}, buf_span(&b));
	buf_finish(&b);
	return *said == '>' ? ">" : said;
}

static void test_A13_limits_of_the_head(void **state)
{
	const struct http1_limits standard = {0}, browser = {.line = 64 << 10}, small = {32, 64, 3};
	assert_string_equal(read_sizes(standard, 8192, 0, 1), ">");
	assert_string_equal(read_sizes(standard, 8193, 0, 1), "! 414\n");
	assert_string_equal(read_sizes(browser, 65536, 0, 1), ">");
	assert_string_equal(read_sizes(browser, 65537, 0, 1), "! 414\n");
	assert_string_equal(read_sizes(standard, 16, 32768, 1), ">");
	assert_string_equal(read_sizes(standard, 16, 32769, 1), "! 431\n");
	assert_string_equal(read_sizes(standard, 16, 0, 100), ">");
	assert_string_equal(read_sizes(standard, 16, 0, 101), "! 431\n");
	assert_string_equal(read_sizes(small, 32, 64, 2), ">");
	assert_string_equal(read_sizes(small, 33, 64, 2), "! 414\n");
	assert_string_equal(read_sizes(small, 32, 65, 2), "! 431\n");
	assert_string_equal(read_sizes(small, 32, 0, 3), ">");
	assert_string_equal(read_sizes(small, 32, 0, 4), "! 431\n");
}

static void test_A13_long_methods(void **state)
{
	REQUESTS("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: h\r\n\r\n",
		"> ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / 1.1 none keep {Host: h}\n.\n~ idle\n");
	REQUESTS("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: h\r\n\r\n", "! 501\n");
	REQUESTS("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "! 400\n");
	REQUESTS(" / HTTP/1.1\r\nHost: h\r\n\r\n", "! 400\n");
}

static void test_A16_the_next_request_waits_until_it_is_asked_for(void **state)
{
	struct http1 p;
	span in = SPAN(GET GET);
	http1_init(&p, HTTP1_REQUESTS, (struct http1_limits){0});
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	assert_int_equal(http1_next(&p, &in), HTTP1_END);
	assert_true(span_is(in, GET));
	assert_true(span_is(p.head.target, "/"));
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	http1_finish(&p);
}

static void test_A16_after_an_invalid_request_nothing_is_parsed(void **state)
{
	struct http1 p;
	span in = SPAN("GET / HTTP/1.1\r\n\r\n" GET), more = SPAN(GET);
	http1_init(&p, HTTP1_REQUESTS, (struct http1_limits){0});
	for (int i = 0; i < 3; i++) {
		assert_int_equal(http1_next(&p, &in), HTTP1_BAD);
		assert_int_equal(http1_next(&p, &more), HTTP1_BAD);
		assert_true(span_is(more, GET));
	}
	http1_finish(&p);
}

static void test_A17_expectations(void **state)
{
	REQUESTS(POST("Content-Length: 1\r\nExpect: 100-Continue\r\n\r\na"),
		"> POST /p 1.1 length=1 keep expect {Host: h} {Content-Length: 1} {Expect: 100-Continue}\n| a\n.\n~ idle\n");
	REQUESTS(POST("Expect: 100-continue\r\n\r\n"),
		"> POST /p 1.1 none keep {Host: h} {Expect: 100-continue}\n.\n~ idle\n");
	REQUESTS("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\na",
		"> POST / 1.0 length=1 last {Content-Length: 1} {Expect: 100-continue}\n| a\n.\n~ idle\n");
	POST_REFUSED(417, "Expect: 200-ok\r\n");
	POST_REFUSED(417, "Expect: 100-continue, x\r\n");
	POST_REFUSED(417, "Expect:\r\n");
	POST_REFUSED(417, "Expect: 100-continue\r\nExpect: 100-continue\r\n");
}

static void test_A18_http_1_0(void **state)
{
	REQUESTS("GET /a HTTP/1.0\r\n\r\n", "> GET /a 1.0 none last\n.\n~ idle\n");
	REQUESTS("GET /a HTTP/1.0\r\nHost: h\r\n\r\n", "> GET /a 1.0 none last {Host: h}\n.\n~ idle\n");
}

static void test_A19_other_versions(void **state)
{
	REQUESTS("GET /\r\n", "! 400\n");
	REQUESTS("GET / \r\n", "! 400\n");
	REQUESTS("GET / HTTP/01.1\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.10\r\n", "! 400\n");
	REQUESTS("GET / http/1.1\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1 \r\n", "! 400\n");
	REQUESTS("GET  / HTTP/1.1\r\n", "! 400\n");
	REQUESTS("GET /  HTTP/1.1\r\n", "! 400\n");
	REQUESTS("GET /\tHTTP/1.1\r\n", "! 400\n");
	REQUESTS("GET / HTTP/0.9\r\n", "! 505\n");
	REQUESTS("GET / HTTP/1.2\r\n", "! 505\n");
	REQUESTS("GET / HTTP/2.0\r\n", "! 505\n");
	REQUESTS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "! 505\n");
}

static void test_A20_forms_of_targets(void **state)
{
	REQUESTS("GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "> GET http://h/a?b 1.1 none keep {Host: h}\n.\n~ idle\n");
	REQUESTS("GET HTTPS://H:8 HTTP/1.1\r\nHost: h:8\r\n\r\n",
		"> GET HTTPS://H:8 1.1 none keep {Host: h:8}\n.\n~ idle\n");
	REQUESTS("GET http://h/ HTTP/1.0\r\n\r\n", "> GET http://h/ 1.0 none last\n.\n~ idle\n");
	REQUESTS("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "> OPTIONS * 1.1 none keep {Host: h}\n.\n~ idle\n");
	REQUESTS("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "> TRACE / 1.1 none keep {Host: h}\n.\n~ idle\n");
	TARGET_REFUSED("http://other/");
	TARGET_REFUSED("http://h:80/");
	TARGET_REFUSED("http://u@h/");
	TARGET_REFUSED("http:///");
	TARGET_REFUSED("http://");
	TARGET_REFUSED("ftp://h/");
	TARGET_REFUSED("*");
	TARGET_REFUSED("h:80");
	TARGET_REFUSED("a");
	TARGET_REFUSED("");
	REQUESTS("OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n", "! 400\n");
	REQUESTS("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "! 501\n");
	REQUESTS("CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", "! 501\n");
}

static void test_A21_host(void **state)
{
	REQUESTS("GET / HTTP/1.1\r\n\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "! 400\n");
	REQUESTS("GET / HTTP/1.0\r\nHost: h\r\nhost: g\r\n\r\n", "! 400\n");
	HOST_REFUSED("");
	HOST_REFUSED("a, b");
	HOST_REFUSED("a,b");
	HOST_REFUSED("a b");
	HOST_REFUSED("h/p");
	HOST_REFUSED("h?q");
	HOST_REFUSED("u@h");
	HOST_REFUSED("u:p@h");
	HOST_REFUSED("http://h");
	HOST_REFUSED("h:8:8");
	HOST_REFUSED("h:x");
	HOST_REFUSED("h:65536");
	HOST_REFUSED(":80");
	HOST_REFUSED("[::1");
	HOST_REFUSED("[h]");
	HOST_REFUSED("::1");
	HOST_REFUSED("h\xc3\xa4");
	REQUESTS("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "> GET / 1.1 none keep {Host: [::1]:80}\n.\n~ idle\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: my_box.lan\r\n\r\n", "> GET / 1.1 none keep {Host: my_box.lan}\n.\n~ idle\n");
}

static void test_A22_upgrades_change_nothing(void **state)
{
	REQUESTS(POST("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		"HTTP2-Settings: AAMA\r\nContent-Length: 2\r\n\r\nab") GET,
		"> POST /p 1.1 length=2 keep {Host: h} {Connection: Upgrade, HTTP2-Settings} {Upgrade: h2c} "
		"{HTTP2-Settings: AAMA} {Content-Length: 2}\n| ab\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
		"> GET / 1.1 none keep {Host: h} {Connection: Upgrade} {Upgrade: websocket}\n.\n! 400\n");
}

static void test_A23_raw_bytes_in_targets(void **state)
{
	TARGET_REFUSED("/\xc3\xa4");
	TARGET_REFUSED("/\x7f");
	TARGET_REFUSED("/a\tb");
	TARGET_REFUSED("/a b");
	TARGET_REFUSED("/\x01");
	TARGET_REFUSED("\\a");
}

static void test_A24_bodies_of_any_method(void **state)
{
	REQUESTS("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" GET,
		"> GET / 1.1 length=3 keep {Host: h} {Content-Length: 3}\n| abc\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS("HEAD / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" GET,
		"> HEAD / 1.1 chunked keep {Host: h} {Transfer-Encoding: chunked}\n| a\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS("DELETE /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n" GET,
		"> DELETE /x 1.1 length=1 keep {Host: h} {Content-Length: 1}\n| G\n.\n"
		"> ET / 1.1 none keep {Host: h}\n.\n~ idle\n");
}

static void test_A26_noise_is_refused_at_once(void **state)
{
	REQUESTS("\x16\x03\x01", "! 400\n");
	REQUESTS("SSH-2.0-OpenSSH_9.2\r\n", "! 400\n");
	REQUESTS("\xff\xfb\x1f", "! 400\n");
	REQUESTS("GET /\x80", "! 400\n");
}

static void test_A29_connection_cannot_unmake_the_framing(void **state)
{
	REQUESTS(POST("Connection: close, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
		"> POST /p 1.1 chunked last {Host: h} {Connection: close, transfer-encoding} {Transfer-Encoding: chunked}\n"
		"| a\n.\n~ idle\n");
	REQUESTS(POST("Connection: content-length, host\r\nContent-Length: 1\r\n\r\na"),
		"> POST /p 1.1 length=1 keep {Host: h} {Connection: content-length, host} {Content-Length: 1}\n"
		"| a\n.\n~ idle\n");
}

static void test_A30_names_with_underscores_are_not_seen(void **state)
{
	REQUESTS(POST("Content_Length: 5\r\nX_Api_Key: k\r\nTransfer_Encoding: chunked\r\n_: a\r\nA: b\r\n\r\n") GET,
		"> POST /p 1.1 none keep {Host: h} {A: b}\n.\n" GET_HEAD ".\n~ idle\n");
	REQUESTS("GET / HTTP/1.1\r\nHo_st: h\r\n\r\n", "! 400\n");
	POST_REFUSED(400, "a_b : c\r\n");
}

/* Upstream → gateway. */

static void test_responses_are_framed_by_what_they_say(void **state)
{
	RESPONSES("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"< 200 1.1 length=2 keep (OK) {Content-Length: 2}\n| hi\n.\n~ idle\n");
	RESPONSES(OK_CHUNKED "2\r\nhi\r\n0\r\n\r\n", OK_CHUNKED_HEAD "| hi\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 200 OK\r\n\r\n", "< 200 1.1 close last (OK)\n~ ends\n");
	RESPONSES("HTTP/1.1 200 OK\r\n\r\nhi\r\n\r\n", "< 200 1.1 close last (OK)\n| hi\r\n\r\n\n~ ends\n");
	RESPONSES("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"< 200 1.1 length=0 last (OK) {Connection: close} {Content-Length: 0}\n.\n~ idle\n");
}

static void test_status_lines(void **state)
{
	RESPONSES("HTTP/1.1 204\r\n\r\n", "< 204 1.1 none keep ()\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 204 \r\n\r\n", "< 204 1.1 none keep ()\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 204 No \xc3\x89  Content\r\n\r\n", "< 204 1.1 none keep (No \xc3\x89  Content)\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n",
		"< 599 1.1 length=0 keep (x) {Content-Length: 0}\n.\n~ idle\n");
}

static void test_http_1_0_responses_end_by_close_or_length(void **state)
{
	RESPONSES("HTTP/1.0 200 OK\r\n\r\nhi", "< 200 1.0 close last (OK)\n| hi\n~ ends\n");
	RESPONSES("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"< 200 1.0 length=2 last (OK) {Content-Length: 2}\n| hi\n.\n~ idle\n");
	RESPONSES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
		"< 200 1.0 length=2 keep (OK) {Connection: keep-alive} {Content-Length: 2}\n| hi\n.\n~ idle\n");
	RESPONSES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhi",
		"< 200 1.0 close last (OK) {Connection: keep-alive}\n| hi\n~ ends\n");
	RESPONSES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "! 0\n");
}

static void test_responses_without_a_body(void **state)
{
	RESPONSES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"< 304 1.1 none keep (Not Modified) {Content-Length: 5}\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
		"< 204 1.1 none keep (No Content) {Content-Length: 0}\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"< 204 1.1 none last (No Content) {Content-Length: 5}\n.\n~ idle\n");
	RESPONSES("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		"< 204 1.1 none last (No Content) {Transfer-Encoding: chunked}\n.\n~ idle\n");
	assert_string_equal(answer_to_head(SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
		"< 200 1.1 none keep (OK) {Content-Length: 5}\n.\n~ idle\n");
	assert_string_equal(answer_to_head(SPAN("HTTP/1.1 200 OK\r\n\r\n")), "< 200 1.1 none keep (OK)\n.\n~ idle\n");
	assert_string_equal(answer_to_head(SPAN("HTTP/1.1 100 x\r\n\r\n" OK_CHUNKED OK_CHUNKED "0\r\n\r\n")),
		"< 200 1.1 none keep (OK) {Transfer-Encoding: chunked}\n.\n" OK_CHUNKED_HEAD ".\n~ idle\n");
}

static void test_C10_interim_responses(void **state)
{
	RESPONSES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\n\r\n"
		OK_CHUNKED "0\r\n\r\n",
		OK_CHUNKED_HEAD ".\n~ idle\n");
	RESPONSES("HTTP/1.1 100 Continue\r\n\r\n", "~ head\n");
	RESPONSES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 101\r\n\r\n", "! 0\n");
#define INTERIM "HTTP/1.1 102\r\n\r\n"
#define TEN INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM
	RESPONSES(TEN OK_CHUNKED "0\r\n\r\n" TEN OK_CHUNKED "0\r\n\r\n",
		OK_CHUNKED_HEAD ".\n" OK_CHUNKED_HEAD ".\n~ idle\n");
	RESPONSES(TEN INTERIM OK_CHUNKED "0\r\n\r\n", "! 0\n");
}

static void test_C15_content_length_and_what_follows_it(void **state)
{
	RESPONSES("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
		"< 200 1.1 length=9 keep (OK) {Content-Length: 9}\n| hi\n~ cuts\n");
	struct http1 p;
	span in = SPAN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more");
	http1_init(&p, HTTP1_RESPONSES, (struct http1_limits){0});
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	assert_int_equal(http1_next(&p, &in), HTTP1_BODY);
	assert_int_equal(http1_next(&p, &in), HTTP1_END);
	assert_true(span_is(in, ", and more"));
	http1_finish(&p);
}

static void test_C18_malformed_responses(void **state)
{
	RESPONSES(OK_CHUNKED "x\r\n", OK_CHUNKED_HEAD "! 0\n");
	RESPONSES(OK_CHUNKED "5\r\nhelloX", OK_CHUNKED_HEAD "| hello\n! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nA: b\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 OK\nA: b\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 O\x01K\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 200 O\rK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1  200 OK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 20 OK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 2000 OK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 099 OK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 600 OK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1 2x0 OK\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/1.1\r\n\r\n", "! 0\n");
	RESPONSES("HTTP/2 200 OK\r\n\r\n", "! 0\n");
	RESPONSES("ICY 200 OK\r\n\r\n", "! 0\n");
	RESPONSES("\r\nHTTP/1.1 200 OK\r\n\r\n", "! 0\n");
	RESPONSES("<html>\r\n", "! 0\n");
}

static void test_C18_heads_over_the_limits(void **state)
{
	struct buf b = {0};
	buf_printf(&b, "HTTP/1.1 200 OK\r\nA: %065536d\r\n\r\n", 0);
	assert_string_equal(responses(buf_span(&b)), "! 0\n");
	buf_clear(&b);
	buf_printf(&b, "HTTP/1.1 200 %09000d\r\n\r\n", 0);
	assert_string_equal(responses(buf_span(&b)), "! 0\n");
	buf_finish(&b);
}

static void test_C32_trailers_are_dropped(void **state)
{
	RESPONSES(OK_CHUNKED "2\r\nhi\r\n0\r\nContent-Length: 7\r\nX-Sum: abc\r\n\r\n",
		OK_CHUNKED_HEAD "| hi\n.\n~ idle\n");
}

/* Memory. */

static long fails_at = -1; /* which call of realloc from now on finds no memory; -1: none */

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) { return fails_at >= 0 && fails_at-- == 0 ? NULL : __real_realloc(p, n); }

static enum http1_step read_head_with_failure_at(long nth, struct http1 *p)
{
	struct buf head = {0};
	buf_printf(&head, "GET / HTTP/1.1\r\nHost: h\r\nA: %0500d\r\n\r\n", 0);
	span in = buf_span(&head);
	http1_init(p, HTTP1_REQUESTS, (struct http1_limits){0});
	fails_at = nth;
	enum http1_step step = http1_next(p, &in);
	bool was_hit = fails_at < 0;
	fails_at = -1;
	buf_finish(&head);
	assert_int_equal(step, was_hit ? HTTP1_BAD : HTTP1_HEAD);
	return step;
}

static void test_without_memory_a_head_is_bad_and_nothing_crashes(void **state)
{
	struct http1 p;
	long nth = 0;
	for (; read_head_with_failure_at(nth, &p) == HTTP1_BAD; nth++) {
		assert_int_equal(p.bad.status, 503);
		http1_finish(&p);
	}
	assert_true(nth >= 2);
	http1_finish(&p);
}

static void test_a_large_head_is_not_kept_for_an_idle_connection(void **state)
{
	struct buf text = {0};
	buf_printf(&text, "GET / HTTP/1.1\r\nHost: h\r\nA: %020000d\r\n\r\n" GET, 0);
	struct http1 p;
	span in = buf_span(&text);
	http1_init(&p, HTTP1_REQUESTS, (struct http1_limits){0});
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	assert_true(p.text.cap >= 20000);
	assert_int_equal(http1_next(&p, &in), HTTP1_END);
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	assert_true(p.text.cap < 20000);
	http1_finish(&p);
	buf_finish(&text);
}

static void test_a_head_that_was_forgotten_leaves_its_framing_and_the_next_message(void **state)
{
	struct http1 p;
	span in = SPAN("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody" GET);
	http1_init(&p, HTTP1_REQUESTS, (struct http1_limits){0});
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	http1_forget_head(&p);
	assert_true(!p.text.p && !p.table && !p.head.fields_n && !p.head.method.n && !p.head.target.n);
	assert_true(p.head.framing == HTTP_LENGTH && p.head.minor == 1 && !p.head.keep_alive);
	assert_int_equal(http1_next(&p, &in), HTTP1_BODY);
	assert_true(span_is(p.body, "body"));
	assert_int_equal(http1_next(&p, &in), HTTP1_END);
	http1_forget_head(&p);
	assert_int_equal(http1_next(&p, &in), HTTP1_HEAD);
	assert_true(span_is(p.head.target, "/") && p.head.fields_n == 1);
	http1_finish(&p);
}

static void test_the_classes_of_bytes(void **state)
{
	for (int c = 0; c < 256; c++) {
		bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		assert_int_equal(char_is_token((unsigned char)c), alnum || (c && strchr("!#$%&'*+-.^_`|~", c)));
		assert_int_equal(char_is_value((unsigned char)c), c == '\t' || (c >= 32 && c != 127));
		assert_int_equal(char_is_unreserved((unsigned char)c), alnum || (c && strchr("-._~", c)));
		static const char digits[] = "0123456789abcdef";
		const char *digit = c ? strchr(digits, c >= 'A' && c <= 'Z' ? c | 32 : c) : NULL;
		assert_int_equal(char_hex((unsigned char)c), digit ? digit - digits : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_get_has_no_body),
		cmocka_unit_test(test_bodies_arrive_whole_and_no_further),
		cmocka_unit_test(test_chunks_are_joined),
		cmocka_unit_test(test_the_case_of_names_and_codings_does_not_matter),
		cmocka_unit_test(test_an_end_inside_chunks_is_a_cut),
		cmocka_unit_test(test_keep_alive_is_what_rfc_9112_says),
		cmocka_unit_test(test_a_few_empty_lines_before_a_request_are_passed_over),
		cmocka_unit_test(test_in_head_is_true_from_the_first_byte_to_the_last),
		cmocka_unit_test(test_A1_both_lengths),
		cmocka_unit_test(test_A2_two_content_lengths),
		cmocka_unit_test(test_A3_malformed_content_length),
		cmocka_unit_test(test_A4_transfer_encoding),
		cmocka_unit_test(test_A5_transfer_encoding_in_http_1_0),
		cmocka_unit_test(test_A6_malformed_names),
		cmocka_unit_test(test_A7_folded_lines),
		cmocka_unit_test(test_A8_bare_line_ends_and_nul),
		cmocka_unit_test(test_A9_chunk_sizes),
		cmocka_unit_test(test_A10_chunk_endings),
		cmocka_unit_test(test_A11_chunk_extensions),
		cmocka_unit_test(test_A11_extensions_are_counted_for_each_body_alone),
		cmocka_unit_test(test_a_message_leaves_no_count_behind),
		cmocka_unit_test(test_A12_trailers_are_read_and_dropped),
		cmocka_unit_test(test_A13_limits_of_the_head),
		cmocka_unit_test(test_A13_long_methods),
		cmocka_unit_test(test_A16_the_next_request_waits_until_it_is_asked_for),
		cmocka_unit_test(test_A16_after_an_invalid_request_nothing_is_parsed),
		cmocka_unit_test(test_A17_expectations),
		cmocka_unit_test(test_A18_http_1_0),
		cmocka_unit_test(test_A19_other_versions),
		cmocka_unit_test(test_A20_forms_of_targets),
		cmocka_unit_test(test_A21_host),
		cmocka_unit_test(test_A22_upgrades_change_nothing),
		cmocka_unit_test(test_A23_raw_bytes_in_targets),
		cmocka_unit_test(test_A24_bodies_of_any_method),
		cmocka_unit_test(test_A26_noise_is_refused_at_once),
		cmocka_unit_test(test_A29_connection_cannot_unmake_the_framing),
		cmocka_unit_test(test_A30_names_with_underscores_are_not_seen),
		cmocka_unit_test(test_responses_are_framed_by_what_they_say),
		cmocka_unit_test(test_status_lines),
		cmocka_unit_test(test_http_1_0_responses_end_by_close_or_length),
		cmocka_unit_test(test_responses_without_a_body),
		cmocka_unit_test(test_C10_interim_responses),
		cmocka_unit_test(test_C15_content_length_and_what_follows_it),
		cmocka_unit_test(test_C18_malformed_responses),
		cmocka_unit_test(test_C18_heads_over_the_limits),
		cmocka_unit_test(test_C32_trailers_are_dropped),
		cmocka_unit_test(test_without_memory_a_head_is_bad_and_nothing_crashes),
		cmocka_unit_test(test_a_large_head_is_not_kept_for_an_idle_connection),
		cmocka_unit_test(test_a_head_that_was_forgotten_leaves_its_framing_and_the_next_message),
		cmocka_unit_test(test_the_classes_of_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
