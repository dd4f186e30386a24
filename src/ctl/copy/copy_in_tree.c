/*
 * copy_in_tree: the walk through a tree of this machine. Directories are made as it comes to them,
 * and all else is put in line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/copy/copy_in.h"
#include "ctl/copy/copy_in_links.h"
#include "ctl/copy/copy_pending.h"
#include "ctl/core/guest_entry.h"
#include "ctl/target.h"
#include "platform/dir.h"
#include "platform/fd.h"

/* A user who could not write into the directory could not fill it: it gets its mode
 * when it is finished. With the agent's own rights the mode is set at once: later somebody
 * could have put another directory in its place. */
static bool
copy_in_tree_mode_is_late(const struct copy *copy, mode_t mode)
{
	return copy->user[0] != '\0' && (copy_mode(copy, mode) & S_IRWXU) != S_IRWXU;
}

static int
copy_in_tree_mkdir(struct copy *copy, const char *path, mode_t mode, struct client_error *error)
{
	struct file_request request = {
		.path = path, .user = copy->user, .mode = copy_mode(copy, mode)
	};

	if (copy_in_tree_mode_is_late(copy, mode))
		request.mode |= S_IRWXU;
	/* 0 would mean the default, which is open to all. */
	if (request.mode == 0)
		request.mode = S_IRUSR;
	return copy_in_ask(copy, VMM_GUEST_FILE_MKDIR_REQ, &request, error);
}

static void
copy_in_tree_finish(struct copy *copy, struct copy_dir *dir)
{
	struct file_request request = { .path = dir->guest, .user = copy->user };
	struct client_error error = { "" };
	int r;

	copy_in_want_mtime(copy, &request, dir->mtime);
	request.has_mode = dir->is_new && copy_in_tree_mode_is_late(copy, dir->mode);
	request.mode = copy_mode(copy, dir->mode);
	if (!request.has_mtime && !request.has_mode)
		return;
	r = copy_in_ask(copy, VMM_GUEST_FILE_SET_REQ, &request, &error);
	if (r < 0)
		copy_complain(copy, r, &error);
}

static int
copy_in_tree_compare(const void *name, const void *entry)
{
	return strcmp(name, ((const struct file_entry *)entry)->name);
}

/* The entry that is there already, or NULL. */
static const struct file_entry *
copy_in_tree_find(const struct file_listing *there, const char *name)
{
	if (there->count == 0)
		return NULL;
	return bsearch(
	    name, there->entries, there->count, sizeof(*there->entries), copy_in_tree_compare);
}

/* Where JOB, a file or symbolic link of DIR, is one of several names, has it be the first of them
 * or be linked to that. What can't be found out has it copied. */
static void
copy_in_tree_name(struct copy *copy, const struct copy_dir *dir, struct copy_job *job)
{
	struct stat st;
	char *path;

	if (!copy_links_are_kept(copy) ||
	    fstatat(dir->fd, job->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink < 2)
		return;
	path = guest_entry_join(dir->guest, job->name);
	if (path != NULL)
		job->link = copy_link_find(copy, &st, path, &job->is_first);
	free(path);
	if (job->link == NULL || job->is_first)
		return;
	job->otherwise = job->run;
	job->run = copy_in_send_name;
}

/* What ENTRY is, as stat(2) says it. Its size is asked for only where somebody looks on;
 * all else of it is known when it is opened. */
static int
copy_in_tree_type(
    struct copy *copy, const struct copy_dir *dir, const struct dirent *entry, mode_t *ret)
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
copy_in_tree_entry(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending,
    struct dirent *entry, const struct file_listing *listing)
{
	char *name = entry->d_name;
	struct copy_pending_dir child = { .name = name };
	const struct file_entry *there = copy_in_tree_find(listing, name);
	struct copy_job job = { .name = name, .is_new = there == NULL, .run = copy_in_send_file };
	struct client_error error = { "" };
	mode_t type;
	int r = copy_in_tree_type(copy, dir, entry, &type);

	if (r < 0) {
		copy_complain_of(copy, dir, name, r);
		return 0;
	}
	if (S_ISREG(type)) {
		copy_in_tree_name(copy, dir, &job);
		r = copy_put(copy, dir, &job);
	} else if (S_ISDIR(type)) {
		child.is_there = there != NULL && there->kind == FILE_ENTRY_DIR;
		r = copy_pending_add(&copy->pending_size, pending, &child);
	} else if (S_ISLNK(type)) {
		job.run = copy_in_send_link;
		copy_in_tree_name(copy, dir, &job);
		r = copy_put(copy, dir, &job);
	} else {
		client_fail(&error, "%s%s%s is left out: it is not a file, directory or link",
		    dir->here, copy_slash(dir->here), name);
		copy_complain(copy, 0, &error);
		return 0;
	}
	if (r < 0 && r != -ECANCELED)
		copy_complain_of(copy, dir, name, r);
	return r == -ECANCELED ? r : 0;
}

static void
copy_in_tree_complain_unread(struct copy *copy, const struct copy_dir *dir, int r)
{
	struct client_error error;

	client_fail(&error, "can't read %s: %s", dir->here, strerror(-r));
	copy_complain(copy, r, &error);
}

/* All names of STREAM. Returns 0 or -ECANCELED. */
static int
copy_in_tree_names(struct copy *copy, struct copy_dir *dir, DIR *stream,
    struct copy_pending *pending, const struct file_listing *listing)
{
	for (;;) {
		struct dirent *entry;
		int r = dir_next(stream, &entry);

		if (r < 0)
			copy_in_tree_complain_unread(copy, dir, r);
		if (r < 0 || entry == NULL)
			return 0;
		r = copy_in_tree_entry(copy, dir, pending, entry, listing);
		if (r < 0)
			return r;
	}
}

/* All of DIR but its directories; the guest's listing, which may be long, is freed
 * before these. Returns 0 or -ECANCELED; other errors have been told. */
static int
copy_in_tree_level(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct copy_patience patience = { 0 };
	struct client_error error = { "" };
	DIR CLEANUP_DIR *stream = NULL;
	int r = dir_open(dir->fd, ".", 0, &stream);

	if (r < 0) {
		copy_in_tree_complain_unread(copy, dir, r);
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
		r = copy_in_tree_names(copy, dir, stream, pending, &listing);
	return r == -ECANCELED ? r : 0;
}

static int
copy_in_tree_subdirectory(
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
	r = copy_in_tree(copy, child, &st, !pending->is_there);
	copy_dir_release(copy, child);
	return r;
}

int
copy_in_tree(struct copy *copy, struct copy_dir *dir, const struct stat *st, bool is_new)
{
	struct client_error error = { "" };
	int r = 0;

	dir->is_new = is_new;
	dir->mode = st->st_mode;
	dir->mtime = st->st_mtim;
	if (is_new)
		r = copy_in_tree_mkdir(copy, dir->guest, st->st_mode, &error);
	if (is_new && r == 0)
		copy_tell(copy, dir->here, dir->guest);
	if (r < 0) {
		copy_complain(copy, r, &error);
		return r == -ECANCELED ? r : 0;
	}
	dir->finish = copy_in_tree_finish;
	return copy_pending_walk(copy, dir, copy_in_tree_level, copy_in_tree_subdirectory);
}
