/*
 * proc: a descriptor of /proc that is kept for the agent's life, as a workload
 * may unmount /proc or mount something over it.
 */
#ifndef PLATFORM_PROC_H
#define PLATFORM_PROC_H

/* Opens /proc. Called once, when it is mounted. Returns 0 or -errno. */
int proc_init(void);

/* The descriptor for openat(2) and the like; -1, with which they fail (EBADF),
 * before proc_init(). Borrowed. */
int proc_dir_fd(void);

#endif
