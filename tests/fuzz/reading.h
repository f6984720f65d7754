/* What holds of every reader after every event. For the fuzz targets of dialects. */
#ifndef FUZZ_READING_H
#define FUZZ_READING_H

#include "dialect/dialect.h"

static inline void check_word(const char *word, size_t size)
{
	size_t n = strnlen(word, size);
	CHECK(n < size);
	CHECK(utf8_is_valid(span_of(word, n)));
	for (size_t i = 0; i < n; i++)
		CHECK((unsigned char)word[i] >= 0x20 && word[i] != 0x7F);
}

static inline void check_seen(const struct seen *s)
{
	unsigned finished = 0;
	for (unsigned i = 0; i < DIALECT_CHOICES; i++)
		if (s->finished_set[i / 8] >> i % 8 & 1) {
			CHECK(i < s->choices);
			finished++;
		}
	CHECK(finished == s->finished && s->choices >= 1 && s->choices <= DIALECT_CHOICES);
	CHECK(!s->text || s->meaning);
	CHECK(!s->failing_finish || s->finish[0]);
	CHECK(!s->unreadable == !s->why[0]);
	check_word(s->finish, sizeof s->finish);
	check_word(s->error_type, sizeof s->error_type);
	check_word(s->error_code, sizeof s->error_code);
	check_word(s->error_message, DIALECT_SENTENCE);
	check_word(s->why, DIALECT_SENTENCE);
}

/* All of it, to be compared: the sentences, then everything but where they lie. */
static inline void put_seen(struct buf *out, const struct seen *s)
{
	struct seen rest = *s;
	buf_printf(out, "%s|%s|", s->error_message, s->why);
	rest.error_message = rest.why = NULL;
	buf_put(out, span_of(&rest, sizeof rest));
}

static inline void take(struct reader *r, struct buf *out)
{
	CHECK(utf8_is_valid(buf_span(&r->text)) && utf8_is_valid(buf_span(&r->reasoning)));
	CHECK(!r->text.failed);
	buf_put(out, buf_span(&r->text));
	buf_put_byte(out, '|');
	buf_put(out, buf_span(&r->reasoning));
	buf_printf(out, "|%d%d\n", r->tool, r->feeds_idle);
	check_seen(&r->seen);
}

#endif
