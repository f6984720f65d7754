/* buf: bytes that grow. A zeroed struct is an empty one. Running out of memory sticks: later puts do nothing and
 * `failed` stays set, so a caller prints a whole message and asks once. Not shared between threads. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/check.h"
#include "base/span.h"

struct buf {
	char *p;
	size_t n;        /* bytes in use */
	size_t cap : 63; /* bytes allocated; an open stream holds two dozen bufs, so the flag gets no word of its own */
	bool failed : 1;
};

static inline span buf_span(const struct buf *b) { return (span){b->p, b->n}; }

/* Makes room for `more` bytes behind b->p[b->n]; false when there is no memory. The caller adds to b->n. */
MUST bool buf_grow(struct buf *b, size_t more);
MUST static inline bool buf_reserve(struct buf *b, size_t more)
{
	return (!b->failed && more <= b->cap - b->n) || buf_grow(b, more);
}

void buf_put(struct buf *b, span s);
static inline void buf_put_byte(struct buf *b, char c)
{
	if (buf_reserve(b, 1))
		b->p[b->n++] = c;
}
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Removes the first n bytes. */
void buf_drop_front(struct buf *b, size_t n);

/* A NUL behind the last byte, not counted in n; for C functions that want strings. NULL when there is no memory. */
const char *buf_cstr(struct buf *b);

/* Empty again: clear keeps the memory (and clears `failed`), finish returns it. */
static inline void buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}
void buf_finish(struct buf *b);

#endif
