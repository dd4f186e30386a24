/*
 * copy_in_send: one file, link or name of this machine as a request: on a connection of its own,
 * or ahead on one that has others.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/copy/copy_agent.h"
#include "ctl/copy/copy_ahead.h"
#include "ctl/copy/copy_in.h"
#include "ctl/copy/copy_in_links.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_file.h"
#include "ctl/target.h"
#include "platform/fd.h"

/* Of what is not a regular file, such as standard input. */
#define COPY_IN_SEND_STREAM_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)

/* Of st_blocks: stat(3type). */
#define COPY_IN_SEND_BLOCK 512

void
copy_in_want_mtime(const struct copy *copy, struct file_request *request, struct timespec mtime)
{
	request->has_mtime = copy->sets_times;
	request->mtime_secs = mtime.tv_sec;
	request->mtime_nanos = (uint32_t)mtime.tv_nsec;
}

static void
copy_in_send_count(void *argument, int64_t bytes)
{
	struct copy *copy = argument;

	progress_add(&copy->progress, bytes);
}

/* Whether a file like ST has fewer blocks than bytes. */
static bool
copy_in_send_has_holes(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_blocks < st->st_size / COPY_IN_SEND_BLOCK;
}

void
copy_in_send_prepare(struct copy *copy, const struct stat *st)
{
	struct client_error ignored;

	if (S_ISREG(st->st_mode) &&
	    (st->st_size > COPY_AGENT_FILE_LEAST || copy_in_send_has_holes(st)))
		(void)copy_agent_look(copy, &ignored);
}

int
copy_in_send_fd(struct copy *copy, struct copy_ahead *ahead, int fd, const char *here,
    const char *path, const struct stat *st, bool is_new, struct client_error *error)
{
	struct file_request request = { .path = path, .user = copy->user };
	const struct guest_file_source source = {
		.fd = fd,
		.name = here,
		.tells_holes =
		    (copy->agent.features & COPY_HOLES) != 0 && copy_in_send_has_holes(st),
		.count = copy_in_send_count,
		.argument = copy,
	};
	int r = S_ISREG(st->st_mode)
		    ? copy_agent_check_size(copy, path, (uint64_t)st->st_size, error)
		    : 0;

	if (r < 0)
		return r;
	if (S_ISREG(st->st_mode))
		copy_in_want_mtime(copy, &request, st->st_mtim);
	if (is_new || copy->preserve)
		request.mode =
		    copy_mode(copy, S_ISREG(st->st_mode) ? st->st_mode : COPY_IN_SEND_STREAM_MODE);
	/* 0 would mean the default, which is open to all. */
	if ((is_new || copy->preserve) && request.mode == 0)
		request.mode = S_IRUSR;
	if (ahead != NULL)
		return copy_ahead_write(ahead, &request, &source, (uint64_t)st->st_size, error);
	return guest_file_write(target_agent(), &request, &source, error);
}

int
copy_in_send_file(struct copy *copy, const struct copy_job *job, struct client_error *error)
{
	char *path = guest_entry_join(job->dir->guest, job->name);
	char *here = guest_entry_join(job->dir->here, job->name);
	int CLEANUP_FD fd = openat(
	    job->dir->fd, job->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	/* Another has taken its place: a FIFO would read as empty. */
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -ESTALE;
	if (r < 0) {
		client_fail(
		    error, "can't read %s: %s", here != NULL ? here : job->name, strerror(-r));
	} else if (path == NULL || here == NULL) {
		r = -ENOMEM;
		client_fail(error, "out of memory");
	}
	if (r == 0)
		r = copy_in_send_fd(copy, job->ahead, fd, here, path, &st, job->is_new, error);
	free(path);
	free(here);
	return r;
}

int
copy_in_send_link(struct copy *copy, const struct copy_job *job, struct client_error *error)
{
	char target[PATH_MAX] = "";
	char *path = guest_entry_join(job->dir->guest, job->name);
	struct file_request request = { .path = path, .target = target, .user = copy->user };
	ssize_t len = readlinkat(job->dir->fd, job->name, target, sizeof(target) - 1);
	int r = len < 0 ? -errno : 0;

	if (path == NULL)
		r = -ENOMEM;
	if (r < 0) {
		client_fail(error, "%s%s%s: %s", job->dir->here, copy_slash(job->dir->here),
		    job->name, strerror(-r));
	} else if (job->ahead != NULL) {
		r = copy_ahead_put(job->ahead, VMM_GUEST_FILE_SYMLINK_REQ, &request, error);
	} else {
		r = guest_file_ask(target_agent(), VMM_GUEST_FILE_SYMLINK_REQ, &request,
		    VMM_GUEST_FILE_ACK, NULL, NULL, error);
		/* A first frame that an agent does not know is refused, or ends it. */
		if (r == -EPROTO || r == -EREMOTEIO || r == -ENODATA)
			client_fail(
			    error, "vm:%s: the agent is too old to make symbolic links", path);
	}
	free(path);
	return r;
}

int
copy_in_send_name(struct copy *copy, const struct copy_job *job, struct client_error *error)
{
	char *to = guest_entry_join(job->dir->guest, job->name);
	struct file_request request = { .path = job->link->path, .to = to, .user = copy->user };
	int r;

	if (to == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	if (job->ahead != NULL)
		r = copy_ahead_put(job->ahead, VMM_GUEST_FILE_LINK_REQ, &request, error);
	else
		r = guest_file_ask(target_agent(), VMM_GUEST_FILE_LINK_REQ, &request,
		    VMM_GUEST_FILE_ACK, NULL, NULL, error);
	free(to);
	return r;
}

int
copy_in_ask(
    struct copy *copy, uint8_t type, const struct file_request *request, struct client_error *error)
{
	struct copy_patience patience = { 0 };
	int r;

	do
		r = copy->asks_ahead ? copy_ahead_ask(copy, type, request, error)
				     : guest_file_ask(target_agent(), type, request,
					   VMM_GUEST_FILE_ACK, NULL, NULL, error);
	while (copy_try_again(&patience, &r));
	return r;
}
