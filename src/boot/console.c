/*
 * boot_console: standard descriptors for an init that got none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/log.h"

#define BOOT_CONSOLE_PATH "/dev/console"
#define BOOT_CONSOLE_NULL_PATH "/dev/null"

/* Device number of /dev/null, from the kernel's devices.txt. */
#define BOOT_CONSOLE_MEM_MAJOR 1
#define BOOT_CONSOLE_NULL_MINOR 3

static bool
boot_console_is_placeholder(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || (flags & O_PATH) != 0;
}

static bool
boot_console_is_null(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
	       status.st_rdev == makedev(BOOT_CONSOLE_MEM_MAJOR, BOOT_CONSOLE_NULL_MINOR);
}

static bool
boot_console_open(int wanted, const char *path, int flags)
{
	int CLEANUP_FD fd = open(path, flags | O_NOCTTY | O_CLOEXEC);

	return fd >= 0 && dup2(fd, wanted) >= 0;
}

void
boot_console(const struct boot_settings *settings)
{
	(void)settings;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (boot_console_is_placeholder(fd))
			(void)boot_console_open(fd, BOOT_CONSOLE_NULL_PATH, O_RDWR);
	}
	if (getpid() != 1)
		return;
	/* A kernel without a console has none for us either: silence, then. */
	if (boot_console_is_placeholder(STDERR_FILENO) || boot_console_is_null(STDERR_FILENO))
		(void)boot_console_open(STDERR_FILENO, BOOT_CONSOLE_PATH, O_WRONLY);
}
