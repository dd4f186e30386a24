/*
 * copy_out: files of the guest onto this machine, and the directories for them.
 *
 * Nobody trusts a guest: a name with a slash in it is refused, no link that is there
 * is followed below the directory that was asked for, set-id bits don't come along.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_file.h"
#include "ctl/quantity.h"
#include "ctl/target.h"
#include "platform/fd.h"

#define COPY_OUT_BLOCK 4096
#define COPY_OUT_BITS (S_IRWXU | S_IRWXG | S_IRWXO)

/* A file that is being received. */
struct copy_out {
	struct copy *copy;
	struct atomic_file *file; /* NULL: FD */
	int fd;
	const char *here;
	uint64_t received;
};

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

/* Whether the LEN bytes are zeros that fill a block of a file from OFFSET on. */
static bool
copy_out_is_hole(uint64_t offset, const uint8_t *data, size_t len)
{
	return len == COPY_OUT_BLOCK && offset % COPY_OUT_BLOCK == 0 && data[0] == 0 &&
	       memcmp(data, data + 1, len - 1) == 0;
}

/* READ tells of no holes: blocks of zeros become some. */
static int
copy_out_write_sparse(struct copy_out *out, const uint8_t *data, size_t len)
{
	uint64_t offset = out->received;
	int r = 0;

	if (out->file->is_special)
		return atomic_file_write(out->file, data, len);
	while (r == 0 && len > 0) {
		size_t left = COPY_OUT_BLOCK - (size_t)(offset % COPY_OUT_BLOCK);
		size_t n = left < len ? left : len;
		bool is_hole = copy_out_is_hole(offset, data, n);

		while (!is_hole && n < len &&
		       !copy_out_is_hole(offset + n, data + n,
			   len - n < COPY_OUT_BLOCK ? len - n : COPY_OUT_BLOCK))
			n += len - n < COPY_OUT_BLOCK ? len - n : COPY_OUT_BLOCK;
		r = is_hole ? atomic_file_skip(out->file, n)
			    : atomic_file_write(out->file, data, n);
		offset += n;
		data += n;
		len -= n;
	}
	return r;
}

static int
copy_out_write(void *argument, const uint8_t *data, size_t len, struct client_error *error)
{
	struct copy_out *out = argument;
	int r = copy_out_count(out->copy, len, error);

	if (r < 0)
		return r;
	r = out->file != NULL ? copy_out_write_sparse(out, data, len)
			      : fd_write_full(out->fd, data, len);
	out->received += len;
	progress_add(&out->copy->progress, (int64_t)len);
	if (r < 0)
		copy_out_fail(out->here, r, error);
	return r;
}

static int
copy_out_receive(struct copy_out *out, const char *path, struct client_error *error)
{
	struct guest_file_reader reader = { .write = copy_out_write, .argument = out };
	struct file_request request = {
		.path = path, .user = out->copy->user, .length = UINT64_MAX
	};
	int r = guest_file_read(target_agent(), &request, &reader, error);

	if (r < 0)
		progress_add(&out->copy->progress, -(int64_t)out->received);
	return r;
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

	return atomic_file_commit(
	    file, copy->preserve ? &mode : NULL, copy->preserve ? &like->mtime : NULL);
}

void
copy_out_fail(const char *here, int r, struct client_error *error)
{
	if (r == -EEXIST)
		client_fail(error, "%s is in the way, and not a regular file", here);
	else
		client_fail(error, "can't write to %s: %s", here, strerror(-r));
}

/* Receives the guest's PATH as NAME in the directory DIR_FD, called HERE. */
static int
copy_out_replace(struct copy *copy, const char *path, int dir_fd, const char *name,
    const char *here, const struct copy_out_like *like, enum atomic_file_there there,
    struct client_error *error)
{
	struct atomic_file CLEANUP_ATOMIC_FILE file = ATOMIC_FILE_INIT;
	struct copy_out out = { .copy = copy, .file = &file, .here = here };
	int r = copy_out_open(copy, &file, dir_fd, name, like, there);

	if (r < 0) {
		copy_out_fail(here, r, error);
		return r;
	}
	r = copy_out_receive(&out, path, error);
	if (r < 0)
		return r;
	r = copy_out_commit(copy, &file, like);
	if (r < 0)
		copy_out_fail(here, r, error);
	return r;
}

int
copy_out_job(struct copy *copy, const struct copy_job *job, struct client_error *error)
{
	const struct copy_out_like like = { job->mode, job->mtime };
	char *path = guest_entry_join(job->dir->guest, job->name);
	char *here = guest_entry_join(job->dir->here, job->name);
	int r = -ENOMEM;

	client_fail(error, "out of memory");
	if (path != NULL && here != NULL)
		r = copy_out_replace(
		    copy, path, job->dir->fd, job->name, here, &like, ATOMIC_FILE_REGULAR, error);
	free(path);
	free(here);
	return r;
}

/* ---- trees -------------------------------------------------------------- */

bool
copy_out_is_name(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

void
copy_out_leave_out(struct copy *copy, const struct copy_dir *dir, const char *name)
{
	struct client_error error;

	client_fail(
	    &error, "vm:%s/%s is left out: it is not a file, directory or link", dir->guest, name);
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
	return 0;
}

/* ---- what was named on the command line --------------------------------- */

/* As the agent does it in the guest. What can't be made is told by who uses it. */
static void
copy_out_make_parents(const char *target)
{
	char *path = strdup(target);

	if (path == NULL)
		return;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, S_IRWXU | S_IRWXG | S_IRWXO);
		*slash = '/';
	}
	free(path);
}

static int
copy_out_directory(struct copy *copy, const char *source, const char *target,
    const struct file_entry *entry, struct client_error *error)
{
	const struct copy_out_like like = copy_out_like(entry);
	struct copy_patience patience = { 0 };
	bool is_new;
	struct copy_dir *dir;
	int fd;
	int r;

	copy_out_make_parents(target);
	fd = copy_out_mkdir(AT_FDCWD, target, 0, false, &is_new);
	if (fd < 0) {
		client_fail(error, "can't make the directory %s: %s", target, strerror(-fd));
		return fd;
	}
	dir = copy_dir_new_top(fd, target, source);
	if (dir == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	copy_out_set_like(dir, &like, is_new);
	dir->is_local = atomic_file_is_local(dir->fd);
	if (is_new)
		copy_tell(copy, target, source);
	do
		r = copy_out_tree(copy, dir, error);
	while (copy_try_again(&patience, &r));
	if (r == -ENOSYS)
		r = copy_out_list(copy, dir);
	copy_dir_release(copy, dir);
	return r;
}

/* A link that was named is followed, as cp(1) does; or, where it is a LINK to that, copied. */
static int
copy_out_file(struct copy *copy, const char *source, const char *target,
    const struct copy_out_like *like, const char *link, struct client_error *error)
{
	char *directory = link == NULL ? realpath(target, NULL) : NULL;
	char *name;
	int CLEANUP_FD dir_fd = -1;
	int r = link == NULL && directory == NULL && errno != ENOENT ? -errno : 0;

	if (r == 0 && directory == NULL)
		copy_out_make_parents(target);
	/* What is there and can't be followed is not to be written into as it is. */
	if (directory == NULL && r == 0)
		directory = strdup(target);
	name = directory != NULL ? strdup(directory) : NULL;
	if (r == 0 && name == NULL)
		r = -ENOMEM;
	if (r == 0) {
		dir_fd = open(dirname(directory), O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = dir_fd < 0 ? -errno : 0;
	}
	if (r == 0 && link != NULL)
		r = atomic_file_link(dir_fd, basename(name), link);
	if (r < 0)
		client_fail(error, "can't write to %s: %s", target, strerror(-r));
	else if (link == NULL)
		r = copy_out_replace(copy, source, dir_fd, basename(name), target, like,
		    ATOMIC_FILE_SPECIAL_TOO, error);
	free(directory);
	free(name);
	if (r == 0)
		copy_tell(copy, target, source);
	return r;
}

int
copy_out_stream(const char *target)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	uint64_t fd;

	if (strcmp(target, "-") == 0 || strcmp(target, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(target, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t len = strlen(folders[i]);

		if (strncmp(target, folders[i], len) == 0 &&
		    command_parse_number(target + len, 0, INT_MAX, &fd) == 0)
			return (int)fd;
	}
	return -1;
}

static int
copy_out_to_stream(
    struct copy *copy, const char *source, const char *target, struct client_error *error)
{
	struct copy_out out = { .copy = copy,
		.fd = copy_out_stream(target),
		.here = strcmp(target, "-") == 0 ? "standard output" : target };

	return copy_out_receive(&out, source, error);
}

/* What ENTRY tells of, under the name that it is to have. */
static int
copy_out_entry_named(struct copy *copy, const char *source, const char *target,
    const struct file_entry *entry, struct client_error *error)
{
	const struct copy_out_like like = copy_out_like(entry);
	bool is_stream = copy_out_stream(target) >= 0;

	switch (entry->kind) {
	case FILE_ENTRY_DIR:
		if (copy->recursive && !is_stream)
			return copy_out_directory(copy, source, target, entry, error);
		client_fail(error, "vm:%s is a directory: %s", source,
		    copy->recursive ? "it can't go to standard output"
				    : "-r copies it with all that is in it");
		return -EISDIR;
	case FILE_ENTRY_OTHER:
		client_fail(error, "vm:%s: not a regular file", source);
		return -EINVAL;
	case FILE_ENTRY_SYMLINK:
		if (!is_stream)
			return copy_out_file(
			    copy, source, target, &like, entry->symlink_target, error);
		break;
	case FILE_ENTRY_FILE:
		break;
	}
	return is_stream ? copy_out_to_stream(copy, source, target, error)
			 : copy_out_file(copy, source, target, &like, NULL, error);
}

void
copy_out(struct copy *copy, const char *source, const char *target)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct file_entry entry = { .kind = FILE_ENTRY_FILE,
		.mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH | S_IWGRP | S_IWOTH };
	struct copy_patience patience = { 0 };
	struct copy_patience more = { 0 };
	struct client_error error = { "" };
	bool follows = !copy->keeps_links || copy_out_stream(target) >= 0;
	int r;

	do
		r = guest_entry_stat(target_agent(), source, copy->user, follows, &listing, &error);
	while (copy_try_again(&patience, &r));
	if (r == 0)
		entry = listing.entries[0];
	/* An agent of the first day can't be asked, and may well read the file. */
	if (r == 0 || r == -EREMOTEIO || r == -EPROTO || r == -ENODATA) {
		copy->progress.files_total += entry.kind == FILE_ENTRY_DIR ? 0 : 1;
		copy->progress.bytes_total += entry.size;
		copy->progress.total_is_known = copy->sources == 1 && entry.size > 0;
		do {
			error.text[0] = '\0';
			r = copy_out_entry_named(copy, source, target, &entry, &error);
		} while (entry.kind != FILE_ENTRY_DIR && copy_try_again(&more, &r));
	}
	if (r < 0)
		copy_complain(copy, r, &error);
}
