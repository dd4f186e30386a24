/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/proc.h"

static struct {
	int kmsg_fd;
	int own_fd;   /* what standard error is, opened anew; -1: it could not be */
	bool is_full; /* the last line found no room */
	bool is_cut;  /* only its beginning was written */
	unsigned dropped;
} log_output = { .kmsg_fd = -1, .own_fd = -1 };

/* A socket can't be opened anew, and a file never makes anybody wait. */
static int
log_output_open_anew(void)
{
	char path[PROC_FD_PATH_MAX];
	struct stat status;

	if (fstat(STDERR_FILENO, &status) < 0 ||
	    (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)))
		return -1;
	proc_fd_path(STDERR_FILENO, path);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void
log_output_open(bool is_kmsg)
{
	fd_close(&log_output.kmsg_fd);
	fd_close(&log_output.own_fd);
	if (is_kmsg)
		log_output.kmsg_fd =
		    open("/dev/kmsg", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	log_output.own_fd = log_output_open_anew();
}

bool
log_output_is_kmsg(void)
{
	return log_output.kmsg_fd >= 0;
}

static int
log_output_fd(void)
{
	if (log_output.kmsg_fd >= 0)
		return log_output.kmsg_fd;
	return log_output.own_fd >= 0 ? log_output.own_fd : STDERR_FILENO;
}

static bool
log_output_has_room(int fd, int timeout_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };

	return poll(&wait, 1, timeout_ms) > 0;
}

/* As write(2), but for EAGAIN where it would wait. */
static ssize_t
log_output_try(int fd, const char *line, size_t len)
{
	ssize_t n;

	if (fd != STDERR_FILENO)
		return write(fd, line, len);
	n = send(fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n;
	if (log_output_has_room(fd, 0))
		return write(fd, line, len);
	errno = EAGAIN;
	return -1;
}

/* Writes as much of LINE as there is room for. Returns how much that is. */
static size_t
log_output_push(const char *line, size_t len)
{
	uint64_t deadline = clock_mono_ms() + (log_output.is_full ? 0 : LOG_OUTPUT_WAIT_MS);
	int fd = log_output_fd();
	size_t done = 0;

	for (;;) {
		ssize_t n = log_output_try(fd, line + done, len - done);
		uint64_t now;

		if (n > 0)
			done += (size_t)n;
		if (done == len || (n < 0 && errno != EAGAIN && errno != EINTR))
			return done;
		now = clock_mono_ms();
		if (now >= deadline)
			return done;
		(void)log_output_has_room(fd, (int)(deadline - now));
	}
}

unsigned
log_output_write(const char *line, size_t len)
{
	unsigned dropped = log_output.dropped;
	size_t done;

	/* What is left of a line that was cut must not run into this one. */
	if (log_output.is_cut && log_output_push("\n", 1) == 1)
		log_output.is_cut = false;
	done = log_output.is_cut ? 0 : log_output_push(line, len);
	log_output.is_full = done < len;
	if (done < len) {
		log_output.is_cut = log_output.is_cut || done > 0;
		log_output.dropped++;
		return 0;
	}
	log_output.dropped = 0;
	return dropped;
}
