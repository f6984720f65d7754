/* Everything that an operator can say, from the command line and a YAML file, by one table (config_options.def): the
 * binder, --help, --check-config and the man page read it. A configuration is immutable once loaded. */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include "base/cause.h"
#include "http/forwarded.h"
#include "net/tls_identity.h"
#include "upstream/route.h"

#include <stdatomic.h>

struct account;

enum { CALLER_DIGEST = 32 }; /* SHA-256 */

/* One of `keys`: who calls, and what the key may do. */
struct caller {
	char *name;
	struct caller_key {
		enum auth_kind from;   /* AUTH_ENV or AUTH_FILE … */
		char *from_name;       /* … of that name */
		unsigned char digest[CALLER_DIGEST]; /* the secret itself is forgotten as soon as it was read */
	} key;
	uint64_t streams, starts_per_minute; /* 0 = no limit */
	struct account *account;   /* what it has done so far; accounts_adopt sets it */
};

struct callers {
	struct caller *caller;
	size_t n;
};

/* The public listener's certificate. All NULL: plain HTTP. */
struct config_tls {
	char *cert, *key;               /* names of files */
	struct tls_identity *identity;  /* what was read in them; held */
};

struct config {
	char *listen;       /* "127.0.0.1:8080", "[::1]:8080", ":8080", "0.0.0.0:0" */
	char *admin;        /* likewise, or NULL for none */
	struct config_tls tls;
	unsigned workers;   /* 0 = auto */
	struct words hosts, allow_origins;
	struct proxies trusted_proxies;
	struct callers callers; /* `keys`; none: whoever reaches the listener may start work */
	uint64_t retry_ms, heartbeat_ms, hold_ms, first_viewer_ms, keep_ms, drain_ms;
	uint64_t memory_bytes, retry_body_bytes;
	struct { uint64_t body_bytes, streams, connections; } limits;
	struct {
		char *file;         /* NULL: none configured; the default name is looked for */
		bool is_none;       /* --model none */
		unsigned context, slots, queue, threads; /* threads 0 = auto */
	} model;
	struct route *route;
	size_t routes;

	atomic_uint holds;  /* config_hold, config_drop; any thread */
};

/* What the command line asks for. */
enum config_action { CONFIG_RUN, CONFIG_CHECK, CONFIG_VERSION, CONFIG_HELP, CONFIG_WRONG };

/* Reads the command line and the file that it names. For CONFIG_RUN and CONFIG_CHECK *out is a configuration (free it
 * with config_destroy). For CONFIG_WRONG the complaint has been printed on stderr, "FILE:LINE:COL: what is wrong, what
 * was expected" where there is a file; the caller exits with 2. */
MUST enum config_action config_load(int argc, char **argv, struct config **out);

/* What `lastword check` is to do. */
struct config_probe {
	struct config *config; /* its one route leads onto the URL; free it with config_drop */
	span prompt;           /* argv's, or our own */
	bool once;             /* no second question */
	bool json;             /* prints JSON */
};

/* argv without the program's name: "check", "URL", … CONFIG_RUN: *out is filled; CONFIG_HELP; CONFIG_WRONG as
 * above. */
MUST enum config_action config_probe_load(char **argv, struct config_probe *out);

/* The same again, of a running gateway: a new configuration, or NULL and the complaint in why. */
MUST struct config *config_reload(int argc, char **argv, char *why, size_t why_bytes);

/* Whoever keeps a pointer to a configuration, its routes or their strings beyond a turn holds it: a reload puts another one in its
 * place. A loaded one has one hold; the last drop destroys it. */
struct config *config_hold(struct config *c);
void config_drop(struct config *c);
void config_destroy(struct config *c);

/* Prints the configuration in force, defaults included, as YAML; secrets as "(set)". */
void config_print(const struct config *c, void (*put)(void *to, span text), void *to);
void config_print_help(void (*put)(void *to, span text), void *to);
void config_print_probe_help(void (*put)(void *to, span text), void *to);

/* One option of a route as a file would say it, such as "dialect: text"; without the end of the line. */
void config_print_option(const struct route *r, const char *name, struct buf *out);

/* What is doubtful though it works, in one sentence: a certificate that has expired. false: nothing is. */
MUST bool config_is_doubtful(const struct config *c, char *why, size_t why_bytes);

/* A list such as hosts has that word; the case of letters does not count. */
bool config_lists(const struct words *list, span word);

/* True when a route names the embedded model. */
bool config_wants_model(const struct config *c);

#endif
