/*
 * file_tree_tell: what a TREE tells the host. Frames are gathered, and sent together: most
 * files are small, and a call for each frame would cost more than the file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/io_error.h"
#include "platform/io_result.h"
#include "platform/proc.h"
#include "platform/watchdog.h"
#include "session/file/content.h"
#include "session/file/copy.h"
#include "session/file/reply.h"
#include "session/file/look.h"
#include "session/file/tree_state.h"

/* A file of up to this size is read whole before it is told of. */
#define FILE_TREE_SMALL (64u * 1024)

/* What st_blocks of stat(2) counts. */
#define FILE_TREE_BLOCK 512

/* Such a file waits here, behind the frames that are gathered: those come to at most
 * CONN_ROOM bytes, or to one frame, whose JSON has up to six characters for each byte of a
 * path and of a link's text. */
#define FILE_TREE_FILE_AT (128u * 1024)

_Static_assert(FILE_TREE_SMALL + VMM_GUEST_HEADER_LEN <= FILE_TREE_FILE_AT &&
		   2 * 6 * PATH_MAX + 2 * 2 * PATH_MAX + 1024 <= FILE_TREE_FILE_AT &&
		   FILE_TREE_FILE_AT + FILE_TREE_SMALL <= VMM_GUEST_DATA_MAX,
    "all has room");

int
file_tree_flush(struct file_tree *tree)
{
	size_t len = tree->out_len;

	if (len == 0)
		return 0;
	tree->end = conn_send_batch(&tree->session->conn, conn_tx_buffer(), len, tree->out_count);
	tree->out_len = 0;
	tree->out_count = 0;
	tree->has_sent = true;
	return tree->end;
}

/* Puts a frame behind those that are gathered. */
static int
file_tree_put(struct file_tree *tree, uint8_t type, const void *payload, size_t len)
{
	uint8_t *frame;

	if (tree->out_len + VMM_GUEST_HEADER_LEN + len > CONN_ROOM) {
		int r = file_tree_flush(tree);

		if (r < 0)
			return r;
	}
	frame = conn_tx_buffer() + tree->out_len;
	frame_header_format(frame, type, (uint32_t)len);
	if (len > 0)
		memcpy(frame + VMM_GUEST_HEADER_LEN, payload, len);
	tree->out_len += VMM_GUEST_HEADER_LEN + len;
	tree->out_count++;
	tree->has_told = true;
	return 0;
}

static int
file_tree_put_stat(struct file_tree *tree, const struct file_tree_entry *entry)
{
	size_t len;
	char *text = file_tree_format(entry, &len);

	if (text == NULL)
		return tree->end = -ENOMEM;
	(void)file_tree_put(tree, VMM_GUEST_FILE_STAT, text, len);
	free(text);
	return tree->end;
}

int
file_tree_tell_error(struct file_tree *tree, int error)
{

	if (tree->end < 0 || !tree->has_told)
		return tree->end < 0 ? tree->end : error;
	return file_tree_put_stat(tree, &(struct file_tree_entry){
					    .shape = FILE_TREE_ERROR,
					    .path = tree->path,
					    .error = io_error_name(error),
					});
}

static int
file_tree_put_hole(struct file_tree *tree, off_t len)
{
	return file_tree_put_stat(
	    tree, &(struct file_tree_entry){ .shape = FILE_TREE_HOLE, .hole = (uint64_t)len });
}

/* Sends SIZE bytes of the file FD, holes as such. Returns 0; or what is wrong with the file,
 * -EIO where it has become shorter, or with the connection, which the next frame meets too. */
static int
file_tree_send_runs(struct file_tree *tree, int fd, off_t size)
{
	off_t at = 0;
	int r = 0;

	while (r == 0 && at < size) {
		off_t begin = at;
		off_t end = size;
		uint64_t sent;

		if (!file_copy_next_data(fd, &begin, size, &end))
			begin = end = size;
		if (begin > at)
			r = file_tree_put_hole(tree, begin - at);
		if (r == 0)
			r = file_tree_flush(tree);
		if (r == 0 && lseek(fd, begin, SEEK_SET) < 0)
			r = -errno;
		if (r == 0)
			r = file_content_send(
			    tree->session, fd, (uint64_t)begin, (uint64_t)(end - begin), &sent);
		if (r == 0 && sent < (uint64_t)(end - begin))
			r = -EIO;
		at = end;
	}
	return r;
}

/* Sends what the file FD has; it is said to have SIZE bytes, of 0 nothing is known. */
static int
file_tree_send_large(struct file_tree *tree, int fd, off_t size)
{
	struct session *session = tree->session;
	/* Where zeros stood for what was not there, the host is told, and more may follow. */
	const bool has_more = session->has_more;
	struct stat now;
	uint64_t sent;
	int r;

	if (size == 0) {
		r = file_tree_flush(tree);
		return r < 0 ? r : file_content_send(session, fd, 0, UINT64_MAX, &sent);
	}
	r = file_tree_send_runs(tree, fd, size);
	session->has_more = has_more;
	/* Behind its end nothing tells a hole from what was cut. */
	return r == 0 && fstat(fd, &now) == 0 && now.st_size < size ? -EIO : r;
}

/* Reads the file FD, which is said to have SIZE bytes, into memory. Returns how many it has,
 * FILE_TREE_SMALL also where it may have more, or -errno. */
static ssize_t
file_tree_read_small(int fd, off_t size, uint8_t *bytes)
{
	size_t most = size > 0 ? (size_t)size : FILE_TREE_SMALL;
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < most) {
		n = pread(fd, bytes + len, most - len, (off_t)len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	return n < 0 && errno != EAGAIN ? -errno : (ssize_t)len;
}

/* Opens what FD (O_PATH) is open on, to read it. */
static int
file_tree_open(const struct file_tree *tree, int fd)
{
	char link[PROC_FD_LINK_MAX];

	proc_fd_link(fd, link);
	return io_result(openat(tree->fds_fd, link + sizeof("self/fd"),
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0));
}

/* Whether the file FD is to be read run by run: it is large, or has a hole. */
static bool
file_tree_is_large(int fd, const struct stat *status)
{
	off_t size = status->st_size;
	off_t hole = size;

	if (status->st_blocks < size / FILE_TREE_BLOCK)
		hole = lseek(fd, 0, SEEK_HOLE);
	return size > FILE_TREE_SMALL || (hole >= 0 && hole < size);
}

/* Tells of a regular file, of which ENTRY says what it is and NOW what it was a moment ago. What
 * is told of its size and what comes of it agree, though others change it. */
static int
file_tree_tell_file(struct file_tree *tree, int fd, struct stat *now, struct file_tree_entry *entry)
{
	uint8_t *bytes = conn_tx_buffer() + FILE_TREE_FILE_AT;
	int CLEANUP_FD data_fd = file_tree_open(tree, fd);
	ssize_t len = FILE_TREE_SMALL;
	bool was_empty;
	bool is_large;
	int r;

	if (data_fd < 0)
		return file_tree_tell_error(tree, data_fd);
	is_large = file_tree_is_large(data_fd, now);
	if (!is_large) {
		len = file_tree_read_small(data_fd, now->st_size, bytes);
		is_large = now->st_size == 0 && len == FILE_TREE_SMALL;
	}
	was_empty = now->st_size == 0;
	if (is_large && fstat(data_fd, now) < 0)
		len = -errno;
	if (len < 0)
		return file_tree_tell_error(tree, (int)len);
	/* What was cut meanwhile is not what nobody knows the size of. */
	if (is_large && now->st_size == 0 && !was_empty) {
		is_large = false;
		len = 0;
	}
	entry->entry.size = (uint64_t)(is_large ? now->st_size : len);
	r = file_tree_put_stat(tree, entry);
	if (r < 0)
		return r;
	if (is_large)
		r = file_tree_send_large(tree, data_fd, now->st_size);
	else if (len > 0)
		r = file_tree_put(tree, VMM_GUEST_FILE_DATA, bytes, (size_t)len);
	watchdog_ping();
	if (r < 0)
		return file_tree_tell_error(tree, r);
	return file_tree_put(tree, VMM_GUEST_FILE_DONE, NULL, 0);
}

int
file_tree_tell(struct file_tree *tree, int fd, struct stat *status, const char *target)
{
	struct file_tree_entry entry = {
		.entry = file_look_entry(status, target),
		.path = tree->path,
		.dev = status->st_dev,
		.ino = status->st_ino,
		.nlink = status->st_nlink,
		.shape = FILE_TREE_ENTRY,
	};

	if (tree->left == 0)
		return -E2BIG;
	tree->left--;
	if (S_ISREG(status->st_mode))
		return file_tree_tell_file(tree, fd, status, &entry);
	return file_tree_put_stat(tree, &entry);
}
