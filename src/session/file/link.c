/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/link.h"

#include <errno.h>

#include "session/file/replace.h"
#include "session/file/serve.h"

static int
file_link(struct file_work *work)
{
	struct file_place FILE_PLACE_SCOPE from = FILE_PLACE_NONE;
	struct file_place FILE_PLACE_SCOPE to = FILE_PLACE_NONE;
	struct file_replace FILE_REPLACE_SCOPE link = FILE_REPLACE_NONE;
	int r = file_serve_open_both(work, FILE_PLACE_MAKE_DIRS, &from, &to);

	if (r < 0)
		return r;
	if (to.fd >= 0 ? S_ISDIR(to.status.st_mode) : to.slash)
		return -EISDIR;
	if (to.fd >= 0 && to.status.st_ino == from.status.st_ino &&
	    to.status.st_dev == from.status.st_dev)
		return 0;
	link.session = work->session;
	link.dir_fd = to.dir_fd;
	link.fd = fd_steal(&from.fd);
	link.is_link = true;
	r = file_replace_commit(&link, to.name);
	/* linkat(2) means the file by these. */
	if (r == -EPERM || r == -EMLINK)
		work->of = work->path;
	return r;
}

void
file_link_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_link);
}
