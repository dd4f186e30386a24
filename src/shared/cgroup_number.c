/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/cgroup_number.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "platform/cgroup.h"
#include "platform/text.h"

void
cgroup_number_name(uint64_t number, char ret[CGROUP_NUMBER_NAME_MAX])
{
	(void)text_format(ret, CGROUP_NUMBER_NAME_MAX, "%" PRIu64, number);
}

int
cgroup_number_open(int session_cgroups_fd, uint64_t number)
{
	char name[CGROUP_NUMBER_NAME_MAX];
	int fd;

	if (session_cgroups_fd < 0 || number == 0)
		return -ENOENT;
	cgroup_number_name(number, name);
	fd = openat(session_cgroups_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

void
cgroup_number_remove(int session_cgroups_fd, uint64_t number)
{
	char name[CGROUP_NUMBER_NAME_MAX];

	if (session_cgroups_fd < 0 || number == 0)
		return;
	cgroup_number_name(number, name);
	(void)cgroup_remove(session_cgroups_fd, name);
}
