/*
 * file_in_place: writing over what can't be replaced: devices, files of /proc and
 * /sys, what something is mounted on or has more than one name. Not atomic.
 *
 * Bytes are gathered, so that a file of /proc gets its text in one write(2), and an upload
 * of up to VMM_GUEST_DATA_MAX is written when it is whole. Once the new content is whole,
 * here or in another file, room for it is reserved (fallocate(2)) while the old content
 * stands; then the old content is written over, and what is left of it cut off. A longer
 * upload that has no other file to wait in takes the old content's place as it comes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_IN_PLACE_H
#define SESSION_FILE_IN_PLACE_H

#include "session/file/place.h"
#include "session/session.h"

struct file_in_place {
	struct session *session;
	int fd; /* non-blocking; -1: not open */
	bool regular;
	bool begun;  /* the old content is gone; a part of the new stands */
	size_t held; /* bytes in conn_tx_buffer(), which a WRITE needs for nothing else */
};

#define FILE_IN_PLACE_NONE                                                                         \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Opens what stands at PLACE for writing, and changes nothing yet. Returns 0 with
 * *RET for file_in_place_close(), or -errno of open(2). */
int file_in_place_open(
    struct session *session, const struct file_place *place, struct file_in_place *ret);

/* Takes LEN bytes more; zeros, where BYTES is NULL. Returns 0, -ETIMEDOUT where a device takes
 * nothing for the stall timeout, -EPIPE, -ECANCELED, or -errno of write(2). */
int file_in_place_add(struct file_in_place *target, const uint8_t *bytes, size_t len);

/* Writes what is held. Returns as file_in_place_add(). */
int file_in_place_finish(struct file_in_place *target);

/* Puts the content of the regular file FROM_FD in place of the old one. */
int file_in_place_copy(struct file_in_place *target, int from_fd);

/* Closes it. Returns 0, or -errno of close(2). */
int file_in_place_close(struct file_in_place *target);

#endif
