/*
 * copy_in: what was named on the command line, and whether that is there already.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_in.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ctl/copy/copy_in_links.h"
#include "ctl/core/guest_entry.h"
#include "ctl/target.h"
#include "platform/fd.h"

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

/* The link SOURCE itself, which -a copies as it is. */
static int
copy_in_send_named_link(
    struct copy *copy, const char *source, const char *target, struct client_error *error)
{
	char text[PATH_MAX] = "";
	struct file_request request = { .path = target, .target = text, .user = copy->user };
	int r = readlink(source, text, sizeof(text) - 1) < 0 ? -errno : 0;

	if (r < 0) {
		client_fail(error, "can't read %s: %s", source, strerror(-r));
		return r;
	}
	return copy_in_ask(copy, VMM_GUEST_FILE_SYMLINK_REQ, &request, error);
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
	copy_in_send_prepare(copy, st);
	/* What was read of a stream can't be read again. */
	do
		r = copy_in_send_fd(copy, NULL, fd, source, target, st,
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

/* One file that was named on the command line, by FD; or the link SOURCE. */
static int
copy_in_file(struct copy *copy, int fd, const char *source, const char *target,
    const struct stat *st, struct client_error *error)
{
	struct copy_link *link = NULL;
	bool is_link = S_ISLNK(st->st_mode);
	bool is_first = false;
	int r = 1;

	copy->progress.files_total++;
	if (copy_links_are_kept(copy) && (S_ISREG(st->st_mode) || is_link) && st->st_nlink > 1)
		link = copy_link_find(copy, st, target, &is_first);
	if (link != NULL && !is_first)
		r = copy_in_name_named(copy, link, target, error);
	if (r == 1)
		r = is_link ? copy_in_send_named_link(copy, source, target, error)
			    : copy_in_send_named(copy, fd, source, target, st, error);
	if (is_first)
		copy_link_settle(copy, link, r);
	copy->progress.files++;
	if (r == 0)
		copy_tell(copy, source, target);
	return r;
}

/* A tree that was named on the command line; it takes over FD. */
static int
copy_in_directory(struct copy *copy, int fd, const char *source, const char *target,
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
		r = copy_in_tree(copy, dir, st, type != GUEST_ENTRY_DIR);
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
	int CLEANUP_FD fd = -1;
	int r = 0;

	if (!is_link) {
		fd = is_stdin ? dup(STDIN_FILENO) : open(source, O_RDONLY | O_CLOEXEC);
		r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	}
	if (r < 0) {
		client_fail(&error, "can't read %s: %s", source, strerror(-r));
	} else if (!S_ISDIR(st.st_mode)) {
		r = copy_in_file(
		    copy, fd, is_stdin ? "standard input" : source, target, &st, &error);
	} else if (copy->recursive && !is_stdin) {
		r = copy_in_directory(copy, fd_steal(&fd), source, target, &st, &error);
	} else {
		r = -EISDIR;
		client_fail(
		    &error, "%s is a directory: -r copies it with all that is in it", source);
	}
	if (r < 0)
		copy_complain(copy, r, &error);
}
