/* A whole small file into memory: the configuration, or a secret.
 *
 * The limit is enforced while reading, not by asking for the size first: /dev/zero and a growing file have no honest
 * size. A configuration may come through a pipe (`--config <(…)`); a secret has to be a regular file, because a read
 * that waits for a writer would hang the start and, later, a reload in the middle of traffic.
 *
 * Sentences fit behind "FILE: ". errno ends here. */
#include "gateway/config_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *explain(int error)
{
	switch (error) {
	case ENOENT:
		return "no such file";
	case EACCES:
	case EPERM:
		return "may not be read";
	case ELOOP:
		return "symbolic links in a circle";
	case EISDIR:
		return "is a directory";
	case ENOTDIR:
		return "a part of its path is not a directory";
	case ENAMETOOLONG:
		return "its name is too long";
	default:
		return "cannot be read";
	}
}

static const char *read_all(int fd, size_t most, struct buf *out)
{
	for (;;) {
		if (!buf_reserve(out, 4096))
			return "out of memory";
		ssize_t n = read(fd, out->p + out->n, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return explain(errno);
		if (n == 0)
			return NULL;
		out->n += (size_t)n;
		if (out->n > most)
			return "is too large";
	}
}

static const char *check_kind(int fd, bool regular)
{
	struct stat s;
	if (fstat(fd, &s) != 0)
		return explain(errno);
	if (S_ISDIR(s.st_mode))
		return explain(EISDIR);
	return regular && !S_ISREG(s.st_mode) ? "is not a regular file" : NULL;
}

const char *config_file_read(const char *path, size_t most, bool regular, struct buf *out)
{
	/* O_NONBLOCK only keeps open() from waiting for a pipe's writer; where it could matter for read(), `regular`
	 * refuses. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
	if (fd < 0)
		return explain(errno);
	const char *wrong = check_kind(fd, regular);
	if (!wrong)
		wrong = read_all(fd, most, out);
	close(fd);
	return wrong;
}
