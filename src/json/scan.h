/* A pull scanner for JSON (RFC 8259), sans I/O, resumable at any byte. It reads, it never builds a tree: a reader asks
 * for the next token and skips what it does not want. Strings come decoded, as WTF-8: an escaped lone surrogate is
 * written as its three bytes, so that a pair split over two events can still be joined (base/utf8). Bytes that are not
 * UTF-8 pass as they are; whoever wants text mends it. Duplicate keys come twice. Depth is bounded, nothing else is:
 * whoever feeds bounds the bytes.
 *
 *	json_init(&s); json_feed(&s, bytes, last);
 *	for (;;) switch (json_next(&s)) …
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "base/buf.h"

#include <stdint.h>

enum { JSON_DEPTH = 64 };

enum json_token {
	JSON_MORE,   /* feed more bytes (never after the last ones were fed) */
	JSON_OBJECT, /* { */
	JSON_OBJECT_END,
	JSON_ARRAY,  /* [ */
	JSON_ARRAY_END,
	JSON_KEY,    /* s.text: a member's name */
	JSON_STRING, /* s.text */
	JSON_NUMBER, /* s.text: as it is written */
	JSON_TRUE, JSON_FALSE, JSON_NULL,
	JSON_END,    /* the value is whole and nothing but white space follows */
	JSON_BAD,    /* s.message says what is wrong at s.offset; every later call says it again */
};

struct json {
	span text;           /* a loan until the next call */
	const char *message; /* what was expected, for people */
	uint64_t offset;     /* bytes taken so far: where the present token ends, or the error is */
	int depth;           /* open objects and arrays */

	/* For scan.c. */
	const char *p, *end; /* of the present input, what is not taken yet */
	span in;
	uint64_t before;     /* bytes of the inputs before it */
	bool last;
	int expect;          /* what may come next */
	int part;            /* the token that is being read, if the input ended inside one */
	int step;            /* in it: digits of \uXXXX, letters of a word, state of a number */
	const char *word;    /* true, false or null */
	uint32_t unicode;    /* the \uXXXX being read */
	bool in_key, in_array;
	struct buf held;     /* a token that arrived in pieces, or a string that had escapes */
	unsigned char stack[JSON_DEPTH / 8]; /* one bit for each open one: it is an array */
};

void json_init(struct json *s);
void json_finish(struct json *s);

/* Gives the next bytes, a loan until json_next says JSON_MORE. last: no more will come. */
void json_feed(struct json *s, span bytes, bool last);

MUST enum json_token json_next(struct json *s);

/* After JSON_MORE: if the input ended inside a string that is a value, nobody wants its text. So passing over a string of
 * any length takes no memory. */
void json_forget(struct json *s);

/* Right after a token that begins a value (for JSON_OBJECT/JSON_ARRAY: up to its end; scalars: nothing). True when the
 * value was passed whole; false: JSON_BAD, or the input ran out. For input that was fed whole. */
MUST bool json_skip(struct json *s, enum json_token begun);

/* The next value, whatever it is, passed without its tokens but no less strictly. False and input as json_skip. */
MUST bool json_pass(struct json *s);

/* The bytes that mean themselves between the quotes of a string: how many there are before the first quote, backslash
 * or control character. */
size_t json_plain_bytes(span s);

/* A member of an object that somebody wants. read: s is right behind the name, and the value must be taken whole; false
 * when the JSON is bad or the reader has had enough. */
struct json_member {
	span name;
	bool (*read)(void *of, struct json *s, span name);
};

/* Right after JSON_OBJECT, up to the object's end: each member that is in the list is read, the others are passed. */
MUST bool json_read_members(struct json *s, const struct json_member *members, size_t n, void *of);

/* The next value: an object's members, likewise; any other value is passed. */
MUST bool json_read_object(struct json *s, const struct json_member *members, size_t n, void *of);

/* The next value: when it is an array, each object in it is given to read, right after its JSON_OBJECT; anything else
 * is passed. */
MUST bool json_read_array(struct json *s, bool (*read)(void *of, struct json *s), void *of);

#endif
