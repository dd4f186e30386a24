/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/symlink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "session/file/temporary.h"
#include "session/file/place.h"
#include "session/file/serve.h"

/* A guest may put files where our temporary names would go, but not for ever. */
#define FILE_SYMLINK_TRIES 16

static int
file_symlink_call(const char *target, int dir_fd, const char *name)
{
	return io_result(symlinkat(target, dir_fd, name));
}

/* Makes the link by a temporary name, which rename(2) then takes it from. */
static int
file_symlink_replace(struct session *session, const char *target, const struct file_place *place)
{
	char temp[FILE_TEMPORARY_NAME_MAX];
	struct stat status;
	int r = -EEXIST;

	for (int tries = 0; r == -EEXIST && tries < FILE_SYMLINK_TRIES; tries++) {
		file_temporary_announce(session, place->dir_fd, NULL, temp);
		r = file_symlink_call(target, place->dir_fd, temp);
	}
	if (r == 0) {
		if (fstatat(place->dir_fd, temp, &status, AT_SYMLINK_NOFOLLOW) == 0)
			file_temporary_identify(session, &status);
		if (renameat(place->dir_fd, temp, place->dir_fd, place->name) < 0) {
			r = -errno;
			(void)unlinkat(place->dir_fd, temp, 0);
		}
	}
	file_temporary_forget(session);
	return r;
}

static int
file_symlink(struct file_work *work)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	int r = file_place_open(work->path, FILE_PLACE_MAKE_DIRS, &place);

	if (r < 0)
		return r;
	if (place.fd >= 0 ? S_ISDIR(place.status.st_mode) : place.slash)
		return -EISDIR;
	r = file_symlink_call(work->request->target, place.dir_fd, place.name);
	return r == -EEXIST ? file_symlink_replace(work->session, work->request->target, &place)
			    : r;
}

void
file_symlink_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_symlink);
}
