#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "lastword: bug at %s:%d: %s does not hold\n", file, line, expression);
	abort();
}
