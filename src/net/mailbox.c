/* Mail between threads: a locked list and one uv_async. The lock is held for a few instructions; delivery takes the
 * whole list at once. uv_async_send may fold several wakes into one, so a wake says only "look".
 *
 * A letter is off the list before on_mail gets it, so it may be posted again from there, by any thread. */
#include "net/mailbox.h"

bool mailbox_deliver(struct mailbox *m)
{
	struct mail_list taken = STAILQ_HEAD_INITIALIZER(taken);
	pthread_mutex_lock(&m->mutex);
	STAILQ_CONCAT(&taken, &m->waiting);
	pthread_mutex_unlock(&m->mutex);
	bool any = !STAILQ_EMPTY(&taken);
	struct mail *mail;
	while ((mail = STAILQ_FIRST(&taken))) {
		STAILQ_REMOVE_HEAD(&taken, link);
		m->on_mail(m->owner, mail);
	}
	return any;
}

static void on_wake(uv_async_t *async) { mailbox_deliver(async->data); }

void mailbox_open(struct mailbox *m, struct loop *l, void (*on_mail)(void *owner, struct mail *mail), void *owner)
{
	STAILQ_INIT(&m->waiting);
	CHECK(pthread_mutex_init(&m->mutex, NULL) == 0);
	m->on_mail = on_mail;
	m->owner = owner;
	CHECK(uv_async_init(&l->uv, &m->async, on_wake) == 0);
	m->async.data = m;
}

void mailbox_post(struct mailbox *m, struct mail *mail)
{
	pthread_mutex_lock(&m->mutex);
	STAILQ_INSERT_TAIL(&m->waiting, mail, link);
	pthread_mutex_unlock(&m->mutex);
	uv_async_send(&m->async);
}

void mailbox_close(struct mailbox *m)
{
	uv_close((uv_handle_t *)&m->async, NULL);
	pthread_mutex_destroy(&m->mutex);
}
