/* The public listener's certificate and key: two names of files, and what is in them.
 *
 * The files are read with the rest of the configuration, so a wrong one is a wrong configuration: the start is refused
 * with its place, --check-config finds it, and a reload changes nothing and goes on with the certificate that it has. A
 * renewal puts two files in place one after the other; a reload between them finds a key that does not fit and is one
 * of these.
 *
 * Invariant: both names are there and an identity, or none of the three.
 *
 * What makes a certificate and a key good is net/tls_identity's. */
#include "gateway/config_parts.h"

#include <openssl/crypto.h>

enum { CERTIFICATES_BYTES = 256 * 1024, KEY_BYTES = 64 * 1024 }; /* dozens of each */

static bool bind_file(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	span text;
	return config_type_scalar(b, o, n, &text) && config_type_copy(b, n, text, field);
}

static void print_file(const struct option *o, const void *field, struct buf *out)
{
	config_type_put_plain(out, span_str(*(char *const *)field));
}

const struct option_type config_tls_file = {"a file in PEM", bind_file, print_file, config_type_release_string};

static const struct node *said(const struct binding *b, const char *path)
{
	return b->said[config_option_find(OF_ALL, span_str(path)) - config_option_rows];
}

static bool complain(struct binding *b, bool is_key, const char *trouble, const char *why)
{
	const char *option = is_key ? "tls.key" : "tls.cert", *file = is_key ? b->config->tls.key : b->config->tls.cert;
	return config_complain(b->complaint, said(b, option), "%s: the file %s %s%s, expected %s", option, file,
		trouble, why, is_key ? "the certificate's private key in PEM, without a password"
			: "a certificate and its chain in PEM");
}

static bool read_file(struct binding *b, bool is_key, struct buf *out)
{
	const struct config_tls *tls = &b->config->tls;
	const char *wrong = is_key ? config_file_read(tls->key, KEY_BYTES, true, out)
		: config_file_read(tls->cert, CERTIFICATES_BYTES, true, out);
	return !wrong || complain(b, is_key, "cannot be used: ", wrong);
}

static bool make_identity(struct binding *b, span certificates, span key)
{
	struct config_tls *tls = &b->config->tls;
	struct tls_wrong wrong;
	tls->identity = tls_identity_create(certificates, key, &wrong);
	return tls->identity || complain(b, wrong.is_key, "", wrong.why);
}

bool config_tls_load(struct binding *b)
{
	struct config_tls *tls = &b->config->tls;
	struct buf certificates = {0}, key = {0};
	if (!tls->cert && !tls->key)
		return true;
	if (!tls->key)
		return config_complain(b->complaint, said(b, "tls.cert"), "tls: cert without key, expected both or neither");
	if (!tls->cert)
		return config_complain(b->complaint, said(b, "tls.key"), "tls: key without cert, expected both or neither");
	bool fine = read_file(b, false, &certificates) && read_file(b, true, &key)
		&& make_identity(b, buf_span(&certificates), buf_span(&key));
	if (key.p)
		OPENSSL_cleanse(key.p, key.cap);
	buf_finish(&key);
	buf_finish(&certificates);
	return fine;
}
