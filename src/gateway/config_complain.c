/* How the configuration says what is wrong: one line, the place first, then what is wrong and what was expected.
 *
 * Only the first mistake is kept. Many at once look helpful, but after one wrong indentation the rest are echoes of it.
 * What the operator wrote is shown short and without control characters, because it ends up on a terminal; values that
 * may be secrets (auth, URLs) are not shown at all, which is their types' care.
 *
 * "Did you mean" is the optimal string alignment distance: a typo is one letter wrong, missing, too many or two
 * swapped. */
#include "gateway/config_parts.h"

#include <stdarg.h>
#include <stdio.h>

enum { WORD = 40 };

static void say(struct complaint *c, const char *format, va_list args)
{
	size_t n = strlen(c->text);
	vsnprintf(c->text + n, sizeof c->text - n, format, args);
}

bool config_complain(struct complaint *c, const struct node *at, const char *format, ...)
{
	if (c->text[0])
		return false;
	if (at && at->line)
		snprintf(c->text, sizeof c->text, "%s:%u:%u: ", c->file, at->line, at->column);
	else if (at && at->flag)
		snprintf(c->text, sizeof c->text, "lastword: %s: ", at->flag);
	else
		snprintf(c->text, sizeof c->text, "lastword: ");
	va_list args;
	va_start(args, format);
	say(c, format, args);
	va_end(args);
	return false;
}

bool config_complain_at(struct complaint *c, unsigned line, unsigned column, const char *format, ...)
{
	if (c->text[0])
		return false;
	snprintf(c->text, sizeof c->text, "%s:%u:%u: ", c->file, line, column);
	va_list args;
	va_start(args, format);
	say(c, format, args);
	va_end(args);
	return false;
}

struct shown config_complain_show(span s)
{
	struct shown shown = {0};
	size_t room = sizeof shown.text - sizeof "…";
	span head = span_first(s, room);
	while (head.n < s.n && head.n && ((unsigned char)s.p[head.n] & 0xc0) == 0x80)
		head.n--;
	for (size_t i = 0; i < head.n; i++)
		shown.text[i] = (unsigned char)head.p[i] < 0x20 || head.p[i] == 0x7f ? '?' : head.p[i];
	if (head.n < s.n)
		strcpy(shown.text + head.n, "…");
	return shown;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t distance(span a, span b)
{
	size_t d[WORD + 1][WORD + 1];
	for (size_t i = 0; i <= a.n; i++)
		d[i][0] = i;
	for (size_t k = 0; k <= b.n; k++)
		d[0][k] = k;
	for (size_t i = 1; i <= a.n; i++)
		for (size_t k = 1; k <= b.n; k++) {
			size_t changed = d[i - 1][k - 1] + (a.p[i - 1] != b.p[k - 1]);
			d[i][k] = least(changed, least(d[i - 1][k], d[i][k - 1]) + 1);
			if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
				d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
		}
	return d[a.n][b.n];
}

void config_complain_nearer(struct nearest *n, span word)
{
	if (n->wanted.n > WORD || word.n > WORD)
		return;
	size_t far = distance(n->wanted, word);
	size_t most = word.n < 4 ? 1 : 2;
	if (far <= most && (!n->word.p || far < n->distance)) {
		n->word = word;
		n->distance = far;
	}
}
