/* The kinds of values that an option may have: how each is read, printed and freed.
 *
 * A type is three functions and a phrase that says what it expects; a row of the table names a type, so a new option is
 * a row and only a new *kind* of value is code. Print is the inverse of read: what --check-config prints is a file that
 * means the same (a property that the tests and the fuzzer hold it to).
 *
 * Strictness is kindness here: a duration without unit, "1MB", `yes`, or a number in quotes is refused instead of
 * guessed, because a guess would be found out at three in the morning.
 *
 * Invariants:
 * 1. A field is written once, whole, and only when all of the value was right (a list: as far as it was right, and its
 *    release frees that).
 * 2. Zero bytes are every type's empty value, so release may be called on a field that was never bound.
 *
 * Addresses, hosts and origins are in config_address.c; paths, upstreams, dialects and credentials in config_place.c;
 * callers and their keys in config_caller.c. */
#include "gateway/config_parts.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS = 15 }; /* of a number: 10^15 of the largest unit still fits into 64 bits after the limits' check */

bool config_type_wrong(struct binding *b, const struct option *o, const struct node *n, const char *what, ...)
{
	char text[COMPLAINT_BYTES];
	va_list args;
	va_start(args, what);
	vsnprintf(text, sizeof text, what, args);
	va_end(args);
	/* A flag's name stands before the text already. */
	bool named = n->flag != NULL;
	return config_complain(b->complaint, n, "%s%s%s, expected %s", named ? "" : o->path, named ? "" : ": ", text,
		o->type->expects);
}

bool config_type_scalar(struct binding *b, const struct option *o, const struct node *n, span *text)
{
	if (n->kind != NODE_SCALAR)
		return config_type_wrong(b, o, n, n->kind == NODE_LIST ? "a list" : "a map");
	if (n->text.n == 0)
		return config_type_wrong(b, o, n, "no value");
	*text = n->text;
	return true;
}

bool config_type_copy(struct binding *b, const struct node *n, span text, char **out)
{
	*out = malloc(text.n + 1);
	if (!*out)
		return config_complain(b->complaint, n, "out of memory");
	memcpy(*out, text.p, text.n);
	(*out)[text.n] = 0;
	return true;
}

void config_type_release_string(void *field)
{
	free(*(char **)field);
	*(char **)field = NULL;
}

static bool is_plain_first(char c) { return isalnum((unsigned char)c) || c == '/' || c == '_'; }
static bool is_plain(char c) { return isalnum((unsigned char)c) || (c && strchr("/_.-+", c)); }

/* Only what is a plain word in every place of a YAML file. */
static bool needs_no_quotes(span s)
{
	if (s.n == 0 || !is_plain_first(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_plain(s.p[i]) && !(s.p[i] == ':' && i + 1 < s.n))
			return false;
	return true;
}

void config_type_put_plain(struct buf *out, span text)
{
	if (needs_no_quotes(text))
		buf_put(out, text);
	else
		config_json_put_string(out, text);
}

/* Numbers. */

/* Splits "15min" into 15 and "min"; false when it does not begin with a number of sane length. */
static bool split_number(span text, uint64_t *number, span *unit)
{
	size_t n = 0;
	*number = 0;
	for (; n < text.n && isdigit((unsigned char)text.p[n]); n++)
		if (n < DIGITS)
			*number = *number * 10 + (uint64_t)(text.p[n] - '0');
	*unit = span_from(text, n);
	return n > 0 && n <= DIGITS;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {0}};
static const struct unit sizes[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"", 1}, {0}};
static const struct unit counts[] = {{"", 1}, {0}};

/* The largest unit that divides it. */
static void put_with_unit(struct buf *out, const struct unit *units, uint64_t value)
{
	const struct unit *u = units;
	while (value % u->factor)
		u++;
	if (value == 0)
		buf_put(out, SPAN("0"));
	else
		buf_printf(out, "%" PRIu64 "%s", value / u->factor, u->name);
}

static bool check_limits(struct binding *b, const struct option *o, const struct node *n, const struct unit *units,
	uint64_t value)
{
	if ((value == 0 && o->has_off) || (value >= o->least && (!o->most || value <= o->most)))
		return true;
	struct buf limit = {0};
	put_with_unit(&limit, units, value < o->least ? o->least : o->most);
	bool is_small = value < o->least;
	const char *bound = buf_cstr(&limit);
	config_complain(b->complaint, n, "%s%s%s is too %s, expected %s %s%s", n->flag ? "" : o->path, n->flag ? "" : ": ",
		config_complain_show(n->text).text, is_small ? "small" : "large", is_small ? "at least" : "at most",
		bound ? bound : "?", o->has_off ? ", or 0" : "");
	buf_finish(&limit);
	return false;
}

static bool bind_with_unit(struct binding *b, const struct option *o, const struct node *n, const struct unit *units,
	uint64_t *out)
{
	span text, unit;
	uint64_t number;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	if (!n->plain && !n->flag)
		return config_type_wrong(b, o, n, "a string in quotes");
	if (!split_number(text, &number, &unit))
		return config_type_wrong(b, o, n, "\"%s\"", config_complain_show(text).text);
	const struct unit *u = units;
	while (u->name && !span_is(unit, u->name))
		u++;
	if (!u->name && !(number == 0 && unit.n == 0))
		return config_type_wrong(b, o, n, unit.n ? "\"%s\" has an unknown unit" : "\"%s\" has no unit",
			config_complain_show(text).text);
	uint64_t value = number == 0 ? 0 : number > UINT64_MAX / u->factor ? UINT64_MAX : number * u->factor;
	if (!check_limits(b, o, n, units, value))
		return false;
	*out = value;
	return true;
}

static bool bind_duration(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return bind_with_unit(b, o, n, durations, field);
}

static void print_duration(const struct option *o, const void *field, struct buf *out)
{
	put_with_unit(out, durations, *(const uint64_t *)field);
}

static bool bind_duration_or_never(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	if (n->kind != NODE_SCALAR || !span_is(n->text, "never"))
		return bind_with_unit(b, o, n, durations, field);
	*(uint64_t *)field = NEVER_MS;
	return true;
}

static void print_duration_or_never(const struct option *o, const void *field, struct buf *out)
{
	if (*(const uint64_t *)field == NEVER_MS)
		buf_put(out, SPAN("never"));
	else
		print_duration(o, field, out);
}

static bool bind_size(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return bind_with_unit(b, o, n, sizes, field);
}

static void print_size(const struct option *o, const void *field, struct buf *out)
{
	put_with_unit(out, sizes, *(const uint64_t *)field);
}

static bool bind_count(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return bind_with_unit(b, o, n, counts, field);
}

static void print_count(const struct option *o, const void *field, struct buf *out)
{
	put_with_unit(out, counts, *(const uint64_t *)field);
}

/* The rows of this type have a `most` that fits. */
static bool bind_number(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	uint64_t value;
	if (!bind_with_unit(b, o, n, counts, &value))
		return false;
	*(unsigned *)field = (unsigned)value;
	return true;
}

static void print_number(const struct option *o, const void *field, struct buf *out)
{
	put_with_unit(out, counts, *(const unsigned *)field);
}

static bool bind_number_or_auto(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	if (n->kind != NODE_SCALAR || !span_is(n->text, "auto"))
		return bind_number(b, o, n, field);
	*(unsigned *)field = 0;
	return true;
}

static void print_number_or_auto(const struct option *o, const void *field, struct buf *out)
{
	if (*(const unsigned *)field == 0)
		buf_put(out, SPAN("auto"));
	else
		print_number(o, field, out);
}

const struct option_type config_type_duration = {
	"a duration such as 250ms, 15s, 5min or 1h, or 0", bind_duration, print_duration, NULL};
const struct option_type config_type_duration_or_never = {
	"a duration such as 250ms, 15s, 5min or 1h, or 0, or never", bind_duration_or_never, print_duration_or_never, NULL};
const struct option_type config_type_size = {
	"a size such as 4096, 64KiB, 16MiB or 1GiB, or 0", bind_size, print_size, NULL};
const struct option_type config_type_count = {"a whole number", bind_count, print_count, NULL};
const struct option_type config_type_number = {"a whole number", bind_number, print_number, NULL};
const struct option_type config_type_number_or_auto = {
	"a whole number or auto", bind_number_or_auto, print_number_or_auto, NULL};

/* Words. */

static bool bind_yes_no(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	bool yes = span_is(text, "true") || span_is(text, "True") || span_is(text, "TRUE");
	bool no = span_is(text, "false") || span_is(text, "False") || span_is(text, "FALSE");
	if (!n->plain || !(yes || no))
		return config_type_wrong(b, o, n, "\"%s\"", config_complain_show(text).text);
	*(bool *)field = yes;
	return true;
}

static void print_yes_no(const struct option *o, const void *field, struct buf *out)
{
	buf_put(out, *(const bool *)field ? SPAN("true") : SPAN("false"));
}

static span nth_word(const char *words, unsigned index)
{
	span rest = span_str(words);
	for (; index; index--)
		rest = span_from(rest, span_find(rest, '|') + 1);
	return span_first(rest, span_find(rest, '|'));
}

int config_type_choose(const char *words, span text)
{
	for (unsigned i = 0;; i++) {
		span word = nth_word(words, i);
		if (word.n == 0)
			return -1;
		if (span_eq(word, text))
			return (int)i;
	}
}

static void put_words_as_sentence(struct buf *out, const char *words)
{
	span word = nth_word(words, 0);
	for (unsigned i = 0; word.n; i++) {
		span next = nth_word(words, i + 1);
		buf_put(out, i == 0 ? SPAN("") : next.n ? SPAN(", ") : SPAN(" or "));
		buf_put(out, word);
		word = next;
	}
}

static bool choose(struct binding *b, const struct option *o, const struct node *n, int *index)
{
	span text;
	if (!config_type_scalar(b, o, n, &text))
		return false;
	*index = config_type_choose(o->words, text);
	if (*index >= 0)
		return true;
	struct buf words = {0};
	put_words_as_sentence(&words, o->words);
	config_complain(b->complaint, n, "%s: \"%s\", expected %s", o->path, config_complain_show(text).text,
		buf_cstr(&words) ? words.p : o->words);
	buf_finish(&words);
	return false;
}

/* One of two words into a bool: the second is true. */
static bool bind_either(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	int index;
	if (!choose(b, o, n, &index))
		return false;
	*(bool *)field = index == 1;
	return true;
}

static void print_either(const struct option *o, const void *field, struct buf *out)
{
	buf_put(out, nth_word(o->words, *(const bool *)field));
}

/* One of several words into an enum that counts them in the same order. */
_Static_assert(sizeof(enum route_kind) == sizeof(unsigned) && sizeof(enum end_marker) == sizeof(unsigned),
	"a choice is written as an unsigned");

static bool bind_choice(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	int index;
	if (!choose(b, o, n, &index))
		return false;
	*(unsigned *)field = (unsigned)index;
	return true;
}

static void print_choice(const struct option *o, const void *field, struct buf *out)
{
	buf_put(out, nth_word(o->words, *(const unsigned *)field));
}

const struct option_type config_type_yes_no = {"true or false", bind_yes_no, print_yes_no, NULL};
const struct option_type config_type_either = {"one word", bind_either, print_either, NULL};
const struct option_type config_type_choice = {"one word", bind_choice, print_choice, NULL};

/* Lists. */

static size_t count_children(const struct node *n)
{
	size_t count = 0;
	for (const struct node *c = n->child; c; c = c->next)
		count++;
	return count;
}

bool config_type_bind_list(struct binding *b, const struct option *o, const struct node *n, struct words *out,
	config_type_judge *judge)
{
	if (n->kind != NODE_LIST)
		return config_type_wrong(b, o, n, "a single value or a map");
	out->word = calloc(count_children(n) + 1, sizeof *out->word);
	if (!out->word)
		return config_complain(b->complaint, n, "out of memory");
	for (const struct node *c = n->child; c; c = c->next) {
		span text;
		if (!config_type_scalar(b, o, c, &text))
			return false;
		const char *wrong = judge(text);
		if (wrong)
			return config_type_wrong(b, o, c, "\"%s\" %s", config_complain_show(text).text, wrong);
		if (!config_type_copy(b, c, text, &out->word[out->n]))
			return false;
		out->n++;
	}
	return true;
}

void config_type_print_words(const struct option *o, const void *field, struct buf *out)
{
	const struct words *w = field;
	buf_put_byte(out, '[');
	for (size_t i = 0; i < w->n; i++) {
		buf_put(out, i ? SPAN(", ") : SPAN(""));
		config_type_put_plain(out, span_str(w->word[i]));
	}
	buf_put_byte(out, ']');
}

void config_type_release_words(void *field)
{
	struct words *w = field;
	for (size_t i = 0; i < w->n; i++)
		free(w->word[i]);
	free(w->word);
	*w = (struct words){0};
}

static const char *judge_nothing(span word) { return NULL; }

static bool bind_words(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	return config_type_bind_list(b, o, n, field, judge_nothing);
}

const struct option_type config_type_words = {
	"a list of words", bind_words, config_type_print_words, config_type_release_words};

static bool take_status(span text, int *status)
{
	if (text.n != 3 || text.p[0] < '4' || text.p[0] > '5' || !isdigit(text.p[1]) || !isdigit(text.p[2]))
		return false;
	*status = (text.p[0] - '0') * 100 + (text.p[1] - '0') * 10 + (text.p[2] - '0');
	return true;
}

static bool bind_statuses(struct binding *b, const struct option *o, const struct node *n, void *field)
{
	struct statuses *s = field, read = {.n = 0};
	if (n->kind != NODE_LIST)
		return config_type_wrong(b, o, n, "a single value or a map");
	for (const struct node *c = n->child; c; c = c->next) {
		span text;
		if (!config_type_scalar(b, o, c, &text))
			return false;
		if (read.n == ROUTE_STATUSES)
			return config_type_wrong(b, o, c, "more than %d of them", ROUTE_STATUSES);
		if (!take_status(text, &read.status[read.n++]))
			return config_type_wrong(b, o, c, "\"%s\" is no status of an error", config_complain_show(text).text);
	}
	*s = read;
	return true;
}

static void print_statuses(const struct option *o, const void *field, struct buf *out)
{
	const struct statuses *s = field;
	buf_put_byte(out, '[');
	for (size_t i = 0; i < s->n; i++)
		buf_printf(out, "%s%d", i ? ", " : "", s->status[i]);
	buf_put_byte(out, ']');
}

const struct option_type config_type_statuses = {"a list of statuses from 400 to 599", bind_statuses, print_statuses, NULL};
