/*
 * boot_mounts: the file systems that every program expects.
 */
#ifndef SUPERVISOR_BOOT_MOUNTS_H
#define SUPERVISOR_BOOT_MOUNTS_H

/* Mounts what is not there yet; needs no /proc. Failures are logged. */
void boot_mounts_run(void);

#endif
