/*
 * block_device: what a block device lies on, by sysfs: other devices, and the file of a
 * loop device. See loop(4) and /sys/dev/block, /sys/class/block.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_BLOCK_DEVICE_H
#define PLATFORM_BLOCK_DEVICE_H

/* Devices on devices are followed this far. */
#define BLOCK_DEVICE_DEPTH_MAX 8

/* Is called with the path of the file of each loop device that is found, as the kernel shows
 * it: in the mount name space of whoever attached it, and " (deleted)" cut off. */
typedef void block_device_file_fn(const char *path, void *context);

/* Looks at the device whose directory is DIR below SYS_FD (/sys): "dev/block/254:0" or
 * "class/block/vda1". A partition is what its disk is. Returns which process of user space
 * it can't do without ("nbd", "ublk"), or NULL: none is known, or there is no such device. */
const char *block_device_look(
    int sys_fd, const char *dir, block_device_file_fn *see, void *context);

#endif
