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

static bool complain_unknown(struct arguments *a, span arg)
{
	struct nearest near = {.wanted = arg};
	for (size_t i = 0; i < a->rows; i++)
		config_complain_nearer(&near, span_str(a->row[i].name));
	if (near.word.p)
		return config_complain(a->complaint, NULL, "%s: unknown flag, did you mean %.*s? (expected a flag of %s --help)",
			config_complain_show(arg).text, SPAN_ARG(near.word), a->program);
	return config_complain(a->complaint, NULL, "%s: unknown %s, expected a flag of %s --help",
		config_complain_show(arg).text, span_starts(arg, SPAN("-")) ? "flag" : "argument", a->program);
}

static size_t find_flag(const struct arguments *a, span name)
{
	size_t i = 0;
	while (i < a->rows && !span_is(name, a->row[i].name))
		i++;
	return i;
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

bool config_cli_take(struct arguments *a, size_t *out)
{
	span arg = span_str(*a->next++);
	size_t equals = span_find(arg, '='), i = find_flag(a, span_first(arg, equals));
	if (i == a->rows)
		return complain_unknown(a, arg);
	struct node *n = &a->node[i];
	if (n->flag)
		return config_complain(a->complaint, n, "said twice, expected once");
	*out = i;
	return take_value(a, n, &a->row[i], equals < arg.n ? arg.p + equals + 1 : NULL);
}

static enum config_action action_of(size_t flag)
{
	return flag == FLAG_VERSION ? CONFIG_VERSION : flag == FLAG_HELP ? CONFIG_HELP : CONFIG_RUN;
}

enum config_action config_cli_parse(struct flags *f, int argc, char **argv, struct complaint *c)
{
	struct arguments a = {.next = argv + (argc > 0), .program = "lastword", .row = config_cli_rows, .rows = FLAGS,
		.node = f->node, .complaint = c};
	*f = (struct flags){0};
	while (*a.next) {
		size_t flag;
		if (!config_cli_take(&a, &flag))
			return CONFIG_WRONG;
		if (action_of(flag) != CONFIG_RUN)
			return action_of(flag);
	}
	return config_cli_said(f, FLAG_CHECK) ? CONFIG_CHECK : CONFIG_RUN;
}
