/* The parts of lastword-model that know neither libllama nor a loop: chat requests, stop strings, the line, what is
 * printed, the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

#include "model/chat.h"
#include "model/frames.h"
#include "model/line.h"
#include "model/options.h"

/* Chat requests. */

static struct chat *good(const char *body)
{
	struct chat_complaint wrong = {0};
	struct chat *c = chat_parse(span_str(body), &wrong);
	if (!c)
		print_error("%s\n%s\n", body, wrong.message);
	assert_non_null(c);
	return c;
}

/* A request with these members besides its message is refused, and the complaint holds these words. */
static void bad(const char *members, const char *words)
{
	struct chat_complaint wrong = {0};
	struct buf body = {0};
	buf_printf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],%s}", members);
	assert_null(chat_parse(buf_span(&body), &wrong));
	if (!strstr(wrong.message, words))
		print_error("%s\n%s\n", members, wrong.message);
	assert_non_null(strstr(wrong.message, words));
	buf_finish(&body);
}

static void bad_body(const char *body, const char *words)
{
	struct chat_complaint wrong = {0};
	assert_null(chat_parse(span_str(body), &wrong));
	assert_non_null(strstr(wrong.message, words));
}

static void the_least_that_a_request_needs(void **state)
{
	struct chat *c = good("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
	assert_int_equal(c->messages, 1);
	assert_string_equal(c->message[0].role, "user");
	assert_string_equal(c->message[0].content, "hi");
	assert_int_equal(c->max_tokens, 512);
	assert_false(c->stream);
	assert_false(c->include_usage);
	assert_true(c->sampling.temperature == 0.3 && c->sampling.top_p == 0.9 && c->sampling.min_p == 0.05 &&
	            c->sampling.top_k == 40);
	assert_false(c->sampling.has_seed);
	chat_destroy(c);
}

static void everything_that_a_request_can_say(void **state)
{
	struct chat *c = good(
		"{\"model\":\"whatever\",\"user\":\"u\",\"messages\":[{\"role\":\"developer\",\"content\":\"be brief\"},"
		"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\\n\\ud83d\\ude80\"}]},"
		"{\"role\":\"assistant\",\"content\":\"\"}],\"temperature\":0,\"top_p\":1,\"min_p\":0.5,\"top_k\":7,\"repeat_penalty\":1.1,"
		"\"presence_penalty\":-2,\"frequency_penalty\":2,\"seed\":42,\"max_tokens\":9,\"stop\":[\"END\",\"\\n\\n\"],"
		"\"logit_bias\":{\"17\":-100,\"4\":1.5},\"stream\":true,\"stream_options\":{\"include_usage\":true},"
		"\"n\":1,\"tools\":[],\"response_format\":{\"type\":\"text\"},\"logprobs\":false}");
	assert_int_equal(c->messages, 3);
	assert_string_equal(c->message[0].role, "system");
	assert_string_equal(c->message[1].content, "ab\n\xF0\x9F\x9A\x80");
	assert_string_equal(c->message[2].content, "");
	assert_true(c->sampling.temperature == 0 && c->sampling.top_p == 1 && c->sampling.min_p == 0.5);
	assert_true(c->sampling.repeat_penalty == 1.1 && c->sampling.presence_penalty == -2 &&
	            c->sampling.frequency_penalty == 2);
	assert_int_equal(c->sampling.top_k, 7);
	assert_true(c->sampling.has_seed);
	assert_int_equal(c->sampling.seed, 42);
	assert_int_equal(c->max_tokens, 9);
	assert_int_equal(c->stops.n, 2);
	assert_int_equal(c->sampling.biases, 2);
	assert_true(c->stream && c->include_usage);
	chat_destroy(c);
}

static void null_is_left_out(void **state)
{
	struct chat *c = good("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"temperature\":null,\"stop\":null,\"seed\":null,"
	                      "\"max_tokens\":null,\"stream\":null,\"stream_options\":null,\"logit_bias\":null,\"n\":null,"
	                      "\"response_format\":null,\"tools\":null}");
	assert_true(c->sampling.temperature == 0.3);
	assert_int_equal(c->max_tokens, 512);
	chat_destroy(c);
}

static void the_newer_name_of_max_tokens_wins(void **state)
{
	struct chat *c = good("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":5,\"max_completion_tokens\":6}");
	assert_int_equal(c->max_tokens, 6);
	chat_destroy(c);
}

static void a_seed_may_be_any_whole_number(void **state)
{
	struct chat *c = good("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"seed\":-1}");
	assert_true(c->sampling.has_seed);
	chat_destroy(c);
}

static void numbers_outside_their_range_are_refused(void **state)
{
	bad("\"temperature\":2.1", "\"temperature\" must be a number from 0 to 2");
	bad("\"temperature\":\"0\"", "temperature");
	bad("\"top_p\":-0.1", "top_p");
	bad("\"min_p\":1.5", "min_p");
	bad("\"top_k\":1.5", "\"top_k\" must be a whole number");
	bad("\"repeat_penalty\":0", "repeat_penalty");
	bad("\"presence_penalty\":3", "presence_penalty");
	bad("\"frequency_penalty\":-3", "frequency_penalty");
	bad("\"max_tokens\":0", "\"max_tokens\" must be a whole number, at least 1");
	bad("\"max_completion_tokens\":1.5", "max_completion_tokens");
	bad("\"seed\":1.5", "seed");
}

static void members_of_the_wrong_kind_are_refused(void **state)
{
	bad("\"stream\":1", "\"stream\" must be true or false");
	bad("\"stream_options\":true", "stream_options");
	bad("\"stream_options\":{\"include_usage\":1}", "include_usage");
	bad("\"stop\":7", "\"stop\" must be");
	bad("\"stop\":[\"\"]", "\"stop\" must be");
	bad("\"stop\":[7]", "\"stop\" must be");
	bad("\"logit_bias\":[]", "logit_bias");
	bad("\"logit_bias\":{\"x\":1}", "logit_bias");
	bad("\"logit_bias\":{\"\":1}", "logit_bias");
	bad("\"logit_bias\":{\"1\":101}", "logit_bias");
	bad("\"logit_bias\":{\"99999999999\":1}", "logit_bias");
}

static void what_is_not_built_is_refused_not_ignored(void **state)
{
	bad("\"n\":2", "\"n\" must be 1");
	bad("\"tools\":[{}]", "no tools");
	bad("\"functions\":[{}]", "no tools");
	bad("\"logprobs\":true", "logprobs");
	bad("\"response_format\":{\"type\":\"json_object\"}", "response_format");
}

static void messages_are_judged(void **state)
{
	bad_body("{}", "\"messages\" must be a list");
	bad_body("{\"messages\":[]}", "\"messages\" must be a list");
	bad_body("{\"messages\":\"hi\"}", "\"messages\" must be a list");
	bad_body("{\"messages\":[7]}", "\"role\"");
	bad_body("{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "\"role\"");
	bad_body("{\"messages\":[{\"role\":\"user\"}]}", "\"content\"");
	bad_body("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", "text only");
}

static void bodies_that_are_no_json_object(void **state)
{
	bad_body("", "not valid JSON");
	bad_body("{", "not valid JSON");
	bad_body("{\"messages\":[],\"messages\":[]}", "not valid JSON");
	bad_body("{\"messages\":[{\"role\":\"user\",\"content\":\"\\u0000\"}]}", "not valid JSON");
	bad_body("{\"messages\":[{\"role\":\"user\",\"content\":\"\xFF\"}]}", "not valid JSON");
	bad_body("[]", "must be a JSON object");
}

static void a_prompt_is_one_message(void **state)
{
	struct chat_complaint wrong;
	struct chat *c = chat_of_prompt(SPAN("h\xC3\xA9"), &wrong);
	assert_non_null(c);
	assert_int_equal(c->messages, 1);
	assert_string_equal(c->message[0].content, "h\xC3\xA9");
	assert_true(c->stream);
	chat_destroy(c);
	assert_null(chat_of_prompt(SPAN(""), &wrong));
	assert_null(chat_of_prompt(SPAN("a\0b"), &wrong));
	assert_null(chat_of_prompt(SPAN("\xC3"), &wrong));
}

/* Stop strings. */

static void add_stops(struct stops *s, const char *const *words)
{
	for (; *words; words++)
		assert_true(stops_add(s, span_str(*words)));
}

/* Feeds the text in pieces of at most n bytes; what came out is in out. */
static bool feed_in_pieces(const struct stops *s, span text, size_t n, struct buf *out)
{
	struct stop m = {.stops = s};
	bool found = false;
	while (text.n && !found) {
		found = stop_feed(&m, span_first(text, n), out);
		text = span_from(text, n < text.n ? n : text.n);
	}
	if (!found)
		stop_flush(&m, out);
	stop_finish(&m);
	return found;
}

static void expect_stop(const char *const *words, const char *text, const char *expected, bool found)
{
	struct stops s = {0};
	add_stops(&s, words);
	for (size_t n = 1; n <= strlen(text); n++) {
		struct buf out = {0};
		assert_int_equal(feed_in_pieces(&s, span_str(text), n, &out), found);
		assert_true(span_is(buf_span(&out), expected));
		buf_finish(&out);
	}
	stops_finish(&s);
}

static void text_ends_before_a_stop_string_however_it_is_sliced(void **state)
{
	expect_stop((const char *[]){"END", NULL}, "one two END three", "one two ", true);
	expect_stop((const char *[]){"END", NULL}, "END", "", true);
	expect_stop((const char *[]){"aab", NULL}, "aaaab!", "aa", true);
	expect_stop((const char *[]){"abab", NULL}, "ababab", "", true);
	expect_stop((const char *[]){"\n\n", NULL}, "a\nb\n\nc", "a\nb", true);
	expect_stop((const char *[]){"\xF0\x9F\x9A\x80", NULL}, "go \xF0\x9F\x9A\x80!", "go ", true);
}

static void of_several_the_first_that_is_whole_wins(void **state)
{
	expect_stop((const char *[]){"abcd", "bc", NULL}, "xabcd", "xa", true);
	expect_stop((const char *[]){"bc", "abc", NULL}, "xabc", "x", true);
	expect_stop((const char *[]){"zzz", "c", NULL}, "abc", "ab", true);
}

static void without_a_match_all_text_goes(void **state)
{
	expect_stop((const char *[]){"END", NULL}, "the EN", "the EN", false);
	expect_stop((const char *[]){"END", "ENOUGH", NULL}, "ENENO", "ENENO", false);
	expect_stop((const char *[]){NULL}, "anything", "anything", false);
}

static void only_what_may_begin_a_stop_string_is_held(void **state)
{
	struct stops s = {0};
	struct buf out = {0};
	assert_true(stops_add(&s, SPAN("<stop>")));
	struct stop m = {.stops = &s};
	assert_false(stop_feed(&m, SPAN("a <b> <st"), &out));
	assert_true(span_is(buf_span(&out), "a <b> "));
	assert_false(stop_feed(&m, SPAN("x"), &out));
	assert_true(span_is(buf_span(&out), "a <b> <stx"));
	stop_finish(&m);
	buf_finish(&out);
	stops_finish(&s);
}

static void stop_strings_have_limits(void **state)
{
	struct stops s = {0};
	char longest[STOP_BYTES + 1];
	memset(longest, 'x', sizeof longest);
	assert_false(stops_add(&s, span_of(longest, STOP_BYTES + 1)));
	assert_false(stops_add(&s, SPAN("")));
	for (int i = 0; i < STOPS; i++)
		assert_true(stops_add(&s, span_of(longest, STOP_BYTES)));
	assert_false(stops_add(&s, SPAN("x")));
	stops_finish(&s);
}

/* The line. Members write down each place they are told. */

struct guest {
	struct line_member member;
	char name;
};

static char told[256];

static void note_place(struct line_member *m, unsigned place)
{
	size_t n = strlen(told);
	snprintf(told + n, sizeof told - n, "%c%u ", ((struct guest *)m)->name, place);
}

static void expect_told(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = 0;
}

static void open_line(struct line *l, unsigned slots, unsigned capacity, struct guest guest[6])
{
	told[0] = 0;
	line_init(l, slots, capacity, note_place);
	for (int i = 0; i < 6; i++)
		guest[i] = (struct guest){.name = (char)('a' + i)};
}

static void guests_are_served_in_the_order_in_which_they_came(void **state)
{
	struct line l;
	struct guest g[6];
	open_line(&l, 1, 5, g);
	for (int i = 0; i < 4; i++)
		line_enter(&l, &g[i].member);
	expect_told("a0 b1 c2 d3 ");
	line_leave(&l, &g[0].member);
	expect_told("b0 c1 d2 ");
	line_leave(&l, &g[1].member);
	expect_told("c0 d1 ");
	line_leave(&l, &g[2].member);
	line_leave(&l, &g[3].member);
	expect_told("d0 ");
	assert_int_equal(l.served + l.waiting, 0);
}

static void who_leaves_the_queue_moves_only_those_behind(void **state)
{
	struct line l;
	struct guest g[6];
	open_line(&l, 2, 4, g);
	for (int i = 0; i < 6; i++)
		line_enter(&l, &g[i].member);
	expect_told("a0 b0 c1 d2 e3 f4 ");
	line_leave(&l, &g[3].member);
	expect_told("e2 f3 ");
	line_leave(&l, &g[5].member);
	expect_told("");
	line_leave(&l, &g[1].member);
	expect_told("c0 e1 ");
	line_leave(&l, &g[1].member);
	expect_told("");
}

static void a_line_is_full_when_all_places_are_taken(void **state)
{
	struct line l;
	struct guest g[6];
	open_line(&l, 1, 1, g);
	assert_false(line_is_full(&l));
	line_enter(&l, &g[0].member);
	assert_false(line_is_full(&l));
	line_enter(&l, &g[1].member);
	assert_true(line_is_full(&l));
	line_leave(&l, &g[1].member);
	assert_false(line_is_full(&l));

	open_line(&l, 1, 0, g);
	line_enter(&l, &g[0].member);
	assert_true(line_is_full(&l));
}

/* Frames. */

static void expect_printed(struct buf *out, const char *expected)
{
	if (!span_is(buf_span(out), expected))
		print_error("%.*s", SPAN_ARG(buf_span(out)));
	assert_true(span_is(buf_span(out), expected));
	buf_finish(out);
}

/* The JSON of a one-line `data:` block. */
static json_t *data_of(struct buf *out)
{
	span s = buf_span(out);
	assert_true(span_starts(s, SPAN("data: ")) && s.n > 8 && s.p[s.n - 1] == '\n' && s.p[s.n - 2] == '\n');
	json_t *root = json_loadb(s.p + 6, s.n - 8, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	buf_clear(out);
	return root;
}

static json_t *choice_of(json_t *root) { return json_array_get(json_object_get(root, "choices"), 0); }

static void chunks_are_what_openai_sends(void **state)
{
	struct frames f;
	struct buf out = {0};
	frames_init(&f, "tiny \"one\"", false);
	frames_role(&out, &f);
	json_t *root = data_of(&out);
	assert_string_equal(json_string_value(json_object_get(root, "object")), "chat.completion.chunk");
	assert_string_equal(json_string_value(json_object_get(root, "model")), "tiny \"one\"");
	assert_int_equal(strncmp(json_string_value(json_object_get(root, "id")), "chatcmpl-", 9), 0);
	assert_null(json_object_get(root, "usage"));
	assert_string_equal(json_string_value(json_object_get(json_object_get(choice_of(root), "delta"), "role")),
	                    "assistant");
	assert_true(json_is_null(json_object_get(choice_of(root), "finish_reason")));
	json_decref(root);

	frames_content(&out, &f, SPAN("a\n\"\xC3\xA9"));
	root = data_of(&out);
	assert_string_equal(json_string_value(json_object_get(json_object_get(choice_of(root), "delta"), "content")),
	                    "a\n\"\xC3\xA9");
	json_decref(root);
	buf_finish(&out);
}

static void an_answer_ends_with_finish_usage_and_done(void **state)
{
	struct frames f;
	struct buf out = {0};
	frames_init(&f, "m", true);
	frames_finish(&out, &f, "length", (struct frames_usage){3, 4});
	const char *text = buf_cstr(&out), *finish = strstr(text, "\"finish_reason\":\"length\""),
		*none = strstr(text, "\"usage\":null");
	const char *usage = strstr(text,
	                           "\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}");
	const char *done = strstr(text, "\n\ndata: [DONE]\n\n");
	assert_true(finish && none && usage && done && finish < none && none < usage && usage < done && !done[16]);
	buf_clear(&out);
	frames_init(&f, "m", false);
	frames_finish(&out, &f, "stop", (struct frames_usage){3, 4});
	assert_null(strstr(buf_cstr(&out), "usage"));
	buf_finish(&out);
}

static void an_error_frame_is_raised_by_sdks(void **state)
{
	struct buf out = {0};
	frames_error(&out, "broken");
	expect_printed(&out,
	               "data: {\"error\":{\"message\":\"broken\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n");
}

static void a_whole_completion(void **state)
{
	struct frames f;
	struct buf out = {0};
	frames_init(&f, "m", false);
	frames_completion(&out, &f, SPAN("hi"), "stop", (struct frames_usage){1, 2});
	json_t *root = json_loadb(out.p, out.n, 0, NULL), *choice = choice_of(root);
	assert_string_equal(json_string_value(json_object_get(root, "object")), "chat.completion");
	assert_string_equal(json_string_value(json_object_get(json_object_get(choice, "message"), "content")), "hi");
	assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "stop");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "usage"), "total_tokens")), 3);
	json_decref(root);
	buf_finish(&out);
}

static void plain_blocks_keep_lines_and_lose_carriage_returns(void **state)
{
	struct buf out = {0};
	bool after_cr = false;
	frames_plain(&out, SPAN(" two\nlines\r"), &after_cr);
	frames_plain(&out, SPAN("\n"), &after_cr);
	frames_plain(&out, SPAN("\nx"), &after_cr);
	expect_printed(&out, "data:  two\ndata: lines\ndata: \n\ndata: \ndata: x\n\n");
}

static void plain_last_words(void **state)
{
	struct buf out = {0};
	frames_queue(&out, 3);
	frames_plain_close(&out, "stop");
	expect_printed(&out, ": queue 3\n\nevent: close\ndata: {\"finish\":\"stop\"}\n\n");
	frames_plain_failed(&out, "broken");
	expect_printed(&out,
	               "event: failed\ndata: {\"error\":{\"message\":\"broken\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n");
}

static void each_answer_has_an_id_of_its_own(void **state)
{
	struct frames a, b;
	frames_init(&a, "m", false);
	frames_init(&b, "m", false);
	assert_string_not_equal(a.id, b.id);
	assert_int_equal(strlen(a.id), strlen("chatcmpl-") + 24);
}

/* The command line. */

static enum options_action parse(const char *line, struct options *o, char why[300])
{
	static char words[512];
	char *argv[32] = {"lastword-model"};
	int argc = 1;
	snprintf(words, sizeof words, "%s", line);
	for (char *rest = words, *word; (word = strtok_r(rest, " ", &rest));)
		argv[argc++] = word;
	why[0] = 0;
	return options_parse(argc, argv, o, why, 300);
}

static void a_command_line(void **state)
{
	struct options o;
	char why[300];
	assert_int_equal(parse("--model m.gguf --listen=127.0.0.1:0", &o, why), OPTIONS_RUN);
	assert_string_equal(o.model, "m.gguf");
	assert_string_equal(o.listen, "127.0.0.1:0");
	assert_int_equal(o.listen_fd, -1);
	assert_int_equal(o.lifeline_fd, -1);
	assert_int_equal(o.context, 4096);
	assert_int_equal(o.slots, 8);
	assert_int_equal(o.queue, 64);
	assert_int_equal(o.threads, 0);
	assert_int_equal(parse("--model m --listen-fd 3 --lifeline-fd 4 --context 512 --slots 2 --queue 0 --threads 1", &o,
	                       why), OPTIONS_RUN);
	assert_int_equal(o.listen_fd, 3);
	assert_int_equal(o.lifeline_fd, 4);
	assert_int_equal(o.context, 512);
	assert_int_equal(o.slots, 2);
	assert_int_equal(o.queue, 0);
	assert_int_equal(o.threads, 1);
	assert_int_equal(parse("--model m --help", &o, why), OPTIONS_HELP);
	assert_int_equal(parse("--version", &o, why), OPTIONS_VERSION);
}

static void wrong_command_lines(void **state)
{
	static const char *const rows[][2] = {
		{"", "--model"}, {"--model m", "--listen"}, {"--model", "needs a value"},
			{"--model= --listen x", "needs a value"},
		{"--model m --listen x --listen-fd 3", "exclude"}, {"--model m --listen x --slots 0", "from 1 to 256"},
		{"--model m --listen x --slots -1", "whole number"},
			{"--model m --listen x --context 99999999999", "whole number"},
		{"--model m --listen x --queue 1x", "whole number"}, {"--nonsense", "no option"}, {"-", "no option"},
			{"m.gguf", "no option"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct options o;
		char why[300];
		assert_int_equal(parse(rows[i][0], &o, why), OPTIONS_WRONG);
		assert_non_null(strstr(why, rows[i][1]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_that_a_request_needs),
		cmocka_unit_test(everything_that_a_request_can_say),
		cmocka_unit_test(null_is_left_out),
		cmocka_unit_test(the_newer_name_of_max_tokens_wins),
		cmocka_unit_test(a_seed_may_be_any_whole_number),
		cmocka_unit_test(numbers_outside_their_range_are_refused),
		cmocka_unit_test(members_of_the_wrong_kind_are_refused),
		cmocka_unit_test(what_is_not_built_is_refused_not_ignored),
		cmocka_unit_test(messages_are_judged),
		cmocka_unit_test(bodies_that_are_no_json_object),
		cmocka_unit_test(a_prompt_is_one_message),
		cmocka_unit_test(text_ends_before_a_stop_string_however_it_is_sliced),
		cmocka_unit_test(of_several_the_first_that_is_whole_wins),
		cmocka_unit_test(without_a_match_all_text_goes),
		cmocka_unit_test(only_what_may_begin_a_stop_string_is_held),
		cmocka_unit_test(stop_strings_have_limits),
		cmocka_unit_test(guests_are_served_in_the_order_in_which_they_came),
		cmocka_unit_test(who_leaves_the_queue_moves_only_those_behind),
		cmocka_unit_test(a_line_is_full_when_all_places_are_taken),
		cmocka_unit_test(chunks_are_what_openai_sends),
		cmocka_unit_test(an_answer_ends_with_finish_usage_and_done),
		cmocka_unit_test(an_error_frame_is_raised_by_sdks),
		cmocka_unit_test(a_whole_completion),
		cmocka_unit_test(plain_blocks_keep_lines_and_lose_carriage_returns),
		cmocka_unit_test(plain_last_words),
		cmocka_unit_test(each_answer_has_an_id_of_its_own),
		cmocka_unit_test(a_command_line),
		cmocka_unit_test(wrong_command_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
