/*
 * copy_out_make: files and directories on this machine, within what the user allows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ctl/copy/copy_out.h"
#include "ctl/quantity.h"
#include "platform/fd.h"

#define COPY_OUT_BITS (S_IRWXU | S_IRWXG | S_IRWXO)

struct copy_out_like
copy_out_like(const struct file_entry *entry)
{
	return (struct copy_out_like){ .mode = entry->mode,
		.mtime = { .tv_sec = entry->mtime_secs, .tv_nsec = entry->mtime_nanos } };
}

int
copy_out_count(struct copy *copy, uint64_t len, struct client_error *error)
{
	char most[QUANTITY_MAX];

	if (atomic_fetch_add(&copy->size, len) + len <= copy->max_size && len <= copy->max_size)
		return 0;
	quantity_format_bytes(most, copy->max_size);
	client_fail(error, "the guest sends more than %s in all (--max-size)", most);
	return -EFBIG;
}

int
copy_out_count_entry(struct copy *copy, struct client_error *error)
{
	if (copy->entries++ < copy->max_entries)
		return 0;
	client_fail(error, "the guest sends more than %" PRIu64 " entries (--max-entries)",
	    copy->max_entries);
	return -E2BIG;
}

int
copy_out_open(struct copy *copy, struct atomic_file *file, int dir_fd, const char *name,
    const struct copy_out_like *like, enum atomic_file_there there)
{
	mode_t mode = copy_mode(copy, like->mode) & COPY_OUT_BITS;

	return atomic_file_open(file, dir_fd, name, mode, there);
}

int
copy_out_commit(struct copy *copy, struct atomic_file *file, const struct copy_out_like *like)
{
	mode_t mode = copy_mode(copy, like->mode) & COPY_OUT_BITS;
	bool has_mode = file->has_mode && file->keeps_mode && (mode & copy->umask) == 0;

	return atomic_file_commit(
	    file, copy->preserve && !has_mode ? &mode : NULL, copy->preserve ? &like->mtime : NULL);
}

void
copy_out_fail(const char *here, int r, struct client_error *error)
{
	if (r == -EEXIST)
		client_fail(error, "%s is in the way, and not a regular file", here);
	else
		client_fail(error, "can't write to %s: %s", here, strerror(-r));
}

void
copy_out_leave_out(struct copy *copy, const struct copy_dir *dir, const char *name)
{
	struct client_error error;

	client_fail(&error, "vm:%s%s%s is left out: it is not a file, directory or link",
	    dir->guest, copy_slash(dir->guest), name);
	copy_complain(copy, 0, &error);
}

/* A new directory could not be filled without the owner's rights in it. */
static void
copy_out_finish(struct copy *copy, struct copy_dir *dir)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, dir->mtime };
	struct client_error error = { "" };
	int r = 0;

	if (dir->is_new || copy->preserve)
		r = fchmod(dir->fd, copy_mode(copy, dir->mode) & COPY_OUT_BITS);
	if (r == 0 && copy->preserve)
		r = futimens(dir->fd, times);
	if (r < 0) {
		client_fail(&error, "%s: %s", dir->here, strerror(errno));
		copy_complain(copy, -errno, &error);
	}
}

/* Makes NAME in DIR_FD; or, unless it IS_ONLY one that is made, finds it there. Returns a
 * descriptor of it, or -errno. */
static int
copy_out_mkdir(int dir_fd, const char *name, int follow, bool is_only, bool *ret_is_new)
{
	int fd;

	*ret_is_new = mkdirat(dir_fd, name, S_IRWXU) == 0;
	if (!*ret_is_new && (errno != EEXIST || is_only))
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
	return fd < 0 ? -errno : fd;
}

static void
copy_out_set_like(struct copy_dir *dir, const struct copy_out_like *like, bool is_new)
{
	dir->is_new = is_new;
	dir->mode = like->mode;
	dir->mtime = like->mtime;
	dir->finish = copy_out_finish;
}

int
copy_out_enter(
    struct copy_dir *dir, const char *name, const struct copy_out_like *like, struct copy_dir **ret)
{
	bool is_new;
	int CLEANUP_FD fd = copy_out_mkdir(dir->fd, name, O_NOFOLLOW, dir->is_new, &is_new);
	int r;

	if (fd < 0)
		return fd;
	r = copy_dir_new(dir, fd_steal(&fd), name, ret);
	if (r < 0)
		return r;
	copy_out_set_like(*ret, like, is_new);
	/* What was there may be of another file system. */
	(*ret)->is_local = is_new ? dir->is_local : atomic_file_is_local((*ret)->fd);
	(*ret)->keeps_modes = is_new ? dir->keeps_modes : atomic_file_keeps_modes((*ret)->fd);
	return 0;
}

int
copy_out_enter_top(
    const char *here, const char *guest, const struct copy_out_like *like, struct copy_dir **ret)
{
	bool is_new;
	int fd = copy_out_mkdir(AT_FDCWD, here, 0, false, &is_new);

	if (fd < 0)
		return fd;
	*ret = copy_dir_new_top(fd, here, guest);
	if (*ret == NULL)
		return -ENOMEM;
	copy_out_set_like(*ret, like, is_new);
	(*ret)->is_local = atomic_file_is_local((*ret)->fd);
	(*ret)->keeps_modes = atomic_file_keeps_modes((*ret)->fd);
	return 0;
}
