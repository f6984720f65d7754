/* Memory that runs out: after `allocations_left` more allocations of the code under test every one fails. The program
 * is linked with --wrap (tools/make/test-malloc.mk). */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);

static long allocations_left = LONG_MAX;

static bool is_memory_out(void)
{
	if (allocations_left == LONG_MAX)
		return false;
	if (allocations_left == 0)
		return true;
	allocations_left--;
	return false;
}

void *__wrap_malloc(size_t n) { return is_memory_out() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t k, size_t n) { return is_memory_out() ? NULL : __real_calloc(k, n); }
void *__wrap_realloc(void *p, size_t n) { return is_memory_out() ? NULL : __real_realloc(p, n); }

#endif
