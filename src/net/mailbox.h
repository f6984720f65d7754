/* A mailbox: how other threads say something to a loop's thread. Mail is delivered in order of posting, from the loop.
 * */
#ifndef NET_MAILBOX_H
#define NET_MAILBOX_H

#include "net/loop.h"

#include <pthread.h>

/* Embed one in what is sent; it belongs to the mailbox from post to delivery. */
struct mail {
	STAILQ_ENTRY(mail) link;
};

struct mailbox {
	uv_async_t async;
	pthread_mutex_t mutex;
	STAILQ_HEAD(mail_list, mail) waiting;
	void (*on_mail)(void *owner, struct mail *mail);
	void *owner;
};

void mailbox_open(struct mailbox *m, struct loop *l, void (*on_mail)(void *owner, struct mail *mail), void *owner);
void mailbox_post(struct mailbox *m, struct mail *mail); /* any thread */
/* Delivers what waits, at once; false: nothing did. For the loop's thread, or for whoever comes after it. */
bool mailbox_deliver(struct mailbox *m);
void mailbox_close(struct mailbox *m); /* the loop must turn once more before the memory goes */

#endif
