/* Mending against a decoder written from the WHATWG Encoding Standard §8.1.1, one byte at a time; and however the input
 * is cut, with and without surrogates, the same characters come out. The first byte says how the rest is cut. */
#include "base/utf8.h"

#include <stdint.h>

struct decoder {
	uint32_t point;
	int seen, needed;
	unsigned char lower, upper;
};

static void replace(struct buf *out, size_t *replaced)
{
	buf_put(out, SPAN("\xEF\xBF\xBD"));
	++*replaced;
}

static void put_point(struct buf *out, uint32_t c)
{
	if (c < 0x800) {
		buf_put_byte(out, (char)(0xC0 | c >> 6));
	} else if (c < 0x10000) {
		buf_put_byte(out, (char)(0xE0 | c >> 12));
		buf_put_byte(out, (char)(0x80 | (c >> 6 & 0x3F)));
	} else {
		buf_put_byte(out, (char)(0xF0 | c >> 18));
		buf_put_byte(out, (char)(0x80 | (c >> 12 & 0x3F)));
		buf_put_byte(out, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	buf_put_byte(out, (char)(0x80 | (c & 0x3F)));
}

static bool begin(struct decoder *d, unsigned char c)
{
	*d = (struct decoder){.lower = 0x80, .upper = 0xBF};
	if (c >= 0xC2 && c <= 0xDF) {
		d->needed = 1;
		d->point = c & 0x1F;
	} else if (c >= 0xE0 && c <= 0xEF) {
		d->lower = c == 0xE0 ? 0xA0 : 0x80;
		d->upper = c == 0xED ? 0x9F : 0xBF;
		d->needed = 2;
		d->point = c & 0xF;
	} else if (c >= 0xF0 && c <= 0xF4) {
		d->lower = c == 0xF0 ? 0x90 : 0x80;
		d->upper = c == 0xF4 ? 0x8F : 0xBF;
		d->needed = 3;
		d->point = c & 7;
	}
	return d->needed > 0;
}

static size_t decode(span in, struct buf *out)
{
	struct decoder d = {0};
	size_t replaced = 0;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		if (d.needed && (c < d.lower || c > d.upper)) {
			d.needed = 0;
			replace(out, &replaced);
		}
		if (d.needed) {
			d.lower = 0x80;
			d.upper = 0xBF;
			d.point = d.point << 6 | (c & 0x3F);
			if (++d.seen == d.needed) {
				put_point(out, d.point);
				d.needed = 0;
			}
		} else if (c < 0x80) {
			buf_put_byte(out, (char)c);
		} else if (!begin(&d, c)) {
			replace(out, &replaced);
		}
	}
	if (d.needed)
		replace(out, &replaced);
	return replaced;
}

static size_t mend(span in, size_t step, bool surrogates, struct buf *out)
{
	struct utf8 u;
	size_t replaced = 0;
	utf8_init(&u, surrogates);
	for (; in.n; in = span_from(in, step))
		replaced += utf8_mend(&u, span_first(in, step), out);
	replaced += utf8_flush(&u, out);
	CHECK(utf8_is_valid(buf_span(out)));
	return replaced;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t step = data[0] % 16 + 1u;
	span in = span_of(data + 1, size - 1);
	struct buf expected = {0}, whole = {0}, cut = {0}, pairs = {0}, cut_pairs = {0};
	size_t replaced = decode(in, &expected);
	CHECK(mend(in, in.n, false, &whole) == replaced);
	CHECK(mend(in, step, false, &cut) == replaced);
	CHECK(span_eq(buf_span(&whole), buf_span(&expected)) && span_eq(buf_span(&cut), buf_span(&expected)));
	CHECK(utf8_is_valid(in) == (replaced == 0));
	CHECK(mend(in, in.n, true, &pairs) == mend(in, step, true, &cut_pairs));
	CHECK(span_eq(buf_span(&pairs), buf_span(&cut_pairs)));
	buf_finish(&expected);
	buf_finish(&whole);
	buf_finish(&cut);
	buf_finish(&pairs);
	buf_finish(&cut_pairs);
	return 0;
}
