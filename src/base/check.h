/* CHECK is for our own bugs, never for what a peer or an operator did: it is always on, prints the expression and
 * its place, and aborts. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define MUST __attribute__((warn_unused_result))
#define PRINTF_LIKE(nth, first) __attribute__((format(printf, nth, first)))

#define CHECK(expression) ((expression) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

_Noreturn void check_failed(const char *expression, const char *file, int line);

/* A long way that is kept out of its caller, whose short way would pay for its registers. */
#define APART __attribute__((noinline))

#endif
