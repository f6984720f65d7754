/* Reading the command line: `--name VALUE` or `--name=VALUE`, from one table that knows each option's place, kind and
 * limits. getopt_long would split the words but leave the judging of values, which is most of the work, to a switch.
 *
 * Limits: a slot's context is at least 64 tokens, because a chat template alone takes some dozens. 256 slots are
 * libllama's own limit of sequences in one context. The number of threads has no reason beyond catching a slip. */
#include "model/options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { WORD, NUMBER, DESCRIPTOR };

static const struct row {
	const char *name;
	enum kind kind;
	size_t at; /* in struct options */
	long least, most;
} rows[] = {
	{"model", WORD, offsetof(struct options, model), 0, 0},
	{"listen", WORD, offsetof(struct options, listen), 0, 0},
	{"listen-fd", DESCRIPTOR, offsetof(struct options, listen_fd), 0, INT32_MAX},
	{"lifeline-fd", DESCRIPTOR, offsetof(struct options, lifeline_fd), 0, INT32_MAX},
	{"context", NUMBER, offsetof(struct options, context), 64, 1 << 20},
	{"slots", NUMBER, offsetof(struct options, slots), 1, 256},
	{"queue", NUMBER, offsetof(struct options, queue), 0, 65536},
	{"threads", NUMBER, offsetof(struct options, threads), 0, 512},
};

const char *options_help(void)
{
	return "usage: lastword-model --model FILE --listen ADDR [options]\n"
	       "\n"
	       "Serves one GGUF model: POST /v1/chat/completions, GET /generate?prompt=, GET /v1/models, GET /health.\n"
	       "\n"
	       "  --model FILE       the model, a GGUF file (`make model` fetches a small one)\n"
	       "  --listen ADDR      127.0.0.1:8082, [::1]:8082, unix:/path; port 0 takes a free one\n"
	       "  --listen-fd N      instead: a listening Unix socket that was inherited\n"
	       "  --lifeline-fd N    end when this inherited pipe ends\n"
	       "  --context N        tokens of one answer, its prompt included (4096)\n"
	       "  --slots N          answers at once (8)\n"
	       "  --queue N          requests that may wait behind them (64)\n"
	       "  --threads N        0: one less than there are processors (0)\n"
	       "  --help, --version\n"
	       "\n"
	       "Exit status: 0 after a signal or the lifeline's end, 1 for a failure at run time, 2 for a wrong command line.\n";
}

static bool read_number(const struct row *row, const char *text, struct options *o, char *why, size_t why_bytes)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || strlen(text) > 10 || value < row->least || value > row->most) {
		snprintf(why, why_bytes, "--%s %s: a whole number from %ld to %ld was expected", row->name, text, row->least,
		         row->most);
		return false;
	}
	if (row->kind == NUMBER)
		*(unsigned *)((char *)o + row->at) = (unsigned)value;
	else
		*(int *)((char *)o + row->at) = (int)value;
	return true;
}

static const struct row *find(const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strlen(rows[i].name) == n && strncmp(rows[i].name, word, n) == 0)
			return &rows[i];
	return NULL;
}

/* One option and its value at argv[*i]; *i goes on to the last word that was used. */
static bool read_option(int argc, char **argv, int *i, struct options *o, char *why, size_t why_bytes)
{
	const char *word = argv[*i];
	size_t n = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
	const struct row *row = n ? find(word + 2, n) : NULL;
	if (!row) {
		snprintf(why, why_bytes, "%s is no option", word);
		return false;
	}
	const char *value = word[2 + n] ? word + 3 + n : *i + 1 < argc ? argv[++*i] : NULL;
	if (!value || !*value) {
		snprintf(why, why_bytes, "--%s needs a value", row->name);
		return false;
	}
	if (row->kind != WORD)
		return read_number(row, value, o, why, why_bytes);
	*(const char **)((char *)o + row->at) = value;
	return true;
}

static bool is_complete(const struct options *o, char *why, size_t why_bytes)
{
	const char *missing = !o->model ? "--model FILE is missing"
	                    : !o->listen && o->listen_fd < 0 ? "--listen ADDR or --listen-fd N is missing"
	                    : o->listen && o->listen_fd >= 0 ? "--listen and --listen-fd exclude each other" : NULL;
	if (missing)
		snprintf(why, why_bytes, "%s", missing);
	return !missing;
}

enum options_action options_parse(int argc, char **argv, struct options *o, char *why, size_t why_bytes)
{
	*o = (struct options){.listen_fd = -1, .lifeline_fd = -1, .context = 4096, .slots = 8, .queue = 64};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return OPTIONS_HELP;
		if (strcmp(argv[i], "--version") == 0)
			return OPTIONS_VERSION;
		if (!read_option(argc, argv, &i, o, why, why_bytes))
			return OPTIONS_WRONG;
	}
	return is_complete(o, why, why_bytes) ? OPTIONS_RUN : OPTIONS_WRONG;
}
