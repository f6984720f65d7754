/* Writes the man page to stdout. A program of its own, so that lastword carries neither roff nor a hidden flag for it.
 * */
#include "gateway/config_parts.h"

#include <stdio.h>

static void put(void *to, span text) { fwrite(text.p, 1, text.n, to); }

int main(void)
{
	config_print_man(put, stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
