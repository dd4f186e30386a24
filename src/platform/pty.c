/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/io_result.h"

#define PTY_TTY_GROUP 5
#define PTY_SLAVE_MODE 0620

static int
pty_open_master(void)
{
	int flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
	int master = posix_openpt(flags);

	if (master >= 0 || errno != ENOSPC)
		return master;
	master = open(PTY_HOST_DIR "/ptmx", flags);
	if (master < 0)
		errno = ENOSPC;
	return master;
}

int
pty_open(int *ret_master_fd, int *ret_slave_fd, const char **ret_what)
{
	int CLEANUP_FD master = pty_open_master();
	int slave;

	*ret_what = "/dev/ptmx";
	if (master < 0)
		return -errno;
	if (unlockpt(master) < 0)
		return -errno;
	*ret_what = "the slave of /dev/ptmx";
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	*ret_master_fd = fd_steal(&master);
	*ret_slave_fd = slave;
	return 0;
}

int
pty_set_owner(int slave_fd, uid_t uid)
{
	if (fchown(slave_fd, uid, PTY_TTY_GROUP) < 0)
		return -errno;
	return io_result(fchmod(slave_fd, PTY_SLAVE_MODE));
}

int
pty_set_size(int master_fd, uint16_t columns, uint16_t rows)
{
	struct winsize size = { .ws_col = columns, .ws_row = rows };

	if (columns == 0 || rows == 0)
		return 0;
	return io_result(ioctl(master_fd, TIOCSWINSZ, &size));
}

int
pty_repeat_size(int master_fd, uint16_t columns, uint16_t rows)
{
	struct winsize size;
	pid_t group;

	if (ioctl(master_fd, TIOCGWINSZ, &size) < 0)
		return -errno;
	if (size.ws_col != columns || size.ws_row != rows)
		return pty_set_size(master_fd, columns, rows);
	/* TIOCSIG takes SIGINT, SIGQUIT and SIGTSTP alone. */
	group = tcgetpgrp(master_fd);
	if (group < 0)
		return -errno;
	/* 0: there is none. */
	return group > 1 && kill(-group, SIGWINCH) < 0 ? -errno : 0;
}

int
pty_get_eof(int master_fd, char *ret_eof, bool *ret_canonical)
{
	struct termios settings;

	if (tcgetattr(master_fd, &settings) < 0)
		return -errno;
	if (settings.c_cc[VEOF] == _POSIX_VDISABLE)
		return -ENODATA;
	*ret_eof = (char)settings.c_cc[VEOF];
	*ret_canonical = (settings.c_lflag & ICANON) != 0;
	return 0;
}
