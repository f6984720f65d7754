/* argv → flags.
 *
 * A flag is `--name value` or `--name=value`, each at most once. getopt_long would also take abbreviations, and an
 * abbreviation in somebody's unit file turns into a mistake on the day when a second flag begins with the same letters.
 *
 * A flag's value becomes a node like one of the file, with the flag's name in place of a line; config_bind.c reads both
 * with the same types. --help and --version win over everything behind them; mistakes before them are mistakes. */
#include "gateway/config_parts.h"

const struct flag_row config_cli_rows[FLAGS] = {
#define X(constant, name, value, path, sentence) [FLAG_##constant] = {name, value, path, sentence},
	CONFIG_FLAGS(X)
#undef X
};

struct arguments {
	char **next; /* ends with NULL */
	struct complaint *complaint;
};

static enum config_action complain_unknown(struct complaint *c, span arg)
{
	struct nearest near = {.wanted = arg};
	for (enum flag f = 0; f < FLAGS; f++)
		config_complain_nearer(&near, span_str(config_cli_rows[f].name));
	if (span_is(arg, "check"))
		config_complain(c, NULL, "check: probing an upstream is not in this version, expected flags only");
	else if (near.word.p)
		config_complain(c, NULL, "%s: unknown flag, did you mean %.*s? (expected a flag of lastword --help)",
			config_complain_show(arg).text, SPAN_ARG(near.word));
	else
		config_complain(c, NULL, "%s: unknown %s, expected a flag of lastword --help", config_complain_show(arg).text,
			span_starts(arg, SPAN("-")) ? "flag" : "argument");
	return CONFIG_WRONG;
}

static bool find_flag(span name, enum flag *out)
{
	for (enum flag f = 0; f < FLAGS; f++)
		if (span_is(name, config_cli_rows[f].name)) {
			*out = f;
			return true;
		}
	return false;
}

/* inline_value: what stood behind "=", or NULL. */
static bool take_value(struct arguments *a, struct node *n, const struct flag_row *row, const char *inline_value)
{
	n->flag = row->name;
	if (!row->value)
		return !inline_value || config_complain(a->complaint, n, "takes no value, expected the flag alone");
	const char *value = inline_value ? inline_value : *a->next;
	if (!value)
		return config_complain(a->complaint, n, "no value, expected %s", row->value);
	a->next += !inline_value;
	n->plain = true;
	n->text = span_str(value);
	return true;
}

static enum config_action read_flag(struct flags *f, struct arguments *a)
{
	span arg = span_str(*a->next++);
	size_t equals = span_find(arg, '=');
	enum flag flag;
	if (!find_flag(span_first(arg, equals), &flag))
		return complain_unknown(a->complaint, arg);
	struct node *n = &f->node[flag];
	if (n->flag) {
		config_complain(a->complaint, n, "said twice, expected once");
		return CONFIG_WRONG;
	}
	if (!take_value(a, n, &config_cli_rows[flag], equals < arg.n ? arg.p + equals + 1 : NULL))
		return CONFIG_WRONG;
	switch (flag) {
	case FLAG_VERSION:
		return CONFIG_VERSION;
	case FLAG_HELP:
		return CONFIG_HELP;
	default:
		return CONFIG_RUN;
	}
}

enum config_action config_cli_parse(struct flags *f, int argc, char **argv, struct complaint *c)
{
	struct arguments a = {.next = argv + (argc > 0), .complaint = c};
	*f = (struct flags){0};
	while (*a.next) {
		enum config_action action = read_flag(f, &a);
		if (action != CONFIG_RUN)
			return action;
	}
	return config_cli_said(f, FLAG_CHECK) ? CONFIG_CHECK : CONFIG_RUN;
}
