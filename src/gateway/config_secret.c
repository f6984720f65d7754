/* env:NAME or file:PATH → a secret. A secret never stands in the file itself, which is shown around, nor on a command
 * line, which every user of the machine can see.
 *
 * 1. A secret is read once for each load, and is one line of text. What else it has to be, its reader says.
 * 2. No complaint shows it; what was written instead of env: or file: is not shown either, since it may be the secret
 *    itself. */
#include "gateway/config_parts.h"

#include <stdlib.h>

enum { SECRET_BYTES = 8192, ROOM_BYTES = 4 * SECRET_BYTES }; /* room: so that what is read of it is never moved */

static span drop_newline(span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* Fit for a header's value (RFC 9110 §5.5) without further thought. */
static const char *judge(span secret)
{
	if (secret.n == 0)
		return "is empty";
	if (secret.n > SECRET_BYTES)
		return "is longer than 8 KiB";
	for (size_t i = 0; i < secret.n; i++)
		if ((unsigned char)secret.p[i] < 0x20 || secret.p[i] == 0x7f)
			return "has control characters";
	return NULL;
}

static bool keep(struct binding *b, const struct option *o, const struct node *n, struct secret *s, span secret)
{
	const char *wrong = judge(drop_newline(secret));
	if (wrong)
		return config_complain(b->complaint, n, "%s: the secret in %s %s, expected one line of text", o->path, s->name,
			wrong);
	return config_type_copy(b, n, drop_newline(secret), &s->value);
}

static bool read_variable(struct binding *b, const struct option *o, const struct node *n, struct secret *s)
{
	const char *value = getenv(s->name);
	if (!value)
		return config_complain(b->complaint, n, "%s: the environment variable %s is not set, expected the secret in it",
			o->path, s->name);
	return keep(b, o, n, s, span_str(value));
}

static bool read_file(struct binding *b, const struct option *o, const struct node *n, struct secret *s)
{
	struct buf bytes = {0};
	(void)!buf_reserve(&bytes, ROOM_BYTES);
	const char *wrong = config_file_read(s->name, SECRET_BYTES + 2, true, &bytes);
	bool fine = wrong ? config_complain(b->complaint, n, "%s: the file %s: %s, expected the secret in it", o->path,
		s->name, wrong) : keep(b, o, n, s, buf_span(&bytes));
	if (bytes.n)
		explicit_bzero(bytes.p, bytes.n);
	buf_finish(&bytes);
	return fine;
}

bool config_secret_bind(struct binding *b, const struct option *o, const struct node *n, span text, struct secret *out)
{
	bool is_env = span_starts(text, SPAN("env:")), is_file = span_starts(text, SPAN("file:"));
	span name = span_from(text, is_env ? 4 : 5);
	*out = (struct secret){.from = is_env ? AUTH_ENV : AUTH_FILE};
	if (!(is_env || is_file) || name.n == 0)
		return config_type_wrong(b, o, n, "neither the name of a variable nor of a file");
	if (!config_type_copy(b, n, name, &out->name))
		return false;
	return is_env ? read_variable(b, o, n, out) : read_file(b, o, n, out);
}

void config_secret_finish(struct secret *s)
{
	if (s->value)
		explicit_bzero(s->value, strlen(s->value));
	free(s->value);
	free(s->name);
	*s = (struct secret){0};
}

void config_secret_print(enum auth_kind from, const char *name, bool is_set, struct buf *out)
{
	struct buf text = {0};
	buf_put(&text, from == AUTH_ENV ? SPAN("env:") : SPAN("file:"));
	buf_put(&text, span_str(name));
	config_type_put_plain(out, buf_span(&text));
	buf_put(out, is_set ? SPAN("  # (set)") : SPAN(""));
	out->failed |= text.failed;
	buf_finish(&text);
}
