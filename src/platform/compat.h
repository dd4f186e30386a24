/*
 * compat: what an older glibc (from 2.31) or musl (from 1.2.3) lacks, by the name and with the
 * contract that it has in glibc 2.36. configure finds out what that is (m4/vga_compat.m4);
 * where nothing is missing this file is empty, and so is the .c file. Include it beside the
 * system's header.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_COMPAT_H
#define PLATFORM_COMPAT_H

#include <grp.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef HAVE_SYS_PIDFD_H
#include <sys/pidfd.h>
#else
/* pidfd_open(2), pidfd_send_signal(2). */
int pidfd_open(pid_t pid, unsigned flags);
int pidfd_send_signal(int pid_fd, int signal, siginfo_t *info, unsigned flags);
#endif

/* glibc knows the numbers of the kernel that it was released with. From 403 on they are the
 * same on all machines. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

/* Of Linux 5.11. */
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#ifndef HAVE_CLOSE_RANGE
/* close_range(2). */
int close_range(unsigned first, unsigned last, int flags);
#endif

#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 33)
#define COMPAT_FACCESSAT
#endif
#ifdef COMPAT_FACCESSAT
/* faccessat(2). Before glibc 2.33 AT_EACCESS is decided by the modes alone, and not by the
 * kernel: without ACLs, read-only mounts, capabilities. */
#define faccessat compat_faccessat
int faccessat(int dir_fd, const char *path, int mode, int flags);
#endif

#ifndef HAVE_STRUCT_STATX_STX_MNT_ID
/* statx(2). The C library may have a struct of that name which is too short. */
struct compat_statx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t unused;
};

struct compat_statx {
	uint32_t stx_mask;
	uint32_t stx_blksize;
	uint64_t stx_attributes;
	uint32_t stx_nlink;
	uint32_t stx_uid;
	uint32_t stx_gid;
	uint16_t stx_mode;
	uint16_t unused;
	uint64_t stx_ino;
	uint64_t stx_size;
	uint64_t stx_blocks;
	uint64_t stx_attributes_mask;
	struct compat_statx_time stx_atime;
	struct compat_statx_time stx_btime;
	struct compat_statx_time stx_ctime;
	struct compat_statx_time stx_mtime;
	uint32_t stx_rdev_major;
	uint32_t stx_rdev_minor;
	uint32_t stx_dev_major;
	uint32_t stx_dev_minor;
	uint64_t stx_mnt_id;
	uint64_t later[13];
};

_Static_assert(sizeof(struct compat_statx) == 256, "the kernel's is 256 bytes");

#define statx compat_statx
int statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *ret);
#endif
#ifndef AT_STATX_DONT_SYNC
#define AT_STATX_DONT_SYNC 0x4000
#endif
#ifndef STATX_TYPE
#define STATX_TYPE 0x0001U
#endif
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

#ifndef HAVE_FGETPWENT_R
/* fgetpwent_r(3), fgetgrent_r(3): the next line of FILE that can be used, into BUFFER and
 * *STORAGE. A line must be shorter than SIZE, which is at most INT_MAX. Returns 0 with *RET; or
 * ENOENT at the end, ERANGE where the line does not fit, or another errno, with *RET as NULL. */
int fgetpwent_r(FILE *file, struct passwd *storage, char *buffer, size_t size, struct passwd **ret);
int fgetgrent_r(FILE *file, struct group *storage, char *buffer, size_t size, struct group **ret);
#endif

#ifndef HAVE_STRERRORNAME_NP
/* "ENOENT" of ENOENT; NULL of what is not an errno. */
const char *strerrorname_np(int error);
#endif

#ifndef HAVE_SIGABBREV_NP
/* "TERM" of SIGTERM; NULL of what has no name. */
const char *sigabbrev_np(int signal);
#endif

#ifndef HAVE_MALLOC_TRIM
/* malloc_trim(3). An allocator that has none gives back by itself. Returns 0. */
int malloc_trim(size_t keep);
#endif

#endif
