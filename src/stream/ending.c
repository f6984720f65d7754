/* How a stream ended: the table of ARCHITECTURE.md ("Ends"), line by line, and nothing else.
 *
 * The obvious way is to decide where the news arrives: the parser that meets `[DONE]` says complete, the socket that
 * meets a FIN says cut, each timer says its timeout. Then the answer depends on who spoke first, and every new dialect
 * adds a place that can be wrong. Here the rooms only gather evidence, and this page, which has no state, no clock and
 * no socket, is asked after each piece of it: does this prove an end, and which?
 *
 *	1. Total: every evidence has one answer, "not ended yet" included; once the body is over there is always a
 *	   verdict.
 *	2. The first line that applies wins, so the order of the `if`s below is the contract. Do not sort them.
 *	3. CAUSE_FINISHED is given only on lines 3, 7, 9 and 10, and always with a proof; no other cause has one.
 *	4. Evidence is never taken back: with more of it, a verdict once given would be asked for no more. That an
 *	   event after the deciding one is no evidence is stream/generation's duty, which stops reading there.
 *
 * Any thread. Not here: what an event means (dialect/), what framing proves (http/http1), what people are told about it
 * (stream/detail), and the word on the wire (gateway/). */
#include "stream/ending.h"

static bool end(struct verdict *out, int line, enum cause cause, enum proof proof)
{
	*out = (struct verdict){.cause = cause, .proof = proof, .line = line};
	return true;
}

/* Every choice has its finish. A reader that never read (choices 0) has seen none. */
static bool is_finished(const struct seen *s)
{
	return s->whole || (s->choices > 0 && s->finished >= s->choices);
}

bool ending_judge(const struct evidence *e, struct verdict *out)
{
	const struct seen *s = e->seen;
	const bool framed = e->body == BODY_FRAMED;

	/* 1. The upstream said that it failed. A terminator that follows changes nothing. */
	if (s->error)
		return end(out, 1, CAUSE_ERROR, PROOF_NULL);

	/* 2. Its finish reason is itself a failure. */
	if (s->failing_finish)
		return end(out, 2, CAUSE_ABORTED, PROOF_NULL);

	/* 3. The terminator, with all that the dialect wants before it. */
	if (s->terminator && (is_finished(s) || !e->has_finish))
		return end(out, 3, CAUSE_FINISHED, PROOF_MARKER);
	if (s->terminator && e->finish_optional)
		return end(out, 3, CAUSE_FINISHED, PROOF_TERMINATOR);

	/* 4. The terminator without it: a server that gave up politely. */
	if (s->terminator)
		return end(out, 4, CAUSE_TRUNCATED, PROOF_NULL);

	/* 5. We ended it. */
	if (e->ours)
		return end(out, 5, e->ours, PROOF_NULL);

	/* 6. There is no answer, or none that can be read. */
	if (e->no_connection)
		return end(out, 6, e->no_connection, PROOF_NULL);
	if (e->status != 0 && e->status != 200)
		return end(out, 6, CAUSE_STATUS, PROOF_NULL);
	if (e->body == BODY_BROKEN)
		return end(out, 6, CAUSE_CUT, PROOF_NULL);
	if (e->body == BODY_MALFORMED || e->unusable || s->unreadable)
		return end(out, 6, CAUSE_PROTOCOL, PROOF_NULL);

	if (e->body == BODY_OPEN)
		return false;

	/* 7. Everything but the terminator: servers exist that never send it. */
	if (e->has_finish && e->has_terminator && is_finished(s))
		return end(out, 7, CAUSE_FINISHED, PROOF_FINISH);

	/* 8. The body ended inside an event. */
	if (e->half_event)
		return end(out, 8, CAUSE_TRUNCATED, PROOF_NULL);

	/* 9. A dialect with finish reasons. With a terminator and a finish it was line 7. */
	if (e->has_finish && !is_finished(s))
		return end(out, 9, CAUSE_TRUNCATED, PROOF_NULL);
	if (e->has_finish && framed)
		return end(out, 9, CAUSE_FINISHED, PROOF_FINISH);
	if (e->has_finish)
		return end(out, 9, CAUSE_UNPROVEN, PROOF_NULL);

	/* 10. Plain text: what the route's end_marker asks for. Any other dialect without finish reasons needs its
	 * terminator. */
	if (!e->is_text || !s->text || e->end_marker == END_MARKER_REQUIRED)
		return end(out, 10, CAUSE_TRUNCATED, PROOF_NULL);
	if (framed)
		return end(out, 10, CAUSE_FINISHED, PROOF_FRAMING);
	if (e->end_marker == END_MARKER_NONE)
		return end(out, 10, CAUSE_FINISHED, PROOF_NONE);
	return end(out, 10, CAUSE_UNPROVEN, PROOF_NULL);
}

const char *proof_name(enum proof proof)
{
	static const char *const names[] = {
		[PROOF_NULL] = NULL,
		[PROOF_MARKER] = "marker",
		[PROOF_TERMINATOR] = "terminator",
		[PROOF_FINISH] = "finish",
		[PROOF_FRAMING] = "framing",
		[PROOF_NONE] = "none",
	};
	return names[proof];
}
