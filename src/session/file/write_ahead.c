/*
 * file_write_ahead: a small upload that has come whole, to a name that nothing has yet, as
 * most files of a tree are. It is written before anything is looked at, and read again
 * where its name turns out to be taken, or anything else is not as usual.
 *
 * Where the next request has come too, and goes to the same directory, that is not looked up
 * again: it was there before the look-up for this one. What is received later may have been
 * sent because another directory has that path now.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "session/file/path.h"
#include "session/file/write_ahead.h"
#include "session/file/write_state.h"
#include "session/rest.h"

/* The directory of the last upload without a user. */
static struct {
	bool is_taken; /* a name in it was, and so others may be */
	char path[PATH_MAX];
} file_write_dir;

/* -1: it is not kept open. */
static int file_write_dir_fd = -1;

void
file_write_ahead_leave(void)
{
	fd_close(&file_write_dir_fd);
}

/* Opens the directory DIR. */
static int
file_write_enter_dir(struct file_write *write, const char *dir)
{
	bool is_same = strcmp(dir, file_write_dir.path) == 0;

	if (is_same && write->request->user[0] == '\0')
		write->place.dir_fd = fd_steal(&file_write_dir_fd);
	if (write->place.dir_fd >= 0)
		return 0;
	if (is_same && file_write_dir.is_taken)
		return -EEXIST;
	file_write_dir.is_taken = false;
	(void)strlcpy(file_write_dir.path, dir, sizeof(file_write_dir.path));
	/* One that is missing is made by who looks, once: a link that a guest puts in the place of
	 * what was just made would lead a second try elsewhere. */
	write->place.dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return write->place.dir_fd < 0 ? -errno : 0;
}

/* Receives the upload. Returns 0, or -errno, with nothing done. */
static int
file_write_ahead_receive(struct file_write *write)
{
	struct file_parts parts;
	int r = file_path_split(write->path, &parts);

	if (r == 0)
		r = file_write_enter_dir(write, parts.dir);
	if (r < 0)
		return r;
	memcpy(write->place.name, parts.name, sizeof(write->place.name));
	write->place.slash = parts.slash;
	r = file_write_begin(write);
	write->spool.is_new = true;
	/* It has a name for rename(2), which asks nobody. */
	if (r == 0 && write->spool.temp[0] != '\0')
		return -EEXIST;
	return r < 0 ? r : file_write_receive(write);
}

/* Keeps the directory for an upload that is next. */
static void
file_write_keep_dir(struct file_write *write)
{
	if (write->session->has_more && write->request->user[0] == '\0' && !rest_is_due() &&
	    conn_has_upload(&write->session->conn, VMM_GUEST_FILE_WRITE_REQ))
		file_write_dir_fd = fd_steal(&write->place.dir_fd);
}

bool
file_write_ahead(struct file_write *write, int *ret)
{
	struct conn *conn = &write->session->conn;
	struct conn_mark mark = conn_tell(conn);
	int r = -EAGAIN;

	/* To flush takes long, which is waited for with nothing to say; and after it an error is
	 * no word on whether the file has its name. */
	if (!write->request->fsync && conn_has_upload(conn, 0))
		r = file_write_ahead_receive(write);
	file_write_ahead_leave();
	write->whole = r == 0;
	if (r == 0)
		r = file_write_commit(write);
	file_write_dir.is_taken |= r == -EEXIST;
	/* A directory that was kept may have been removed. */
	if (!write->whole || r == -EEXIST || r == -ENOENT) {
		(void)session_send_held(write->session);
		(void)file_write_done(write, 0);
		write->whole = false;
		write->total = 0;
		conn_go_back(conn, mark);
		return false;
	}
	write->session->is_uploading = false;
	if (r == 0)
		file_write_keep_dir(write);
	*ret = r;
	return true;
}
