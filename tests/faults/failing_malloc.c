/* Memory that runs out in a whole program: preloaded, it counts the allocations that are made while it is armed, and
 * lets some of them fail. For nth_malloc.py, which arms it, and reads it, through a file that both map.
 *
 * Blocks are counted too, all that were ever taken and not given back: at its end a program holds as many as it does
 * when nothing fails, or it leaks. A sanitizer's malloc cannot be preloaded before; there this is linked in (WRAPPED,
 * with --wrap), sees only our own objects' allocations, and leaves leaks to the sanitizer.
 *
 * Only what the process itself asks for is counted, on any thread; an allocation that fails writes where it was asked
 * for to stderr, if wanted. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The file: as nth_malloc.py reads and writes it. */
struct orders {
	_Atomic uint64_t armed;    /* by the test: counting begins */
	_Atomic uint64_t first;    /* by the test: the number of the first that fails; 0: none does */
	_Atomic uint64_t many;     /* by the test: so many fail from there on */
	_Atomic uint64_t tells;    /* by the test: the places of those that fail go to stderr */
	_Atomic uint64_t asked;    /* allocations while armed */
	_Atomic uint64_t failed;
	_Atomic int64_t blocks;    /* taken and not given back */
};

#ifdef WRAPPED
void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
#define malloc __wrap_malloc
#define calloc __wrap_calloc
#define realloc __wrap_realloc
#endif

static struct orders nobody, *orders = &nobody;
static void *(*next_malloc)(size_t), *(*next_calloc)(size_t, size_t), *(*next_realloc)(void *, size_t);
static __thread bool inside; /* this thread is in here already */

#ifdef WRAPPED
static void find_next(void)
{
	next_malloc = __real_malloc;
	next_calloc = __real_calloc;
	next_realloc = __real_realloc;
}

static void *take_early(size_t n) { abort(); }
#else
static void *(*next_aligned)(size_t, size_t);
static int (*next_posix)(void **, size_t, size_t);
static void (*next_free)(void *);

/* What dlsym itself asks for before the next functions are known. Never given back. */
static _Alignas(16) char early[16384];
static size_t early_used;

static void *take_early(size_t n)
{
	size_t at = early_used;
	early_used += (n + 15) & ~(size_t)15;
	if (early_used > sizeof early)
		abort();
	return early + at;
}

static bool is_early(const void *p) { return (const char *)p >= early && (const char *)p < early + sizeof early; }

static void find_next(void)
{
	if (next_free || inside)
		return;
	inside = true;
	next_malloc = dlsym(RTLD_NEXT, "malloc");
	next_calloc = dlsym(RTLD_NEXT, "calloc");
	next_realloc = dlsym(RTLD_NEXT, "realloc");
	next_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
	next_posix = dlsym(RTLD_NEXT, "posix_memalign");
	next_free = dlsym(RTLD_NEXT, "free");
	inside = false;
}
#endif

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAILING_MALLOC");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *frame[4];
	find_next();
	backtrace(frame, 4); /* loads what it needs now */
	if (fd < 0)
		return;
	void *map = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		abort();
	((struct orders *)map)->blocks = nobody.blocks;
	orders = map;
}

static void tell(uint64_t number)
{
	static const char head[] = "failing malloc:\n";
	void *frame[24];
	inside = true;
	int n = backtrace(frame, 24);
	if (write(STDERR_FILENO, head, sizeof head - 1) > 0)
		backtrace_symbols_fd(frame + 2, n - 2, STDERR_FILENO);
	inside = false;
}

static bool fails(void)
{
	if (inside || !orders->armed)
		return false;
	uint64_t number = atomic_fetch_add(&orders->asked, 1) + 1;
	if (!orders->first || number < orders->first || number - orders->first >= orders->many)
		return false;
	orders->failed++;
	if (orders->tells)
		tell(number);
	errno = ENOMEM;
	return true;
}

static void *count(void *p)
{
	if (p && !inside)
		orders->blocks++;
	return p;
}

void *malloc(size_t n)
{
	find_next();
	return !next_malloc ? take_early(n) : fails() ? NULL : count(next_malloc(n));
}

void *calloc(size_t k, size_t n)
{
	find_next();
	return !next_calloc ? take_early(k * n) : fails() ? NULL : count(next_calloc(k, n));
}

void *realloc(void *p, size_t n)
{
	find_next();
	if (fails())
		return NULL;
	void *moved = next_realloc(p, n);
	return p ? moved : count(moved);
}

#ifndef WRAPPED
void *aligned_alloc(size_t alignment, size_t n)
{
	find_next();
	return fails() ? NULL : count(next_aligned(alignment, n));
}

void *memalign(size_t alignment, size_t n);
void *memalign(size_t alignment, size_t n) { return aligned_alloc(alignment, n); }

int posix_memalign(void **p, size_t alignment, size_t n)
{
	find_next();
	if (fails())
		return ENOMEM;
	int status = next_posix(p, alignment, n);
	if (status == 0)
		count(*p);
	return status;
}

void free(void *p)
{
	if (!p || is_early(p))
		return;
	find_next();
	if (!inside)
		orders->blocks--;
	next_free(p);
}
#endif
