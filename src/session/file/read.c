/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/watchdog.h"
#include "session/file/place.h"
#include "session/file/reply.h"
#include "session/file/user.h"

/* Less than this is sent sooner by a copy, with its header in the same call. */
#define FILE_READ_SOLID_MIN (64 * 1024)

struct file_read {
	struct session *session;
	int fd;
	uint64_t left;	 /* bytes still to be sent */
	uint64_t offset; /* of the next, in a file with a size */
	bool is_solid;	 /* its size is to be relied on, for as long as fstat(2) says so */
	bool capped;	 /* what ends LEFT is our limit, not the file's end */
};

/* Opens the file of PATH for reading: looked at first, so that no device is ever opened
 * (some act on it) and no FIFO waited for. Returns a descriptor or -errno: -EISDIR, -EINVAL
 * for anything else that is not a file. */
static int
file_read_open(const char *path)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	mode_t mode;

	place.fd = open(path, O_PATH | O_CLOEXEC);
	if (place.fd < 0 || fstat(place.fd, &place.status) < 0)
		return -errno;
	mode = place.status.st_mode;
	if (S_ISDIR(mode))
		return -EISDIR;
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return -EINVAL;
	return file_place_reopen(&place, O_RDONLY);
}

/* Where the file ends, as far as that can be known; *RET_ENDLESS if it can't. */
static int
file_read_size(struct file_read *read, uint64_t *ret, bool *ret_endless)
{
	struct stat status;
	struct statfs fs;
	off_t size;

	if (fstat(read->fd, &status) < 0 || fstatfs(read->fd, &fs) < 0)
		return -errno;
	size = status.st_size;
	if (S_ISBLK(status.st_mode)) {
		size = lseek(read->fd, 0, SEEK_END);
		if (size < 0 || lseek(read->fd, 0, SEEK_SET) < 0)
			return -errno;
	}
	*ret = (uint64_t)size;
	*ret_endless = S_ISREG(status.st_mode) && (size == 0 || fs.f_type == PROC_SUPER_MAGIC);
	/* A file of /sys says 4096 and has less; it has no blocks. */
	read->is_solid = !*ret_endless && (status.st_blocks > 0 || S_ISBLK(status.st_mode));
	return 0;
}

/* Sets how much is to be sent, and goes to where it begins. */
static int
file_read_begin(struct file_read *read, uint64_t offset, uint64_t length)
{
	uint64_t max = read->session->settings->max_file_bytes;
	bool endless = false;
	uint64_t size = 0;
	int r = file_read_size(read, &size, &endless);

	if (r < 0)
		return r;
	read->left = length;
	read->offset = offset;
	if (endless && length > max) {
		read->left = max;
		read->capped = true;
	} else if (!endless && offset >= size) {
		read->left = 0;
	} else if (!endless && length > size - offset) {
		read->left = size - offset;
	}
	if (offset == 0 || read->left == 0)
		return 0;
	return lseek(read->fd, (off_t)offset, SEEK_SET) < 0 ? -errno : 0;
}

/* Reads once into BUF. Returns 0 at the end, and where a file has nothing more at
 * the moment, as /proc/kmsg does: waiting for more would have no end. */
static ssize_t
file_read_some(struct file_read *reading, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = read(reading->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

/* Whether anything stands behind our limit: an answer other than the end does. */
static int
file_read_check_cap(struct file_read *read)
{
	if (!read->capped)
		return 0;
	return file_read_some(read, conn_tx_buffer(), VMM_GUEST_DATA_MAX) == 0 ? 0 : -EFBIG;
}

/* Sends LEN bytes without a copy, if they are there still. Returns LEN, 0 if the file has
 * been cut, or -errno; -EIO if it was cut while it was sent, and what went in place of its
 * end is not part of it. */
static ssize_t
file_read_send_solid(struct file_read *read, size_t len)
{
	struct session *session = read->session;
	struct stat now;
	int file_error;

	if (fstat(read->fd, &now) < 0)
		return -errno;
	if (S_ISREG(now.st_mode) && (uint64_t)now.st_size < read->offset + len)
		return 0;
	/* If the connection has failed, the file is not at fault, and there is nobody to tell. */
	if (conn_send_file(&session->conn, VMM_GUEST_FILE_DATA, read->fd, len, &file_error) < 0)
		return -EPIPE;
	if (file_error < 0) {
		session->has_more = false;
		return file_error == -ENODATA ? -EIO : file_error;
	}
	return (ssize_t)len;
}

/* Sends up to LEN bytes, as many as one read gives. Returns how many, or -errno. */
static ssize_t
file_read_send_copy(struct file_read *read, size_t len)
{
	struct session *session = read->session;
	uint8_t *buf = conn_tx_buffer();
	ssize_t n = file_read_some(read, buf, len);

	if (n > 0 && conn_send(&session->conn, VMM_GUEST_FILE_DATA, buf, (size_t)n) < 0)
		return -EPIPE;
	return n;
}

static int
file_read_send(struct file_read *read)
{
	while (read->left > 0) {
		size_t len =
		    read->left < VMM_GUEST_DATA_MAX ? (size_t)read->left : VMM_GUEST_DATA_MAX;
		ssize_t n = 0;

		if (read->is_solid && len >= FILE_READ_SOLID_MIN)
			n = file_read_send_solid(read, len);
		if (n == 0)
			n = file_read_send_copy(read, len);
		if (n <= 0)
			return (int)n;
		watchdog_ping();
		read->left -= (uint64_t)n;
		read->offset += (uint64_t)n;
	}
	return file_read_check_cap(read);
}

static int
file_read_request(struct session *session, const struct file_request *request, const char *path)
{
	int CLEANUP_FD fd = -1;
	struct file_read read = { .session = session };
	int r;

	fd = read.fd = file_read_open(path);
	if (fd < 0)
		return fd;
	r = file_read_begin(&read, request->offset, request->length);
	return r < 0 ? r : file_read_send(&read);
}

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_read_as_user(
    struct session *session, const struct file_request *request, const char *path, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, session, request->user);

	if (r < 0)
		return r;
	session_describe(session, request->user, path);
	*ret = file_read_request(session, request, path);
	return 0;
}

void
file_read_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];
	int r = file_reply_parse(session, type, payload, len, &request);

	if (r < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0 &&
	    file_read_as_user(session, &request, path, &r) == 0) {
		if (r == 0)
			(void)session_send_last(session, VMM_GUEST_FILE_DONE, NULL, 0);
		else if (r == -EFBIG)
			file_reply_text(session, r, "%s: it does not end within %" PRIu64 " bytes",
			    path, session->settings->max_file_bytes);
		else
			file_reply_error(session, r, path);
	}
	file_request_done(&request);
}
