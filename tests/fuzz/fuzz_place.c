/* Last-Event-ID, from anyone: what is taken for a place of ours prints as the text that it was. */
#include "base/check.h"
#include "stream/id.h"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_event(span text, const struct id *id, uint64_t n)
{
	char printed[ID_PLACE_MAX];
	int length = snprintf(printed, sizeof printed, "%s.%llu", id->text, (unsigned long long)n);
	CHECK(length > 0 && length < ID_PLACE_MAX);
	CHECK(span_is(text, printed));
}

static void check_end(span text, const struct id *id)
{
	const span end = SPAN(".end");
	span name = span_first(text, text.n - end.n);
	CHECK(text.n > end.n && text.n <= 64 + end.n && span_eq(span_from(text, name.n), end));
	CHECK(id->text[0] ? span_is(name, id->text) : !id_is_valid(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	span text = span_of(data, size);
	struct id id;
	uint64_t n = 77;
	enum id_place place = id_parse_place(text, &id, &n);
	CHECK(id.text[0] == 0 || id_is_valid(span_str(id.text)));
	CHECK(place == PLACE_EVENT || n == 0);
	if (place == PLACE_EVENT)
		check_event(text, &id, n);
	else if (place == PLACE_END)
		check_end(text, &id);
	else
		CHECK(id.text[0] == 0);
	return 0;
}
