/* A call: one request to the model, from its first byte to its last word. For serve.c. */
#ifndef MODEL_CALL_H
#define MODEL_CALL_H

#include "model/frames.h"
#include "model/serve.h"

enum call_kind { CALL_CHAT, CALL_GENERATE, CALL_MODELS };

/* Takes the exchange. */
void call_start(struct serve *s, struct exchange *x, enum call_kind kind);

/* The model was loaded: a held call goes on. */
void call_go_on(struct call *c);

struct call *call_of_answer(struct answer *a);
struct call *call_of_member(struct line_member *m);

void call_on_place(struct call *c, unsigned place);
void call_on_text(struct call *c, span text);
void call_on_end(struct call *c);

/* At the end of the program: frees it as it is. */
void call_forget(struct call *c);

struct call {
	LIST_ENTRY(call) link;
	TAILQ_ENTRY(call) held_link;
	struct garbage garbage;
	struct serve *serve;
	struct exchange *exchange;   /* NULL: the client has left, or has its whole answer */
	enum call_kind kind;
	enum call_state {
		CALL_READING,  /* the request's body */
		CALL_HELD,     /* the model is not loaded yet */
		CALL_IN_LINE,  /* waits for a slot */
		CALL_RUNNING,  /* the engine has the answer */
		CALL_ENDED,    /* the engine has let go; the client may still be taking */
	} state;
	struct line_member member;
	struct answer answer;
	struct chat *chat;
	struct prompt prompt;
	struct frames frames;
	bool spoke;          /* the first frame is out */
	bool paused;
	bool after_cr;       /* /generate */
	struct buf out;      /* streams: frames for which there was no room; else the text so far */
};

#endif
