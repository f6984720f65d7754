/* Keys of session tickets, changed every two hours.
 *
 * OpenSSL makes one key for a context and keeps it as long as that lives, which for a gateway may be months: whoever
 * gets hold of it then can open each recorded TLS 1.2 session that a ticket began. So there are two keys here, one for
 * new tickets and the one before it, and a ticket is good for as long as one of them is for new ones. A context's keys
 * are its own: after a restart, or with a new certificate, clients shake hands in full once.
 *
 * Invariants
 * 1. `now` makes tickets for KEY_MS and opens them for twice as long, which is the life of a ticket and more.
 * 2. Both keys are touched under the lock only; several workers serve by one context. */
#include "net/tls_tickets.h"

#include "base/check.h"
#include "base/clock.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

enum { KEY_MS = TLS_TICKETS_KEY_MS, FAILED = -1, UNKNOWN = 0, GOOD = 1, GOOD_BUT_OLD = 2 };

static bool make(struct ticket_key *k, uint64_t now_ms)
{
	bool fine = RAND_bytes(k->name, sizeof k->name) == 1 && RAND_bytes(k->cipher, sizeof k->cipher) == 1
		&& RAND_bytes(k->mac, sizeof k->mac) == 1;
	k->made_ms = fine ? now_ms : 0;
	return fine;
}

/* The key for new tickets. false: there is no randomness. */
static bool take_newest(struct tls_tickets *t, struct ticket_key *out)
{
	uint64_t now_ms = clock_ms();
	bool fine = true;
	pthread_mutex_lock(&t->lock);
	if (!t->now.made_ms || now_ms - t->now.made_ms >= KEY_MS) {
		t->before = t->now;
		fine = make(&t->now, now_ms);
	}
	*out = t->now;
	pthread_mutex_unlock(&t->lock);
	return fine;
}

static bool is_named(const struct ticket_key *k, const unsigned char *name)
{
	return k->made_ms && clock_ms() - k->made_ms < 2 * (uint64_t)KEY_MS && memcmp(k->name, name, sizeof k->name) == 0;
}

/* The key that a ticket names. */
static int find(struct tls_tickets *t, const unsigned char *name, struct ticket_key *out)
{
	int found = UNKNOWN;
	pthread_mutex_lock(&t->lock);
	const struct ticket_key *k = is_named(&t->now, name) ? &t->now : is_named(&t->before, name) ? &t->before : NULL;
	if (k) {
		*out = *k;
		found = clock_ms() - k->made_ms < KEY_MS ? GOOD : GOOD_BUT_OLD;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3) */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
	int is_new)
{
	struct tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const EVP_CIPHER *aes = EVP_aes_256_cbc();
	struct ticket_key k = {0};
	int found = is_new ? take_newest(t, &k) && RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1 ? GOOD : FAILED
		: find(t, name, &k);
	if (found > UNKNOWN && !(set_mac(mac, &k) && EVP_CipherInit_ex(cipher, aes, NULL, k.cipher, iv, is_new) == 1))
		found = FAILED;
	if (is_new)
		memcpy(name, k.name, sizeof k.name);
	OPENSSL_cleanse(&k, sizeof k);
	return found;
}

void tls_tickets_init(struct tls_tickets *t)
{
	*t = (struct tls_tickets){0};
	CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
}

void tls_tickets_serve(struct tls_tickets *t, SSL_CTX *context)
{
	SSL_CTX_set_app_data(context, t);
	SSL_CTX_set_timeout(context, KEY_MS / 1000);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}

void tls_tickets_finish(struct tls_tickets *t)
{
	pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t, sizeof *t);
}
