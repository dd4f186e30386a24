/*
 * copy_out_read: one file of the guest by a READ, which tells of no holes: blocks of zeros
 * become some.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/copy/copy_out.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_file.h"
#include "ctl/target.h"
#include "platform/fd.h"

#define COPY_OUT_READ_BLOCK 4096

/* What is being received, */
struct copy_out_reader {
	struct copy *copy;
	struct atomic_file *file; /* into this; NULL: into FD */
	int fd;
	const char *here;
	uint64_t received;
};

/* Whether the LEN bytes are zeros that fill a block of a file from OFFSET on. */
static bool
copy_out_read_is_hole(uint64_t offset, const uint8_t *data, size_t len)
{
	return len == COPY_OUT_READ_BLOCK && offset % COPY_OUT_READ_BLOCK == 0 && data[0] == 0 &&
	       memcmp(data, data + 1, len - 1) == 0;
}

static int
copy_out_read_sparse(struct copy_out_reader *out, const uint8_t *data, size_t len)
{
	uint64_t offset = out->received;
	int r = 0;

	if (out->file->is_special)
		return atomic_file_write(out->file, data, len);
	while (r == 0 && len > 0) {
		size_t left = COPY_OUT_READ_BLOCK - (size_t)(offset % COPY_OUT_READ_BLOCK);
		size_t n = left < len ? left : len;
		bool is_hole = copy_out_read_is_hole(offset, data, n);

		while (!is_hole && n < len &&
		       !copy_out_read_is_hole(offset + n, data + n,
			   len - n < COPY_OUT_READ_BLOCK ? len - n : COPY_OUT_READ_BLOCK))
			n += len - n < COPY_OUT_READ_BLOCK ? len - n : COPY_OUT_READ_BLOCK;
		r = is_hole ? atomic_file_skip(out->file, n)
			    : atomic_file_write(out->file, data, n);
		offset += n;
		data += n;
		len -= n;
	}
	return r;
}

static int
copy_out_read_piece(void *argument, const uint8_t *data, size_t len, struct client_error *error)
{
	struct copy_out_reader *out = argument;
	int r = copy_out_count(out->copy, len, error);

	if (r < 0)
		return r;
	r = out->file != NULL ? copy_out_read_sparse(out, data, len)
			      : fd_write_full(out->fd, data, len);
	out->received += len;
	progress_add(&out->copy->progress, (int64_t)len);
	if (r < 0)
		copy_out_fail(out->here, r, error);
	return r;
}

static int
copy_out_read_all(struct copy_out_reader *out, const char *path, struct client_error *error)
{
	struct guest_file_reader reader = { .write = copy_out_read_piece, .argument = out };
	struct file_request request = {
		.path = path, .user = out->copy->user, .length = UINT64_MAX
	};
	int r = guest_file_read(target_agent(), &request, &reader, error);

	if (r < 0)
		progress_add(&out->copy->progress, -(int64_t)out->received);
	return r;
}

int
copy_out_read_file(struct copy *copy, const char *path, int dir_fd, const char *name,
    const char *here, const struct copy_out_like *like, enum atomic_file_there there,
    struct client_error *error)
{
	struct atomic_file CLEANUP_ATOMIC_FILE file = ATOMIC_FILE_INIT;
	struct copy_out_reader out = { .copy = copy, .file = &file, .here = here };
	int r = copy_out_open(copy, &file, dir_fd, name, like, there);

	if (r < 0) {
		copy_out_fail(here, r, error);
		return r;
	}
	r = copy_out_read_all(&out, path, error);
	if (r < 0)
		return r;
	r = copy_out_commit(copy, &file, like);
	if (r < 0)
		copy_out_fail(here, r, error);
	return r;
}

int
copy_out_read_stream(
    struct copy *copy, const char *path, int fd, const char *here, struct client_error *error)
{
	struct copy_out_reader out = { .copy = copy, .fd = fd, .here = here };

	return copy_out_read_all(&out, path, error);
}

int
copy_out_read_job(struct copy *copy, const struct copy_job *job, struct client_error *error)
{
	const struct copy_out_like like = { job->mode, job->mtime };
	char *path = guest_entry_join(job->dir->guest, job->name);
	char *here = guest_entry_join(job->dir->here, job->name);
	int r = -ENOMEM;

	client_fail(error, "out of memory");
	if (path != NULL && here != NULL)
		r = copy_out_read_file(
		    copy, path, job->dir->fd, job->name, here, &like, ATOMIC_FILE_REGULAR, error);
	free(path);
	free(here);
	return r;
}
