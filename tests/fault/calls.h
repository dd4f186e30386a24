/*
 * calls: the system calls that inject.c can make fail. What each may fail with is
 * errnos.py's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

#include <sys/syscall.h>

/* Not here: close(2), which closes whatever it returns (see preload.c), and what can't
 * fail. Calls that a machine has not are left out. */
#define FAULT_CALLS(CALL)                                                                          \
	CALL(accept4)                                                                              \
	CALL(bind)                                                                                 \
	CALL(chdir)                                                                                \
	CALL(chown)                                                                                \
	CALL(clock_settime)                                                                        \
	CALL(clone)                                                                                \
	CALL(clone3)                                                                               \
	CALL(close_range)                                                                          \
	CALL(connect)                                                                              \
	CALL(copy_file_range)                                                                      \
	CALL(dup)                                                                                  \
	CALL(dup3)                                                                                 \
	CALL(epoll_create1)                                                                        \
	CALL(epoll_ctl)                                                                            \
	CALL(epoll_pwait)                                                                          \
	CALL(eventfd2)                                                                             \
	CALL(execve)                                                                               \
	CALL(faccessat2)                                                                           \
	CALL(fallocate)                                                                            \
	CALL(fchdir)                                                                               \
	CALL(fchmod)                                                                               \
	CALL(fchmodat)                                                                             \
	CALL(fchown)                                                                               \
	CALL(fchownat)                                                                             \
	CALL(fcntl)                                                                                \
	CALL(fdatasync)                                                                            \
	CALL(fgetxattr)                                                                            \
	CALL(flistxattr)                                                                           \
	CALL(fsetxattr)                                                                            \
	CALL(fstatfs)                                                                              \
	CALL(fsync)                                                                                \
	CALL(ftruncate)                                                                            \
	CALL(getdents64)                                                                           \
	CALL(getrandom)                                                                            \
	CALL(getsockopt)                                                                           \
	CALL(inotify_add_watch)                                                                    \
	CALL(inotify_init1)                                                                        \
	CALL(ioctl)                                                                                \
	CALL(kill)                                                                                 \
	CALL(linkat)                                                                               \
	CALL(listen)                                                                               \
	CALL(lseek)                                                                                \
	CALL(madvise)                                                                              \
	CALL(mkdirat)                                                                              \
	CALL(mmap)                                                                                 \
	CALL(mprotect)                                                                             \
	CALL(mremap)                                                                               \
	CALL(newfstatat)                                                                           \
	CALL(openat)                                                                               \
	CALL(openat2)                                                                              \
	CALL(pidfd_open)                                                                           \
	CALL(pidfd_send_signal)                                                                    \
	CALL(pipe2)                                                                                \
	CALL(ppoll)                                                                                \
	CALL(prctl)                                                                                \
	CALL(pread64)                                                                              \
	CALL(prlimit64)                                                                            \
	CALL(pwrite64)                                                                             \
	CALL(read)                                                                                 \
	CALL(readlinkat)                                                                           \
	CALL(readv)                                                                                \
	CALL(recvfrom)                                                                             \
	CALL(recvmsg)                                                                              \
	CALL(renameat)                                                                             \
	CALL(renameat2)                                                                            \
	CALL(sendfile)                                                                             \
	CALL(sendmsg)                                                                              \
	CALL(sendto)                                                                               \
	CALL(setgroups)                                                                            \
	CALL(setpgid)                                                                              \
	CALL(setpriority)                                                                          \
	CALL(setresgid)                                                                            \
	CALL(setresuid)                                                                            \
	CALL(setsid)                                                                               \
	CALL(setsockopt)                                                                           \
	CALL(shutdown)                                                                             \
	CALL(signalfd4)                                                                            \
	CALL(socket)                                                                               \
	CALL(socketpair)                                                                           \
	CALL(splice)                                                                               \
	CALL(statfs)                                                                               \
	CALL(statx)                                                                                \
	CALL(symlinkat)                                                                            \
	CALL(sync)                                                                                 \
	CALL(syncfs)                                                                               \
	CALL(tee)                                                                                  \
	CALL(timerfd_create)                                                                       \
	CALL(timerfd_settime)                                                                      \
	CALL(unlinkat)                                                                             \
	CALL(utimensat)                                                                            \
	CALL(waitid)                                                                               \
	CALL(write)                                                                                \
	CALL(writev)

/* Those for which the machines of before have another. */
#if defined(SYS_open)
#define FAULT_CALLS_OLD(CALL)                                                                      \
	CALL(access)                                                                               \
	CALL(epoll_wait)                                                                           \
	CALL(fork)                                                                                 \
	CALL(fstat)                                                                                \
	CALL(getdents)                                                                             \
	CALL(lstat)                                                                                \
	CALL(mkdir)                                                                                \
	CALL(open)                                                                                 \
	CALL(poll)                                                                                 \
	CALL(readlink)                                                                             \
	CALL(rename)                                                                               \
	CALL(rmdir)                                                                                \
	CALL(stat)                                                                                 \
	CALL(symlink)                                                                              \
	CALL(unlink)                                                                               \
	CALL(vfork)                                                                                \
	CALL(wait4)
#else
#define FAULT_CALLS_OLD(CALL) CALL(fstat)
#endif

#endif
