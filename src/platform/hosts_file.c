/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/hosts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "platform/etc_file.h"
#include "platform/fd.h"
#include "platform/text.h"

/* The first line of a file that is ours. */
#define HOSTS_FILE_MARK "# Written by vmm-guest-agent.\n"

#define HOSTS_FILE_SIZE 512

static const struct etc_file hosts_file = {
	.path = "/etc/hosts",
	.run_path = "/run/vmm-guest/hosts",
	.mode = 0644,
};

/* An image that was made of a container has an empty one. */
bool
hosts_file_is_own(void)
{
	char start[sizeof(HOSTS_FILE_MARK)];
	int CLEANUP_FD fd = open(hosts_file.path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT;
	len = fd_read_full(fd, start, sizeof(start) - 1);
	return len == 0 || (len == (ssize_t)sizeof(start) - 1 &&
			       memcmp(start, HOSTS_FILE_MARK, (size_t)len) == 0);
}

int
hosts_file_write(const char *name)
{
	char text[HOSTS_FILE_SIZE];
	int r;

	if (!hosts_file_is_own())
		return 0;
	(void)text_format(text, sizeof(text),
	    HOSTS_FILE_MARK "127.0.0.1\tlocalhost\n::1\tlocalhost\n%s%s%s",
	    name[0] != '\0' ? "127.0.1.1\t" : "", name, name[0] != '\0' ? "\n" : "");
	r = etc_file_write(&hosts_file, text);
	return r == -ENOENT ? 0 : r;
}
