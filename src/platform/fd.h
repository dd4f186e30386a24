/*
 * fd: descriptors that close themselves, and the few reads and writes that
 * must be whole. Not here: anything that knows what the bytes mean.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_FD_H
#define PLATFORM_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

/* Closes *FD if it is open and leaves -1 there; errno is kept. close(2) is not
 * tried again on EINTR: on Linux the descriptor is gone either way. */
void fd_close(int *fd);

/* As fd_close(), for a file that was written: returns 0, or -errno of close(2), by
 * which NFS, FUSE and quotas tell of a write that failed after all. */
int fd_close_written(int *fd);

/* Has FD's file system say what it would at close(2), and leaves FD open. Returns 0
 * or -errno. */
int fd_flush(int fd);

/* A descriptor of this kind is closed when its scope ends: int CLEANUP_FD fd = -1; */
#define CLEANUP_FD __attribute__((cleanup(fd_close)))

/* Hands *FD to the caller, who now owns it, and leaves -1 behind. */
static inline int
fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* Sets or clears O_NONBLOCK on the open file behind FD (shared with its
 * duplicates). Returns 0 or -errno of fcntl(2). */
int fd_set_nonblock(int fd, bool on);

/* Reads until LEN bytes are in BUF, end of file, or an error; EINTR is retried.
 * Returns the number of bytes read, which is less than LEN only at end of
 * file, or -errno. FD must be blocking. */
ssize_t fd_read_full(int fd, void *buf, size_t len);

/* Writes all LEN bytes of BUF; EINTR and short writes are continued. FD must be
 * blocking. Returns 0 or -errno of write(2). */
int fd_write_full(int fd, const void *buf, size_t len);

/* The same at OFFSET of a file; see pread(2) and pwrite(2). */
ssize_t fd_pread_full(int fd, void *buf, size_t len, off_t offset);
int fd_pwrite_full(int fd, const void *buf, size_t len, off_t offset);

/* Reads a whole small file, such as one of /proc, relative to DIR_FD (AT_FDCWD
 * for the current directory) into BUF of SIZE bytes and puts a NUL behind it.
 * Never blocks on a FIFO. Returns the length without the NUL, -EFBIG if it
 * does not fit, or -errno. */
ssize_t fd_read_file(int dir_fd, const char *path, char *buf, size_t size);

/* Writes TEXT to an existing file in one write(2), as files of /proc and
 * cgroupfs want it. Returns 0 or -errno. */
int fd_write_file(int dir_fd, const char *path, const char *text);

/* Opens descriptors 0, 1 and 2 on /dev/null if they are closed, so that nothing else
 * lands on them. Where there is no /dev/null yet, or if not IS_USABLE, whoever reads or
 * writes them has EBADF, as if they were closed still. */
void fd_open_standard(bool is_usable);

/* Closes all descriptors above 2: a daemon keeps nobody else's files, locks and pipes
 * open. Where the kernel has no close_range(2) they stay. */
void fd_close_inherited(void);

#endif
