/*
 * file_read: READ of port 53.
 */
#include "session/file_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "session/file_place.h"
#include "session/file_reply.h"
#include "session/file_user.h"

struct file_read {
	struct session *session;
	int fd;
	uint64_t left; /* bytes still to be sent */
	bool capped;   /* what ends LEFT is our limit, not the file's end */
};

/* Opens the file of PATH for reading: looked at first, so that no device is ever
 * opened (some act on it) and no FIFO waited for. Returns a descriptor or -errno:
 * -EISDIR, -EINVAL for anything else that is no file. */
static int
file_read_open(const char *path, struct stat *ret)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;

	place.fd = open(path, O_PATH | O_CLOEXEC);
	if (place.fd < 0 || fstat(place.fd, ret) < 0)
		return -errno;
	if (S_ISDIR(ret->st_mode))
		return -EISDIR;
	if (!S_ISREG(ret->st_mode) && !S_ISBLK(ret->st_mode))
		return -EINVAL;
	return file_place_reopen(&place, O_RDONLY);
}

/* Sets how much is to be sent, and goes to where it begins. */
static int
file_read_begin(struct file_read *read, const struct stat *status, uint64_t offset, uint64_t length)
{
	uint64_t end = (uint64_t)status->st_size;
	struct statfs fs;
	bool endless = status->st_size == 0;

	if (S_ISBLK(status->st_mode)) {
		off_t size = lseek(read->fd, 0, SEEK_END);

		if (size < 0 || lseek(read->fd, 0, SEEK_SET) < 0)
			return -errno;
		end = (uint64_t)size;
		endless = false;
	} else if (fstatfs(read->fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC) {
		endless = true;
	}
	read->left = length;
	if (endless && length > read->session->settings->max_file_bytes) {
		read->left = read->session->settings->max_file_bytes;
		read->capped = true;
	} else if (!endless && offset >= end) {
		read->left = 0;
	} else if (!endless && length > end - offset) {
		read->left = end - offset;
	}
	if (offset == 0 || read->left == 0)
		return 0;
	return lseek(read->fd, (off_t)offset, SEEK_SET) < 0 ? -errno : 0;
}

/* Reads once into BUF. Returns 0 at the end, and where a file has nothing more at
 * the moment, as /proc/kmsg does: waiting for more would have no end. */
static ssize_t
file_read_some(struct file_read *read_, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = read(read_->fd, buf, len);
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

static int
file_read_send(struct file_read *read)
{
	struct session *session = read->session;
	uint8_t *buf = conn_tx_buffer();

	while (read->left > 0) {
		size_t want =
		    read->left < VMM_GUEST_DATA_MAX ? (size_t)read->left : VMM_GUEST_DATA_MAX;
		ssize_t n = file_read_some(read, buf, want);
		int r;

		if (n <= 0)
			return (int)n;
		r = conn_send(&session->conn, VMM_GUEST_FILE_DATA, buf, (size_t)n,
		    session->settings->stall_timeout_ms);
		/* The file is not at fault, and nobody is there to be told. */
		if (r < 0)
			return -EPIPE;
		read->left -= (uint64_t)n;
	}
	return file_read_check_cap(read);
}

static int
file_read_request(struct session *session, const struct file_request *request, const char *path)
{
	int CLEANUP_FD fd = -1;
	struct file_read read = { .session = session };
	struct stat status;
	int r;

	fd = read.fd = file_read_open(path, &status);
	if (fd < 0)
		return fd;
	r = file_read_begin(&read, &status, request->offset, request->length);
	return r < 0 ? r : file_read_send(&read);
}

void
file_read_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	struct file_request request = { 0 };
	char path[PATH_MAX];
	int r = file_reply_parse(session, type, payload, len, &request);

	if (r < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0 &&
	    file_user_enter(&user, session, request.user) == 0) {
		session_describe(session, request.user, path);
		r = file_read_request(session, &request, path);
		if (r == 0)
			(void)conn_send_last(&session->conn, VMM_GUEST_FILE_DONE, NULL, 0,
			    session->settings->stall_timeout_ms);
		else if (r == -EFBIG)
			file_reply_text(session, r, "%s: it does not end within %" PRIu64 " bytes",
			    path, session->settings->max_file_bytes);
		else
			file_reply_error(session, r, path);
	}
	file_request_done(&request);
}
