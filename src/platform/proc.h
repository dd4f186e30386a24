/*
 * proc: a descriptor of /proc that is kept for the agent's life, as a workload
 * may unmount /proc or mount something over it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_PROC_H
#define PLATFORM_PROC_H

/* Room for "/proc/self/fd/FD", or what stands behind /proc/ in it, and its NUL. */
#define PROC_FD_PATH_MAX 32
#define PROC_FD_LINK_MAX 24

/* Opens /proc. Called once, when it is mounted. Returns 0 or -errno. */
int proc_init(void);

/* The descriptor for openat(2) and the like; -1, with which they fail (EBADF),
 * before proc_init(). Borrowed. */
int proc_dir_fd(void);

/* Writes to RET the name below proc_dir_fd() that leads to what FD is open on, O_PATH
 * too: for the calls that take a path and no such descriptor (proc(5)). */
void proc_fd_link(int fd, char ret[PROC_FD_LINK_MAX]);

/* The same from the root on, where /proc is whose it is: for programs that do without
 * proc_init(). */
void proc_fd_path(int fd, char ret[PROC_FD_PATH_MAX]);

/* Gives the file FD, which may have none (open(2), O_TMPFILE), the name NAME in the directory
 * DIR_FD: linkat(2). Returns 0 or -errno. Where the file goes by its descriptor that is one
 * look-up; kernels before 6.10 have that with CAP_DAC_READ_SEARCH alone, else it goes by /proc. */
int proc_fd_linkat(int fd, int dir_fd, const char *name);

#endif
