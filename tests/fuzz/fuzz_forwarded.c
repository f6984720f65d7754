/* X-Forwarded-For made of any bytes, a line for each field: the way begins with the peer, every hop but the last is one
 * of ours, and what is no address is never taken for one. Each line is read as a range, too. */
#include "http/forwarded.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 8 };

static void try_text_again(const struct address *a)
{
	char text[ADDRESS_TEXT];
	struct address again;
	address_print(a, text);
	CHECK(address_parse(span_str(text), &again) && address_parse_peer(span_str(text), &again));
	CHECK(memcmp(a, &again, sizeof again) == 0);
}

static void try_range(span line)
{
	char text[ADDRESS_RANGE_TEXT];
	struct address_range r, again;
	if (address_range_parse(line, &r))
		return;
	CHECK(r.bits <= 128 && address_range_has(&r, &r.first));
	address_range_print(&r, text);
	CHECK(!address_range_parse(span_str(text), &again));
	CHECK(r.bits == again.bits && memcmp(&r.first, &again.first, sizeof r.first) == 0);
}

static void try_way(const struct http_head *head, const char *range)
{
	struct address_range ours;
	struct proxies trusted = {&ours, 1};
	struct forwarded_way way;
	struct address peer;
	CHECK(!address_range_parse(span_str(range), &ours) && address_parse(SPAN("10.0.0.1"), &peer));
	forwarded_trace(head, &peer, &trusted, &way);
	CHECK(way.hops >= 1 && way.hops <= FORWARDED_HOPS && memcmp(&way.hop[0], &peer, sizeof peer) == 0);
	for (size_t i = 0; i < way.hops; i++) {
		try_text_again(&way.hop[i]);
		CHECK(i + 1 == way.hops || forwarded_trusts(&trusted, &way.hop[i]));
	}
	span single = forwarded_single(head, "x-forwarded-for");
	CHECK(!single.p || (head->fields_n == 1 && !memchr(single.p, ',', single.n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_field fields[FIELDS];
	struct http_head head = {.fields = fields};
	span rest = span_of(data, size);
	while (rest.n && head.fields_n < FIELDS) {
		span line = span_first(rest, span_find(rest, '\n'));
		rest = span_from(rest, line.n + 1);
		try_range(line);
		fields[head.fields_n++] = (struct http_field){SPAN("X-Forwarded-For"), span_trim(line)};
	}
	try_way(&head, "10.0.0.0/8");
	try_way(&head, "::/0");
	return 0;
}
