/*
 * boot_mounts: the file systems that every program expects.
 */
#ifndef BOOT_MOUNTS_H
#define BOOT_MOUNTS_H

/* Mounts what is not there yet; needs no /proc. Failures are logged. */
void boot_mounts_run(void);

#endif
