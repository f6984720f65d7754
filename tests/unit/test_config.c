#include "gateway/config_parts.h"

#include "failing_malloc.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *parse(const char *yaml)
{
	struct complaint c = {.file = "t.yaml"};
	struct config *config = config_parse(span_str(yaml), &c);
	if (!config)
		print_error("%s\n", c.text);
	assert_non_null(config);
	assert_string_equal(c.text, "");
	return config;
}

/* The complaint begins with the place and holds the words. */
static void expect_complaint(const char *yaml, const char *place, const char *words)
{
	struct complaint c = {.file = "t.yaml"};
	struct config *config = config_parse(span_str(yaml), &c);
	if (config || strncmp(c.text, place, strlen(place)) || !strstr(c.text, words))
		fail_msg("%s\nsays      %s\ninstead of %s … %s", yaml, c.text, place, words);
	assert_non_null(strstr(c.text, ", expected ") ? c.text : strstr(c.text, "(expected "));
	assert_null(strchr(c.text, '\n'));
}

/* One route with the members, on a text upstream. */
static struct config *parse_route(const char *members)
{
	char yaml[2048];
	snprintf(yaml, sizeof yaml, "routes:\n  - { path: /x, upstream: http://h/generate%s%s }\n",
		*members ? ", " : "", members);
	return parse(yaml);
}

static void expect_route_complaint(const char *members, const char *words)
{
	char yaml[2048];
	snprintf(yaml, sizeof yaml, "routes:\n  - { path: /x, upstream: http://h/generate, %s }\n", members);
	expect_complaint(yaml, "t.yaml:2:", words);
}

static void append(void *to, span text) { buf_put(to, text); }

static char *printed(const struct config *c)
{
	struct buf out = {0};
	config_print(c, append, &out);
	assert_non_null(buf_cstr(&out));
	return out.p;
}

/* Defaults. */

static void test_without_a_file_the_model_answers_pages_and_sdks(void **state)
{
	struct config *c = parse("");
	assert_string_equal(c->listen, "127.0.0.1:8080");
	assert_string_equal(c->admin, "127.0.0.1:8081");
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->hosts.n + c->allow_origins.n + c->trusted_proxies.n, 0);
	assert_int_equal(c->retry_ms, 1000);
	assert_int_equal(c->heartbeat_ms, 15000);
	assert_int_equal(c->hold_ms, 10000);
	assert_int_equal(c->first_viewer_ms, 60000);
	assert_int_equal(c->keep_ms, 300000);
	assert_int_equal(c->drain_ms, 30000);
	assert_int_equal(c->memory_bytes, 256 << 20);
	assert_int_equal(c->retry_body_bytes, 1 << 20);
	assert_int_equal(c->limits.body_bytes, 32 << 20);
	assert_int_equal(c->limits.streams, 10000);
	assert_int_equal(c->limits.connections, 20000);
	assert_null(c->model.file);
	assert_false(c->model.is_none);
	assert_int_equal(c->model.context, 4096);
	assert_int_equal(c->model.slots, 8);
	assert_int_equal(c->model.queue, 64);
	assert_int_equal(c->model.threads, 0);

	assert_int_equal(c->routes, 2);
	assert_string_equal(c->route[0].path, "/sse-proxy");
	assert_false(c->route[0].is_prefix);
	assert_int_equal(c->route[0].kind, ROUTE_BROWSER);
	assert_true(c->route[0].upstream[0].is_model);
	assert_ptr_equal(c->route[0].dialect, &dialect_openai_chat);
	assert_int_equal(c->route[0].index, 0);
	assert_string_equal(c->route[1].path, "/v1/");
	assert_true(c->route[1].is_prefix);
	assert_int_equal(c->route[1].kind, ROUTE_PASSTHROUGH);
	assert_true(c->route[1].dialect_auto);
	assert_int_equal(c->route[1].index, 1);
	assert_true(config_wants_model(c));
	config_destroy(c);
}

static void test_an_empty_document_is_a_configuration(void **state)
{
	config_destroy(parse("---\n"));
	config_destroy(parse("# nothing\n"));
	config_destroy(parse("{}"));
	config_destroy(parse("\xef\xbb\xbf"));
}

static void expect_clocks(const struct route *r, uint64_t first_event_ms, uint64_t idle_ms, uint64_t grace_ms,
	uint64_t write_timeout_ms)
{
	assert_int_equal(r->connect_ms, 5000);
	assert_int_equal(r->total_ms, 3600000);
	assert_int_equal(r->first_event_ms, first_event_ms);
	assert_int_equal(r->idle_ms, idle_ms);
	assert_int_equal(r->grace_ms, grace_ms);
	assert_int_equal(r->write_timeout_ms, write_timeout_ms);
}

static void test_defaults_depend_on_kind_and_upstream(void **state)
{
	struct config *c = parse("routes:\n"
				 "  - { path: /a, upstream: http://h/ }\n"
				 "  - { path: /b, upstream: model }\n"
				 "  - { path: /c, upstream: http://h/, kind: passthrough }\n"
				 "  - { path: /d/*, upstream: model }\n"
				 "  - { path: /e/*, upstream: http://h/, kind: browser }\n");
	expect_clocks(&c->route[0], 60000, 60000, 5000, 30000);
	expect_clocks(&c->route[1], 600000, 300000, 5000, 30000);
	expect_clocks(&c->route[2], 600000, 300000, 0, 600000);
	expect_clocks(&c->route[3], 600000, 300000, 0, 600000);
	expect_clocks(&c->route[4], 60000, 60000, 5000, 30000);
	assert_int_equal(c->route[0].event_bytes, 1 << 20);
	assert_int_equal(c->route[0].stream_bytes, 16 << 20);
	assert_int_equal(c->route[1].event_bytes, 1 << 20);
	assert_int_equal(c->route[2].event_bytes, 16 << 20);
	assert_int_equal(c->route[2].stream_bytes, 64 << 20);
	config_destroy(c);
}

static void test_a_route_has_the_defaults_of_dialect_text(void **state)
{
	struct config *c = parse_route("");
	const struct route *r = c->route;
	assert_true(r->dialect_auto);
	assert_null(r->dialect);
	assert_false(r->finish_optional);
	assert_int_equal(r->end_marker, END_MARKER_OPTIONAL);
	assert_int_equal(r->text.end_events.n, 3);
	assert_string_equal(r->text.end_events.word[0], "close");
	assert_string_equal(r->text.end_events.word[1], "end");
	assert_string_equal(r->text.end_events.word[2], "done");
	assert_int_equal(r->text.end_data.n, 1);
	assert_string_equal(r->text.end_data.word[0], "[DONE]");
	assert_int_equal(r->text.error_events.n, 2);
	assert_string_equal(r->text.error_events.word[1], "failed");
	assert_false(r->json);
	assert_null(r->request);
	assert_int_equal(r->auth, AUTH_NONE);
	assert_null(r->auth_header);
	assert_false(r->half_close || r->attach_retries || r->done_after_error);
	assert_string_equal(r->upstream[0].text, "http://h/generate");
	assert_true(span_is(r->upstream[0].url.host, "h"));
	assert_true(span_is(r->upstream[0].url.path, "/generate"));
	assert_int_equal(r->upstream[0].url.port, 80);
	assert_false(config_wants_model(c));
	config_destroy(c);
}

/* Values. */

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {{"0", 0}, {"0s", 0}, {"1ms", 1}, {"250ms", 250}, {"15s", 15000}, {"007s", 7000}, {"5min", 300000},
		{"24h", 86400000}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char yaml[64];
		snprintf(yaml, sizeof yaml, "heartbeat: %s", rows[i].text);
		struct config *c = parse(yaml);
		assert_int_equal(c->heartbeat_ms, rows[i].ms);
		config_destroy(c);
	}
	expect_complaint("heartbeat: 15\n", "t.yaml:1:12: heartbeat: ", "has no unit");
	expect_complaint("heartbeat: 15 s\n", "t.yaml:1:12: heartbeat: ", "unknown unit");
	expect_complaint("heartbeat: 1m\n", "t.yaml:1:12: ", "unknown unit");
	expect_complaint("heartbeat: 1.5s\n", "t.yaml:1:12: ", "unknown unit");
	expect_complaint("heartbeat: -1s\n", "t.yaml:1:12: ", "\"-1s\"");
	expect_complaint("heartbeat: never\n", "t.yaml:1:12: ", "\"never\"");
	expect_complaint("heartbeat: '15s'\n", "t.yaml:1:12: ", "a string in quotes");
	expect_complaint("heartbeat:\n", "t.yaml:1:11: ", "no value");
	expect_complaint("heartbeat: [15s]\n", "t.yaml:1:12: ", "a list");
	expect_complaint("heartbeat: {a: 15s}\n", "t.yaml:1:12: ", "a map");
	expect_complaint("heartbeat: 25h\n", "t.yaml:1:12: ", "too large, expected at most 24h, or 0");
	expect_complaint("heartbeat: 999999999999999h\n", "t.yaml:1:12: ", "too large");
	expect_complaint("heartbeat: 9999999999999999999999ms\n", "t.yaml:1:12: ", "");
	expect_complaint("retry: 0\n", "t.yaml:1:8: ", "too small, expected at least 1ms");
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {{"0", 0}, {"1", 1}, {"4096", 4096}, {"64KiB", 65536}, {"16MiB", 16 << 20}, {"1GiB", 1 << 30},
		{"4095MiB", 4095ull << 20}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char members[64];
		snprintf(members, sizeof members, "stream: %s", rows[i].text);
		struct config *c = parse_route(members);
		assert_int_equal(c->route[0].stream_bytes, rows[i].bytes);
		config_destroy(c);
	}
	expect_route_complaint("stream: 16MB", "unknown unit");
	expect_route_complaint("stream: 4GiB", "too large");
	expect_route_complaint("stream: 17179869184GiB", "too large");
	expect_complaint("memory: 1KiB", "t.yaml:1:9: ", "too small, expected at least 1MiB, or 0");
}

static void test_counts_and_words(void **state)
{
	struct config *c = parse("limits: { streams: 0, connections: 5 }\n"
		"model: { threads: 2, slots: 1, queue: 0, file: a.gguf }\nworkers: 1\n");
	assert_int_equal(c->limits.streams, 0);
	assert_int_equal(c->limits.connections, 5);
	assert_int_equal(c->model.threads, 2);
	assert_int_equal(c->model.slots, 1);
	assert_int_equal(c->model.queue, 0);
	assert_string_equal(c->model.file, "a.gguf");
	assert_int_equal(c->workers, 1);
	config_destroy(c);
	c = parse_route("finish: optional, end_marker: none, data: json, half_close: true, end_events: [], "
		"end_data: [\"\\x7f\", '<eos>']");
	assert_true(c->route[0].finish_optional && c->route[0].json && c->route[0].half_close);
	assert_int_equal(c->route[0].end_marker, END_MARKER_NONE);
	assert_int_equal(c->route[0].text.end_events.n, 0);
	assert_string_equal(c->route[0].text.end_data.word[0], "\x7f");
	config_destroy(c);
	expect_route_complaint("finish: maybe", "expected required or optional");
	expect_route_complaint("end_marker: maybe", "expected optional, required or none");
	expect_route_complaint("half_close: yes", "expected true or false");
	expect_route_complaint("half_close: 'true'", "expected true or false");
	expect_route_complaint("end_events: close", "expected a list");
	expect_route_complaint("end_events: [[close]]", "a list");
	expect_complaint("model: { slots: 0 }", "t.yaml:1:17: model.slots: ", "at least 1");
	expect_complaint("model: { slots: 1.5 }", "t.yaml:1:17: model.slots: ", "expected a whole number");
	expect_complaint("model: { threads: 0 }", "t.yaml:1:19: model.threads: ", "at least 1");
	expect_complaint("workers: 257", "t.yaml:1:10: workers: ", "at most 256");
}

static void test_listen_addresses(void **state)
{
	static const char *const good[] = {"127.0.0.1:0", "0.0.0.0:65535", "':80'", "localhost:8080", "'[::1]:8080'",
		"'[::]:0'"};
	static const char *const bad[] = {"8080", "127.0.0.1", "'127.0.0.1:'", "127.0.0.1:65536", "127.0.0.1:080000",
		"127.0.0.1:8o",
		"1.2.3:80", "example.org:80", "'::1:80'", "'[::1]'", "'[::1:80'", "'[127.0.0.1]:80'", "':+80'",
			"http://127.0.0.1:80"};
	char yaml[128];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(yaml, sizeof yaml, "listen: %s\nadmin: none\n", good[i]);
		struct config *c = parse(yaml);
		assert_null(c->admin);
		config_destroy(c);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(yaml, sizeof yaml, "listen: %s\n", bad[i]);
		expect_complaint(yaml, "t.yaml:1:9: listen: ", "localhost:PORT or :PORT");
	}
	expect_complaint("listen: none\n", "t.yaml:1:9: listen: ", "no port");
	expect_complaint("listen: ':8081'\nadmin: ':8081'\n", "t.yaml:2:8: ", "both the public and the admin");
	config_destroy(parse("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"));
	expect_complaint("listen: 127.0.0.1:8081\n", "t.yaml:1:9: ", "both the public and the admin");
}

static void test_proxies_are_addresses_and_ranges(void **state)
{
	struct config *c = parse("trusted_proxies: [10.0.0.0/8, 127.0.0.1, '::1', fd00::/8]\n");
	struct address a;
	assert_int_equal(c->trusted_proxies.n, 4);
	assert_true(address_parse(SPAN("10.1.2.3"), &a) && forwarded_trusts(&c->trusted_proxies, &a));
	assert_true(address_parse(SPAN("fd12::1"), &a) && forwarded_trusts(&c->trusted_proxies, &a));
	assert_true(address_parse(SPAN("11.1.2.3"), &a) && !forwarded_trusts(&c->trusted_proxies, &a));
	config_destroy(c);
	expect_complaint("trusted_proxies: [10.0.0.1, proxy.example]", "t.yaml:1:29: trusted_proxies: ", "is no address");
	expect_complaint("trusted_proxies: [10.0.0.1/8]", "t.yaml:1:19: trusted_proxies: ", "more bits than its length");
	expect_complaint("trusted_proxies: [10.0.0.0/33]", "t.yaml:1:19: trusted_proxies: ", "from 0 to 32");
	expect_complaint("trusted_proxies: [['10.0.0.1']]", "t.yaml:1:19: trusted_proxies: ", "a list");
	expect_complaint("trusted_proxies: 10.0.0.1", "t.yaml:1:18: trusted_proxies: ", "ranges such as 10.0.0.0/8");
}

static void test_a_certificate_needs_its_key_and_its_files(void **state)
{
	expect_complaint("tls: { cert: /nowhere/c.pem }", "t.yaml:1:14: tls: ", "cert without key, expected both");
	expect_complaint("tls: { key: /nowhere/k.pem }", "t.yaml:1:13: tls: ", "key without cert, expected both");
	expect_complaint("tls: { cert: /nowhere/c.pem, key: k }", "t.yaml:1:14: tls.cert: ",
		"/nowhere/c.pem cannot be used: no such file");
	expect_complaint("tls: { cert: /, key: k }", "t.yaml:1:14: tls.cert: ", "is a directory");
	expect_complaint("tls: { cert: /dev/null, key: k }", "t.yaml:1:14: tls.cert: ", "is not a regular file");
	expect_complaint("tls: { cert: [c], key: k }", "t.yaml:1:14: tls.cert: ", "expected a file in PEM");
	expect_complaint("tls: { cert: c, keys: k }", "t.yaml:1:17: ", "did you mean \"key\"?");
}

static void test_hosts_and_origins(void **state)
{
	struct config *c = parse("hosts: [chat.example, 10.0.0.1, '::1']\n"
		"allow_origins: ['https://a.example', 'http://b:8080', 'http://[::1]:1']\n");
	assert_int_equal(c->hosts.n, 3);
	assert_string_equal(c->hosts.word[2], "::1");
	assert_int_equal(c->allow_origins.n, 3);
	config_destroy(c);
	expect_complaint("hosts: [a, 'b:80']", "t.yaml:1:12: hosts: ", "has a port");
	expect_complaint("hosts: ['http://a']", "t.yaml:1:9: hosts: ", "without ports");
	expect_complaint("hosts: [a b]", "t.yaml:1:9: hosts: ", "not a host's name");
	expect_complaint("hosts: ['']", "t.yaml:1:9: hosts: ", "no value");
	static const char *const bad[] = {"'*'", "null", "a.example", "https://", "https://a/", "https://A",
		"https://a?b", "ftp://a", "https://u@a"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char yaml[128];
		snprintf(yaml, sizeof yaml, "allow_origins: [%s]\n", bad[i]);
		expect_complaint(yaml, "t.yaml:1:17: allow_origins: ", "expected a list of origins");
	}
}

static void test_paths(void **state)
{
	static const char *const bad[] = {"x", "''", "/a/../b", "/a*", "/*/b", "/a?b", "/a#b", "//a", "/a b\\",
		"/streams", "/streams/*", "/streams/x",
		"/lastword.js", "/", "/%2e%2e/a", "/\xc3\xa9"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char yaml[256];
		snprintf(yaml, sizeof yaml, "routes:\n  - path: %s\n    upstream: http://h/\n", bad[i]);
		expect_complaint(yaml, "t.yaml:2:11: path: ", "expected a path");
	}
	struct config *c = parse("routes:\n  - { path: /*, upstream: http://h/ }\n"
		"  - { path: /a, upstream: http://h/ }\n  - { path: /a/*, upstream: http://h/ }\n");
	assert_string_equal(c->route[0].path, "/");
	assert_true(c->route[0].is_prefix);
	assert_int_equal(c->route[0].kind, ROUTE_PASSTHROUGH);
	config_destroy(c);
	expect_complaint("routes:\n- {path: /a, upstream: http://h/}\n- {path: /a, upstream: http://i/}\n",
		"t.yaml:3:10: path: ", "a second route /a");
	expect_complaint("routes:\n- {path: /a/*, upstream: http://h/}\n- {path: /a/*, upstream: http://i/}\n",
		"t.yaml:3:10: path: ", "a second route /a/*");
}

static void test_upstreams(void **state)
{
	struct config *c = parse("routes:\n  - { path: /a, upstream: unix:/run/x.sock:/generate }\n"
		"  - { path: /b, upstream: [http://h:81/q?r=1] }\n");
	assert_int_equal(c->route[0].upstream[0].url.scheme, URL_UNIX);
	assert_true(span_is(c->route[0].upstream[0].url.socket, "/run/x.sock"));
	assert_true(span_is(c->route[0].upstream[0].url.path, "/generate"));
	assert_int_equal(c->route[1].upstreams, 1);
	assert_int_equal(c->route[1].upstream[0].url.port, 81);
	assert_true(span_is(c->route[1].upstream[0].url.query, "r=1"));
	config_destroy(c);
	expect_complaint("routes:\n- path: /a\n", "t.yaml:2:3: ", "without upstream");
	expect_complaint("routes:\n- upstream: model\n", "t.yaml:2:3: ", "without path");
	expect_complaint("routes:\n- { path: /x, upstream: [model, http://h/] }\n", "t.yaml:2:25: upstream: ",
		"the first speaks openai-chat and another text");
	config_destroy(parse("routes:\n- { path: /x, upstream: [model, http://h/v1/chat/completions] }\n"
		"- { path: /y, upstream: [http://h/a, http://h/b], dialect: text }\n"
		"- { path: /v1/*, upstream: [http://h, model] }\n"));
	expect_complaint("routes:\n- {path: /a, upstream: []}\n", "t.yaml:2:24: upstream: ", "an empty list");
	expect_complaint("routes:\n- {path: /a, upstream: h:80}\n", "t.yaml:2:24: upstream: ", "expected model, http://");
	expect_complaint("routes:\n- {path: /a, upstream: ftp://h/}\n", "t.yaml:2:24: upstream: ",
		"expected model, http://");
}

static void test_a_password_in_an_url_is_refused_and_not_shown(void **state)
{
	struct complaint c = {.file = "t.yaml"};
	assert_null(config_parse(SPAN("routes:\n- {path: /a, upstream: 'http://me:hunter2@h/'}\n"), &c));
	assert_non_null(strstr(c.text, "t.yaml:2:24: upstream: "));
	assert_null(strstr(c.text, "hunter2"));
}

/* Request. */

static void expect_request(const char *yaml, const char *json)
{
	char members[512];
	snprintf(members, sizeof members, "dialect: openai-chat, request: %s", yaml);
	struct config *c = parse_route(members);
	if (json)
		assert_string_equal(c->route[0].request, json);
	else
		assert_null(c->route[0].request);
	config_destroy(c);
}

static void test_request_becomes_json_by_the_core_schema(void **state)
{
	expect_request("{}", NULL);
	expect_request("{ model: tiny, temperature: 0.20 }", "{\"model\":\"tiny\",\"temperature\":0.20}");
	expect_request("{ a: , b: ~, c: null, d: NULL, e: nULL }",
		"{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":\"nULL\"}");
	expect_request("{ a: true, b: False, c: yes, d: 'true' }", "{\"a\":true,\"b\":false,\"c\":\"yes\",\"d\":\"true\"}");
}

static void test_numbers_of_a_request_keep_their_digits(void **state)
{
	static const struct {
		const char *yaml, *json;
	} rows[] = {{"0", "0"}, {"-0", "-0"}, {"+7", "7"}, {"007", "7"}, {"12345678901234567890123",
		"12345678901234567890123"},
		{"0x1F", "31"}, {"0o17", "15"}, {"0xffffffffffffffff", "18446744073709551615"}, {"1.50", "1.50"}, {"1.",
			"1"}, {".5", "0.5"}, {"-.5", "-0.5"},
		{"1e5", "1e5"}, {"1.5E-3", "1.5e-3"}, {"1e+5", "1e+5"}, {"1e", "\"1e\""}, {".", "\".\""}, {"1_000",
			"\"1_000\""},
		{"0b1", "\"0b1\""}, {"0x", "\"0x\""}, {"0o8", "\"0o8\""}, {"1.2.3", "\"1.2.3\""}, {"12:30", "\"12:30\""},
			{"'5'", "\"5\""}, {"\"5\"", "\"5\""}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char yaml[128], json[128];
		snprintf(yaml, sizeof yaml, "{ a: %s }", rows[i].yaml);
		snprintf(json, sizeof json, "{\"a\":%s}", rows[i].json);
		expect_request(yaml, json);
	}
	expect_route_complaint("dialect: openai-chat, request: { a: .inf }", "a number that JSON has");
	expect_route_complaint("dialect: openai-chat, request: { a: -.INF }", "a number that JSON has");
	expect_route_complaint("dialect: openai-chat, request: { a: .nan }", "a number that JSON has");
	expect_route_complaint("dialect: openai-chat, request: { a: 0x10000000000000000 }", "64 bits");
}

static void test_a_request_nests_and_escapes(void **state)
{
	expect_request("{ a: [1, { b: x }, []], c: {} }", "{\"a\":[1,{\"b\":\"x\"},[]],\"c\":{}}");
	expect_request("{ \"a\\\"\\\\\": \"\\n\\x1b\\u2028\\x7f\" }", "{\"a\\\"\\\\\":\"\\u000a\\u001b\\u2028\\u007f\"}");
	expect_request("{ a: \xc3\xa9\xf0\x9f\x98\x80 }", "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\"}");
	expect_route_complaint("dialect: openai-chat, request: 5", "expected a map");
	expect_route_complaint("dialect: openai-chat, request: [a]", "expected a map");
	expect_route_complaint("dialect: openai-chat, request: { a: 1, a: 2 }", "said before");
}

static void test_text_upstreams_have_no_body_for_a_request(void **state)
{
	expect_route_complaint("request: { a: 1 }", "asked by GET");
	expect_route_complaint("dialect: text, request: { a: 1 }", "asked by GET");
	config_destroy(parse("routes:\n- { path: /a, upstream: http://h/v1/chat/completions, request: { a: 1 } }\n"));
	config_destroy(parse("routes:\n- { path: /a, upstream: model, request: { a: 1 } }\n"));
	config_destroy(parse("routes:\n- { path: /a/*, upstream: http://h/, request: { a: 1 } }\n"));
}

/* Rules. */

static void test_grace_leaves_time_to_come_back(void **state)
{
	config_destroy(parse_route("grace: 3s"));
	config_destroy(parse_route("grace: 0"));
	struct config *c = parse_route("grace: never");
	assert_true(c->route[0].grace_ms == NEVER_MS);
	config_destroy(c);
	expect_complaint("routes:\n- { path: /x, upstream: model, grace: 2999ms }\n", "t.yaml:2:39: grace: ",
		"expected 0, never or at least 3000 ms");
	expect_complaint("retry: 2s\n", "t.yaml:1:8: grace: ", "(the default) is shorter than 3 × retry");
	config_destroy(parse("retry: 2s\nroutes:\n- { path: /x, upstream: model, grace: 6s }\n"
		"- { path: /p, upstream: model, kind: passthrough, grace: 1s }\n"));
}

static void test_the_model_speaks_one_dialect(void **state)
{
	config_destroy(parse("routes:\n- { path: /x, upstream: model, dialect: openai-chat }\n"));
	expect_complaint("routes:\n- { path: /x, upstream: model, dialect: text }\n", "t.yaml:2:41: dialect: ",
		"does not speak text");
	expect_complaint("routes:\n- { path: /x/*, upstream: model, dialect: text }\n", "t.yaml:2:43: dialect: ",
		"does not speak text");
	expect_complaint("model: { file: none }\n", "t.yaml:1:16: ", "route /sse-proxy needs it");
}

static void test_end_markers_are_for_text(void **state)
{
	config_destroy(parse_route("dialect: text, end_marker: required"));
	config_destroy(parse_route("dialect: openai-chat, end_marker: optional"));
	expect_route_complaint("dialect: openai-chat, end_marker: none", "rules of its own");
}

/* Credentials. */

static char *write_secret(const char *bytes, size_t n)
{
	static char path[] = "/tmp/test_config_XXXXXX";
	strcpy(path + strlen(path) - 6, "XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	return path;
}

static void expect_secret(const char *bytes, size_t n, const char *secret)
{
	char members[256];
	char *path = write_secret(bytes, n);
	snprintf(members, sizeof members, "auth: 'file:%s'", path);
	if (secret) {
		struct config *c = parse_route(members);
		assert_int_equal(c->route[0].auth, AUTH_FILE);
		assert_string_equal(c->route[0].auth_name, path);
		assert_string_equal(c->route[0].auth_value, secret);
		config_destroy(c);
	} else {
		expect_route_complaint(members, path);
	}
	unlink(path);
}

static void test_secrets_come_from_files(void **state)
{
	static char large[9000];
	memset(large, 'k', sizeof large);
	expect_secret("key", 3, "key");
	expect_secret("key\n", 4, "key");
	expect_secret("key\r\n", 5, "key");
	expect_secret("a key", 5, "a key");
	expect_secret("key\n\n", 5, NULL);
	expect_secret("", 0, NULL);
	expect_secret("\n", 1, NULL);
	expect_secret("k\0y", 3, NULL);
	expect_secret("k\x7fy", 3, NULL);
	expect_secret("k\ry", 3, NULL);
	expect_secret(large, sizeof large, NULL);
	expect_route_complaint("auth: 'file:/nowhere/key'", "/nowhere/key: no such file");
	expect_route_complaint("auth: 'file:/dev/null'", "not a regular file");
	expect_route_complaint("auth: 'file:/tmp'", "is a directory");
	expect_route_complaint("auth: 'file:'", "expected none, client");
}

static void test_secrets_come_from_the_environment(void **state)
{
	setenv("LASTWORD_TEST_KEY", "canary-1\n", 1);
	struct config *c = parse_route("auth: env:LASTWORD_TEST_KEY, auth_header: x-api-key");
	assert_int_equal(c->route[0].auth, AUTH_ENV);
	assert_string_equal(c->route[0].auth_name, "LASTWORD_TEST_KEY");
	assert_string_equal(c->route[0].auth_value, "canary-1");
	assert_string_equal(c->route[0].auth_header, "x-api-key");
	char *text = printed(c);
	assert_null(strstr(text, "canary"));
	assert_non_null(strstr(text, "auth: env:LASTWORD_TEST_KEY  # (set)\n"));
	free(text);
	config_destroy(c);
	setenv("LASTWORD_TEST_KEY", "canary\x1b[0m", 1);
	struct complaint complaint = {.file = "t.yaml"};
	assert_null(config_parse(SPAN("routes:\n- { path: /x, upstream: http://h/, auth: env:LASTWORD_TEST_KEY }\n"),
		&complaint));
	assert_non_null(strstr(complaint.text, "control characters"));
	assert_null(strstr(complaint.text, "canary"));
	unsetenv("LASTWORD_TEST_KEY");
	expect_route_complaint("auth: env:LASTWORD_TEST_KEY", "environment variable LASTWORD_TEST_KEY is not set");
}

static void test_a_secret_that_stands_in_the_file_is_not_repeated(void **state)
{
	struct complaint c = {.file = "t.yaml"};
	assert_null(config_parse(SPAN("routes:\n- { path: /x, upstream: http://h/, auth: sk-canary }\n"), &c));
	assert_non_null(strstr(c.text, "env:NAME or file:PATH"));
	assert_null(strstr(c.text, "canary"));
}

/* Callers. */

static void set_keys(void)
{
	setenv("LASTWORD_TEST_A", "canary-of-alice-1234", 1);
	setenv("LASTWORD_TEST_B", "canary-of-bob+/==~56\n", 1);
}

static void test_callers_have_names_limits_and_digests(void **state)
{
	unsigned char digest[CALLER_DIGEST];
	set_keys();
	struct config *c = parse("keys:\n"
		"  - { name: alice, key: env:LASTWORD_TEST_A }\n"
		"  - { name: bob@x.y-z_1, key: env:LASTWORD_TEST_B, streams: 0, starts_per_minute: 1 }\n");
	assert_int_equal(c->callers.n, 2);
	const struct caller *alice = &c->callers.caller[0], *bob = &c->callers.caller[1];
	assert_string_equal(alice->name, "alice");
	assert_int_equal(alice->streams, 10);
	assert_int_equal(alice->starts_per_minute, 60);
	SHA256((const unsigned char *)"canary-of-alice-1234", 20, digest);
	assert_memory_equal(alice->key.digest, digest, CALLER_DIGEST);
	SHA256((const unsigned char *)"canary-of-bob+/==~56", 20, digest);
	assert_memory_equal(bob->key.digest, digest, CALLER_DIGEST);
	assert_string_equal(bob->name, "bob@x.y-z_1");
	assert_int_equal(bob->streams, 0);
	assert_int_equal(bob->starts_per_minute, 1);
	char *text = printed(c);
	assert_non_null(strstr(text, "keys:\n  - name: alice\n    key: env:LASTWORD_TEST_A  # (set)\n    streams: 10\n"));
	assert_null(strstr(text, "canary"));
	free(text);
	config_destroy(c);
}

static void expect_key_complaint(const char *members, const char *place, const char *words)
{
	char yaml[2048];
	set_keys();
	snprintf(yaml, sizeof yaml, "keys:\n  - { name: alice, key: env:LASTWORD_TEST_A }\n  - { %s }\n", members);
	expect_complaint(yaml, place, words);
	struct complaint c = {.file = "t.yaml"};
	assert_null(config_parse(span_str(yaml), &c));
	assert_null(strstr(c.text, "canary"));
}

static void test_mistakes_in_keys_name_their_place(void **state)
{
	expect_complaint("keys: alice\n", "t.yaml:1:7: keys: ", "a single value");
	expect_complaint("keys: { name: alice }\n", "t.yaml:1:7: keys: ", "a map");
	expect_complaint("keys: [alice]\n", "t.yaml:1:8: keys: ", "expected a map with name and key");
	expect_key_complaint("name: alice", "t.yaml:3:13: name: ", "a second key with the name alice");
	expect_key_complaint("name: bob", "t.yaml:3:5: ", "a key without key, expected env:NAME");
	expect_key_complaint("key: env:LASTWORD_TEST_B", "t.yaml:3:5: ", "a key without name, expected a name");
	expect_key_complaint("name: bob, key: env:LASTWORD_TEST_A", "t.yaml:3:23: key: ", "the same secret as that of alice");
	expect_key_complaint("name: 'b b'", "t.yaml:3:13: name: ", "\"b b\", expected a name of at most 64");
	expect_key_complaint("name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "t.yaml:3:13: ", "longer than 64");
	expect_key_complaint("name: bob, kye: env:LASTWORD_TEST_B", "t.yaml:3:18: ", "did you mean \"key\"");
	expect_key_complaint("name: bob, key: env:LASTWORD_TEST_B, streams: -1", "t.yaml:3:53: streams: ", "whole number");
	expect_key_complaint("name: bob, key: env:LASTWORD_TEST_B, starts_per_minute: 2000000", "t.yaml:3:", "at most 1000000");
	expect_key_complaint("name: bob, key: canary-of-carol-789", "t.yaml:3:23: key: ", "neither the name of a variable nor of a file");
	expect_key_complaint("name: bob, key: env:LASTWORD_TEST_NONE", "t.yaml:3:23: key: ", "LASTWORD_TEST_NONE is not set");
	expect_key_complaint("name: bob, key: file:/nowhere/key", "t.yaml:3:23: key: ", "no such file");
}

static void test_a_secret_must_be_long_and_fit_into_a_cookie(void **state)
{
	static const char *const wrong[] = {"canary-of-15byt", "canary of sixteen", "canary-of-carol;1", "canary-of-carol,1",
		"canary-of-carol\"1", "canary-of-carol\\1", "canary-of-c\xc3\xa4rol-1"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		setenv("LASTWORD_TEST_C", wrong[i], 1);
		expect_key_complaint("name: carol, key: env:LASTWORD_TEST_C", "t.yaml:3:25: key: the secret in LASTWORD_TEST_C ", i
			? "has a character that a cookie cannot carry, expected at least 16 bytes" : "shorter than 16 bytes");
	}
	unsetenv("LASTWORD_TEST_C");
}

static void test_clients_credentials_are_for_passthrough(void **state)
{
	expect_route_complaint("auth: client", "on a browser route");
	struct config *c = parse_route("kind: passthrough, auth: client");
	assert_int_equal(c->route[0].auth, AUTH_CLIENT);
	config_destroy(c);
	expect_route_complaint("auth_header: 'a b'", "a header's name");
}

/* The file's form. */

static void test_E16_mistakes_name_their_place(void **state)
{
	expect_complaint("\n\nheartbaet: 5s\n", "t.yaml:3:1: ", "unknown key \"heartbaet\", did you mean \"heartbeat\"?");
	expect_complaint("limits:\n  boddy: 5\n", "t.yaml:2:3: ", "did you mean \"body\"?");
	expect_complaint("route: []\n", "t.yaml:1:1: ", "did you mean \"routes\"?");
	expect_complaint("entirely_else: 5\n", "t.yaml:1:1: ", "expected a key of lastword --help");
	expect_complaint("limits.body: 5\n", "t.yaml:1:1: ", "a map in a map");
	expect_complaint("limits: 5\n", "t.yaml:1:9: ", "a single value, expected a map");
	expect_complaint("limits:\n", "t.yaml:1:8: ", "no value, expected a map");
	expect_complaint("routes:\n- { path: /x, upstream: model, graec: 5s }\n", "t.yaml:2:32: ",
		"did you mean \"grace\"?");
	expect_complaint("routes: /x\n", "t.yaml:1:9: routes: ", "a single value");
	expect_complaint("routes: []\n", "t.yaml:1:9: routes: ", "an empty list");
	expect_complaint("routes: {}\n", "t.yaml:1:9: routes: ", "a map");
	expect_complaint("routes: [a]\n", "t.yaml:1:10: routes: ", "a single value");
	expect_complaint("[]\n", "t.yaml:1:1: ", "a list, expected keys and values");
	expect_complaint("lastword\n", "t.yaml:1:1: ", "a single value, expected keys and values");
	expect_complaint("keep: 1s\nkeep: 2s\n", "t.yaml:2:1: ", "said before in line 1");
	expect_complaint("limits: { body: 1, body: 1 }\n", "t.yaml:1:20: ", "said before in line 1");
	expect_complaint("\xef\xbb\xbfkepp: 1s\n", "t.yaml:1:1: ", "did you mean \"keep\"?");
	expect_complaint("keep: \xc3\xa9s\n", "t.yaml:1:7: ", "\xc3\xa9s");
	expect_complaint("hosts: [\xc3\xa9, \"\\x1b\"]\n", "t.yaml:1:9: ", "not a host's name");
	expect_complaint("\"\\e[31m\": 1\n", "t.yaml:1:1: ", "unknown key \"?[31m\"");
}

static void test_E16_yaml_that_is_none(void **state)
{
	expect_complaint("a: [b\n", "t.yaml:2:1: ", "expected YAML");
	expect_complaint("a: b: c\n", "t.yaml:1:5: ", "expected YAML");
	expect_complaint("a:\n\t- b\n", "t.yaml:2:1: ", "expected YAML");
	expect_complaint("# \xc3\xa9\nab\xff\n", "t.yaml:2:3: ", "expected YAML");
	expect_complaint("a: \x01\n", "t.yaml:1:4: ", "expected YAML");
	expect_complaint("a: \"\\0\"\n", "t.yaml:1:4: ", "a NUL character");
}

static void test_E16_yaml_that_is_too_clever(void **state)
{
	expect_complaint("keep: &k 1s\n", "t.yaml:1:7: ", "an anchor");
	expect_complaint("keep: *k\n", "t.yaml:1:7: ", "an alias");
	expect_complaint("limits: &l { body: 1 }\n", "t.yaml:1:9: ", "an anchor");
	expect_complaint("hosts: &l []\n", "t.yaml:1:8: ", "an anchor");
	expect_complaint("keep: !!str 1s\n", "t.yaml:1:7: ", "a tag");
	expect_complaint("hosts: !x []\n", "t.yaml:1:8: ", "a tag");
	expect_complaint("keep: 1s\n---\nkeep: 2s\n", "t.yaml:2:1: ", "a second document");
	expect_complaint("{a: 1}: 5\n", "t.yaml:1:1: ", "as a key");
	expect_complaint("? [a]\n: 5\n", "t.yaml:1:3: ", "as a key");
}

static void test_size_and_depth_are_limited(void **state)
{
	struct buf yaml = {0};
	buf_put(&yaml, SPAN("routes: "));
	for (int i = 0; i < 200000; i++)
		buf_put(&yaml, SPAN("["));
	expect_complaint(buf_cstr(&yaml), "t.yaml:1:", "");
	buf_clear(&yaml);
	for (int i = 0; i < 1001; i++)
		buf_printf(&yaml, "k%d: 1\n", i);
	expect_complaint(buf_cstr(&yaml), "t.yaml:1001:1: ", "more than 1000 keys");
	buf_clear(&yaml);
	buf_put(&yaml, SPAN("hosts: ["));
	for (int i = 0; i < 100001; i++)
		buf_put(&yaml, SPAN("a,"));
	expect_complaint(buf_cstr(&yaml), "t.yaml:1:", "too many values");
	buf_clear(&yaml);
	for (int i = 0; i < 129; i++)
		buf_put_byte(&yaml, 'k');
	buf_put(&yaml, SPAN(": 1\n"));
	expect_complaint(buf_cstr(&yaml), "t.yaml:1:1: ", "more than 128 bytes");
	buf_finish(&yaml);
}

/* Values of routes. */

static void test_values_of_routes(void **state)
{
	expect_route_complaint("attach_retries: true, kind: passthrough", "a retry would come back too late");
	config_destroy(parse_route("attach_retries: true, kind: passthrough, grace: never"));
	config_destroy(parse_route("attach_retries: true, kind: passthrough, grace: 3s"));
	expect_route_complaint("retry_on: 503", "expected a list of statuses");
	expect_route_complaint("retry_on: [200]", "\"200\" is no status of an error");
	expect_route_complaint("retry_on: [400,401,402,403,404,405,406,407,408,409,410,411,412,413,414,415,416]", "more than 16");
	expect_route_complaint("dialect: gmini", "unknown dialect");
	expect_route_complaint("ca: /nowhere/ca.pem", "cannot read /nowhere/ca.pem: No such file or directory");
	config_destroy(parse("workers: auto\ntrusted_proxies: []\nkeys: []\ntls: {}\n"));
	config_destroy(parse_route("retry_on: [503, 429], dialect: auto, ca: system, attach_retries: false, "
		"done_after_error: false"));
}

/* Printing. */

static void expect_same_again(const char *yaml)
{
	struct config *c = parse(yaml);
	char *first = printed(c);
	config_destroy(c);
	c = parse(first);
	char *second = printed(c);
	assert_string_equal(first, second);
	free(first);
	free(second);
	config_destroy(c);
}

static void test_what_is_printed_means_the_same(void **state)
{
	expect_same_again("");
	expect_same_again("listen: '[::1]:0'\nadmin: none\nhosts: ['::1', a]\nallow_origins: ['http://a:1']\n"
		"trusted_proxies: ['::1', 10.0.0.0/8, '::ffff:10.0.0.1', '2001:DB8::/33']\n"
		"model: { file: './a b: #c' }\nkeep: 90s\n"
			  "memory: 1048577\nlimits: { streams: 0 }\n");
	set_keys();
	expect_same_again("keys: [{ name: '007', key: env:LASTWORD_TEST_A, streams: 0 }, { name: b, key: env:LASTWORD_TEST_B }]\n");
	expect_same_again("routes:\n"
		"- { path: /a, upstream: 'unix:/a b:/c', grace: never, auth: env:HOME,"
			  "  end_events: ['-', 'a, b'], end_data: [\"\\t]\"] }\n"
			  "- { path: /*, upstream: model, request: { a: { 'b\"\\': [1, null, \"\\u2028\"] } }, auth: client }\n");
}

static void test_every_option_is_documented(void **state)
{
	struct buf help = {0}, man = {0};
	config_print_help(append, &help);
	config_print_man(append, &man);
	assert_non_null(buf_cstr(&help));
	assert_non_null(buf_cstr(&man));
	for (size_t i = 0; i < config_option_count; i++) {
		const struct option *o = &config_option_rows[i];
		assert_non_null(o->sentence);
		assert_non_null(strstr(help.p, o->path));
		assert_non_null(strstr(man.p, o->path));
	}
	for (span rest = buf_span(&help); rest.n; rest = span_from(rest, span_find(rest, '\n') + 1)) {
		size_t chars = 0;
		for (size_t i = 0; i < span_find(rest, '\n'); i++)
			chars += ((unsigned char)rest.p[i] & 0xc0) != 0x80;
		assert_in_range(chars, 0, 100);
	}
	for (enum flag f = 0; f < FLAGS; f++)
		assert_non_null(strstr(help.p, config_cli_rows[f].name));
	assert_non_null(strstr(man.p, "CHECKING AN UPSTREAM"));
	config_print_probe_help(append, &help);
	assert_non_null(buf_cstr(&help));
	for (enum probe_flag f = 0; f < PROBE_FLAGS; f++) {
		const struct flag_row *row = &config_probe_rows[f];
		assert_non_null(strstr(help.p, row->name));
		assert_true(!row->path || config_option_find(OF_ROUTE, span_str(row->path)));
	}
	for (size_t i = 0; i < man.n; i++) /* roff's escapes are for what lies beyond */
		assert_true((unsigned char)man.p[i] < 0x80);
	buf_finish(&help);
	buf_finish(&man);
}

/* The command line. */

static enum config_action load(struct config **out, struct complaint *c, const char *const *args)
{
	struct flags f;
	struct tree t = {0};
	char *argv[16] = {"lastword"};
	int argc = 1;
	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	enum config_action action = config_cli_parse(&f, argc, argv, c);
	*out = NULL;
	if (action == CONFIG_RUN || action == CONFIG_CHECK) {
		const struct node *text = config_cli_said(&f, FLAG_CONFIG); /* here the text of the file itself */
		c->file = "t.yaml";
		if (!text || config_tree_parse(&t, text->text, false, c))
			*out = config_bind(t.root, &f, c);
		config_tree_finish(&t);
	}
	return action;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct config *run(const char *const *args)
{
	struct complaint c = {0};
	struct config *config;
	assert_int_equal(load(&config, &c, args), CONFIG_RUN);
	assert_string_equal(c.text, "");
	assert_non_null(config);
	return config;
}

static void expect_wrong(const char *const *args, const char *place, const char *words)
{
	struct complaint c = {0};
	struct config *config;
	(void)!load(&config, &c, args);
	if (config || strncmp(c.text, place, strlen(place)) || !strstr(c.text, words))
		fail_msg("says      %s\ninstead of %s … %s", c.text, place, words);
}

static void test_flags_win_over_the_file(void **state)
{
	struct config *c = run(ARGS("--listen=:1", "--admin", "none", "--model", "x.gguf", "--workers", "1", "--config",
		"listen: ':2'\nadmin: ':3'\nmodel: { file: y.gguf, slots: 3 }\nworkers: 7\n"));
	assert_string_equal(c->listen, ":1");
	assert_null(c->admin);
	assert_string_equal(c->model.file, "x.gguf");
	assert_int_equal(c->model.slots, 3);
	assert_int_equal(c->workers, 1);
	config_destroy(c);
}

static void test_upstream_alone_is_the_only_route(void **state)
{
	struct config *c = run(ARGS("--upstream", "http://h:8000/generate"));
	assert_int_equal(c->routes, 1);
	assert_string_equal(c->route[0].path, "/sse-proxy");
	assert_string_equal(c->route[0].upstream[0].text, "http://h:8000/generate");
	assert_true(c->route[0].dialect_auto);
	assert_int_equal(c->route[0].first_event_ms, 60000);
	assert_false(config_wants_model(c));
	config_destroy(c);
	c = run(ARGS("--model", "none", "--upstream", "http://h/"));
	assert_true(c->model.is_none);
	config_destroy(c);
	c = run(ARGS("--upstream", "http://h/", "--config", "keep: 1s\n"));
	assert_int_equal(c->routes, 1);
	config_destroy(c);
}

static void test_upstream_replaces_that_of_the_page(void **state)
{
	struct config *c = run(ARGS("--upstream", "http://h/", "--config",
		"routes:\n- { path: /a, upstream: http://i/ }\n"
			"- { path: /sse-proxy, upstream: model, dialect: openai-chat, data: json }\n"));
	assert_string_equal(c->route[0].upstream[0].text, "http://i/");
	assert_string_equal(c->route[1].upstream[0].text, "http://h/");
	assert_true(c->route[1].dialect_auto);
	assert_true(c->route[1].json);
	assert_false(config_wants_model(c));
	config_destroy(c);
	expect_wrong(ARGS("--upstream", "http://h/", "--config", "routes:\n- { path: /a, upstream: http://i/ }\n"),
		"lastword: --upstream: ",
		"no route /sse-proxy");
}

static void test_wrong_flags_are_named(void **state)
{
	expect_wrong(ARGS("--listn", ":1"), "lastword: --listn: ", "did you mean --listen?");
	expect_wrong(ARGS("--list"), "lastword: --list: ", "did you mean --listen?");
	expect_wrong(ARGS("-l"), "lastword: -l: ", "unknown flag");
	expect_wrong(ARGS("word"), "lastword: word: ", "unknown argument");
	expect_wrong(ARGS(""), "lastword: : ", "unknown argument");
	expect_wrong(ARGS("check", "http://h/"), "lastword: check: ", "expected a flag");
	expect_wrong(ARGS("--listen"), "lastword: --listen: ", "expected ADDR");
	expect_wrong(ARGS("--listen="), "lastword: --listen: ", "no value");
	expect_wrong(ARGS("--listen", "8080"), "lastword: --listen: \"8080\" has no port", "expected");
	expect_wrong(ARGS("--listen", ":1", "--listen", ":1"), "lastword: --listen: ", "said twice");
	expect_wrong(ARGS("--check-config=1"), "lastword: --check-config: ", "takes no value");
	expect_wrong(ARGS("--workers", "0"), "lastword: --workers: ", "expected");
	expect_wrong(ARGS("--model", "none"), "lastword: --model: ", "needs it as its upstream");
	expect_wrong(ARGS("--admin", "127.0.0.1:8080"), "lastword: --admin: ", "both");
}

static void test_help_and_version_need_nothing_else(void **state)
{
	struct complaint c = {0};
	struct config *config;
	assert_int_equal(load(&config, &c, ARGS("--version")), CONFIG_VERSION);
	assert_int_equal(load(&config, &c, ARGS("--help", "--nonsense")), CONFIG_HELP);
	assert_int_equal(load(&config, &c, ARGS("--listen", "nonsense", "--help")), CONFIG_HELP);
	assert_int_equal(load(&config, &c, ARGS("--check-config")), CONFIG_CHECK);
	config_destroy(config);
}

/* Nothing breaks it. */

static const char rich[] = "listen: ':1'\nhosts: [a, b]\ntrusted_proxies: [10.0.0.1]\nlimits: { body: 1KiB }\n"
	"keys: [{ name: a, key: env:LASTWORD_TEST_A }]\nroutes:\n  - path: /x\n"
	"    upstream: [http://h/v1/chat/completions]\n"
			   "    request: { a: [1, \"\\u00e9\", { b: ~ }] }\n    auth: env:HOME\n    end_data: ['x']\n"
				"  - { path: /y/*, upstream: model }\n";

static void test_a_file_may_end_anywhere(void **state)
{
	set_keys();
	for (size_t n = 0; n < sizeof rich; n++) {
		struct complaint c = {.file = "t.yaml"};
		struct config *config = config_parse(span_of(rich, n), &c);
		assert_true(!config == (c.text[0] != 0));
		config_destroy(config);
	}
}

static void test_E7_memory_may_run_out_anywhere(void **state)
{
	bool whole = false;
	set_keys();
	for (long n = 0; !whole; n++) {
		struct complaint c = {.file = "t.yaml"};
		allocations_left = n;
		struct config *config = config_parse(span_str(rich), &c);
		allocations_left = LONG_MAX;
		whole = config != NULL;
		if (!whole)
			assert_non_null(strstr(c.text, "out of memory"));
		config_destroy(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_file_the_model_answers_pages_and_sdks),
		cmocka_unit_test(test_an_empty_document_is_a_configuration),
		cmocka_unit_test(test_defaults_depend_on_kind_and_upstream),
		cmocka_unit_test(test_a_route_has_the_defaults_of_dialect_text),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_counts_and_words),
		cmocka_unit_test(test_listen_addresses),
		cmocka_unit_test(test_proxies_are_addresses_and_ranges),
		cmocka_unit_test(test_a_certificate_needs_its_key_and_its_files),
		cmocka_unit_test(test_hosts_and_origins),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_upstreams),
		cmocka_unit_test(test_a_password_in_an_url_is_refused_and_not_shown),
		cmocka_unit_test(test_request_becomes_json_by_the_core_schema),
		cmocka_unit_test(test_numbers_of_a_request_keep_their_digits),
		cmocka_unit_test(test_a_request_nests_and_escapes),
		cmocka_unit_test(test_text_upstreams_have_no_body_for_a_request),
		cmocka_unit_test(test_grace_leaves_time_to_come_back),
		cmocka_unit_test(test_the_model_speaks_one_dialect),
		cmocka_unit_test(test_end_markers_are_for_text),
		cmocka_unit_test(test_secrets_come_from_files),
		cmocka_unit_test(test_secrets_come_from_the_environment),
		cmocka_unit_test(test_a_secret_that_stands_in_the_file_is_not_repeated),
		cmocka_unit_test(test_callers_have_names_limits_and_digests),
		cmocka_unit_test(test_mistakes_in_keys_name_their_place),
		cmocka_unit_test(test_a_secret_must_be_long_and_fit_into_a_cookie),
		cmocka_unit_test(test_clients_credentials_are_for_passthrough),
		cmocka_unit_test(test_E16_mistakes_name_their_place),
		cmocka_unit_test(test_E16_yaml_that_is_none),
		cmocka_unit_test(test_E16_yaml_that_is_too_clever),
		cmocka_unit_test(test_size_and_depth_are_limited),
		cmocka_unit_test(test_values_of_routes),
		cmocka_unit_test(test_what_is_printed_means_the_same),
		cmocka_unit_test(test_every_option_is_documented),
		cmocka_unit_test(test_flags_win_over_the_file),
		cmocka_unit_test(test_upstream_alone_is_the_only_route),
		cmocka_unit_test(test_upstream_replaces_that_of_the_page),
		cmocka_unit_test(test_wrong_flags_are_named),
		cmocka_unit_test(test_help_and_version_need_nothing_else),
		cmocka_unit_test(test_a_file_may_end_anywhere),
		cmocka_unit_test(test_E7_memory_may_run_out_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
