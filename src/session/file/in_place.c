/*
 * file_in_place: writing over what can't be replaced.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/in_place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "session/file/copy.h"
#include "session/file/reply.h"
#include "session/rest.h"
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

/* Reserves room for LEN bytes while the old content still stands. Where a file system can't
 * promise any, the writing finds out. */
static int
file_in_place_reserve(const struct file_in_place *target, off_t len)
{
	struct stat status;
	int error;

	if (!target->regular || len == 0 || fallocate(target->fd, FALLOC_FL_KEEP_SIZE, 0, len) == 0)
		return 0;
	error = errno;
	if (error != ENOSPC && error != EDQUOT && error != EFBIG && error != EIO)
		return 0;
	/* Releases what was reserved before the room ran out: setting the size does. */
	if (fstat(target->fd, &status) == 0)
		(void)!ftruncate(target->fd, status.st_size);
	return -error;
}

/* Cuts off what the old content has behind its first LEN bytes. Files of /proc have
 * no size to cut, and some of /sys refuse. */
static int
file_in_place_cut(const struct file_in_place *target, off_t len)
{
	struct stat status;

	if (!target->regular)
		return 0;
	if (fstat(target->fd, &status) < 0)
		return -errno;
	if (status.st_size > len && ftruncate(target->fd, len) < 0 && errno != EINVAL)
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
		{ .fd = conn_fd(&session->conn), .events = 0 },
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
	int r = 0;

	while (r == 0 && len > 0) {
		ssize_t n;

		rest_point();
		n = write(target->fd, bytes, len);
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

/* Writes what is held, while more is to come. Nobody knows how long the whole will be, so
 * the old content goes first. */
static int
file_in_place_write_piece(struct file_in_place *target)
{
	size_t held = target->held;
	int r = 0;

	target->held = 0;
	if (!target->begun)
		r = file_in_place_reserve(target, (off_t)held);
	if (r == 0 && !target->begun)
		r = file_in_place_cut(target, 0);
	target->begun = true;
	return r < 0 ? r : file_in_place_write(target, conn_tx_buffer(), held);
}

int
file_in_place_add(struct file_in_place *target, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t room = VMM_GUEST_DATA_MAX - target->held;
		size_t step = len < room ? len : room;

		if (room == 0) {
			int r = file_in_place_write_piece(target);

			if (r < 0)
				return r;
			continue;
		}
		if (bytes != NULL)
			memcpy(conn_tx_buffer() + target->held, bytes, step);
		else
			memset(conn_tx_buffer() + target->held, 0, step);
		target->held += step;
		bytes += bytes != NULL ? step : 0;
		len -= step;
	}
	return 0;
}

int
file_in_place_finish(struct file_in_place *target)
{
	size_t held = target->held;
	int r;

	if (target->begun)
		return file_in_place_write_piece(target);
	r = file_in_place_reserve(target, (off_t)held);
	if (r == 0)
		r = file_in_place_write(target, conn_tx_buffer(), held);
	return r < 0 ? r : file_in_place_cut(target, (off_t)held);
}

int
file_in_place_copy(struct file_in_place *target, int from_fd)
{
	struct stat status;
	int r;

	if (fstat(from_fd, &status) < 0)
		return -errno;
	r = file_in_place_reserve(target, status.st_size);
	if (r == 0)
		r = file_copy_over(from_fd, target->fd, status.st_size);
	return r < 0 ? r : file_in_place_cut(target, status.st_size);
}

int
file_in_place_close(struct file_in_place *target)
{
	return fd_close_written(&target->fd);
}
