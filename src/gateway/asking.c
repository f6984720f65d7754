/* Two members of a request, looked for without keeping the request. A body may be 32 MiB of base64 on its way through a
 * 64 KiB buffer; parsing it into a tree would hold all of it, three times over, to learn one bit. The scanner passes
 * over it piece by piece, and what it finds malformed is the upstream's to complain about.
 *
 * 1. Only members of the outermost object count; of a name that comes twice the last one, as in every server.
 * 2. Whatever the body is, the cost is its length and the memory is one name's, which NAME_BYTES bounds. */
#include "gateway/asking.h"

#include "dialect/dialect.h"

#include <stdlib.h>

enum { NAME_BYTES = 64 * 1024 }; /* a member's longer name says that this is no request for a chat */

void asking_init(struct asking *a)
{
	*a = (struct asking){.stream = -1, .n = 1};
	json_init(&a->json);
}

void asking_finish(struct asking *a)
{
	json_finish(&a->json);
	a->over = true;
}

static void note_name(struct asking *a)
{
	span name = a->json.text;
	a->member = span_is(name, "stream") ? ASKING_STREAM : span_is(name, "n") ? ASKING_N : ASKING_OTHER;
}

static void note_number(struct asking *a)
{
	char digits[8] = "";
	span text = a->json.text;
	if (text.n < sizeof digits)
		memcpy(digits, text.p, text.n);
	long n = strtol(digits, NULL, 10);
	a->n = n < 1 ? 1 : n > DIALECT_CHOICES ? DIALECT_CHOICES : (unsigned)n;
}

static void note(struct asking *a, enum json_token token)
{
	if (a->json.depth != 1)
		return;
	if (token == JSON_KEY)
		note_name(a);
	else if (a->member == ASKING_STREAM)
		a->stream = token == JSON_TRUE ? 1 : token == JSON_FALSE ? 0 : -1;
	else if (a->member == ASKING_N && token == JSON_NUMBER)
		note_number(a);
}

void asking_read(struct asking *a, span piece, bool last)
{
	if (a->over)
		return;
	json_feed(&a->json, piece, last);
	for (enum json_token token; (token = json_next(&a->json)) != JSON_MORE;) {
		if (token == JSON_END || token == JSON_BAD || a->json.depth == 0) {
			a->over = true;
			return;
		}
		note(a, token);
	}
	json_forget(&a->json);
	a->over = a->json.held.n > NAME_BYTES;
}
