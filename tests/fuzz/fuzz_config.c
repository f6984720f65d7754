/* A file: any bytes give a configuration or a complaint, never both and never neither; and what is printed of a
 * configuration is a configuration that prints the same. */
#include "base/check.h"
#include "gateway/config_parts.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append(void *to, span text) { buf_put(to, text); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct complaint c = {.file = "fuzz.yaml"};
	struct config *config = config_parse(span_of(data, size), &c);
	CHECK(!config == (c.text[0] != 0));
	if (!config)
		return 0;
	struct buf first = {0}, second = {0};
	config_print(config, append, &first);
	struct config *again = config_parse(buf_span(&first), &c);
	CHECK(again);
	config_print(again, append, &second);
	CHECK(span_eq(buf_span(&first), buf_span(&second)));
	buf_finish(&first);
	buf_finish(&second);
	config_destroy(again);
	config_destroy(config);
	return 0;
}
