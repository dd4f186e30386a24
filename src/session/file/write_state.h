/*
 * file_write_state: what the parts of one WRITE share: file_write_begin.c decides
 * where the bytes go, file_write.c receives them, file_write_commit.c does what is to
 * be done on DONE, and file_write_ahead.c all of it for one that has come whole.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WRITE_STATE_H
#define SESSION_FILE_WRITE_STATE_H

#include "protocol/json.h"
#include "session/file/in_place.h"
#include "session/file/place.h"
#include "session/file/replace.h"
#include "session/file/reply.h"

struct file_write {
	struct session *session;
	const struct file_request *request;
	const char *path;
	uint64_t total;
	struct frame_header header;    /* of the last frame */
	bool whole;		       /* DONE has come */
	struct file_in_place in_place; /* where they end, if it is open */
	struct file_replace spool;     /* where the bytes go, if it is open */
	struct file_place place;
	struct json_error bad; /* what is wrong with a hole, if anything is */
};

/* Whether something stands at the path. */
static inline bool
file_write_is_there(const struct file_write *write)
{
	return write->place.fd >= 0;
}

/* Whether the request says whose the file is to be. */
static inline bool
file_write_has_owner(const struct file_write *write)
{
	return write->request->has_uid || write->request->has_gid;
}

/* Takes frames up to DONE. Returns 0 or -errno. */
int file_write_receive(struct file_write *write);

/* Closes all files. Returns ERROR, or where there is none yet, what close(2) says of the
 * file that was written. */
int file_write_done(struct file_write *write, int error);

/* Carries out a small upload to a new file; see write_ahead.c. Returns true with the outcome in
 * *RET; else nothing was done. */
bool file_write_ahead(struct file_write *write, int *ret);

/* Opens what takes the bytes at the place that was found: SPOOL, IN_PLACE, or both.
 * Returns 0 or -errno. */
int file_write_begin(struct file_write *write);

/* Opens what stands at the path, to be written over. Returns 0 or -errno. */
int file_write_open_in_place(struct file_write *write);

/* Gives what has come its name or puts it in place, with owner, mode and time.
 * Returns 0; or -errno, and a file that was to be replaced stands. */
int file_write_commit(struct file_write *write);

#endif
