/* YAML as a tree of nodes that know where they stand.
 *
 * libyaml's events carry a line and a column, its own document loader throws half of that away, and the mapping
 * libraries above it report wrong lines; so the events are gathered here into the smallest tree that the binder needs.
 *
 * YAML is more than a configuration should be. Refused: aliases and anchors (ten lines of them can mean gigabytes, and
 * a reader of the file cannot see what holds), tags, several documents, keys that are not plain words, and duplicate
 * keys, of which YAML libraries silently take the last.
 *
 * Invariants:
 * 1. Nodes are freed by their tree alone, through `made`; the shape of the tree plays no part in it.
 * 2. Depth, members of a map and nodes are limited, so neither recursion nor the search for duplicates can run away.
 * 3. After a complaint the tree is unfinished and only good for config_tree_finish.
 *
 * What keys are known is config_bind.c's affair. */
#include "gateway/config_parts.h"

#include <stdlib.h>
#include <yaml.h>

enum {
	DEPTH = 32,       /* `request:` may nest; nothing else goes deeper than four */
	MEMBERS = 1000,   /* of one map: the search for duplicates is quadratic */
	NODES = 100000,
	KEY_BYTES = 128, /* six times as many when escaped, which still fits into the 1024 that YAML allows a key */
};

struct level {
	struct node *open, *last;
	struct node *key; /* of the member whose value comes next */
	unsigned members;
};

struct builder {
	struct tree *tree;
	struct complaint *complaint;
	bool builtin;
	struct level level[DEPTH];
	unsigned depth;
	unsigned documents;
};

static bool complain(struct builder *b, yaml_mark_t at, const char *what)
{
	return config_complain_at(b->complaint, (unsigned)at.line + 1, (unsigned)at.column + 1, "%s", what);
}

static struct node *make(struct builder *b, enum node_kind kind, yaml_mark_t at)
{
	if (++b->tree->nodes > NODES) {
		complain(b, at, "too many values, expected at most 100000");
		return NULL;
	}
	struct node *n = calloc(1, sizeof *n);
	if (!n) {
		complain(b, at, "out of memory");
		return NULL;
	}
	n->kind = kind;
	n->line = b->builtin ? 0 : (unsigned)at.line + 1;
	n->column = b->builtin ? 0 : (unsigned)at.column + 1;
	n->made_before = b->tree->made;
	b->tree->made = n;
	return n;
}

static bool check_key(struct builder *b, struct level *l, const struct node *n)
{
	if (n->kind != NODE_SCALAR)
		return config_complain(b->complaint, n, "a list or a map as a key, expected a word");
	if (n->text.n > KEY_BYTES)
		return config_complain(b->complaint, n, "a key of more than 128 bytes, expected a word");
	const struct node *first = config_tree_member(l->open, n->text);
	if (first)
		return config_complain(b->complaint, n, "\"%s\" was said before in line %u, expected each key once",
			config_complain_show(n->text).text, first->key->line);
	if (++l->members > MEMBERS)
		return config_complain(b->complaint, n, "a map with more than 1000 keys, expected fewer");
	return true;
}

/* Hangs a node into the open list or map. */
static bool place(struct builder *b, struct node *n)
{
	if (b->depth == 0) {
		b->tree->root = n;
		return true;
	}
	struct level *l = &b->level[b->depth - 1];
	if (l->open->kind == NODE_MAP && !l->key) {
		l->key = n;
		return check_key(b, l, n);
	}
	n->key = l->key;
	l->key = NULL;
	if (l->last)
		l->last->next = n;
	else
		l->open->child = n;
	l->last = n;
	return true;
}

static bool add_scalar(struct builder *b, const yaml_event_t *e)
{
	struct node *n = make(b, NODE_SCALAR, e->start_mark);
	if (!n)
		return false;
	const char *value = (const char *)e->data.scalar.value;
	size_t length = e->data.scalar.length;
	if (memchr(value, 0, length))
		return complain(b, e->start_mark, "a NUL character, expected text");
	char *copy = malloc(length + 1);
	if (!copy)
		return complain(b, e->start_mark, "out of memory");
	memcpy(copy, value, length);
	copy[length] = 0;
	n->text = (span){copy, length};
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return place(b, n);
}

static bool open_level(struct builder *b, enum node_kind kind, yaml_mark_t at)
{
	if (b->depth == DEPTH)
		return complain(b, at, "nested too deeply, expected at most 32 levels");
	struct node *n = make(b, kind, at);
	if (!n || !place(b, n))
		return false;
	b->level[b->depth++] = (struct level){.open = n};
	return true;
}

static bool open_document(struct builder *b, yaml_mark_t at)
{
	return b->documents++ == 0 || complain(b, at, "a second document, expected one");
}

static bool check_plain_yaml(struct builder *b, yaml_mark_t at, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return complain(b, at, "an anchor (&), expected the values themselves");
	return !tag || complain(b, at, "a tag (!), expected the values themselves");
}

static bool add(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return open_document(b, e->start_mark);
	case YAML_ALIAS_EVENT:
		return complain(b, e->start_mark, "an alias (*), expected the value itself (in quotes if it begins with *)");
	case YAML_SCALAR_EVENT:
		return check_plain_yaml(b, e->start_mark, e->data.scalar.anchor, e->data.scalar.tag) && add_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		return check_plain_yaml(b, e->start_mark, e->data.sequence_start.anchor, e->data.sequence_start.tag) &&
			open_level(b, NODE_LIST, e->start_mark);
	case YAML_MAPPING_START_EVENT:
		return check_plain_yaml(b, e->start_mark, e->data.mapping_start.anchor, e->data.mapping_start.tag) &&
			open_level(b, NODE_MAP, e->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return true;
	default:
		return true;
	}
}

/* Bytes that are no characters have an offset instead of a mark. */
static yaml_mark_t mark_of_offset(span yaml, size_t offset)
{
	yaml_mark_t at = {0};
	for (size_t i = 0; i < offset && i < yaml.n; i++) {
		at.column += ((unsigned char)yaml.p[i] & 0xc0) != 0x80;
		if (yaml.p[i] == '\n') {
			at.line++;
			at.column = 0;
		}
	}
	return at;
}

static bool complain_syntax(struct builder *b, const yaml_parser_t *p, span yaml)
{
	const char *problem = p->problem ? p->problem : "not YAML";
	if (p->error == YAML_MEMORY_ERROR)
		return config_complain(b->complaint, NULL, "out of memory");
	yaml_mark_t at = p->error == YAML_READER_ERROR ? mark_of_offset(yaml, p->problem_offset) : p->problem_mark;
	return config_complain_at(b->complaint, (unsigned)at.line + 1, (unsigned)at.column + 1, "%s%s%s, expected YAML",
		problem, p->context ? " " : "", p->context ? p->context : "");
}

static bool build(struct builder *b, yaml_parser_t *p, span yaml)
{
	for (bool going = true; going;) {
		yaml_event_t e;
		if (!yaml_parser_parse(p, &e))
			return complain_syntax(b, p, yaml);
		bool fine = add(b, &e);
		going = e.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
		if (!fine)
			return false;
	}
	return true;
}

bool config_tree_parse(struct tree *t, span yaml, bool builtin, struct complaint *c)
{
	static const span bom = {"\xef\xbb\xbf", 3};
	if (span_starts(yaml, bom))
		yaml = span_from(yaml, bom.n);
	struct builder b = {.tree = t, .complaint = c, .builtin = builtin};
	*t = (struct tree){0};
	yaml_parser_t p;
	if (!yaml_parser_initialize(&p))
		return config_complain(c, NULL, "out of memory");
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)(yaml.n ? yaml.p : ""), yaml.n);
	bool fine = build(&b, &p, yaml);
	yaml_parser_delete(&p);
	if (fine && t->root && t->root->kind == NODE_SCALAR && t->root->plain && t->root->text.n == 0)
		t->root = NULL; /* nothing but comments behind a "---" */
	return fine;
}

void config_tree_finish(struct tree *t)
{
	for (struct node *n = t->made, *before; n; n = before) {
		before = n->made_before;
		free((char *)n->text.p);
		free(n);
	}
	*t = (struct tree){0};
}

const struct node *config_tree_member(const struct node *map, span key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (const struct node *n = map->child; n; n = n->next)
		if (span_eq(n->key->text, key))
			return n;
	return NULL;
}

const struct node *config_tree_find(const struct node *map, const char *path)
{
	span rest = span_str(path);
	while (map && rest.n) {
		span key = span_first(rest, span_find(rest, '.'));
		map = config_tree_member(map, key);
		rest = span_from(rest, key.n + 1);
	}
	return map;
}
