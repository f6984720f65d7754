/* The browser's view of a stream. A block is printed from the journal each time it is sent, since ids and line
 * splitting cost less than a second copy of every stream would; viewers of one stream that stand at the same place
 * share what was printed (stream.c).
 *
 * The two last words are `close` and `failed`. `error` would collide with EventSource's own event, so no block is
 * ever named that. */
#include "gateway/render.h"

#include "sse/print.h"

#include <inttypes.h>

void render_first(struct buf *out, uint64_t retry_ms, span id, uint64_t n)
{
	buf_printf(out, "retry: %" PRIu64 "\nid: %.*s.%" PRIu64 "\n\n", retry_ms, SPAN_ARG(id), n);
}

enum { PLACE_BYTES = 4 + ID_LENGTH + 1 + 10 + 1 }; /* "id: ID.n\n" */

static int count_digits(uint32_t n)
{
	int digits = 1;
	for (uint64_t more = 10; n >= more; more *= 10)
		digits++;
	return digits;
}

static void put_place(struct buf *out, span id, uint32_t n)
{
	CHECK(id.n == ID_LENGTH);
	if (!buf_reserve(out, PLACE_BYTES))
		return;
	char *to = out->p + out->n;
	memcpy(to, "id: ", 4);
	memcpy(to + 4, id.p, ID_LENGTH);
	to[4 + ID_LENGTH] = '.';
	char *end = to + 5 + ID_LENGTH + count_digits(n);
	out->n += (size_t)(end + 1 - to);
	*end = '\n';
	do
		*--end = (char)('0' + n % 10);
	while (n /= 10);
}

void render_event(struct buf *out, span id, uint32_t n, enum journal_kind kind, bool json, span text)
{
	if (kind == JOURNAL_REASONING)
		buf_put(out, SPAN("event: reasoning\n"));
	put_place(out, id, n);
	sse_print_data(out, json ? SSE_JSON : SSE_TEXT, text);
	buf_put_byte(out, '\n');
}

void render_progress(struct buf *out, int queue) { buf_printf(out, "event: progress\ndata: {\"queue\":%d}\n\n",
	queue); }

static void put_string_or_null(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, ",\"%s\":", name);
	if (value && *value)
		sse_print_json_string(out, span_str(value));
	else
		buf_put(out, SPAN("null"));
}

static void put_judgement(struct buf *out, const struct last_word *word)
{
	const struct cause_row *row = cause_row(word->cause);
	buf_printf(out, "\"end\":\"%s\",\"cause\":\"%s\"", cause_end_name(row->end), row->name);
	put_string_or_null(out, "finish", word->finish);
	put_string_or_null(out, "proof", proof_name(word->proof));
}

static void put_failure(struct buf *out, const struct last_word *word)
{
	const struct cause_row *row = cause_row(word->cause);
	buf_printf(out, ",\"side\":\"%s\"", cause_side_name(row->side));
	put_string_or_null(out, "detail", last_word_detail(word));
	if (word->upstream_status)
		buf_printf(out, ",\"upstream_status\":%d", word->upstream_status);
}

void render_ending(struct buf *out, const struct last_word *word)
{
	put_judgement(out, word);
	buf_printf(out, ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"crc32\":\"%08" PRIx32 "\"", word->events,
		word->bytes, word->crc32);
	if (cause_row(word->cause)->end == END_FAILED)
		put_failure(out, word);
}

void render_last_word(struct buf *out, span id, const struct last_word *word)
{
	bool failed = cause_row(word->cause)->end == END_FAILED;
	buf_printf(out, "event: %s\nid: %.*s.end\ndata: {", failed ? "failed" : "close", SPAN_ARG(id));
	render_ending(out, word);
	buf_put(out, SPAN("}\n\n"));
}

void render_quota(struct buf *out, uint64_t retry_ms, span id, const char *detail)
{
	render_first(out, retry_ms, id, 0);
	render_last_word(out, id, &(struct last_word){.cause = CAUSE_QUOTA, .detail = detail});
}

void render_forgotten(struct buf *out, uint64_t retry_ms, span place)
{
	struct last_word word = {.cause = CAUSE_FORGOTTEN};
	span id = place;
	for (size_t i = place.n; i-- > 0;)
		if (place.p[i] == '.') {
			id.n = i;
			break;
		}
	buf_printf(out, "retry: %" PRIu64 "\nid: %.*s\n\nevent: failed\nid: %.*s.end\ndata: {", retry_ms, SPAN_ARG(place),
		SPAN_ARG(id));
	put_judgement(out, &word);
	put_failure(out, &word);
	buf_put(out, SPAN("}\n\n"));
}
