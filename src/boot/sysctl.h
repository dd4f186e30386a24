/*
 * boot_sysctl: the kernel's protection against planted links: the agent writes
 * where workloads may put some, and nobody else in such a guest sets it. Its limit for
 * who logs to it, and how many of its terminals are kept for us.
 * Sources: the kernel's Documentation/admin-guide/sysctl/fs.rst, kernel.rst.
 */
#ifndef BOOT_SYSCTL_H
#define BOOT_SYSCTL_H

#include <stdbool.h>

/* Sets fs.protected_symlinks, _hardlinks, _fifos and _regular to 1, and kernel.pty.reserve
 * to what the host's terminals want; one that is as much already is left alone. LOGS_TO_KERNEL:
 * takes the limit of kernel.printk_devkmsg away too. Needs proc_init(). Failures are logged. */
void boot_sysctl_run(bool logs_to_kernel);

#endif
