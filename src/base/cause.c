#include "base/cause.h"

static const struct cause_row rows[CAUSES] = {
#define CAUSE(constant, name, end, side, status, retryable, sentence) \
	[CAUSE_##constant] = {name, END_##end, SIDE_##side, status, retryable, sentence},
#include "base/cause.def"
#undef CAUSE
};

const struct cause_row *cause_row(enum cause cause)
{
	CHECK(cause > CAUSE_NONE && cause < CAUSES);
	return &rows[cause];
}

const char *cause_name(enum cause cause) { return cause_row(cause)->name; }

const char *cause_end_name(enum cause_end end)
{
	static const char *const names[] = {"complete", "stopped", "failed"};
	return names[end];
}

const char *cause_side_name(enum cause_side side)
{
	static const char *const names[] = {"model", "viewer", "upstream", "gateway"};
	return names[side];
}
