/* Serving TLS, without a socket: OpenSSL's own client on the other side, certificates that are made here, every byte
 * fed alone. */
#include "net/tls.h"
#include "net/tls_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { DAY = 24 * 3600, ALL_AT_ONCE = 1 << 20 };

/* A key and a certificate, as texts. */
struct paper {
	struct buf certificate, key;
};

static void put_pem(BIO *pem, struct buf *out)
{
	char *text;
	long n = BIO_get_mem_data(pem, &text);
	buf_put(out, span_of(text, (size_t)n));
	BIO_free(pem);
}

static X509 *certify(EVP_PKEY *key, const char *names, long from, long to)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	assert_non_null(alt);
	X509_add_ext(x, alt, -1);
	X509_EXTENSION_free(alt);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static struct paper write_paper(EVP_PKEY *key, long from, long to, const char *password)
{
	struct paper p = {0};
	BIO *pem = BIO_new(BIO_s_mem());
	X509 *x = certify(key, "DNS:chat.example, DNS:*.wild.example, IP:10.0.0.1, IP:fd00::1", from, to);
	PEM_write_bio_X509(pem, x);
	X509_free(x);
	put_pem(pem, &p.certificate);
	pem = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(pem, key, password ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL, (void *)password);
	put_pem(pem, &p.key);
	EVP_PKEY_free(key);
	return p;
}

static struct paper make_paper(void) { return write_paper(EVP_EC_gen("P-256"), -DAY, DAY, NULL); }

static void burn(struct paper *p)
{
	buf_finish(&p->certificate);
	buf_finish(&p->key);
}

static struct tls_identity *identity(void)
{
	struct paper p = make_paper();
	struct tls_wrong wrong;
	struct tls_identity *i = tls_identity_create(buf_span(&p.certificate), buf_span(&p.key), &wrong);
	assert_non_null(i);
	burn(&p);
	return i;
}

/* A server of ours and a client of OpenSSL's. */
struct pair {
	struct tls *server;
	struct buf out;          /* what the server says, not yet given to the client */
	struct buf heard;        /* plaintext that the server read */
	SSL *client;
	BIO *to_client, *from_client;
	size_t slice;            /* bytes that the server is fed with at once */
	bool secured, closed, broken;
};

static SSL_CTX *client_context(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	assert_non_null(c);
	return c;
}

static void begin(struct pair *p, struct tls_identity *i, SSL_CTX *context, size_t slice)
{
	*p = (struct pair){.slice = slice};
	p->server = tls_create_serving(i, &p->out);
	assert_non_null(p->server);
	p->client = SSL_new(context);
	p->to_client = BIO_new(BIO_s_mem());
	p->from_client = BIO_new(BIO_s_mem());
	SSL_set_bio(p->client, p->to_client, p->from_client);
	SSL_set_connect_state(p->client);
	SSL_CTX_free(context);
}

static void finish(struct pair *p)
{
	tls_destroy(p->server);
	SSL_free(p->client);
	buf_finish(&p->out);
	buf_finish(&p->heard);
	ERR_clear_error();
}

static void feed(struct pair *p, span ciphertext)
{
	char room[512];
	size_t n;
	tls_feed(p->server, ciphertext);
	for (;;)
		switch (tls_next(p->server, room, sizeof room, &n)) {
		case TLS_MORE:
			return;
		case TLS_SECURED:
			assert_false(p->secured);
			p->secured = true;
			break;
		case TLS_BYTES:
			assert_true(p->secured);
			buf_put(&p->heard, span_of(room, n));
			break;
		case TLS_CLOSED:
			p->closed = true;
			return;
		case TLS_BROKEN:
			p->broken = true;
			return;
		}
}

/* What each has said goes to the other, in slices. */
static void carry(struct pair *p)
{
	char *said;
	size_t n = (size_t)BIO_get_mem_data(p->from_client, &said);
	for (size_t at = 0; at < n; at += p->slice)
		feed(p, span_of(said + at, n - at < p->slice ? n - at : p->slice));
	BIO_reset(p->from_client);
	if (p->out.n)
		BIO_write(p->to_client, p->out.p, (int)p->out.n);
	buf_clear(&p->out);
}

/* true: the client is content. */
static bool shake_hands(struct pair *p)
{
	for (int i = 0; i < 10; i++) {
		int result = SSL_do_handshake(p->client);
		if (result != 1 && SSL_get_error(p->client, result) != SSL_ERROR_WANT_READ)
			return false;
		carry(p);
		if (result == 1 && p->secured)
			return true;
	}
	return false;
}

static span hear(struct pair *p, char *room, size_t room_bytes)
{
	size_t n = 0, more;
	while (n < room_bytes && SSL_read_ex(p->client, room + n, room_bytes - n, &more) == 1)
		n += more;
	return span_of(room, n);
}

static void say(struct pair *p, span text)
{
	assert_int_equal(SSL_write(p->client, text.p, (int)text.n), text.n);
	carry(p);
}

static void set_version(SSL_CTX *c, int version)
{
	SSL_CTX_set_min_proto_version(c, version);
	SSL_CTX_set_max_proto_version(c, version);
}

static void talk(int version, size_t slice)
{
	struct tls_identity *i = identity();
	SSL_CTX *c = client_context();
	struct pair p;
	char room[64];
	set_version(c, version);
	begin(&p, i, c, slice);
	tls_identity_drop(i); /* the connection holds it */
	assert_true(shake_hands(&p));
	assert_int_equal(SSL_version(p.client), version);
	say(&p, SPAN("a question"));
	assert_true(span_is(buf_span(&p.heard), "a question"));
	assert_true(tls_put(p.server, SPAN("an answer")));
	carry(&p);
	assert_true(span_is(hear(&p, room, sizeof room), "an answer"));
	assert_int_equal(SSL_shutdown(p.client), 0);
	carry(&p);
	assert_true(p.closed && !p.broken);
	assert_true(tls_put(p.server, SPAN("and more"))); /* half closed */
	tls_close(p.server);
	carry(&p);
	assert_true(span_is(hear(&p, room, sizeof room), "and more"));
	assert_int_equal(SSL_get_shutdown(p.client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	finish(&p);
}

static void test_a_question_and_an_answer(void **state)
{
	static const size_t slices[] = {ALL_AT_ONCE, 1, 2, 3, 5, 7, 100};
	for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
		talk(TLS1_3_VERSION, slices[i]);
		talk(TLS1_2_VERSION, slices[i]);
	}
}

/* Bytes of a handshake, and then an end: at each place it is a break with a reason. */
static void test_an_end_at_every_byte_of_the_handshake(void **state)
{
	struct tls_identity *i = identity();
	struct pair p;
	begin(&p, i, client_context(), ALL_AT_ONCE);
	SSL_do_handshake(p.client);
	char *hello;
	size_t n = (size_t)BIO_get_mem_data(p.from_client, &hello);
	for (size_t at = 0; at < n; at++) {
		struct buf out = {0};
		struct tls *t = tls_create_serving(i, &out);
		char room[16];
		size_t got;
		tls_feed(t, span_of(hello, at));
		assert_int_equal(tls_next(t, room, sizeof room, &got), TLS_MORE);
		assert_string_equal(tls_why(t), "the connection ended in the middle of the TLS handshake");
		assert_int_equal(out.n, 0);
		tls_destroy(t);
		buf_finish(&out);
	}
	finish(&p);
	tls_identity_drop(i);
}

static void test_an_end_without_close_notify_is_named(void **state)
{
	struct tls_identity *i = identity();
	struct pair p;
	begin(&p, i, client_context(), ALL_AT_ONCE);
	assert_true(shake_hands(&p));
	assert_string_equal(tls_why(p.server), "TLS ended without close_notify");
	finish(&p);
	tls_identity_drop(i);
}

/* Whatever is changed in what the client says: no byte of it is taken for plaintext, and nothing worse happens. */
static void test_a_flipped_bit_breaks_a_record(void **state)
{
	struct tls_identity *i = identity();
	for (size_t at = 0; at < 28; at++) {
		struct pair p;
		begin(&p, i, client_context(), ALL_AT_ONCE);
		assert_true(shake_hands(&p));
		assert_int_equal(SSL_write(p.client, "secret", 6), 6);
		char *said, wire[256], room[64];
		size_t n = (size_t)BIO_get_mem_data(p.from_client, &said);
		assert_true(at < n && n < sizeof wire);
		memcpy(wire, said, n);
		wire[at] ^= 0x10;
		feed(&p, span_of(wire, n));
		assert_int_equal(p.heard.n, 0);
		assert_true(p.broken || at == 3 || at == 4); /* a length: it waits for more */
		assert_false(p.broken && tls_put(p.server, SPAN("answer")));
		(void)hear(&p, room, sizeof room);
		finish(&p);
	}
	tls_identity_drop(i);
}

static void expect_no_handshake(SSL_CTX *c, const char *why)
{
	struct tls_identity *i = identity();
	struct pair p;
	begin(&p, i, c, ALL_AT_ONCE);
	assert_false(shake_hands(&p));
	carry(&p);
	assert_true(p.broken && !p.secured);
	if (!strstr(tls_why(p.server), why))
		print_error("%s, not %s\n", tls_why(p.server), why);
	assert_non_null(strstr(tls_why(p.server), why));
	finish(&p);
	tls_identity_drop(i);
}

static void test_F18_old_versions_are_refused(void **state)
{
	static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		SSL_CTX *c = client_context();
		SSL_CTX_set_cipher_list(c, "ALL:@SECLEVEL=0");
		set_version(c, versions[i]);
		expect_no_handshake(c, "1.2 is the oldest");
	}
}

static void test_F18_suites_without_forward_secrecy_or_with_cbc_are_refused(void **state)
{
	static const char *const suites[] = {"AES128-GCM-SHA256", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA",
		"ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-SHA"};
	for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
		SSL_CTX *c = client_context();
		set_version(c, TLS1_2_VERSION);
		assert_int_equal(SSL_CTX_set_cipher_list(c, suites[i]), 1);
		expect_no_handshake(c, "no shared cipher");
	}
}

static void test_F18_a_client_that_offers_other_protocols_only_is_refused(void **state)
{
	static const unsigned char h2[] = "\x02h2", two[] = "\x02h2\x08http/1.1", old[] = "\x08http/1.0";
	struct tls_identity *i = identity();
	SSL_CTX *c = client_context();
	SSL_CTX_set_alpn_protos(c, h2, sizeof h2 - 1);
	expect_no_handshake(c, "other protocols than http/1.1");
	c = client_context();
	SSL_CTX_set_alpn_protos(c, old, sizeof old - 1);
	expect_no_handshake(c, "other protocols than http/1.1");
	struct pair p;
	c = client_context();
	SSL_CTX_set_alpn_protos(c, two, sizeof two - 1);
	begin(&p, i, c, 1);
	assert_true(shake_hands(&p));
	const unsigned char *chosen;
	unsigned n;
	SSL_get0_alpn_selected(p.client, &chosen, &n);
	assert_true(span_is(span_of(chosen, n), "http/1.1"));
	finish(&p);
	tls_identity_drop(i);
}

static void test_F18_renegotiation_is_refused(void **state)
{
	struct tls_identity *i = identity();
	struct pair p;
	SSL_CTX *c = client_context();
	char room[16];
	set_version(c, TLS1_2_VERSION);
	begin(&p, i, c, ALL_AT_ONCE);
	assert_true(shake_hands(&p));
	assert_int_equal(SSL_renegotiate(p.client), 1);
	SSL_do_handshake(p.client);
	carry(&p);
	assert_true(p.broken);
	assert_string_equal(tls_why(p.server), "the client wants to renegotiate");
	assert_int_equal(SSL_do_handshake(p.client), -1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
	(void)hear(&p, room, sizeof room);
	finish(&p);
	tls_identity_drop(i);
}

static void test_F18_nothing_is_taken_before_the_handshake_is_over(void **state)
{
	struct tls_identity *i = identity();
	struct pair first, second;
	begin(&first, i, client_context(), ALL_AT_ONCE);
	assert_true(shake_hands(&first));
	char room[64];
	carry(&first);
	(void)hear(&first, room, sizeof room); /* the tickets */
	SSL_SESSION *session = SSL_get1_session(first.client);
	assert_true(SSL_SESSION_is_resumable(session));
	assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
	begin(&second, i, client_context(), 1);
	SSL_set_session(second.client, session);
	size_t n;
	assert_int_equal(SSL_write_early_data(second.client, "x", 1, &n), 0);
	ERR_clear_error();
	finish(&second);
	SSL_SESSION_free(session);
	finish(&first);
	tls_identity_drop(i);
}

/* true: the second connection was the first one's session. */
static bool resumes(int version, struct tls_identity *first, struct tls_identity *second)
{
	struct pair p, again;
	char room[64];
	SSL_CTX *c = client_context();
	set_version(c, version);
	begin(&p, first, c, ALL_AT_ONCE);
	assert_true(shake_hands(&p));
	carry(&p);
	(void)hear(&p, room, sizeof room);
	SSL_SESSION *session = SSL_get1_session(p.client);
	SSL_shutdown(p.client);
	c = client_context();
	set_version(c, version);
	begin(&again, second, c, 1);
	SSL_set_session(again.client, session);
	assert_true(shake_hands(&again));
	bool resumed = SSL_session_reused(again.client);
	SSL_SESSION_free(session);
	finish(&again);
	finish(&p);
	return resumed;
}

static void test_a_ticket_resumes_with_the_same_identity_only(void **state)
{
	struct tls_identity *one = identity(), *other = identity();
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		assert_true(resumes(version, one, one));
		assert_false(resumes(version, one, other));
	}
	tls_identity_drop(one);
	tls_identity_drop(other);
}

/* OpenSSL on both sides, and our keys for its tickets. true: the session was resumed; *session is the one to come. */
static bool meet(SSL_CTX *server, SSL_SESSION **session)
{
	SSL_CTX *context = client_context();
	SSL *here = SSL_new(server), *there = SSL_new(context);
	BIO *a, *b;
	char room[16];
	BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16);
	SSL_set_bio(here, a, a);
	SSL_set_bio(there, b, b);
	SSL_set_accept_state(here);
	SSL_set_connect_state(there);
	if (*session)
		SSL_set_session(there, *session);
	SSL_SESSION_free(*session);
	for (int i = 0; i < 5; i++) {
		SSL_do_handshake(there);
		SSL_do_handshake(here);
	}
	assert_true(SSL_is_init_finished(here) && SSL_is_init_finished(there));
	SSL_read(there, room, sizeof room); /* the tickets */
	bool reused = SSL_session_reused(there);
	*session = SSL_get1_session(there);
	SSL_shutdown(there);
	SSL_free(here);
	SSL_free(there);
	SSL_CTX_free(context);
	ERR_clear_error();
	return reused;
}

/* A ticket is used so long after it was made; between them others may come, for whom a new key is made. */
static bool resumes_after(uint64_t ms, bool others_come)
{
	struct tls_tickets tickets;
	struct paper p = make_paper();
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	SSL_SESSION *session = NULL, *of_another = NULL;
	BIO *pem = BIO_new_mem_buf(p.certificate.p, (int)p.certificate.n);
	X509 *x = PEM_read_bio_X509(pem, NULL, NULL, NULL);
	BIO_free(pem);
	pem = BIO_new_mem_buf(p.key.p, (int)p.key.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
	BIO_free(pem);
	assert_true(SSL_CTX_use_certificate(server, x) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1);
	tls_tickets_init(&tickets);
	tls_tickets_serve(&tickets, server);
	assert_false(meet(server, &session));
	assert_true(tickets.now.made_ms && !tickets.before.made_ms);
	tickets.now.made_ms -= ms;
	if (others_come)
		assert_false(meet(server, &of_another));
	bool resumed = meet(server, &session);
	SSL_SESSION_free(session);
	SSL_SESSION_free(of_another);
	SSL_CTX_free(server);
	tls_tickets_finish(&tickets);
	X509_free(x);
	EVP_PKEY_free(key);
	burn(&p);
	return resumed;
}

static void test_F18_keys_of_tickets_change(void **state)
{
	static const uint64_t minute = 60 * 1000, key = TLS_TICKETS_KEY_MS;
	for (int others_come = 0; others_come < 2; others_come++) {
		assert_true(resumes_after(0, others_come));
		assert_true(resumes_after(key - minute, others_come));
		assert_true(resumes_after(key + minute, others_come));
		assert_true(resumes_after(2 * key - minute, others_come));
		assert_false(resumes_after(2 * key + minute, others_come));
	}
}

/* A turn's bytes are one record, up to 16 KiB; RFC 8446 §5.1: type, version, length. */
static void test_what_is_put_at_once_is_one_record(void **state)
{
	static const struct {
		size_t bytes, records;
	} rows[] = {{1, 1}, {1000, 1}, {16 * 1024, 1}, {16 * 1024 + 1, 2}, {64 * 1024, 4}};
	struct tls_identity *i = identity();
	struct pair p;
	begin(&p, i, client_context(), ALL_AT_ONCE);
	assert_true(shake_hands(&p));
	carry(&p);
	char *text = calloc(1, 64 * 1024);
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		size_t records = 0;
		assert_true(tls_put(p.server, span_of(text, rows[k].bytes)));
		for (span rest = buf_span(&p.out); rest.n >= 5; records++)
			rest = span_from(rest, 5 + ((size_t)(unsigned char)rest.p[3] << 8 | (unsigned char)rest.p[4]));
		assert_int_equal(records, rows[k].records);
		buf_clear(&p.out);
	}
	free(text);
	finish(&p);
	tls_identity_drop(i);
}

static void expect_wrong(span certificate, span key, bool is_key, const char *why)
{
	struct tls_wrong wrong;
	assert_null(tls_identity_create(certificate, key, &wrong));
	if (!strstr(wrong.why, why))
		print_error("%s, not %s\n", wrong.why, why);
	assert_non_null(strstr(wrong.why, why));
	assert_int_equal(wrong.is_key, is_key);
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_E16_a_wrong_certificate_or_key_is_named(void **state)
{
	struct paper p = make_paper(), other = make_paper(), rsa = write_paper(EVP_RSA_gen(2048), -DAY, DAY, NULL),
		locked = write_paper(EVP_EC_gen("P-256"), -DAY, DAY, "secret"),
		weak = write_paper(EVP_RSA_gen(1024), -DAY, DAY, NULL);
	span certificate = buf_span(&p.certificate), key = buf_span(&p.key);
	expect_wrong(SPAN(""), key, false, "holds no certificate in PEM");
	expect_wrong(SPAN("hello"), key, false, "holds no certificate in PEM");
	expect_wrong(key, key, false, "holds no certificate in PEM");
	expect_wrong(span_first(certificate, certificate.n / 2), key, false, "a certificate that cannot be read");
	expect_wrong(SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key, false,
		"a certificate that cannot be read");
	expect_wrong(buf_span(&weak.certificate), buf_span(&weak.key), false, "key too small");
	expect_wrong(certificate, SPAN(""), true, "holds no private key in PEM");
	expect_wrong(certificate, certificate, true, "holds no private key in PEM");
	expect_wrong(certificate, buf_span(&other.key), true, "holds the key of another certificate");
	expect_wrong(certificate, buf_span(&rsa.key), true, "holds the key of another certificate");
	expect_wrong(buf_span(&locked.certificate), buf_span(&locked.key), true, "is encrypted");
	expect_wrong(certificate, SPAN("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), true, "");
	struct buf broken_chain = {0};
	buf_put(&broken_chain, certificate);
	buf_put(&broken_chain, SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
	expect_wrong(buf_span(&broken_chain), key, false, "a chain that cannot be read");
	buf_finish(&broken_chain);
	burn(&p);
	burn(&other);
	burn(&rsa);
	burn(&locked);
	burn(&weak);
}

static void test_a_chain_goes_to_the_client(void **state)
{
	struct paper leaf = make_paper(), issuer = make_paper();
	struct tls_wrong wrong;
	struct pair p;
	buf_put(&leaf.certificate, buf_span(&issuer.certificate));
	struct tls_identity *i = tls_identity_create(buf_span(&leaf.certificate), buf_span(&leaf.key), &wrong);
	assert_non_null(i);
	begin(&p, i, client_context(), 1);
	assert_true(shake_hands(&p));
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.client)), 2);
	finish(&p);
	tls_identity_drop(i);
	burn(&leaf);
	burn(&issuer);
}

static void expect_doubt(long from, long to, const char *doubt)
{
	struct paper p = write_paper(EVP_EC_gen("P-256"), from, to, NULL);
	struct tls_wrong wrong;
	struct tls_identity *i = tls_identity_create(buf_span(&p.certificate), buf_span(&p.key), &wrong);
	assert_non_null(i);
	if (doubt)
		assert_string_equal(tls_identity_doubt(i), doubt);
	else
		assert_null(tls_identity_doubt(i));
	tls_identity_drop(i);
	burn(&p);
}

static void test_a_time_that_is_not_now_is_a_doubt(void **state)
{
	expect_doubt(-DAY, DAY, NULL);
	expect_doubt(-2 * DAY, -DAY, "has expired");
	expect_doubt(DAY, 2 * DAY, "is not valid yet");
}

static void test_whom_a_certificate_is_for(void **state)
{
	struct tls_identity *i = identity();
	assert_true(tls_identity_is_for(i, SPAN("chat.example")));
	assert_true(tls_identity_is_for(i, SPAN("CHAT.example")));
	assert_true(tls_identity_is_for(i, SPAN("a.wild.example")));
	assert_true(tls_identity_is_for(i, SPAN("10.0.0.1")));
	assert_true(tls_identity_is_for(i, SPAN("fd00::1")));
	static const span no[] = {{"", 0}, {"test", 4}, {"evil.example", 12}, {"chat.example.evil", 17},
		{"a.b.wild.example", 16}, {"wild.example", 12}, {"10.0.0.2", 8}};
	for (size_t k = 0; k < sizeof no / sizeof *no; k++)
		if (tls_identity_is_for(i, no[k]))
			fail_msg("it is for %.*s", SPAN_ARG(no[k]));
	tls_identity_drop(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_question_and_an_answer),
		cmocka_unit_test(test_an_end_at_every_byte_of_the_handshake),
		cmocka_unit_test(test_an_end_without_close_notify_is_named),
		cmocka_unit_test(test_a_flipped_bit_breaks_a_record),
		cmocka_unit_test(test_F18_old_versions_are_refused),
		cmocka_unit_test(test_F18_suites_without_forward_secrecy_or_with_cbc_are_refused),
		cmocka_unit_test(test_F18_a_client_that_offers_other_protocols_only_is_refused),
		cmocka_unit_test(test_F18_renegotiation_is_refused),
		cmocka_unit_test(test_F18_nothing_is_taken_before_the_handshake_is_over),
		cmocka_unit_test(test_a_ticket_resumes_with_the_same_identity_only),
		cmocka_unit_test(test_F18_keys_of_tickets_change),
		cmocka_unit_test(test_what_is_put_at_once_is_one_record),
		cmocka_unit_test(test_E16_a_wrong_certificate_or_key_is_named),
		cmocka_unit_test(test_a_chain_goes_to_the_client),
		cmocka_unit_test(test_a_time_that_is_not_now_is_a_doubt),
		cmocka_unit_test(test_whom_a_certificate_is_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
