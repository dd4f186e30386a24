/*
 * file_in_place: writing over what can't be replaced.
 */
#include "session/file_in_place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "session/file_copy.h"
#include "session/file_reply.h"
#include "session/stop.h"

int
file_in_place_open(
    struct session *session, const struct file_place *place, struct file_in_place *ret)
{
	int fd = file_place_reopen(place, O_WRONLY);

	if (fd < 0)
		return fd;
	*ret = (struct file_in_place){
		.session = session,
		.fd = fd,
		.regular = S_ISREG(place->status.st_mode),
	};
	return 0;
}

/* Takes the old content away. Files of /proc have none to take. */
static int
file_in_place_begin(struct file_in_place *target)
{
	struct stat status;

	if (target->begun)
		return 0;
	target->begun = true;
	if (!target->regular)
		return 0;
	if (fstat(target->fd, &status) < 0)
		return -errno;
	if (status.st_size > 0 && ftruncate(target->fd, 0) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

/* Waits until a device takes bytes again. */
static int
file_in_place_wait(const struct file_in_place *target)
{
	const struct session *session = target->session;
	struct pollfd wait[] = {
		{ .fd = target->fd, .events = POLLOUT },
		{ .fd = session->conn.fd, .events = 0 },
	};
	int n = stop_poll(wait, 2, file_reply_deadline(session), true);

	if (stop_is_now())
		return -ECANCELED;
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return wait[0].revents == 0 ? -EPIPE : 0;
}

static int
file_in_place_write(struct file_in_place *target, const uint8_t *bytes, size_t len)
{
	int r = file_in_place_begin(target);

	while (r == 0 && len > 0) {
		ssize_t n = write(target->fd, bytes, len);

		if (n == 0) {
			r = -EIO; /* it takes nothing, and never will */
		} else if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			r = file_in_place_wait(target);
		} else if (errno != EINTR) {
			r = errno == EPIPE ? -EIO : -errno;
		}
	}
	return r;
}

int
file_in_place_add(struct file_in_place *target, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t room = VMM_GUEST_DATA_MAX - target->held;
		size_t step = len < room ? len : room;

		memcpy(conn_tx_buffer() + target->held, bytes, step);
		target->held += step;
		bytes += step;
		len -= step;
		if (target->held == VMM_GUEST_DATA_MAX) {
			int r = file_in_place_write(target, conn_tx_buffer(), target->held);

			if (r < 0)
				return r;
			target->held = 0;
		}
	}
	return 0;
}

int
file_in_place_finish(struct file_in_place *target)
{
	size_t held = target->held;

	target->held = 0;
	return file_in_place_write(target, conn_tx_buffer(), held);
}

int
file_in_place_copy(struct file_in_place *target, int from_fd)
{
	int r = file_in_place_begin(target);

	return r < 0 ? r : file_copy(NULL, from_fd, target->fd);
}

int
file_in_place_close(struct file_in_place *target)
{
	return fd_close_written(&target->fd);
}
