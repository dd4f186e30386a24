/*
 * boot_links: the links in /dev that programs expect.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/log.h"

#define BOOT_LINKS_TEMPORARY "/dev/.vmm-guest-link"

struct boot_link {
	const char *path;
	const char *target;
	const char *same_target; /* as good, or NULL */
};

/* devtmpfs has a device node ptmx, but the one of our own devpts instance is
 * what belongs to /dev/pts, whoever opens it and by whatever path. */
static const struct boot_link boot_links_table[] = {
	{ .path = "/dev/ptmx", .target = "pts/ptmx", .same_target = "/dev/pts/ptmx" },
	{ .path = "/dev/fd", .target = "/proc/self/fd" },
	{ .path = "/dev/stdin", .target = "/proc/self/fd/0", .same_target = "fd/0" },
	{ .path = "/dev/stdout", .target = "/proc/self/fd/1", .same_target = "fd/1" },
	{ .path = "/dev/stderr", .target = "/proc/self/fd/2", .same_target = "fd/2" },
};

static bool
boot_links_is_right(const struct boot_link *link)
{
	char target[32];
	ssize_t len = readlinkat(AT_FDCWD, link->path, target, sizeof(target) - 1);

	if (len < 0)
		return false;
	target[len] = '\0';
	return strcmp(target, link->target) == 0 ||
	       (link->same_target != NULL && strcmp(target, link->same_target) == 0);
}

/* At no moment is there nothing at the path: somebody may be using it. */
static int
boot_links_make(const struct boot_link *link)
{
	if (unlinkat(AT_FDCWD, BOOT_LINKS_TEMPORARY, 0) < 0 && errno != ENOENT)
		return -errno;
	if (symlinkat(link->target, AT_FDCWD, BOOT_LINKS_TEMPORARY) < 0)
		return -errno;
	if (renameat(AT_FDCWD, BOOT_LINKS_TEMPORARY, AT_FDCWD, link->path) < 0) {
		int error = errno;

		(void)unlinkat(AT_FDCWD, BOOT_LINKS_TEMPORARY, 0);
		return -error;
	}
	return 0;
}

void
boot_links(const struct boot_settings *settings)
{
	(void)settings;
	for (size_t i = 0; i < sizeof(boot_links_table) / sizeof(boot_links_table[0]); i++) {
		const struct boot_link *link = &boot_links_table[i];
		int r = boot_links_is_right(link) ? 0 : boot_links_make(link);

		if (r < 0)
			log_error(r, "boot: can't make the link %s", link->path);
	}
}
