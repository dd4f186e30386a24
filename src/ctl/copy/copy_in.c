/*
 * copy_in: files and directories of this machine, into the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/copy/copy.h"
#include "ctl/copy/copy_agent.h"
#include "ctl/copy/copy_ahead.h"
#include "ctl/copy/copy_in_links.h"
#include "ctl/copy/copy_pending.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_file.h"
#include "ctl/target.h"
#include "platform/dir.h"
#include "platform/fd.h"

/* Of what is not a regular file, such as standard input. */
#define COPY_IN_STREAM_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)

/* Of st_blocks: stat(3type). */
#define COPY_IN_BLOCK 512

static void
copy_in_want_mtime(const struct copy *copy, struct file_request *request, struct timespec mtime)
{
	request->has_mtime = copy->sets_times;
	request->mtime_secs = mtime.tv_sec;
	request->mtime_nanos = (uint32_t)mtime.tv_nsec;
}

static void
copy_in_count(void *argument, int64_t bytes)
{
	struct copy *copy = argument;

	progress_add(&copy->progress, bytes);
}

/* Whether a file like ST has fewer blocks than bytes. */
static bool
copy_in_has_holes(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_blocks < st->st_size / COPY_IN_BLOCK;
}

/* Sends what FD has, a file like ST, to PATH: by AHEAD, or on a connection of its own. A
 * file that is there keeps its mode, unless -p. */
static int
copy_in_send(struct copy *copy, struct copy_ahead *ahead, int fd, const char *here,
    const char *path, const struct stat *st, bool is_new, struct client_error *error)
{
	struct file_request request = { .path = path, .user = copy->user };
	const struct guest_file_source source = {
		.fd = fd,
		.name = here,
		.tells_holes = (copy->agent.features & COPY_HOLES) != 0 && copy_in_has_holes(st),
		.count = copy_in_count,
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
		    copy_mode(copy, S_ISREG(st->st_mode) ? st->st_mode : COPY_IN_STREAM_MODE);
	/* 0 would mean the default, which is open to all. */
	if ((is_new || copy->preserve) && request.mode == 0)
		request.mode = S_IRUSR;
	if (ahead != NULL)
		return copy_ahead_write(ahead, &request, &source, (uint64_t)st->st_size, error);
	return guest_file_write(target_agent(), &request, &source, error);
}

static int
copy_in_job(struct copy *copy, const struct copy_job *job, struct client_error *error)
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
		r = copy_in_send(copy, job->ahead, fd, here, path, &st, job->is_new, error);
	free(path);
	free(here);
	return r;
}

/* Makes a request of TYPE that is answered by ACK, as often as it takes. */
static int
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

/* A user who could not write into the directory could not fill it: it gets its mode
 * when it is finished. With the agent's own rights the mode is set at once: later somebody
 * could have put another directory in its place. */
static bool
copy_in_mode_is_late(const struct copy *copy, mode_t mode)
{
	return copy->user[0] != '\0' && (copy_mode(copy, mode) & S_IRWXU) != S_IRWXU;
}

static int
copy_in_mkdir(struct copy *copy, const char *path, mode_t mode, struct client_error *error)
{
	struct file_request request = {
		.path = path, .user = copy->user, .mode = copy_mode(copy, mode)
	};

	if (copy_in_mode_is_late(copy, mode))
		request.mode |= S_IRWXU;
	/* 0 would mean the default, which is open to all. */
	if (request.mode == 0)
		request.mode = S_IRUSR;
	return copy_in_ask(copy, VMM_GUEST_FILE_MKDIR_REQ, &request, error);
}

static int
copy_in_compare(const void *name, const void *entry)
{
	return strcmp(name, ((const struct file_entry *)entry)->name);
}

/* The entry that is there already, or NULL. */
static const struct file_entry *
copy_in_find(const struct file_listing *there, const char *name)
{
	if (there->count == 0)
		return NULL;
	return bsearch(
	    name, there->entries, there->count, sizeof(*there->entries), copy_in_compare);
}

static void
copy_in_finish(struct copy *copy, struct copy_dir *dir)
{
	struct file_request request = { .path = dir->guest, .user = copy->user };
	struct client_error error = { "" };
	int r;

	copy_in_want_mtime(copy, &request, dir->mtime);
	request.has_mode = dir->is_new && copy_in_mode_is_late(copy, dir->mode);
	request.mode = copy_mode(copy, dir->mode);
	if (!request.has_mtime && !request.has_mode)
		return;
	r = copy_in_ask(copy, VMM_GUEST_FILE_SET_REQ, &request, &error);
	if (r < 0)
		copy_complain(copy, r, &error);
}

static int copy_in_walk(struct copy *copy, struct copy_dir *dir);

/* Copies DIR, which is like ST here, with all that is in it. */
static int
copy_in_directory(struct copy *copy, struct copy_dir *dir, const struct stat *st, bool is_new)
{
	struct client_error error = { "" };
	int r = 0;

	dir->is_new = is_new;
	dir->mode = st->st_mode;
	dir->mtime = st->st_mtim;
	if (is_new)
		r = copy_in_mkdir(copy, dir->guest, st->st_mode, &error);
	if (is_new && r == 0)
		copy_tell(copy, dir->here, dir->guest);
	if (r < 0) {
		copy_complain(copy, r, &error);
		return r == -ECANCELED ? r : 0;
	}
	dir->finish = copy_in_finish;
	return copy_in_walk(copy, dir);
}

static int
copy_in_link_job(struct copy *copy, const struct copy_job *job, struct client_error *error)
{
	char target[PATH_MAX] = "";
	char *path = guest_entry_join(job->dir->guest, job->name);
	struct file_request request = { .path = path, .target = target, .user = copy->user };
	ssize_t len = readlinkat(job->dir->fd, job->name, target, sizeof(target) - 1);
	int r = len < 0 ? -errno : 0;

	if (path == NULL)
		r = -ENOMEM;
	if (r < 0) {
		client_fail(error, "%s/%s: %s", job->dir->here, job->name, strerror(-r));
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

static int
copy_in_subdirectory(
    struct copy *copy, struct copy_dir *dir, const struct copy_pending_dir *pending)
{
	int CLEANUP_FD fd =
	    openat(dir->fd, pending->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct copy_dir *child;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = copy_dir_new(dir, fd_steal(&fd), pending->name, &child);
	if (r < 0)
		return r;
	r = copy_in_directory(copy, child, &st, !pending->is_there);
	copy_dir_release(copy, child);
	return r;
}

/* Makes it another name of what has come. */
static int
copy_in_name_job(struct copy *copy, const struct copy_job *job, struct client_error *error)
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

/* Whether names of one file are to stay that. */
static bool
copy_in_links_names(const struct copy *copy)
{
	return copy->keeps_links && (copy->agent.features & COPY_LINKS) != 0;
}

/* Where JOB, a regular file of DIR, is one of several names, has it be the first of them or be
 * linked to that. What can't be found out has it copied. */
static void
copy_in_name(struct copy *copy, const struct copy_dir *dir, struct copy_job *job)
{
	struct stat st;
	char *path;

	if (!copy_in_links_names(copy) ||
	    fstatat(dir->fd, job->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink < 2)
		return;
	path = guest_entry_join(dir->guest, job->name);
	if (path != NULL)
		job->link = copy_link_find(copy, &st, path, &job->is_first);
	free(path);
	if (job->link == NULL || job->is_first)
		return;
	job->run = copy_in_name_job;
	job->otherwise = copy_in_job;
}

/* What ENTRY is, as stat(2) says it. Its size is asked for only where somebody looks on;
 * all else of it is known when it is opened. */
static int
copy_in_type(struct copy *copy, const struct copy_dir *dir, const struct dirent *entry, mode_t *ret)
{
	struct stat st = { .st_mode = (mode_t)DTTOIF(entry->d_type) };

	if ((entry->d_type == DT_UNKNOWN || (entry->d_type == DT_REG && copy->progress.is_shown)) &&
	    fstatat(dir->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		copy->progress.bytes_total += (uint64_t)st.st_size;
	*ret = st.st_mode;
	return 0;
}

/* One name of a directory; a directory is put into PENDING. Returns 0 to go on, or
 * -ECANCELED. */
static int
copy_in_entry(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending,
    struct dirent *entry, const struct file_listing *listing)
{
	char *name = entry->d_name;
	struct copy_pending_dir child = { .name = name };
	const struct file_entry *there = copy_in_find(listing, name);
	struct copy_job job = { .name = name, .is_new = there == NULL, .run = copy_in_job };
	struct client_error error = { "" };
	mode_t type;
	int r = copy_in_type(copy, dir, entry, &type);

	if (r < 0) {
		copy_complain_of(copy, dir, name, r);
		return 0;
	}
	if (S_ISREG(type)) {
		copy_in_name(copy, dir, &job);
		r = copy_put(copy, dir, &job);
	} else if (S_ISDIR(type)) {
		child.is_there = there != NULL && there->kind == FILE_ENTRY_DIR;
		r = copy_pending_add(copy, pending, &child);
	} else if (S_ISLNK(type)) {
		job.run = copy_in_link_job;
		r = copy_put(copy, dir, &job);
	} else {
		client_fail(&error, "%s/%s is left out: it is not a file, directory or link",
		    dir->here, name);
		copy_complain(copy, 0, &error);
		return 0;
	}
	if (r < 0 && r != -ECANCELED)
		copy_complain_of(copy, dir, name, r);
	return r == -ECANCELED ? r : 0;
}

static void
copy_in_complain_unread(struct copy *copy, const struct copy_dir *dir, int r)
{
	struct client_error error;

	client_fail(&error, "can't read %s: %s", dir->here, strerror(-r));
	copy_complain(copy, r, &error);
}

/* All names of STREAM. Returns 0 or -ECANCELED. */
static int
copy_in_names(struct copy *copy, struct copy_dir *dir, DIR *stream, struct copy_pending *pending,
    const struct file_listing *listing)
{
	for (;;) {
		struct dirent *entry;
		int r = dir_next(stream, &entry);

		if (r < 0)
			copy_in_complain_unread(copy, dir, r);
		if (r < 0 || entry == NULL)
			return 0;
		r = copy_in_entry(copy, dir, pending, entry, listing);
		if (r < 0)
			return r;
	}
}

/* All of DIR but its directories; the guest's listing, which may be long, is freed
 * before these. Returns 0 or -ECANCELED; other errors have been told. */
static int
copy_in_level(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct copy_patience patience = { 0 };
	struct client_error error = { "" };
	DIR CLEANUP_DIR *stream = NULL;
	int r = dir_open(dir->fd, ".", 0, &stream);

	if (r < 0) {
		copy_in_complain_unread(copy, dir, r);
		return 0;
	}
	if (!dir->is_new) {
		do
			r = guest_entry_list(
			    target_agent(), dir->guest, copy->user, &listing, &error);
		while (copy_try_again(&patience, &r));
		if (r < 0)
			copy_complain(copy, r, &error);
	}
	if (r == 0)
		r = copy_in_names(copy, dir, stream, pending, &listing);
	return r == -ECANCELED ? r : 0;
}

/* Goes through DIR. Returns 0 or -ECANCELED; other errors have been told. */
static int
copy_in_walk(struct copy *copy, struct copy_dir *dir)
{
	return copy_pending_walk(copy, dir, copy_in_level, copy_in_subdirectory);
}

/* As guest_entry_type(), and waits where the agent is busy. */
static int
copy_in_look(
    struct copy *copy, const char *target, enum guest_entry_type *ret, struct client_error *error)
{
	struct copy_patience patience = { 0 };
	int r;

	do
		r = guest_entry_type(target_agent(), target, copy->user, ret, error);
	while (copy_try_again(&patience, &r));
	return r;
}

/* The link itself, which -a copies as it is. */
static int
copy_in_link(struct copy *copy, const char *source, const char *target, struct client_error *error)
{
	char text[PATH_MAX] = "";
	struct file_request request = { .path = target, .target = text, .user = copy->user };
	int r = readlink(source, text, sizeof(text) - 1) < 0 ? -errno : 0;

	if (r < 0) {
		client_fail(error, "can't read %s: %s", source, strerror(-r));
		return r;
	}
	copy->progress.files_total++;
	r = copy_in_ask(copy, VMM_GUEST_FILE_SYMLINK_REQ, &request, error);
	if (r == 0)
		copy_tell(copy, source, target);
	return r;
}

/* Has it known what the agent takes, where that matters to a file like ST. */
static void
copy_in_look_at_agent(struct copy *copy, const struct stat *st)
{
	struct client_error ignored;

	if (S_ISREG(st->st_mode) && (st->st_size > COPY_AGENT_FILE_LEAST || copy_in_has_holes(st)))
		(void)copy_agent_look(copy, &ignored);
}

/* Sends one file that was named on the command line, by FD. */
static int
copy_in_send_named(struct copy *copy, int fd, const char *source, const char *target,
    const struct stat *st, struct client_error *error)
{
	struct copy_patience patience = { 0 };
	enum guest_entry_type type;
	int r = copy_in_look(copy, target, &type, error);

	if (r < 0)
		return r;
	if (S_ISREG(st->st_mode)) {
		copy->progress.bytes_total += (uint64_t)st->st_size;
		copy->progress.total_is_known = copy->sources == 1;
	}
	copy_in_look_at_agent(copy, st);
	/* What was read of a stream can't be read again. */
	do
		r = copy_in_send(copy, NULL, fd, source, target, st,
		    type == GUEST_ENTRY_NONE ||
			(type == GUEST_ENTRY_UNKNOWN && S_ISREG(st->st_mode)),
		    error);
	while (
	    S_ISREG(st->st_mode) && copy_try_again(&patience, &r) && lseek(fd, 0, SEEK_SET) == 0);
	return r;
}

/* Makes TARGET another name of what LINK is the first of. Returns 1 where that can't be, and it is
 * to be copied. */
static int
copy_in_name_named(
    struct copy *copy, struct copy_link *link, const char *target, struct client_error *error)
{
	struct file_request request = { .path = link->path, .to = target, .user = copy->user };
	int r = copy_link_await(copy, link) == COPY_LINK_DONE
		    ? copy_in_ask(copy, VMM_GUEST_FILE_LINK_REQ, &request, error)
		    : -EXDEV;

	return copy_is_impossible(r) ? 1 : r;
}

/* One file that was named on the command line, by FD. */
static int
copy_in_file(struct copy *copy, int fd, const char *source, const char *target,
    const struct stat *st, struct client_error *error)
{
	struct copy_link *link = NULL;
	bool is_first = false;
	int r = 1;

	copy->progress.files_total++;
	if (copy_in_links_names(copy) && S_ISREG(st->st_mode) && st->st_nlink > 1)
		link = copy_link_find(copy, st, target, &is_first);
	if (link != NULL && !is_first)
		r = copy_in_name_named(copy, link, target, error);
	if (r == 1)
		r = copy_in_send_named(copy, fd, source, target, st, error);
	if (is_first)
		copy_link_settle(copy, link, r);
	copy->progress.files++;
	if (r == 0)
		copy_tell(copy, source, target);
	return r;
}

/* A tree that was named on the command line; it takes over FD. */
static int
copy_in_tree(struct copy *copy, int fd, const char *source, const char *target,
    const struct stat *st, struct client_error *error)
{
	enum guest_entry_type type;
	struct copy_dir *dir = copy_dir_new_top(fd, source, target);
	int r;

	if (dir == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = copy_in_look(copy, target, &type, error);
	if (r == 0)
		r = copy_in_directory(copy, dir, st, type != GUEST_ENTRY_DIR);
	copy_dir_release(copy, dir);
	return r;
}

void
copy_in(struct copy *copy, const char *source, const char *target)
{
	bool is_stdin = strcmp(source, "-") == 0;
	struct client_error error = { "" };
	struct stat st;
	bool is_link =
	    copy->keeps_links && !is_stdin && lstat(source, &st) == 0 && S_ISLNK(st.st_mode);
	int CLEANUP_FD fd =
	    is_stdin || is_link ? dup(STDIN_FILENO) : open(source, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (r < 0) {
		client_fail(&error, "can't read %s: %s", source, strerror(-r));
	} else if (is_link) {
		r = copy_in_link(copy, source, target, &error);
	} else if (!S_ISDIR(st.st_mode)) {
		r = copy_in_file(
		    copy, fd, is_stdin ? "standard input" : source, target, &st, &error);
	} else if (copy->recursive && !is_stdin) {
		r = copy_in_tree(copy, fd_steal(&fd), source, target, &st, &error);
	} else {
		r = -EISDIR;
		client_fail(
		    &error, "%s is a directory: -r copies it with all that is in it", source);
	}
	if (r < 0)
		copy_complain(copy, r, &error);
}
