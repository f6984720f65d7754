/* Looking for stop strings in text that arrives token by token.
 *
 * A stop string may begin in one token and end three tokens later, so its possible beginning must be held back: what
 * has gone to the client cannot be called back. As little as possible is held: the longest end of the text that is the
 * beginning of some stop string. An automaton (Aho-Corasick) would look at each byte once; with at most 16 strings of
 * at most 256 bytes, beside a matrix product of a hundred million terms for each token, plain comparison is simpler and
 * costs nothing.
 *
 * 1. What was put out is never a part of a stop string, and what is held is always a beginning of one.
 * 2. Of several strings the one wins whose last byte comes first, so the slicing of the text does not matter; of two
 *    that end together the longer one.
 *
 * Stop strings and text are valid UTF-8, so what is held begins at a character. */
#include "model/stop.h"

bool stops_add(struct stops *s, span word)
{
	if (s->n == STOPS || word.n == 0 || word.n > STOP_BYTES)
		return false;
	buf_put(&s->text, word);
	if (s->text.failed)
		return false;
	s->length[s->n++] = word.n;
	return true;
}

void stops_finish(struct stops *s)
{
	buf_finish(&s->text);
	*s = (struct stops){0};
}

/* The stop string behind the one at *at; start with {NULL, 0}. */
static bool next_stop(const struct stops *s, size_t i, span *at)
{
	if (i == s->n)
		return false;
	*at = span_of(i ? at->p + at->n : s->text.p, s->length[i]);
	return true;
}

/* Where the string that is whole first begins, or text.n. */
static size_t find_stop(const struct stops *s, span text)
{
	size_t begin = text.n, end = text.n + 1;
	span stop = {0};
	for (size_t i = 0; next_stop(s, i, &stop); i++) {
		const char *at = memmem(text.p, text.n, stop.p, stop.n);
		size_t from = at ? (size_t)(at - text.p) : 0;
		if (at && (from + stop.n < end || (from + stop.n == end && from < begin))) {
			begin = from;
			end = from + stop.n;
		}
	}
	return begin;
}

static bool begins_stop(const struct stops *s, span text)
{
	span stop = {0};
	for (size_t i = 0; next_stop(s, i, &stop); i++)
		if (text.n < stop.n && span_starts(stop, text))
			return true;
	return false;
}

/* How many bytes of the text can go: all but the longest end that begins a stop string. */
static size_t count_certain(const struct stops *s, span text)
{
	size_t from = text.n > STOP_BYTES ? text.n - STOP_BYTES : 0;
	while (from < text.n && !begins_stop(s, span_from(text, from)))
		from++;
	return from;
}

bool stop_feed(struct stop *m, span text, struct buf *out)
{
	if (m->stops->n == 0) {
		buf_put(out, text);
		return false;
	}
	buf_put(&m->held, text);
	if (m->held.failed) {
		out->failed = true;
		return false;
	}
	if (m->held.n == 0)
		return false;
	size_t at = find_stop(m->stops, buf_span(&m->held));
	bool found = at < m->held.n;
	size_t certain = found ? at : count_certain(m->stops, buf_span(&m->held));
	buf_put(out, span_first(buf_span(&m->held), certain));
	buf_drop_front(&m->held, found ? m->held.n : certain);
	return found;
}

void stop_flush(struct stop *m, struct buf *out)
{
	buf_put(out, buf_span(&m->held));
	buf_clear(&m->held);
}

void stop_finish(struct stop *m) { buf_finish(&m->held); }
