/*
 * boot_sysctl: the kernel's protection against planted links, and its limit for logs.
 */
#include "supervisor/boot_sysctl.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fd.h"
#include "platform/log.h"
#include "platform/proc.h"

#define BOOT_SYSCTL_KMSG "sys/kernel/printk_devkmsg"

static const char *const boot_sysctl_paths[] = {
	"sys/fs/protected_symlinks",
	"sys/fs/protected_hardlinks",
	"sys/fs/protected_fifos",
	"sys/fs/protected_regular",
};

static int
boot_sysctl_set(const char *path)
{
	char value[16];
	ssize_t len = fd_read_file(proc_dir_fd(), path, value, sizeof(value));

	if (len < 0)
		return (int)len;
	return value[0] != '0' ? 0 : fd_write_file(proc_dir_fd(), path, "1");
}

/* Whoever logs to the kernel by /dev/kmsg has ten lines in five seconds, which a boot at
 * debug is above; what a guest can provoke we limit ourselves. An operator's own
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
boot_sysctl_run(bool logs_to_kernel)
{
	if (logs_to_kernel)
		boot_sysctl_let_us_log();
	for (size_t i = 0; i < sizeof(boot_sysctl_paths) / sizeof(boot_sysctl_paths[0]); i++) {
		int r = boot_sysctl_set(boot_sysctl_paths[i]);

		if (r < 0)
			log_warnx(
			    "boot: can't set /proc/%s: %s", boot_sysctl_paths[i], strerror(-r));
	}
}
