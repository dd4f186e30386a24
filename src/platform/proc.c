/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "platform/text.h"

static int proc_fd = -1;

int
proc_init(void)
{
	if (proc_fd < 0)
		proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0 ? -errno : 0;
}

int
proc_dir_fd(void)
{
	return proc_fd;
}

void
proc_fd_link(int fd, char ret[PROC_FD_LINK_MAX])
{
	(void)text_format(ret, PROC_FD_LINK_MAX, "self/fd/%d", fd);
}

void
proc_fd_path(int fd, char ret[PROC_FD_PATH_MAX])
{
	(void)strlcpy(ret, "/proc/", PROC_FD_PATH_MAX);
	proc_fd_link(fd, ret + strlen(ret));
}

int
proc_fd_linkat(int fd, int dir_fd, const char *name)
{
	char path[PROC_FD_PATH_MAX];

	if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (proc_fd >= 0)
		proc_fd_link(fd, path);
	else
		proc_fd_path(fd, path);
	return io_result(linkat(proc_fd, path, dir_fd, name, AT_SYMLINK_FOLLOW));
}
