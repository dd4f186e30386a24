/*
 * ptp: the host's clock, where KVM lends it to its guests as a PTP device.
 * Sources: the kernel's Documentation/driver-api/ptp.rst, drivers/ptp/ptp_kvm_*.c;
 * clock_getres(2), "Dynamic clocks".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_PTP_H
#define PLATFORM_PTP_H

#include <stdint.h>

/* Opens KVM's device. Returns 0 with a close-on-exec descriptor in *RET_FD, which
 * the caller owns; -ENODEV if the guest has none; or -errno. */
int ptp_open(int *ret_fd);

/* The host's time in nanoseconds since 1970. Returns 0 or -errno. */
int ptp_read(int fd, int64_t *ret_ns);

#endif
