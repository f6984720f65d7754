/* The reader: evidence, gathered in one place in one way, so that a dialect's file is only about what its members mean.
 *
 * What an event says (text, reasoning, a tool fragment) lasts until the next one; what it proves goes into `seen` and
 * stays. Nothing here weighs one proof against another: an event may bring text, a finish and an error together, all
 * three are noted, and stream/ending knows which one wins.
 *
 * 1. Evidence is only added. The exception is a mark taken back within one event, for choices whose index comes last.
 * 2. Text out is valid UTF-8 and whole characters. `seen.text` means that some came in, even when it is still held.
 * 3. `finished` is the number of bits in `finished_set`, and every one of them is below `choices`.
 * 4. Running out of memory shows as text.failed; evidence needs no memory, but for its sentences, which then say less.
 * 5. An event like the last one but for its text is not read again (mould.c).
 *
 * Owned by one stream, on its worker. Names and guessing are in dialect.c, shapes of errors in fault.c. */
#include "dialect/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void reader_init(struct reader *r, const struct dialect *dialect, const struct dialect_text_rules *rules, unsigned n)
{
	*r = (struct reader){.dialect = dialect, .rules = rules};
	r->seen.choices = n < 1 ? 1 : n > DIALECT_CHOICES ? DIALECT_CHOICES : n;
	r->seen.error_message = r->seen.why = "";
	r->seen.prompt_tokens = r->seen.completion_tokens = r->seen.sequence = -1;
	bool surrogates = dialect != &dialect_text;
	utf8_init(&r->text_mend, surrogates);
	utf8_init(&r->reasoning_mend, surrogates);
}

void reader_finish(struct reader *r)
{
	buf_finish(&r->text);
	buf_finish(&r->reasoning);
	mould_finish(&r->mould);
	free(r->error_message);
	free(r->why);
	*r = (struct reader){0};
}

static void forget_event(struct reader *r)
{
	r->text.n = r->reasoning.n = 0;
	r->tool = r->says = r->is_plain = r->feeds_idle = false;
	r->additions = 0;
}

/* A text that is not whole is no text. */
static void spread_failure(struct reader *r)
{
	r->text.failed |= r->reasoning.failed;
}

/* What an event may change without an addition. */
struct snapshot {
	unsigned choices;
	bool text, meaning;
	int64_t prompt_tokens, completion_tokens, sequence;
	struct dialect_state state;
};

static void take_snapshot(struct snapshot *shot, const struct reader *r)
{
	const struct seen *s = &r->seen;
	shot->choices = s->choices;
	shot->text = s->text;
	shot->meaning = s->meaning;
	shot->prompt_tokens = s->prompt_tokens;
	shot->completion_tokens = s->completion_tokens;
	shot->sequence = s->sequence;
	memcpy(&shot->state, &r->state, sizeof shot->state);
}

static bool is_unchanged(const struct snapshot *shot, const struct reader *r)
{
	const struct seen *s = &r->seen;
	return shot->choices == s->choices && shot->text == s->text && shot->meaning == s->meaning &&
	       shot->prompt_tokens == s->prompt_tokens && shot->completion_tokens == s->completion_tokens &&
	       shot->sequence == s->sequence && memcmp(&shot->state, &r->state, sizeof shot->state) == 0;
}

static void read_and_cast(struct reader *r, const struct sse_event *event)
{
	struct snapshot before;
	if (r->dialect == &dialect_text) { /* which never fits a mould: its data is the piece */
		r->dialect->read(r, event);
		return;
	}
	take_snapshot(&before, r);
	r->dialect->read(r, event);
	mould_break(&r->mould);
	if (r->additions == 1 && r->feeds_idle && !seen_decides(&r->seen) && is_unchanged(&before, r))
		mould_cast(&r->mould, event, r->piece, r->piece_is_reasoning);
}

void reader_read(struct reader *r, const struct sse_event *event)
{
	CHECK(!seen_decides(&r->seen));
	forget_event(r);
	span piece = mould_has_shape(&r->mould) ? mould_piece(&r->mould, event) : (span){0};
	if (!piece.p) {
		read_and_cast(r, event);
	} else {
		r->feeds_idle = r->is_plain = true;
		(r->mould.is_reasoning ? reader_add_reasoning : reader_add_text)(r, piece);
	}
	spread_failure(r);
}

void reader_flush(struct reader *r)
{
	forget_event(r);
	r->replaced += utf8_flush(&r->text_mend, &r->text);
	r->replaced += utf8_flush(&r->reasoning_mend, &r->reasoning);
	spread_failure(r);
}

static void note_piece(struct reader *r, span piece, bool is_reasoning)
{
	r->additions++;
	r->piece = piece;
	r->piece_is_reasoning = is_reasoning;
	r->says = true;
}

void reader_add_text(struct reader *r, span piece)
{
	if (piece.n == 0)
		return;
	note_piece(r, piece, false);
	r->seen.text = r->seen.meaning = true;
	r->replaced += utf8_mend(&r->text_mend, piece, &r->text);
}

void reader_add_reasoning(struct reader *r, span piece)
{
	if (piece.n == 0)
		return;
	note_piece(r, piece, true);
	r->seen.meaning = true;
	r->replaced += utf8_mend(&r->reasoning_mend, piece, &r->reasoning);
}

void reader_add_tool(struct reader *r)
{
	r->additions += 2;
	r->tool = r->says = r->seen.meaning = true;
}

void reader_note_other(struct reader *r, bool text)
{
	r->additions += 2;
	r->seen.text |= text;
	r->says = r->seen.meaning = true;
}

bool reader_see_choice(struct reader *r, unsigned index)
{
	if (index >= DIALECT_CHOICES)
		return false;
	if (index >= r->seen.choices)
		r->seen.choices = index + 1;
	return true;
}

void reader_end_choice(struct reader *r, unsigned index, span word, bool failing)
{
	struct seen *seen = &r->seen;
	CHECK(index < seen->choices);
	r->additions += 2;
	unsigned char bit = (unsigned char)(1u << index % 8), *byte = &seen->finished_set[index / 8];
	seen->finished += !(*byte & bit);
	*byte |= bit;
	seen->meaning = true;
	if (failing || (index == 0 && !seen->failing_finish))
		fault_copy(seen->finish, sizeof seen->finish, word);
	seen->failing_finish |= failing;
}

void reader_end_all(struct reader *r, span word, bool failing)
{
	r->additions += 2;
	r->seen.whole = r->seen.meaning = true;
	if (word.n)
		reader_end_choice(r, 0, word, failing);
}

void reader_end_stream(struct reader *r) { r->seen.terminator = true; }

/* A sentence of `seen`; `otherwise` where there is no memory for it. */
static const char *keep_sentence(char **kept, const char *text, const char *otherwise)
{
	free(*kept);
	*kept = strdup(text);
	return *kept ? *kept : otherwise;
}

void reader_fail(struct reader *r, const struct fault *f)
{
	struct seen *seen = &r->seen;
	struct fault safe = *f;
	fault_hide(&safe, r->secret);
	seen->error = seen->meaning = true;
	memcpy(seen->error_type, safe.type, sizeof safe.type);
	memcpy(seen->error_code, safe.code, sizeof safe.code);
	seen->error_message = keep_sentence(&r->error_message, safe.message, "");
}

void reader_give_up(struct reader *r, const char *why, ...)
{
	char text[DIALECT_SENTENCE];
	va_list args;
	va_start(args, why);
	vsnprintf(text, sizeof text, why, args);
	va_end(args);
	r->seen.why = keep_sentence(&r->why, text, "there is no memory to say why");
	r->seen.unreadable = true;
	r->feeds_idle = false;
}

bool reader_is_ping(const struct sse_event *event)
{
	span name = event->name;
	return name.n && (span_is(name, "ping") || span_is(name, "keepalive") || span_is(name, "keep-alive") ||
	                  span_is(name, "heartbeat"));
}

bool reader_take_error_body(struct reader *r, span body)
{
	struct fault f = {0};
	if (!fault_read_body(&f, body))
		return false;
	reader_fail(r, &f);
	return true;
}

struct reader_mark reader_mark(const struct reader *r)
{
	return (struct reader_mark){
		.text = r->text.n, .text_mend = r->text_mend,
		.reasoning = r->reasoning.n, .reasoning_mend = r->reasoning_mend,
		.replaced = r->replaced, .says = r->says, .seen_text = r->seen.text, .seen_meaning = r->seen.meaning,
	};
}

void reader_take_back(struct reader *r, const struct reader_mark *mark)
{
	r->additions += 2;
	r->text.n = mark->text;
	r->text_mend = mark->text_mend;
	r->reasoning.n = mark->reasoning;
	r->reasoning_mend = mark->reasoning_mend;
	r->replaced = mark->replaced;
	r->says = mark->says;
	r->seen.text = mark->seen_text;
	r->seen.meaning = mark->seen_meaning;
}
