/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/ptp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "platform/fd.h"
#include "platform/text.h"

#define PTP_DEVICES_MAX 8
#define PTP_NAME "KVM virtual PTP\n"
#define PTP_NS_PER_S 1000000000

/* FD_TO_CLOCKID of the kernel's linux/posix-timers.h: no header has it for us. */
static clockid_t
ptp_clock_id(int fd)
{
	return (clockid_t)(~(unsigned)fd << 3 | 3);
}

int
ptp_open(int *ret_fd)
{
	for (int i = 0; i < PTP_DEVICES_MAX; i++) {
		char path[sizeof("/sys/class/ptp/ptp2147483647/clock_name")];
		char name[64];
		int fd;

		(void)text_format(path, sizeof(path), "/sys/class/ptp/ptp%d/clock_name", i);
		if (fd_read_file(AT_FDCWD, path, name, sizeof(name)) < 0 ||
		    strcmp(name, PTP_NAME) != 0)
			continue;
		(void)text_format(path, sizeof(path), "/dev/ptp%d", i);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return -errno;
		*ret_fd = fd;
		return 0;
	}
	return -ENODEV;
}

int
ptp_read(int fd, int64_t *ret_ns)
{
	struct timespec now;

	if (clock_gettime(ptp_clock_id(fd), &now) < 0)
		return -errno;
	*ret_ns = (int64_t)now.tv_sec * PTP_NS_PER_S + now.tv_nsec;
	return 0;
}
