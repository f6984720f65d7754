/* --help, and that of `lastword check`: the usage, the flags, the table of options in columns, and three examples.
 *
 * Everything but the examples comes from the tables, so a new option is documented by existing. Lines are wrapped at
 * WIDTH characters (not bytes: sentences hold a few characters outside of ASCII). */
#include "gateway/config_parts.h"

#ifndef LASTWORD_VERSION
#error "LASTWORD_VERSION comes from the Makefile"
#endif

enum { WIDTH = 98, NAME_AT = 2, VALUE_AT = 22, TEXT_AT = 39, FLAG_TEXT_AT = 26 };

struct page {
	struct buf *out;
	size_t column;
};

static size_t count_chars(span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void put_text(struct page *p, span s)
{
	buf_put(p->out, s);
	p->column += count_chars(s);
}

static void end_line(struct page *p)
{
	buf_put_byte(p->out, '\n');
	p->column = 0;
}

/* At least two spaces away from what stands there, else on the next line. */
static void go_to(struct page *p, size_t column)
{
	if (p->column && p->column + 2 > column)
		end_line(p);
	while (p->column < column)
		put_text(p, SPAN(" "));
}

static void put_wrapped(struct page *p, size_t indent, span text)
{
	for (bool first = true; text.n; first = false) {
		span word = span_first(text, span_find(text, ' '));
		text = span_from(text, word.n + 1);
		if (!first && p->column + 1 + count_chars(word) > WIDTH) {
			end_line(p);
			go_to(p, indent);
		} else if (!first) {
			put_text(p, SPAN(" "));
		}
		put_text(p, word);
	}
	end_line(p);
}

static void put_flag(struct page *p, const struct flag_row *row)
{
	go_to(p, NAME_AT);
	put_text(p, span_str(row->name));
	if (row->value) {
		put_text(p, SPAN(" "));
		put_text(p, span_str(row->value));
	}
	go_to(p, FLAG_TEXT_AT);
	put_wrapped(p, FLAG_TEXT_AT, span_str(row->sentence));
}

static void put_option(struct page *p, const struct option *o)
{
	struct buf text = {0};
	go_to(p, NAME_AT);
	put_text(p, span_str(o->path));
	go_to(p, VALUE_AT);
	put_text(p, o->initial ? span_str(o->initial) : o->owner != OF_ALL ? SPAN("(required)") : SPAN("(none)"));
	go_to(p, TEXT_AT);
	config_option_describe(o, &text);
	put_wrapped(p, TEXT_AT, buf_span(&text));
	buf_finish(&text);
}

static void put_options(struct page *p, enum option_owner owner)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (config_option_rows[i].owner == owner)
			put_option(p, &config_option_rows[i]);
}

static const char usage[] =
	"lastword " LASTWORD_VERSION ": a gateway between web pages and LLM servers; the end of every stream is true.\n"
	"\n"
	"usage: lastword [--config FILE] [--listen ADDR] [--admin ADDR|none] [--upstream URL]\n"
	"                [--model FILE|none] [--workers N] [--check-config] [--version] [--help]\n"
	"       lastword check URL [--dialect NAME] [--prompt TEXT] …\n"
	"\n"
	"Flags win over the file.\n";

static const char options[] =
	"\n"
	"Keys of FILE (YAML; a dot stands for a map in a map), their defaults and what they mean. Durations\n"
	"have a unit: ms, s, min or h; sizes are bytes or have one: KiB, MiB or GiB.\n"
	"\n";

static const char keys[] =
	"\n"
	"keys: a list of maps with these keys. Whoever starts work sends the secret as Authorization: Bearer,\n"
	"x-api-key, x-goog-api-key, api-key, Lastword-Key, ?key= or the cookie lastword_key.\n"
	"\n";

static const char routes[] =
	"\n"
	"routes: a list of maps with these keys. Without routes there are /sse-proxy and /v1/*, both onto the\n"
	"embedded model.\n"
	"\n";

static const char examples[] =
	"\n"
	"Examples\n"
	"  lastword\n"
	"      the page on http://127.0.0.1:8080/ and the OpenAI API below /v1/, both from the embedded model\n"
	"  lastword --upstream http://127.0.0.1:8000/generate\n"
	"      the page, answered by a server of yours that speaks server-sent events\n"
	"  lastword --config lastword.yaml --check-config\n"
	"      what holds, defaults included, or what is wrong and where\n"
	"  lastword check http://127.0.0.1:8000/generate\n"
	"      what the ends of a server look like, and the route for it (lastword check --help)\n";

static const char probe_usage[] =
	"lastword check: asks an upstream one question as a browser route would, and says what the end of its\n"
	"answer proves, how it takes a client's leaving, and which lines of a route it needs.\n"
	"\n"
	"usage: lastword check URL [flags]\n"
	"\n"
	"URL is what a route's upstream would be: http://HOST:PORT/PATH, https://HOST/PATH or unix:/SOCKET:/PATH.\n"
	"Two questions are asked, so what they cost is paid twice; --once asks one.\n"
	"\n";

static const char probe_tail[] =
	"\n"
	"Exit status: 0 the answer is whole and something proves it, 1 it failed or nothing proves its end, 2 a\n"
	"wrong command line.\n"
	"\n"
	"Examples\n"
	"  lastword check http://127.0.0.1:8000/generate\n"
	"  lastword check http://127.0.0.1:8000/v1/chat/completions --model my-model\n"
	"  lastword check https://models.example/v1/messages --model NAME --auth env:API_KEY --json\n";

void config_print_help(void (*put)(void *to, span text), void *to)
{
	struct buf out = {0};
	struct page page = {.out = &out};
	buf_put(&out, span_str(usage));
	for (enum flag f = 0; f < FLAGS; f++)
		put_flag(&page, &config_cli_rows[f]);
	buf_put(&out, span_str(options));
	put_options(&page, OF_ALL);
	buf_put(&out, span_str(keys));
	put_options(&page, OF_CALLER);
	buf_put(&out, span_str(routes));
	put_options(&page, OF_ROUTE);
	buf_put(&out, span_str(examples));
	if (!out.failed)
		put(to, buf_span(&out));
	buf_finish(&out);
}

void config_print_probe_help(void (*put)(void *to, span text), void *to)
{
	struct buf out = {0};
	struct page page = {.out = &out};
	buf_put(&out, span_str(probe_usage));
	for (enum probe_flag f = 0; f < PROBE_FLAGS; f++)
		put_flag(&page, &config_probe_rows[f]);
	buf_put(&out, span_str(probe_tail));
	if (!out.failed)
		put(to, buf_span(&out));
	buf_finish(&out);
}
