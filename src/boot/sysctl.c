/*
 * boot_sysctl: the kernel's protection against planted links, its limit for logs, and
 * how many terminals it reserves for the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fd.h"
#include "platform/log.h"
#include "platform/proc.h"

#define BOOT_SYSCTL_KMSG "sys/kernel/printk_devkmsg"

struct boot_sysctl {
	const char *path; /* below /proc */
	const char *least;
};

/* The kernel has 4096 terminals. A devpts that is mounted in another name space can have
 * all but the reserve. With the half that /dev/pts has, 64 are left. */
static const struct boot_sysctl boot_sysctl_table[] = {
	{ "sys/fs/protected_symlinks", "1" },
	{ "sys/fs/protected_hardlinks", "1" },
	{ "sys/fs/protected_fifos", "1" },
	{ "sys/fs/protected_regular", "1" },
	{ "sys/kernel/pty/reserve", "2112" },
};

static int
boot_sysctl_set(const struct boot_sysctl *sysctl)
{
	char value[16];
	ssize_t len = fd_read_file(proc_dir_fd(), sysctl->path, value, sizeof(value));

	if (len < 0)
		return (int)len;
	if (strtoul(value, NULL, 10) >= strtoul(sysctl->least, NULL, 10))
		return 0;
	return fd_write_file(proc_dir_fd(), sysctl->path, sysctl->least);
}

/* The kernel takes ten lines in five seconds from /dev/kmsg, and a boot at debug has more;
 * what a guest can provoke the agent limits itself. An operator's own
 * choice (printk.devkmsg= on the kernel's command line) can't be changed, and stands. */
static void
boot_sysctl_let_us_log(void)
{
	char value[16];

	if (fd_read_file(proc_dir_fd(), BOOT_SYSCTL_KMSG, value, sizeof(value)) > 0 &&
	    strncmp(value, "ratelimit", strlen("ratelimit")) == 0)
		(void)fd_write_file(proc_dir_fd(), BOOT_SYSCTL_KMSG, "on\n");
}

void
boot_sysctl(const struct boot_settings *settings)
{
	if (settings->logs_to_kernel)
		boot_sysctl_let_us_log();
	for (size_t i = 0; i < sizeof(boot_sysctl_table) / sizeof(boot_sysctl_table[0]); i++) {
		int r = boot_sysctl_set(&boot_sysctl_table[i]);

		if (r < 0)
			log_error(r, "boot: can't set /proc/%s", boot_sysctl_table[i].path);
	}
}
