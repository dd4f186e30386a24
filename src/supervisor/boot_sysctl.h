/*
 * boot_sysctl: the kernel's protection against planted links: the agent writes
 * where workloads may put some, and nobody else in such a guest sets it.
 * Source: the kernel's Documentation/admin-guide/sysctl/fs.rst.
 */
#ifndef SUPERVISOR_BOOT_SYSCTL_H
#define SUPERVISOR_BOOT_SYSCTL_H

/* Sets fs.protected_symlinks, _hardlinks, _fifos and _regular to 1; one that is
 * set already is left alone. Needs proc_init(). Failures are logged. */
void boot_sysctl_run(void);

#endif
