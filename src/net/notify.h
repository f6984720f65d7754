/* What the program tells whoever started it as a service (sd_notify(3)): that it is ready, that it reads its
 * configuration again, that it is stopping. Nobody to tell is nothing to do. */
#ifndef NET_NOTIFY_H
#define NET_NOTIFY_H

#include "base/check.h"

/* One datagram of lines NAME=VALUE, to the socket that NOTIFY_SOCKET names. A failure is logged. */
void notify_say(const char *format, ...) PRINTF_LIKE(1, 2);

/* The same, with what systemd asks for at the beginning of a reload: the time at which it began. */
void notify_reloading(void);

#endif
