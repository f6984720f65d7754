/* What a passthrough request asks for, read from its body as that goes by: whether it wants a stream, and of how many
 * choices. The body itself is never changed. */
#ifndef GATEWAY_ASKING_H
#define GATEWAY_ASKING_H

#include "json/scan.h"

struct asking {
	int stream;  /* the member `stream`: 1 true, 0 false, -1 neither */
	unsigned n;  /* the member `n`, or 1 */

	/* For asking.c. */
	struct json json;
	enum { ASKING_OTHER, ASKING_STREAM, ASKING_N } member;
	bool over;   /* nothing more will be learned */
};

void asking_init(struct asking *a);
void asking_finish(struct asking *a);

/* The next piece; last: the body ends with it. A body that is no JSON object says nothing. */
void asking_read(struct asking *a, span piece, bool last);

#endif
