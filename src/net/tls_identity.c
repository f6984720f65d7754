/* A certificate and its key, judged before anything is served with them.
 *
 * Two texts come in instead of two names of files: what can go wrong with files is known elsewhere
 * (gateway/config_file), and OpenSSL's own way of reading them would ask the terminal for a password, and wait for the
 * writer of a pipe.
 *
 * How TLS is spoken is decided here once: 1.2 is the oldest version; only suites whose keys are agreed upon anew for
 * each connection and which encrypt and authenticate in one (so a stolen key opens nothing that was recorded); no
 * renegotiation; no 0-RTT, because what is sent in it can be sent again by others, and a question costs money; and
 * http/1.1 by ALPN: who offers other protocols only is turned away, since bytes that mean one thing in one protocol
 * may mean another in ours (ALPACA). Sessions are resumed by tickets (tls_tickets.c), so nothing is kept for a client.
 *
 * Invariants
 * 1. An identity is whole: the key belongs to the certificate.
 * 2. Nothing of it changes; OpenSSL's counts and the tickets' keys have locks of their own. */
#include "net/tls_identity.h"

#include "net/tls_tickets.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_identity {
	SSL_CTX *context;
	X509 *leaf;        /* a loan from the context */
	const char *doubt;
	struct tls_tickets tickets;
	atomic_uint holds;
};

static bool refuse(struct tls_wrong *wrong, bool is_key, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	wrong->is_key = is_key;
	snprintf(wrong->why, sizeof wrong->why, reason ? "%s: %s" : "%s", what, reason);
	ERR_clear_error();
	return false;
}

static bool refuse_plainly(struct tls_wrong *wrong, bool is_key, const char *what)
{
	ERR_clear_error();
	return refuse(wrong, is_key, what);
}

static bool is_at_end(void) { return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; }

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *offered,
	unsigned n, void *owner)
{
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, out_n, http11, sizeof http11 - 1, offered, n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *create_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_max_early_data(context, 0);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
	CHECK(SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
	return context;
}

/* Never asks: the file has no password, or it is refused. */
static int on_password(char *room, int room_bytes, int writing, void *is_encrypted)
{
	*(bool *)is_encrypted = true;
	return -1;
}

static bool take_chain(struct tls_identity *i, BIO *pem, struct tls_wrong *wrong)
{
	X509 *next;
	while ((next = PEM_read_bio_X509(pem, NULL, NULL, NULL)))
		if (SSL_CTX_add0_chain_cert(i->context, next) != 1) {
			X509_free(next);
			return refuse(wrong, false, "has a chain that cannot be used");
		}
	if (!is_at_end())
		return refuse(wrong, false, "has a chain that cannot be read");
	ERR_clear_error();
	return true;
}

static bool take_certificates(struct tls_identity *i, BIO *pem, struct tls_wrong *wrong)
{
	X509 *leaf = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL);
	if (!leaf && is_at_end())
		return refuse_plainly(wrong, false, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
	if (!leaf)
		return refuse(wrong, false, "holds a certificate that cannot be read");
	bool used = SSL_CTX_use_certificate(i->context, leaf) == 1;
	X509_free(leaf);
	if (!used)
		return refuse(wrong, false, "holds a certificate that cannot be used");
	i->leaf = SSL_CTX_get0_certificate(i->context);
	return take_chain(i, pem, wrong);
}

static bool take_key(struct tls_identity *i, span text, BIO *pem, struct tls_wrong *wrong)
{
	static const char mark[] = "PRIVATE KEY-----";
	bool is_encrypted = false;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, on_password, &is_encrypted);
	if (is_encrypted)
		return refuse_plainly(wrong, true, "is encrypted, and nobody is here to say its password");
	if (!key && !memmem(text.p, text.n, mark, sizeof mark - 1)) /* OpenSSL only says "unsupported" */
		return refuse_plainly(wrong, true, "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)");
	if (!key)
		return refuse(wrong, true, "holds a key that cannot be read");
	bool fits = X509_check_private_key(i->leaf, key) == 1;
	bool used = fits && SSL_CTX_use_PrivateKey(i->context, key) == 1;
	EVP_PKEY_free(key);
	if (!fits)
		return refuse_plainly(wrong, true, "holds the key of another certificate");
	return used || refuse(wrong, true, "holds a key that cannot be used");
}

static const char *judge_time(const X509 *leaf)
{
	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		return "has expired";
	return X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0 ? "is not valid yet" : NULL;
}

static bool fill(struct tls_identity *i, span certificates, span key, struct tls_wrong *wrong)
{
	BIO *certificates_pem = BIO_new_mem_buf(certificates.p, (int)certificates.n);
	BIO *key_pem = BIO_new_mem_buf(key.p, (int)key.n);
	bool fine = certificates_pem && key_pem && i->context ? take_certificates(i, certificates_pem, wrong)
		&& take_key(i, key, key_pem, wrong) : refuse(wrong, false, "cannot be read: out of memory");
	BIO_free(certificates_pem);
	BIO_free(key_pem);
	return fine;
}

struct tls_identity *tls_identity_create(span certificates, span key, struct tls_wrong *wrong)
{
	struct tls_identity *i = calloc(1, sizeof *i);
	ERR_clear_error();
	if (!i) {
		refuse(wrong, false, "cannot be read: out of memory");
		return NULL;
	}
	atomic_init(&i->holds, 1);
	i->context = create_context();
	tls_tickets_init(&i->tickets);
	if (!fill(i, certificates, key, wrong)) {
		tls_identity_drop(i);
		return NULL;
	}
	tls_tickets_serve(&i->tickets, i->context);
	i->doubt = judge_time(i->leaf);
	return i;
}

struct tls_identity *tls_identity_hold(struct tls_identity *i)
{
	CHECK(atomic_fetch_add_explicit(&i->holds, 1, memory_order_relaxed) > 0);
	return i;
}

void tls_identity_drop(struct tls_identity *i)
{
	if (!i || atomic_fetch_sub_explicit(&i->holds, 1, memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(i->context);
	tls_tickets_finish(&i->tickets);
	free(i);
}

const char *tls_identity_doubt(const struct tls_identity *i) { return i->doubt; }

bool tls_identity_is_for(const struct tls_identity *i, span host)
{
	char address[64];
	if (!host.n)
		return false; /* OpenSSL would measure the string itself */
	if (X509_check_host(i->leaf, host.p, host.n, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1)
		return true;
	if (host.n >= sizeof address)
		return false;
	memcpy(address, host.p, host.n);
	address[host.n] = 0;
	return X509_check_ip_asc(i->leaf, address, 0) == 1;
}

struct ssl_st *tls_identity_begin(const struct tls_identity *i)
{
	SSL *ssl = SSL_new(i->context);
	if (ssl)
		SSL_set_accept_state(ssl);
	return ssl;
}
