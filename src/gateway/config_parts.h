/* What the files of the configuration share with one another and with their tests; everybody else includes config.h.
 *
 *	config.c          the whole way from argv to a struct config
 *	config_cli.c      argv → flags
 *	config_probe.c    the same for `lastword check`: its argv → a configuration with one route
 *	config_file.c     a file's bytes
 *	config_tree.c     YAML → nodes, each with its line and column
 *	config_option.c   the table, from config_options.def
 *	config_type.c     what a duration, a size, a list of words … is: read, printed, freed
 *	config_address.c  the same for listeners, hosts and origins
 *	config_place.c    the same for paths, upstreams, dialects and credentials
 *	config_caller.c   the same for callers and their keys
 *	config_secret.c   env:NAME and file:PATH → a secret
 *	config_tls.c      the listener's certificate and key
 *	config_json.c     a node → JSON
 *	config_bind.c     nodes × table → struct config
 *	config_rules.c    rules that concern more than one option
 *	config_print.c    struct config → YAML
 *	config_print_help.c, config_print_man.c   the table → --help and the man page
 *	config_complain.c how a mistake is said */
#ifndef GATEWAY_CONFIG_PARTS_H
#define GATEWAY_CONFIG_PARTS_H

#include "base/buf.h"
#include "gateway/config.h"

/* Nodes. */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

/* A value of the file or of a flag. */
struct node {
	enum node_kind kind;
	bool plain;              /* a scalar without quotes */
	span text;               /* of a scalar: UTF-8 without NUL, and a NUL behind it */
	unsigned line, column;   /* from 1; 0 when it does not come from the file */
	const char *flag;        /* the flag that said it, or NULL */
	struct node *key;        /* in a map: the member's name */
	struct node *child;      /* of a list or a map, in order */
	struct node *next;
	struct node *made_before;/* config_tree.c: all nodes of a tree */
};

struct tree {
	struct node *root; /* NULL for an empty document */
	struct node *made;
	unsigned nodes;
};

/* Complaints. */

enum { COMPLAINT_BYTES = 1024 };

/* The first mistake that was found; later ones are dropped. */
struct complaint {
	const char *file; /* its name, for the prefix */
	char text[COMPLAINT_BYTES]; /* "" when all is fine */
};

/* Always false, so that a check can return it. at NULL: neither file nor flag is to blame. */
bool config_complain(struct complaint *c, const struct node *at, const char *format, ...) PRINTF_LIKE(3, 4);
bool config_complain_at(struct complaint *c, unsigned line, unsigned column, const char *format, ...) PRINTF_LIKE(4, 5);

/* Text of the operator as it may stand in a complaint: short and without control characters. */
struct shown {
	char text[72];
};
struct shown config_complain_show(span s);

/* The closest of the words, when it is close enough to be what was meant; else its p is NULL. */
struct nearest {
	span wanted;
	span word;
	size_t distance;
};
void config_complain_nearer(struct nearest *n, span word);

/* The tree. */

/* False with a complaint: not YAML, or YAML that a configuration may not use (aliases, anchors, tags, several
 * documents, duplicate keys). builtin: the text is our own and its lines mean nothing to the operator. */
MUST bool config_tree_parse(struct tree *t, span yaml, bool builtin, struct complaint *c);
void config_tree_finish(struct tree *t);
const struct node *config_tree_member(const struct node *map, span key); /* NULL when it is not there */
/* A path of the table, such as "limits.body". */
const struct node *config_tree_find(const struct node *map, const char *path);

/* Options. */

struct option;

/* What an option is said of: once of all, or of each element of a list. */
enum option_owner { OF_ALL, OF_CALLER, OF_ROUTE };

struct binding {
	struct config *config;
	struct route *route; /* the one that is being read; NULL for what is said once */
	struct caller *caller; /* likewise */
	const struct node *const *said; /* for each row that is said once: by whom; NULL for a default */
	struct complaint *complaint;
};

/* How a kind of value is read, printed and freed. Fields begin zeroed; bind may be called once. */
struct option_type {
	const char *expects; /* "a duration: …", after "expected" */
	bool (*bind)(struct binding *b, const struct option *o, const struct node *n, void *field);
	void (*print)(const struct option *o, const void *field, struct buf *out);
	void (*release)(void *field); /* NULL: it owns nothing */
};

struct option {
	const char *path; /* "limits.body"; a route's are relative to the route */
	const struct option_type *type;
	size_t at;        /* offset in struct config, struct caller or struct route */
	enum option_owner owner;

	/* Defaults, as they would stand in the file. The first that applies: */
	const char *prefix;      /* routes whose path ends in / * */
	const char *passthrough; /* passthrough routes */
	const char *model;       /* routes onto the embedded model */
	const char *initial;     /* all others; NULL: each element of a list must say it, and what is said once may stay
	                          * unsaid */

	uint64_t least, most;    /* for numbers; most 0: no limit but the type's */
	bool has_off;            /* 0 is outside of the limits and means off (or what the sentence says) */
	const char *words;       /* "required|optional", in the order of the enum */

	const char *sentence;
};

extern const struct option config_option_rows[];
extern const size_t config_option_count;
const struct option *config_option_find(enum option_owner owner, span path);
/* True when paths of the table continue after `path` and a dot. */
bool config_option_is_group(enum option_owner owner, span path);
/* Frees what the fields of a configuration, a caller or a route own. */
void config_option_release(enum option_owner owner, void *whole);
const char *config_option_default(const struct option *o, const struct route *r);
/* Appends the sentence and what the other columns add to it: defaults of other routes. */
void config_option_describe(const struct option *o, struct buf *out);
static inline void *config_option_field(const struct option *o, void *whole) { return (char *)whole + o->at; }

/* Complains about one value: "heartbeat: … , expected …". Always false. */
bool config_type_wrong(struct binding *b, const struct option *o, const struct node *n, const char *what, ...)
	PRINTF_LIKE(4, 5);
/* The text of a scalar that is not empty. */
MUST bool config_type_scalar(struct binding *b, const struct option *o, const struct node *n, span *text);
MUST bool config_type_copy(struct binding *b, const struct node *n, span text, char **out);
void config_type_put_plain(struct buf *out, span text); /* quoted where YAML needs it */
/* Which of the words of "a|b|c" it is, or -1. */
int config_type_choose(const char *words, span text);

/* NULL when a word of a list is fine, else what is wrong with it. A NUL stands behind it. */
typedef const char *config_type_judge(span word);
MUST bool config_type_bind_list(struct binding *b, const struct option *o, const struct node *n, struct words *out,
	config_type_judge *judge);
void config_type_print_words(const struct option *o, const void *field, struct buf *out);
void config_type_release_words(void *field);
void config_type_release_string(void *field);

extern const struct option_type config_type_duration, config_type_duration_or_never, config_type_size,
	config_type_count, config_type_number, config_type_number_or_auto, config_type_yes_no, config_type_either,
	config_type_choice, config_type_words, config_type_statuses;

extern const struct option_type config_address_listen, config_address_listen_or_none, config_address_hosts,
	config_address_origins, config_address_proxies;

extern const struct option_type config_tls_file;
/* Reads the files that were named. */
MUST bool config_tls_load(struct binding *b);

extern const struct option_type config_place_path, config_place_upstreams, config_place_dialect,
	config_place_request, config_place_auth, config_place_header, config_place_ca, config_place_model_file;

extern const struct option_type config_caller_list, config_caller_name, config_caller_key;

/* A secret and where it is from. */
struct secret {
	enum auth_kind from; /* AUTH_ENV or AUTH_FILE */
	char *name;          /* of the variable or file */
	char *value;
};
/* text: env:NAME or file:PATH; it is not repeated in a complaint, because it may be the secret itself. *out is for
 * config_secret_finish also after a complaint. */
MUST bool config_secret_bind(struct binding *b, const struct option *o, const struct node *n, span text,
	struct secret *out);
void config_secret_finish(struct secret *s);
/* "env:NAME  # (set)". */
void config_secret_print(enum auth_kind from, const char *name, bool is_set, struct buf *out);


/* Appends a quoted JSON string that YAML reads back as the same text. */
void config_json_put_string(struct buf *out, span text);
/* Appends a map as compact JSON; plain scalars mean what the core schema of YAML 1.2 says. */
MUST bool config_json_put_node(struct buf *out, const struct node *n, struct complaint *c);

/* From argv to a configuration. */

struct flag_row {
	const char *name, *value; /* value NULL: takes none */
	const char *path;         /* the option that it says, or NULL */
	const char *sentence;
};

#define CONFIG_FLAGS(X) \
	X(CONFIG, "--config", "FILE", NULL, "Reads this YAML file.") \
	X(LISTEN, "--listen", "ADDR", "listen", "Where viewers come in.") \
	X(ADMIN, "--admin", "ADDR|none", "admin", "Where metrics and health are.") \
	X(UPSTREAM, "--upstream", "URL", NULL, "Where /sse-proxy gets its answers. Without routes in a FILE it is then " \
		"the only route; otherwise this replaces upstream and dialect (auto) of that route.") \
	X(MODEL, "--model", "FILE|none", "model.file", "The GGUF of the embedded model.") \
	X(WORKERS, "--workers", "N", "workers", "Threads that carry streams.") \
	X(CHECK, "--check-config", NULL, NULL, "Prints the configuration in force and exits; status 2 when something " \
		"is wrong.") \
	X(VERSION, "--version", NULL, NULL, "Prints the version and exits.") \
	X(HELP, "--help", NULL, NULL, "Prints this and exits.")

/* Those of `lastword check`. A path is that of a route's option. */
#define CONFIG_PROBE_FLAGS(X) \
	X(DIALECT, "--dialect", "NAME", "dialect", "What the upstream's events mean, and so how it is asked. Unsaid: by " \
		"the URL's path, then by the first event.") \
	X(PROMPT, "--prompt", "TEXT", NULL, "The question. Unsaid: to count to twenty, in words.") \
	X(MODEL, "--model", "NAME", NULL, "The model's name, for servers that insist on one: a member of request.") \
	X(REQUEST, "--request", "JSON", "request", "Members that are merged into the body that goes up.") \
	X(AUTH, "--auth", "env:NAME|file:PATH", "auth", "Where the upstream's credential is read from; it never stands " \
		"on a command line, which every user of the machine can see.") \
	X(AUTH_HEADER, "--auth-header", "NAME", "auth_header", "The header that carries it. Unsaid: the one that the " \
		"dialect's servers read.") \
	X(CA, "--ca", "FILE", "ca", "Whose certificates are trusted. Unsaid: the system's.") \
	X(FINISH, "--finish", "required|optional", "finish", "Judges as a route with this option would.") \
	X(END_MARKER, "--end-marker", "WORD", "end_marker", "Likewise: optional, required or none.") \
	X(TIMEOUT, "--timeout", "DURATION", "total", "How long one answer may take. Unsaid: 2min.") \
	X(ONCE, "--once", NULL, NULL, "Asks one question only; nothing is said of how the upstream takes our leaving.") \
	X(JSON, "--json", NULL, NULL, "Prints one JSON object instead of text.") \
	X(HELP, "--help", NULL, NULL, "Prints this and exits.")

enum probe_flag {
#define X(constant, ...) PROBE_##constant,
	CONFIG_PROBE_FLAGS(X)
#undef X
	PROBE_FLAGS
};
extern const struct flag_row config_probe_rows[PROBE_FLAGS];

enum flag {
#define X(constant, ...) FLAG_##constant,
	CONFIG_FLAGS(X)
#undef X
	FLAGS
};

extern const struct flag_row config_cli_rows[FLAGS];

struct flags {
	struct node node[FLAGS]; /* flag NULL: not given. Texts are argv's */
};
/* A command line on its way into nodes, one for each row. */
struct arguments {
	char **next;          /* ends with NULL */
	const char *program;  /* "lastword" */
	const struct flag_row *row;
	size_t rows;
	struct node *node;
	struct complaint *complaint;
};
/* The next argument, a flag, and its value: *out is its row. False with a complaint. */
MUST bool config_cli_take(struct arguments *a, size_t *out);

/* CONFIG_WRONG with a complaint. */
MUST enum config_action config_cli_parse(struct flags *f, int argc, char **argv, struct complaint *c);
static inline const struct node *config_cli_said(const struct flags *f, enum flag flag)
{
	return f->node[flag].flag ? &f->node[flag] : NULL;
}

/* NULL when all of the file was read into out, else why not. most: bytes. */
MUST const char *config_file_read(const char *path, size_t most, bool regular, struct buf *out);

/* NULL with a complaint. root may be NULL. */
MUST struct config *config_bind(const struct node *root, const struct flags *f, struct complaint *c);

/* One of `keys`: fills b->caller. */
MUST bool config_bind_caller(struct binding *b, const struct node *n);

/* Each option of that owner as a line. first: how the first one is indented, rest: the others. */
void config_print_rows(struct buf *out, enum option_owner owner, const void *whole, const char *first,
	const char *rest);

/* said[i] is what the file or a flag said for config_option_rows[i] of this route, NULL for a default. */
MUST bool config_rules_route(struct binding *b, const struct node *route, const struct node *const *said);
MUST bool config_rules_whole(struct binding *b);

/* The text of a file as config_load would read it; for tests. */
MUST struct config *config_parse(span yaml, struct complaint *c);

/* The man page, in roff. */
void config_print_man(void (*put)(void *to, span text), void *to);

#endif
