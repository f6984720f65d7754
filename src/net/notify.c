/* systemd's protocol for services of `Type=notify`, which other supervisors speak as well. It is one datagram to a Unix
 * socket, so a library for it would be larger than what it saves; and it is told before and after the loop, so it waits
 * for nobody: a supervisor that does not read loses a message. */
#include "net/notify.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* '@' is how the environment writes the NUL before an abstract name. False: it is no name of a Unix socket. */
static bool read_address(const char *name, struct sockaddr_un *a, socklen_t *bytes)
{
	size_t n = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || n >= sizeof a->sun_path)
		return false;
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(a->sun_path, name, n);
	if (name[0] == '@')
		a->sun_path[0] = 0;
	*bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return true;
}

static bool send_to(const char *name, const char *text, size_t n)
{
	struct sockaddr_un a;
	socklen_t bytes;
	if (!read_address(name, &a, &bytes)) {
		errno = EINVAL;
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool sent = sendto(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a, bytes) == (ssize_t)n;
	int error = errno;
	close(fd);
	errno = error;
	return sent;
}

void notify_say(const char *format, ...)
{
	const char *name = getenv("NOTIFY_SOCKET");
	char text[512];
	va_list args;
	if (!name || !*name)
		return;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	CHECK(n >= 0 && (size_t)n < sizeof text);
	if (!send_to(name, text, (size_t)n))
		log_say(LOG_WARN, "notify", "NOTIFY_SOCKET %s was not told %s: %s", name, text, strerror(errno));
}

void notify_reloading(void) { notify_say("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ns() / 1000); }
