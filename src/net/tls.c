/* TLS by OpenSSL, on a BIO of our own whose two ends are a span and a buffer: libuv owns the descriptor, and OpenSSL's
 * own pairs of memory BIOs would copy every byte twice more.
 *
 * A connection that ends without close_notify was cut: an attacker, or a dead process, can forge a FIN but not that
 * message. So SSL_OP_IGNORE_UNEXPECTED_EOF is never set, and whoever holds the connection is told of a break.
 *
 * Invariants
 * 1. tls_next uses all input before it says TLS_MORE: OpenSSL keeps what belongs to a started record.
 * 2. After TLS_CLOSED nothing is read any more, after TLS_BROKEN nothing is written either.
 * 3. `why` is written when a step fails and names the cause in words that an operator can act on.
 *
 * A server has thousands of these that say nothing for minutes, so what only a failure needs is not in the struct. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_trust {
	SSL_CTX *context;
};

struct tls {
	SSL *ssl;
	struct tls_identity *as; /* as whom we serve; NULL: we are the client */
	span in;
	struct buf *out;
	bool secured, read_over, broken, renegotiates;
	char *host;              /* the server's; NULL: we are it */
	char *why;
};

static int bio_read(BIO *bio, char *to, int n)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!t->in.n) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t k = t->in.n < (size_t)n ? t->in.n : (size_t)n;
	memcpy(to, t->in.p, k);
	t->in = span_from(t->in, k);
	return (int)k;
}

static int bio_write(BIO *bio, const char *from, int n)
{
	struct tls *t = BIO_get_data(bio);
	buf_put(t->out, span_of(from, (size_t)n));
	return t->out->failed ? -1 : n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) { return command == BIO_CTRL_FLUSH; }

/* One for the process: it must outlive every connection, also those whose trust was replaced. */
static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
	CHECK(method);
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_control);
}

/* The provider's algorithms come with the first context. */
static void set_up(void)
{
	SSL_CTX *first = SSL_CTX_new(TLS_client_method());
	SSL *connection = first ? SSL_new(first) : NULL;
	pthread_once(&method_once, make_method);
	SSL_free(connection);
	SSL_CTX_free(first);
	ERR_clear_error();
}

void tls_warm(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
}

static const char *last_error(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	return reason ? reason : "unknown error";
}

struct tls_trust *tls_trust_create(const char *ca_file, char *why, size_t why_bytes)
{
	struct tls_trust *t = calloc(1, sizeof *t);
	if (!t || !(t->context = SSL_CTX_new(TLS_client_method()))) {
		snprintf(why, why_bytes, "out of memory");
		tls_trust_destroy(t);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION);
	SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(t->context,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	ERR_clear_error();
	if (ca_file ? SSL_CTX_load_verify_file(t->context,
		ca_file) == 1 : SSL_CTX_set_default_verify_paths(t->context) == 1)
		return t;
	snprintf(why, why_bytes, "cannot read certificates from %s: %s", ca_file ? ca_file : "the system's store",
		last_error());
	ERR_clear_error();
	tls_trust_destroy(t);
	return NULL;
}

void tls_trust_destroy(struct tls_trust *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->context);
	free(t);
}

static bool is_address(const char *host)
{
	unsigned char bytes[16];
	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Which name the certificate must have. */
static bool expect_host(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* OpenSSL refuses to renegotiate with a mere warning, as often as it is asked: alerts would pile up for a client that
 * takes none. Nobody who means well asks for it. */
static void on_alert(const SSL *ssl, int where, int alert)
{
	struct tls *t = SSL_get_app_data(ssl);
	t->renegotiates |= where == SSL_CB_WRITE_ALERT && (alert & 0xff) == SSL_AD_NO_RENEGOTIATION;
}

/* Takes ssl, which may be NULL. */
static struct tls *create(SSL *ssl, struct buf *out)
{
	pthread_once(&method_once, make_method);
	struct tls *t = calloc(1, sizeof *t);
	BIO *bio = BIO_new(method);
	if (!t || !ssl || !bio) {
		BIO_free(bio);
		SSL_free(ssl);
		free(t);
		return NULL;
	}
	t->ssl = ssl;
	t->out = out;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return t;
}

struct tls *tls_create(const struct tls_trust *trust, const char *host, struct buf *out)
{
	static const unsigned char http11[] = "\x08http/1.1";
	struct tls *t = create(SSL_new(trust->context), out);
	if (!t)
		return NULL;
	t->host = strdup(host);
	if (!t->host || !expect_host(t->ssl, host)) {
		tls_destroy(t);
		return NULL;
	}
	SSL_set_alpn_protos(t->ssl, http11, sizeof http11 - 1);
	SSL_set_connect_state(t->ssl);
	return t;
}

struct tls *tls_create_serving(struct tls_identity *as, struct buf *out)
{
	struct tls *t = create(tls_identity_begin(as), out);
	if (!t)
		return NULL;
	t->as = tls_identity_hold(as);
	SSL_set_app_data(t->ssl, t);
	SSL_set_info_callback(t->ssl, on_alert);
	return t;
}

void tls_destroy(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_identity_drop(t->as);
	free(t->host);
	free(t->why);
	free(t);
}

void tls_feed(struct tls *t, span ciphertext) { t->in = ciphertext; }

static void PRINTF_LIKE(2, 3) say(struct tls *t, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	free(t->why);
	t->why = strdup(text);
}

static void explain_certificate(struct tls *t, long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		say(t, "the certificate of %s has expired", t->host);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		say(t, "the certificate of %s is not valid yet; is this machine's clock right?", t->host);
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		say(t, "the certificate is for another name than %s", t->host);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		say(t, "the certificate of %s comes from an issuer that is not trusted here; a route's own is named by ca:",
			t->host);
		return;
	default:
		say(t, "the certificate of %s was not accepted: %s", t->host, X509_verify_cert_error_string(result));
	}
}

static void explain_server(struct tls *t)
{
	int reason = ERR_GET_REASON(ERR_peek_last_error());
	long certificate = SSL_get_verify_result(t->ssl);
	if (certificate != X509_V_OK)
		explain_certificate(t, certificate);
	else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION
		|| reason == SSL_R_VERSION_TOO_LOW)
		say(t, "%s speaks only old TLS versions; 1.2 is the oldest that is accepted", t->host);
	else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
		say(t, "%s does not speak TLS on that port", t->host);
	else
		say(t, "TLS with %s failed: %s", t->host, last_error());
}

static void explain_client(struct tls *t)
{
	switch (ERR_GET_REASON(ERR_peek_last_error())) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
		say(t, "the client speaks only old TLS versions; 1.2 is the oldest that is accepted");
		return;
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		say(t, "the client does not accept the certificate: %s", last_error());
		return;
	case SSL_R_NO_APPLICATION_PROTOCOL:
		say(t, "the client offers other protocols than http/1.1 (by ALPN)");
		return;
	default:
		say(t, "TLS with the client failed: %s", last_error());
	}
}

static enum tls_step judge(struct tls *t, int result)
{
	if (t->renegotiates) {
		say(t, "the client wants to renegotiate");
		t->read_over = t->broken = true;
		return TLS_BROKEN;
	}
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return TLS_MORE;
	case SSL_ERROR_ZERO_RETURN:
		t->read_over = true;
		return TLS_CLOSED;
	default:
		t->read_over = t->broken = true;
		if (t->as)
			explain_client(t);
		else
			explain_server(t);
		ERR_clear_error();
		return TLS_BROKEN;
	}
}

enum tls_step tls_next(struct tls *t, char *room, size_t room_bytes, size_t *n)
{
	if (t->read_over)
		return TLS_MORE;
	ERR_clear_error();
	if (!t->secured) {
		int result = SSL_do_handshake(t->ssl);
		if (result != 1)
			return judge(t, result);
		t->secured = true;
		return TLS_SECURED;
	}
	int result = SSL_read_ex(t->ssl, room, room_bytes, n);
	return result == 1 ? TLS_BYTES : judge(t, result);
}

bool tls_put(struct tls *t, span plaintext)
{
	CHECK(t->secured);
	ERR_clear_error();
	while (plaintext.n && !t->broken) {
		size_t n = 0;
		if (SSL_write_ex(t->ssl, plaintext.p, plaintext.n, &n) != 1)
			return false;
		plaintext = span_from(plaintext, n);
	}
	return !t->broken;
}

void tls_close(struct tls *t)
{
	if (t->secured && !t->broken)
		SSL_shutdown(t->ssl);
	ERR_clear_error();
}

bool tls_is_secured(const struct tls *t) { return t->secured; }

const char *tls_why(const struct tls *t)
{
	return t->why ? t->why : t->secured
		? "TLS ended without close_notify" : "the connection ended in the middle of the TLS handshake";
}
