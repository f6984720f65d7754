/* How many requests a model server is busy with, read from the pages on which such servers say so themselves: the only
 * evidence from outside that a model has stopped computing.
 *
 * Counted is what runs, not what waits. Others' requests count too, so a caller may only ask whether the number fell.
 * Pure. A new kind of server is one row. */
#include "gateway/probe_parts.h"

#include <stdlib.h>

/* "name 1", "name{label="x"} 1 1700000000": a gauge of Prometheus' text format. */
static bool read_gauge(span line, const char *name, double *value)
{
	char number[32];
	span rest = span_from(line, strlen(name));
	if (!span_starts(line, span_str(name)))
		return false;
	const char *labels_end = rest.n && rest.p[0] == '{' ? memrchr(rest.p, '}', rest.n) : NULL;
	if (labels_end)
		rest = span_from(rest, (size_t)(labels_end + 1 - rest.p));
	if (!rest.n || rest.p[0] != ' ')
		return false;
	probe_look_copy(number, sizeof number, span_trim(rest));
	*value = strtod(number, NULL);
	return true;
}

static int64_t read_metrics(span page)
{
	static const char *const names[] = {"vllm:num_requests_running", "llamacpp:requests_processing",
		"sglang:num_running_reqs", "tgi_batch_current_size"};
	double sum = 0, value;
	bool said = false;
	for (span line; page.n; page = span_from(page, line.n + 1)) {
		line = span_first(page, span_find(page, '\n'));
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (read_gauge(line, names[i], &value)) {
				said = true;
				sum += value;
			}
	}
	return said && sum >= 0 && sum < INT32_MAX ? (int64_t)sum : -1;
}

/* llama-server's; older ones have `state`. */
static int64_t read_slots(span page)
{
	json_t *slots = json_loadb(page.p, page.n, 0, NULL), *slot;
	int64_t busy = json_is_array(slots) && json_array_size(slots) ? 0 : -1;
	size_t i;
	json_array_foreach(slots, i, slot)
		busy += json_is_true(json_object_get(slot, "is_processing")) ||
			json_integer_value(json_object_get(slot, "state")) > 0;
	json_decref(slots);
	return busy;
}

/* lastword-model's. */
static int64_t read_health(span page)
{
	json_t *health = json_loadb(page.p, page.n, 0, NULL), *busy = json_object_get(health, "busy");
	int64_t n = json_is_integer(busy) ? json_integer_value(busy) : -1;
	json_decref(health);
	return n;
}

static const struct {
	const char *path;
	int64_t (*read)(span page);
} gauges[PROBE_GAUGES] = {{"/metrics", read_metrics}, {"/slots", read_slots}, {"/health", read_health}};

const char *probe_gauge_path(size_t gauge) { return gauges[gauge].path; }

int64_t probe_gauge_read(size_t gauge, span page) { return page.n ? gauges[gauge].read(page) : -1; }
