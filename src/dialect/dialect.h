/* What a kind of upstream means by its events. One file for each dialect, one struct of functions; nothing else in
 * lastword knows a member's name. A reader is fed whole events in order and gathers what they prove; it judges nothing
 * (stream/ending does) and does no I/O. */
#ifndef DIALECT_DIALECT_H
#define DIALECT_DIALECT_H

#include "base/buf.h"
#include "base/cause.h"
#include "base/utf8.h"
#include "dialect/mould.h"
#include "json/edit.h"
#include "sse/parse.h"

#include <stdint.h>

enum {
	DIALECT_CHOICES = 128, /* more choices than any server offers; beyond it an event is unreadable */
	DIALECT_WORD = 64,     /* bytes kept of a finish reason or an error's type and code, NUL included */
	DIALECT_SENTENCE = 512,/* bytes kept of an error's message, NUL included; cut at a whole character */
	DIALECT_BLOCKS = 1024, /* content blocks of one message; beyond it an event is unreadable */
};

/* A list of words from the configuration. */
struct words {
	char **word;
	size_t n;
};

/* What the route's configuration says about dialect text. */
struct dialect_text_rules {
	struct words end_events;   /* event names … */
	struct words end_data;     /* … and data that are the terminator */
	struct words error_events; /* event names that are an in-band error */
};

/* Evidence of the dialect, gathered over all events so far. */
struct seen {
	bool text;            /* some text of choice 0, or text of any other choice */
	bool meaning;         /* an event with meaning: text, reasoning, a tool fragment, a finish or an error */
	bool terminator;
	bool whole;           /* the event was itself the finish of every choice (`done:true` and the like) */
	bool failing_finish;  /* a finish reason error, abort or aborted */
	bool error;           /* in-band error; what it said: */
	char error_type[DIALECT_WORD], error_code[DIALECT_WORD];
	const char *error_message; /* below DIALECT_SENTENCE bytes */
	bool unreadable;      /* invalid JSON or a forbidden order: */
	const char *why;      /* likewise */
	char finish[DIALECT_WORD]; /* the model's own word for choice 0 (or the failing one); empty when none came */
	unsigned choices;     /* the larger of the request's n and the indexes seen + 1; at least 1 */
	unsigned finished;    /* choices that have a finish */
	unsigned char finished_set[DIALECT_CHOICES / 8];
	int64_t prompt_tokens, completion_tokens; /* usage; -1 when it was not told */
	int64_t sequence;     /* the last event's number, openai-responses; -1 when it was not told */
};

/* The event decided: nothing after it is evidence (ARCHITECTURE.md, "Ends"). */
static inline bool seen_decides(const struct seen *s)
{
	return s->error || s->failing_finish || s->terminator || s->unreadable;
}

struct dialect;

struct reader {
	const struct dialect *dialect;
	const struct dialect_text_rules *rules; /* dialect text; NULL stands for the defaults */
	struct seen seen;

	span secret;          /* the credential that went up: what is kept of an error is without it; a loan, may be set */

	/* What the last event said; empty and false when it said no such thing. */
	struct buf text;      /* of choice 0: whole characters, valid UTF-8 */
	struct buf reasoning; /* likewise */
	bool tool;            /* a tool fragment */
	bool says;            /* any of these, of any choice, half a character included */
	bool is_plain;        /* text and reasoning hold no control character; false also where that is not known */
	bool feeds_idle;      /* a well-formed data event of the dialect other than a ping or keep-alive */

	/* For the dialects. */
	struct utf8 text_mend, reasoning_mend;
	uint64_t replaced;    /* U+FFFD written so far */
	struct dialect_state {
		int phase;             /* anthropic, sglang-generate */
		uint64_t length, hash; /* sglang-generate: of the text that was delivered */
		unsigned char open[DIALECT_BLOCKS / 8]; /* anthropic: one bit for each open block */
	} state;

	/* For reader.c. */
	char *error_message, *why; /* the memory of seen's, which few answers ever need */
	struct mould mould;
	span piece;           /* what was added in this event: a loan of the event, if it was one piece */
	bool piece_is_reasoning;
	unsigned additions;   /* in this event: pieces, and whatever else is no piece, twice */
};

/* A bad end, to be told in the dialect. Strings are valid UTF-8 without a secret; NULL or empty: not known. */
struct failure {
	enum cause cause;     /* CAUSE_NONE: it was never asked; then there is a status */
	int status;           /* HTTP; 0: the cause's own */
	const char *sentence; /* ours */
	const char *type, *code, *message; /* the upstream's own words for its error */
	int64_t sequence;     /* seen.sequence */
};

/* What is asked: exactly one of the two has p. */
struct dialect_question {
	span prompt;   /* valid UTF-8 */
	span messages; /* the text of a JSON array of messages, in OpenAI's form */
};

/* The frame from which the dialect's official clients raise an exception. */
struct raising {
	const char *event;  /* its name; NULL: it has none */
	const char *type;   /* the member `type`; NULL: whatever it is */
	const char *string; /* a member that must be a string … */
	const char *object; /* … and one that must be an object; NULL: none. Without any: whatever the event says raises */
	bool coded;         /* the object's `code` must be an HTTP status of an error */
	const char *never;  /* a member beside which clients do not look at the error; NULL: there is none */
};

struct dialect {
	const char *name;       /* as in the configuration */
	enum sse_syntax syntax;
	bool has_finish;        /* has finish reasons */
	bool has_terminator;
	void (*read)(struct reader *r, const struct sse_event *event);
	/* A whole JSON body that came instead of a stream: true when it is this dialect's error, which is then in
	 * r->seen. */
	bool (*read_error_body)(struct reader *r, span body);

	/* How it speaks. */
	span terminator;        /* a frame that may be supplied when the finish proves the answer whole; empty: none */
	span heartbeat;         /* between whole frames; empty: none */
	span frame_begin, frame_end; /* around a frame's JSON */
	void (*put_error)(struct buf *out, const struct failure *f);
	void (*put_error_event)(struct buf *out, const struct failure *f); /* in a stream; NULL: as put_error */
	struct raising raising;
	/* What turns an event that ends the answer into one that only says what it says. */
	const struct json_edit *unfinish;
	size_t unfinishes;

	/* How it is asked. */
	const char *credential; /* the header that carries one, up to its value: "Authorization: Bearer " */
	const char *fields;     /* header lines that servers of this dialect insist on, each with CRLF; NULL: none */
	span query;             /* must be in the target's query; empty: nothing */
	const char *stream_path;/* a request for a path that ends so wants a stream, whatever its body says; NULL: none does */
	bool streams_by_default;/* a body that does not say `"stream":false` wants one */
	const char *own;        /* a member that nobody writes but who speaks the dialect himself; NULL: there is none */
	/* Appends the members, without braces, of the smallest body that asks q and wants a stream. False: it cannot be
	 * said in this dialect, and out is of no use. NULL: asked by GET. */
	bool (*put_question)(struct buf *out, const struct dialect_question *q);
};

extern const struct dialect dialect_text;
extern const struct dialect dialect_openai_chat;
extern const struct dialect dialect_openai_completions;
extern const struct dialect dialect_openai_responses;
extern const struct dialect dialect_anthropic;
extern const struct dialect dialect_gemini;
extern const struct dialect dialect_ollama_chat;
extern const struct dialect dialect_ollama_generate;
extern const struct dialect dialect_llamacpp;
extern const struct dialect dialect_tgi;
extern const struct dialect dialect_sglang_generate;
extern const struct dialect dialect_ai_ui;

/* One whole frame from which official clients raise an exception, and the body of an HTTP error before the first
 * byte. */
void dialect_put_failure(struct buf *out, const struct dialect *d, const struct failure *f);
void dialect_put_error_body(struct buf *out, const struct dialect *d, const struct failure *f);

/* A request in this dialect wants a stream. says: its body's member `stream`: 1 true, 0 false, -1 neither. */
bool dialect_wants_stream(const struct dialect *d, span path, span query, int says);

/* An event that is an error goes on to the client as it is: it raises there. */
MUST bool dialect_event_raises(const struct dialect *d, const struct sse_event *event);

/* Appends a frame that says what the event says and neither ends the answer nor fails it. False, and out as it was: the
 * event cannot be divided so, or there is no memory. */
MUST bool dialect_put_unfinished(struct buf *out, const struct dialect *d, const struct sse_event *event);

/* n: choices that the request asked for, at least 1. */
void reader_init(struct reader *r, const struct dialect *dialect, const struct dialect_text_rules *rules, unsigned n);
void reader_finish(struct reader *r);

/* Reads one event: clears what the last one said, then adds to r->seen. Call no more once seen_decides. An event that
 * exhausts memory sets r->text.failed. */
void reader_read(struct reader *r, const struct sse_event *event);

/* At the end of the events: characters still held back come out as U+FFFD in r->text and r->reasoning. */
void reader_flush(struct reader *r);

/* A name of the configuration; NULL: it is none. */
const struct dialect *dialect_by_name(span name);

/* `auto`: by the upstream's path, then by the first event with data. NULL: that tells nothing. */
const struct dialect *dialect_by_path(span path);
const struct dialect *dialect_by_event(enum sse_syntax syntax, const struct sse_event *event);

#endif
