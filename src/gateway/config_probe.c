/* The command line of `lastword check` → a configuration with one route.
 *
 * The flags say options of a route, so they are not parsed here: each becomes a member of the route that a file would
 * have held, under the same binder, types, rules and complaints. What the check then finds holds for that route,
 * because it is that route.
 *
 * A credential has no flag of its own, only the name of a variable or file: a command line is public on its machine. */
#include "gateway/config_parts.h"

#include <stdio.h>
#include <stdlib.h>

const struct flag_row config_probe_rows[PROBE_FLAGS] = {
#define X(constant, name, value, path, sentence) [PROBE_##constant] = {name, value, path, sentence},
	CONFIG_PROBE_FLAGS(X)
#undef X
};

enum { MEMBERS = PROBE_FLAGS + 3 }; /* and path, upstream, total */

/* A file with one route, as nodes. */
struct sheet {
	struct node root, routes_key, routes, route;
	struct node key[MEMBERS], value[MEMBERS];
	size_t members;
	struct tree request;         /* what --request says */
	struct node model_key, model;
};

static void say(struct sheet *s, const char *key, const struct node *value)
{
	CHECK(s->members < MEMBERS);
	size_t i = s->members++;
	s->key[i] = (struct node){.plain = true, .text = span_str(key)};
	s->value[i] = *value;
	s->value[i].key = &s->key[i];
	s->value[i].next = NULL;
	if (i)
		s->value[i - 1].next = &s->value[i];
	else
		s->route.child = &s->value[i];
}

static void say_text(struct sheet *s, const char *key, const char *text)
{
	say(s, key, &(struct node){.plain = true, .text = span_str(text)});
}

static void open_sheet(struct sheet *s)
{
	*s = (struct sheet){
		.root = {.kind = NODE_MAP, .child = &s->routes},
		.routes_key = {.text = SPAN("routes")},
		.routes = {.kind = NODE_LIST, .key = &s->routes_key, .child = &s->route},
		.route = {.kind = NODE_MAP},
	};
	say_text(s, "path", "/sse-proxy");
}

/* JSON is YAML; the place of a mistake in one argument helps nobody. */
static bool parse_request(struct sheet *s, const struct node *said, struct complaint *c)
{
	struct complaint of_yaml = {.file = ""};
	bool fine = config_tree_parse(&s->request, said->text, true, &of_yaml) && s->request.root &&
		s->request.root->kind == NODE_MAP;
	if (fine)
		s->request.root->flag = said->flag;
	return fine || config_complain(c, said, "no JSON object, expected one such as '{\"temperature\": 0}'");
}

/* --model NAME is one more member of --request. */
static bool add_model(struct sheet *s, struct node *request, const struct node *model, struct complaint *c)
{
	if (config_tree_member(request, SPAN("model")))
		return config_complain(c, model, "said by --request too, expected once");
	s->model_key = (struct node){.text = SPAN("model")};
	s->model = (struct node){.text = model->text, .key = &s->model_key, .next = request->child};
	request->child = &s->model;
	return true;
}

static bool say_request(struct sheet *s, const struct node *request, const struct node *model, struct complaint *c)
{
	struct node map = {.kind = NODE_MAP, .flag = model->flag};
	if (!request->flag && !model->flag)
		return true;
	if (request->flag && !parse_request(s, request, c))
		return false;
	if (request->flag)
		map = *s->request.root;
	if (model->flag && !add_model(s, &map, model, c))
		return false;
	say(s, "request", &map);
	return true;
}

static bool say_all(struct sheet *s, const struct node *url, const struct node *said, struct complaint *c)
{
	say(s, "upstream", url);
	for (enum probe_flag f = 0; f < PROBE_FLAGS; f++)
		if (said[f].flag && config_probe_rows[f].path && f != PROBE_REQUEST)
			say(s, config_probe_rows[f].path, &said[f]);
	if (!said[PROBE_TIMEOUT].flag)
		say_text(s, "total", "2min");
	return say_request(s, &said[PROBE_REQUEST], &said[PROBE_MODEL], c);
}

static struct config *bind(const struct node *url, const struct node *said, struct complaint *c)
{
	struct flags none = {0};
	struct sheet s;
	open_sheet(&s);
	struct config *config = say_all(&s, url, said, c) ? config_bind(&s.root, &none, c) : NULL;
	config_tree_finish(&s.request);
	if (config && config->route[0].upstream[0].is_model) {
		config_complain(c, url, "the embedded model needs no check, expected the URL of a server");
		config_destroy(config);
		return NULL;
	}
	return config;
}

static enum config_action read_arguments(struct arguments *a, struct node *url)
{
	while (*a->next) {
		size_t flag;
		if (**a->next != '-' && !url->flag) {
			*url = (struct node){.plain = true, .flag = "check", .text = span_str(*a->next++)};
			continue;
		}
		if (!config_cli_take(a, &flag))
			return CONFIG_WRONG;
		if (flag == PROBE_HELP)
			return CONFIG_HELP;
	}
	if (url->flag)
		return CONFIG_RUN;
	config_complain(a->complaint, NULL, "check: no URL, expected lastword check URL, such as "
		"http://127.0.0.1:8000/generate");
	return CONFIG_WRONG;
}

static bool fill(struct config_probe *out, const struct node *url, const struct node *said, struct complaint *c)
{
	const struct node *prompt = &said[PROBE_PROMPT];
	if (prompt->flag && prompt->text.n == 0)
		return config_complain(c, prompt, "no text, expected a question");
	*out = (struct config_probe){
		.config = bind(url, said, c),
		.prompt = prompt->flag ? prompt->text : SPAN("Count from one to twenty, in words."),
		.once = said[PROBE_ONCE].flag,
		.json = said[PROBE_JSON].flag,
	};
	if (out->config)
		out->config->holds = 1;
	return out->config;
}

enum config_action config_probe_load(char **argv, struct config_probe *out)
{
	struct complaint c = {0};
	struct node said[PROBE_FLAGS] = {0}, url = {0};
	struct arguments a = {.next = argv + 1, .program = "lastword check", .row = config_probe_rows, .rows = PROBE_FLAGS,
		.node = said, .complaint = &c};
	enum config_action action = read_arguments(&a, &url);
	if (action == CONFIG_RUN && !fill(out, &url, said, &c))
		action = CONFIG_WRONG;
	if (action == CONFIG_WRONG)
		fprintf(stderr, "%s\n", c.text);
	return action;
}
