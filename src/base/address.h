/* IP addresses and ranges of them, as text and as bytes. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/check.h"
#include "base/span.h"

/* An IPv4 address is held as the IPv6 one that stands for it (::ffff:10.0.0.1, RFC 4291 §2.5.5.2): to a socket that
 * serves both they are the same peer. */
struct address {
	unsigned char bytes[16];
};

/* All whose first `bits` are those of `first`. */
struct address_range {
	struct address first;
	unsigned bits; /* 0–128 */
};

enum { ADDRESS_TEXT = 46, ADDRESS_RANGE_TEXT = ADDRESS_TEXT + 4 };

/* "10.0.0.1", "::1". false: it is none. */
MUST bool address_parse(span text, struct address *out);
/* As peers are named, also with a port: "10.0.0.1:80", "[::1]:80", "[::1]". */
MUST bool address_parse_peer(span text, struct address *out);
void address_print(const struct address *a, char out[ADDRESS_TEXT]);

/* An address, or an address and a length: "10.0.0.0/8", "fd00::/8". NULL when fine, else what is wrong, behind the
 * text. */
MUST const char *address_range_parse(span text, struct address_range *out);
void address_range_print(const struct address_range *r, char out[ADDRESS_RANGE_TEXT]);
bool address_range_has(const struct address_range *r, const struct address *a);

#endif
