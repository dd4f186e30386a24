/*
 * atomic_file: a file of this machine that is being received: the bytes go to a file
 * that has no name (where the file system has no such: one beside the target), which takes
 * the target's name when all of them are there. So the target is the old file or the new
 * one, never half of it.
 *
 * A file that is there keeps owner, ACL, attributes and links: where the new one can't
 * be made like it, or it has more names than one, or something is mounted on it, the
 * bytes are copied into it once all of them are there.
 *
 * The names may come from a guest: nothing is followed out of the directory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATOMIC_FILE_H
#define CTL_ATOMIC_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct atomic_file {
	int dir_fd; /* borrowed */
	int fd;
	int there_fd;	  /* the file that is there, if it is to be written into; or -1 */
	const char *name; /* borrowed */
	char temporary[NAME_MAX + 1];
	mode_t mode;	 /* of the file that is there, or the one to be given */
	bool is_new;	 /* nothing is there yet */
	bool is_only;	 /* nothing may be there either when it is put in place */
	bool has_mode;	 /* it was opened with MODE */
	bool has_hole;	 /* at its end so far */
	bool is_local;	 /* its file system is, as atomic_file_is_local() says of its directory */
	bool keeps_mode; /* it may have its mode from the start: atomic_file_keeps_modes() */
	bool is_special; /* a device, FIFO and the like: written to as it is */
};

#define ATOMIC_FILE_INIT                                                                           \
	{                                                                                          \
		.dir_fd = -1, .fd = -1, .there_fd = -1                                             \
	}

/* What may stand at the name: */
enum atomic_file_there {
	ATOMIC_FILE_REGULAR,	 /* a regular file, which is replaced */
	ATOMIC_FILE_SPECIAL_TOO, /* or a device, FIFO and the like */
	ATOMIC_FILE_NONE,	 /* nothing: it is not looked, the directory is a new one */
};

/* Whether the file system of DIR_FD is one that has nothing to say when a file is closed, because
 * all that is wrong with a write was told by that. Of those that are not known it is not said. */
bool atomic_file_is_local(int dir_fd);

/* Whether a new file of DIR_FD has the mode that it is opened with, less the umask: its file system
 * is local, and it has no default ACL (acl(5)). */
bool atomic_file_keeps_modes(int dir_fd);

/* Begins to receive NAME of the directory DIR_FD, whose strings and descriptor are
 * borrowed until atomic_file_done(). A new file gets MODE; one that is there keeps its
 * own, without set-id bits, and must be what THERE says. Returns 0 or -errno: -EISDIR,
 * -EEXIST where something else is in the way. */
int atomic_file_open(struct atomic_file *ret, int dir_fd, const char *name, mode_t mode,
    enum atomic_file_there there);

/* Writes all LEN bytes. Returns 0 or -errno. */
int atomic_file_write(struct atomic_file *file, const uint8_t *data, size_t len);

/* Leaves LEN bytes out, which are then zeros and take no room. Returns 0 or -errno. */
int atomic_file_skip(struct atomic_file *file, uint64_t len);

/* Puts the file in place, with *MODE and *MTIME exactly where they are not NULL.
 * Returns 0 or -errno, -EEXIST where ATOMIC_FILE_NONE did not hold. */
int atomic_file_commit(struct atomic_file *file, const mode_t *mode, const struct timespec *mtime);

/* Makes a symbolic link to TARGET, which takes the place of anything but a directory, at
 * once. Returns 0 or -errno. */
int atomic_file_link(int dir_fd, const char *name, const char *target);

/* Gives the file FROM of FROM_FD another name, which it takes from anything but a directory, at
 * once. Returns 0 or -errno. */
int atomic_file_hard_link(int from_fd, const char *from, int dir_fd, const char *name);

/* Frees it, and removes what was not put in place. */
void atomic_file_done(struct atomic_file *file);
#define CLEANUP_ATOMIC_FILE __attribute__((cleanup(atomic_file_done)))

#endif
