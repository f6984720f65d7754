/* From argv to a configuration, top-down: flags, the file, the binder; and the one place that prints a complaint.
 *
 * Everything is read before anything is opened or started, so a mistake costs nothing but a restart, and a reload that
 * fails changes nothing. A loaded configuration is immutable and shared by all threads without a lock.
 *
 * The parts are listed in config_parts.h. */
#include "gateway/config_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES = 1 << 20 }; /* ten thousand routes; a larger file is not a configuration */

static struct config *parse_and_bind(span yaml, const struct flags *f, struct complaint *c)
{
	struct tree t;
	struct config *config = config_tree_parse(&t, yaml, false, c) ? config_bind(t.root, f, c) : NULL;
	config_tree_finish(&t);
	return config;
}

static struct config *load(const struct flags *f, struct complaint *c)
{
	const struct node *file = config_cli_said(f, FLAG_CONFIG);
	struct buf yaml = {0};
	if (!file)
		return config_bind(NULL, f, c);
	c->file = file->text.p;
	const char *wrong = config_file_read(file->text.p, FILE_BYTES, false, &yaml);
	if (wrong)
		config_complain(c, file, "%s: %s, expected a YAML file of at most 1 MiB", config_complain_show(file->text).text,
			wrong);
	struct config *config = wrong ? NULL : parse_and_bind(buf_span(&yaml), f, c);
	buf_finish(&yaml);
	return config;
}

static enum config_action load_all(int argc, char **argv, struct config **out, struct complaint *c)
{
	struct flags f;
	enum config_action action = config_cli_parse(&f, argc, argv, c);
	if (action != CONFIG_RUN && action != CONFIG_CHECK)
		return action;
	struct config *config = load(&f, c);
	if (!config)
		return CONFIG_WRONG;
	atomic_init(&config->holds, 1);
	*out = config;
	return action;
}

enum config_action config_load(int argc, char **argv, struct config **out)
{
	struct complaint c = {0};
	enum config_action action = load_all(argc, argv, out, &c);
	if (action == CONFIG_WRONG)
		fprintf(stderr, "%s\n", c.text);
	return action;
}

struct config *config_reload(int argc, char **argv, char *why, size_t why_bytes)
{
	struct complaint c = {0};
	struct config *config = NULL;
	if (load_all(argc, argv, &config, &c) == CONFIG_RUN)
		return config;
	snprintf(why, why_bytes, "%s", c.text);
	return NULL;
}

struct config *config_hold(struct config *c)
{
	unsigned before = atomic_fetch_add_explicit(&c->holds, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return c;
}

void config_drop(struct config *c)
{
	unsigned before = atomic_fetch_sub_explicit(&c->holds, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before == 1)
		config_destroy(c);
}

struct config *config_parse(span yaml, struct complaint *c)
{
	struct flags none = {0};
	return parse_and_bind(yaml, &none, c);
}

void config_destroy(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->routes; i++)
		config_option_release(OF_ROUTE, &c->route[i]);
	config_option_release(OF_ALL, c);
	tls_identity_drop(c->tls.identity);
	free(c->route);
	free(c);
}

bool config_is_doubtful(const struct config *c, char *why, size_t why_bytes)
{
	const char *doubt = c->tls.identity ? tls_identity_doubt(c->tls.identity) : NULL;
	if (doubt)
		snprintf(why, why_bytes, "the certificate in %s %s", c->tls.cert, doubt);
	return doubt;
}

bool config_lists(const struct words *list, span word)
{
	size_t i = 0;
	while (i < list->n && !span_is_nocase(word, list->word[i]))
		i++;
	return i < list->n;
}

bool config_wants_model(const struct config *c)
{
	for (size_t i = 0; i < c->routes; i++)
		for (size_t k = 0; k < c->route[i].upstreams; k++)
			if (c->route[i].upstream[k].is_model)
				return true;
	return false;
}
