/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/content.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/watchdog.h"

/* Less than this is sent sooner by a copy, with its header in the same call. */
#define FILE_CONTENT_SOLID_MIN (64 * 1024)

struct file_content {
	struct session *session;
	int fd;
	uint64_t left;	 /* bytes still to be sent */
	uint64_t offset; /* of the next, in a file with a size */
	bool is_solid;	 /* its size is to be relied on, for as long as fstat(2) says so */
	bool capped;	 /* what ends LEFT is our limit, not the file's end */
};

/* Where the file ends, as far as that can be known; *RET_ENDLESS if it can't. */
static int
file_content_size(struct file_content *content, uint64_t *ret, bool *ret_endless)
{
	struct stat status;
	struct statfs fs;
	off_t size;

	if (fstat(content->fd, &status) < 0 || fstatfs(content->fd, &fs) < 0)
		return -errno;
	size = status.st_size;
	if (S_ISBLK(status.st_mode)) {
		size = lseek(content->fd, 0, SEEK_END);
		if (size < 0 || lseek(content->fd, 0, SEEK_SET) < 0)
			return -errno;
	}
	*ret = (uint64_t)size;
	*ret_endless = S_ISREG(status.st_mode) && (size == 0 || fs.f_type == PROC_SUPER_MAGIC);
	/* A file of /sys says 4096 and has less; it has no blocks. */
	content->is_solid = !*ret_endless && (status.st_blocks > 0 || S_ISBLK(status.st_mode));
	return 0;
}

/* Sets how much is to be sent, and goes to where it begins. */
static int
file_content_begin(struct file_content *content, uint64_t offset, uint64_t length)
{
	uint64_t max = content->session->settings->max_file_bytes;
	bool endless = false;
	uint64_t size = 0;
	int r = file_content_size(content, &size, &endless);

	if (r < 0)
		return r;
	content->left = length;
	content->offset = offset;
	if (endless && length > max) {
		content->left = max;
		content->capped = true;
	} else if (!endless && offset >= size) {
		content->left = 0;
	} else if (!endless && length > size - offset) {
		content->left = size - offset;
	}
	if (offset == 0 || content->left == 0)
		return 0;
	return lseek(content->fd, (off_t)offset, SEEK_SET) < 0 ? -errno : 0;
}

/* Reads once into BUF. Returns 0 at the end, and where a file has nothing more at
 * the moment, as /proc/kmsg does: waiting for more would have no end. */
static ssize_t
file_content_some(struct file_content *content, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = read(content->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

/* Whether anything stands behind our limit: an answer other than the end does. */
static int
file_content_check_cap(struct file_content *content)
{
	if (!content->capped)
		return 0;
	return file_content_some(content, conn_tx_buffer(), VMM_GUEST_DATA_MAX) == 0 ? 0 : -EFBIG;
}

/* Sends LEN bytes without a copy, if they are there still. Returns LEN, 0 if the file has
 * been cut, or -errno; -EIO if it was cut while it was sent, and what went in place of its
 * end is not part of it. */
static ssize_t
file_content_send_solid(struct file_content *content, size_t len)
{
	struct session *session = content->session;
	struct stat now;
	int file_error;

	if (fstat(content->fd, &now) < 0)
		return -errno;
	if (S_ISREG(now.st_mode) && (uint64_t)now.st_size < content->offset + len)
		return 0;
	/* If the connection has failed, the file is not at fault, and there is nobody to tell. */
	if (conn_send_file(&session->conn, VMM_GUEST_FILE_DATA, content->fd, len, &file_error) < 0)
		return -EPIPE;
	if (file_error < 0) {
		session->has_more = false;
		return file_error == -ENODATA ? -EIO : file_error;
	}
	return (ssize_t)len;
}

/* Sends up to LEN bytes, as many as one read gives. Returns how many, or -errno. */
static ssize_t
file_content_send_copy(struct file_content *content, size_t len)
{
	struct session *session = content->session;
	uint8_t *buf = conn_tx_buffer();
	ssize_t n = file_content_some(content, buf, len);

	if (n > 0 && conn_send(&session->conn, VMM_GUEST_FILE_DATA, buf, (size_t)n) < 0)
		return -EPIPE;
	return n;
}

static int
file_content_send_all(struct file_content *content)
{
	while (content->left > 0) {
		size_t len =
		    content->left < VMM_GUEST_DATA_MAX ? (size_t)content->left : VMM_GUEST_DATA_MAX;
		ssize_t n = 0;

		if (content->is_solid && len >= FILE_CONTENT_SOLID_MIN)
			n = file_content_send_solid(content, len);
		if (n == 0)
			n = file_content_send_copy(content, len);
		if (n <= 0)
			return (int)n;
		watchdog_ping();
		content->left -= (uint64_t)n;
		content->offset += (uint64_t)n;
	}
	return file_content_check_cap(content);
}

int
file_content_send(
    struct session *session, int fd, uint64_t offset, uint64_t length, uint64_t *ret_sent)
{
	struct file_content content = { .session = session, .fd = fd };
	int r = file_content_begin(&content, offset, length);

	if (r == 0)
		r = file_content_send_all(&content);
	*ret_sent = content.offset - offset;
	return r;
}
