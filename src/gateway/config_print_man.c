/* The man page, from the same tables as --help, so the two cannot disagree.
 *
 * man(7) macros, and of roff only what every formatter knows. Text is escaped for roff: backslashes, minus signs (a
 * bare one may come out as a hyphen, which nobody can paste into a shell), and lines that begin with a dot or a quote.
 * */
#include "gateway/config_parts.h"

static void put_text(struct buf *out, span s)
{
	if (s.n && (s.p[0] == '.' || s.p[0] == '\''))
		buf_put(out, SPAN("\\&"));
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\\')
			buf_put(out, SPAN("\\e"));
		else if (s.p[i] == '-')
			buf_put(out, SPAN("\\-"));
		else
			buf_put_byte(out, s.p[i]);
}

static void put_flag(struct buf *out, const struct flag_row *row)
{
	buf_put(out, SPAN(".TP\n\\fB"));
	put_text(out, span_str(row->name));
	buf_put(out, SPAN("\\fR"));
	if (row->value) {
		buf_put(out, SPAN(" \\fI"));
		put_text(out, span_str(row->value));
		buf_put(out, SPAN("\\fR"));
	}
	buf_put_byte(out, '\n');
	put_text(out, span_str(row->sentence));
	buf_put_byte(out, '\n');
}

static void put_option(struct buf *out, const struct option *o)
{
	struct buf text = {0};
	buf_put(out, SPAN(".TP\n\\fB"));
	put_text(out, span_str(o->path));
	buf_put(out, SPAN("\\fR: "));
	put_text(out, o->initial ? span_str(o->initial) : o->owner != OF_ALL ? SPAN("(required)") : SPAN("(none)"));
	buf_put_byte(out, '\n');
	config_option_describe(o, &text);
	put_text(out, buf_span(&text));
	buf_printf(out, "\nExpects ");
	put_text(out, span_str(o->words ? "one of" : o->type->expects));
	if (o->words) {
		buf_put_byte(out, ' ');
		put_text(out, span_str(o->words));
	}
	buf_put(out, SPAN(".\n"));
	out->failed |= text.failed;
	buf_finish(&text);
}

static void put_options(struct buf *out, enum option_owner owner)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (config_option_rows[i].owner == owner)
			put_option(out, &config_option_rows[i]);
}

static const char head[] =
	".TH LASTWORD 1 \"\" \"lastword " LASTWORD_VERSION "\" \"User Commands\"\n"
	".SH NAME\n"
	"lastword \\- a gateway between web pages and LLM servers that tells how each stream ended\n"
	".SH SYNOPSIS\n"
	".B lastword\n"
	"[\\fIflags\\fR]\n"
	".br\n"
	".B lastword check\n"
	"\\fIURL\\fR [\\fIflags\\fR]\n"
	".SH DESCRIPTION\n"
	"lastword stands between a web page or an SDK and an LLM server and streams the answers. Every stream ends with\n"
	"exactly one last word, and it is true: \\fIclose\\fR is said only when there is evidence that the answer is\n"
	"whole, \\fIfailed\\fR with its cause in every other case. Viewers whose connection broke come back\n"
	"and miss nothing.\n"
	".PP\n"
	"Once it listens it prints one line with its addresses on standard output. Its log, JSON lines, is on\n"
	"standard error.\n"
	".SH FLAGS\n"
	"Flags win over the file.\n";

static const char configuration[] =
	".SH CONFIGURATION\n"
	"The file is YAML of at most 1 MiB, one document, without anchors, aliases and tags. A dot stands for a map in a\n"
	"map. Durations have a unit (ms, s, min, h), sizes are bytes or have one (KiB, MiB, GiB). Unknown keys, duplicate\n"
	"keys and values out of range are mistakes.\n";

static const char keys[] =
	".SS keys\n"
	"A list of maps with the keys below. With it, whoever starts work sends the secret as Authorization: Bearer,\n"
	"x\\-api\\-key, x\\-goog\\-api\\-key, api\\-key, Lastword\\-Key, the query\\(aqs key or the cookie lastword_key;\n"
	"on a route with auth: client, where the others are the upstream\\(aqs, as Lastword\\-Key or the cookie. It never\n"
	"goes up. Reading and stopping a stream need only its id.\n";

static const char routes[] =
	".SS routes\n"
	"A list of maps with the keys below. Without it there are /sse\\-proxy and /v1/*, both onto the embedded model.\n";

static const char check[] =
	".SH CHECKING AN UPSTREAM\n"
	"\\fBlastword check\\fR \\fIURL\\fR asks an upstream a question as a browser route would, and prints the verdict on its\n"
	"answer, what was seen of it, what to mend, and the route to copy. A second question is left after its first token, to\n"
	"see whether the upstream notices. Its flags:\n";

static const char tail[] =
	".SH SIGNALS\n"
	"SIGTERM and SIGINT drain: running streams may end within \\fBdrain\\fR; the second one ends them at once, still\n"
	"with their last words. SIGHUP reads the file and the certificate again: new work and new connections go by them,\n"
	"and when something in them is wrong nothing changes.\n"
	".SH EXIT STATUS\n"
	"0 after a drain, 1 for a failure at run time, 2 for a wrong command line or configuration. A mistake in the file\n"
	"is said as FILE:LINE:COLUMN: what is wrong, what was expected. \\fBlastword check\\fR: 0 the answer is whole and something\n"
	"proves it, 1 it failed or nothing proves its end, 2 a wrong command line.\n"
	".SH EXAMPLES\n"
	".nf\n"
	"lastword\n"
	"lastword \\-\\-upstream http://127.0.0.1:8000/generate\n"
	"lastword \\-\\-config lastword.yaml \\-\\-check\\-config\n"
	"lastword check http://127.0.0.1:8000/generate\n"
	".fi\n";

void config_print_man(void (*put)(void *to, span text), void *to)
{
	struct buf out = {0};
	buf_put(&out, span_str(head));
	for (enum flag f = 0; f < FLAGS; f++)
		put_flag(&out, &config_cli_rows[f]);
	buf_put(&out, span_str(configuration));
	put_options(&out, OF_ALL);
	buf_put(&out, span_str(keys));
	put_options(&out, OF_CALLER);
	buf_put(&out, span_str(routes));
	put_options(&out, OF_ROUTE);
	buf_put(&out, span_str(check));
	for (enum probe_flag f = 0; f < PROBE_FLAGS; f++)
		put_flag(&out, &config_probe_rows[f]);
	buf_put(&out, span_str(tail));
	if (!out.failed)
		put(to, buf_span(&out));
	buf_finish(&out);
}
