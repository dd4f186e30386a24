/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/switch_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fd.h"
#include "platform/text.h"

#define SWITCH_FILES_HIDDEN "hidden by another mount"
#define SWITCH_FILES_TOO_MANY "there are too many"

static int
switch_files_refuse(char words[QUIESCE_ERROR_MAX], const char *path, const char *why, int error)
{
	(void)text_format(words, QUIESCE_ERROR_MAX, "%.100s: %s", path, why);
	return error;
}

/* Marks the file system that PATH lies on, whatever leads there. */
static int
switch_files_name(const struct block_mounts *mounts, const char *path, bool *is_named,
    char words[QUIESCE_ERROR_MAX])
{
	int CLEANUP_FD fd = open(path, O_PATH | O_CLOEXEC);
	size_t place = 0;
	int r = fd < 0 ? -errno : block_mounts_find(mounts, fd, &place);

	if (r < 0)
		return switch_files_refuse(words, path, strerror(-r), r);
	if (mounts->list[place].skipped != NULL)
		return switch_files_refuse(words, path, mounts->list[place].skipped, -EOPNOTSUPP);
	is_named[place] = true;
	return 0;
}

static int
switch_files_name_all(const struct block_mounts *mounts, const struct quiesce_order *order,
    bool *is_named, char words[QUIESCE_ERROR_MAX])
{
	const char *path = order->paths;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < order->paths_count; i++) {
		r = switch_files_name(mounts, path, is_named, words);
		path += strlen(path) + 1;
	}
	return r;
}

/* Opens the mount point of PLACE, if it leads to that one still. Returns the descriptor, or
 * -errno: -ENOENT where it leads to another. */
static int
switch_files_open_one(const struct block_mounts *mounts, size_t place)
{
	int CLEANUP_FD fd =
	    open(mounts->list[place].path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	size_t found = 0;
	int r = fd < 0 ? -errno : block_mounts_find(mounts, fd, &found);

	if (r < 0)
		return r;
	return found == place ? fd_steal(&fd) : -ENOENT;
}

static void
switch_files_add(
    struct switch_files *files, const struct block_mount *mount, int fd, bool is_wanted)
{
	struct switch_file *file = &files->list[files->count++];

	file->fd = fd;
	file->is_wanted = is_wanted;
	(void)strlcpy(file->path, mount->path, sizeof(file->path));
	(void)strlcpy(file->type, mount->type, sizeof(file->type));
}

/* The file system at PLACE: opened, or skipped, or of no concern. */
static int
switch_files_take(const struct block_mounts *mounts, size_t place,
    const struct quiesce_order *order, bool is_named, struct quiesce_report *report,
    struct switch_files *files, char words[QUIESCE_ERROR_MAX])
{
	const struct block_mount *mount = &mounts->list[place];
	const char *why = mount->skipped;
	int fd = -ENOENT;

	if (why == NULL && !order->syncs && !order->is_all && !is_named)
		return 0;
	/* What was mounted over it may be served by a process that is frozen by now. */
	if (why == NULL && mount->is_hidden) {
		why = SWITCH_FILES_HIDDEN;
	} else if (why == NULL && files->count == FD_KEEP_MAX) {
		why = SWITCH_FILES_TOO_MANY;
	} else if (why == NULL) {
		fd = switch_files_open_one(mounts, place);
		if (fd < 0)
			why = fd == -ENOENT ? SWITCH_FILES_HIDDEN : strerror(-fd);
	}
	if (fd >= 0) {
		switch_files_add(files, mount, fd, order->is_all || is_named);
		files->list[files->count - 1].is_required = is_named;
		return 0;
	}
	if (is_named)
		return switch_files_refuse(words, mount->path, why, fd);
	quiesce_report_place(report, mount->path, mount->type, why);
	return 0;
}

static void
switch_files_close(struct switch_files *files)
{
	for (uint32_t i = 0; i < files->count; i++)
		fd_close(&files->list[i].fd);
	files->count = 0;
}

int
switch_files_open(const struct block_mounts *mounts, const struct quiesce_order *order,
    struct quiesce_report *report, struct switch_files *ret, char words[QUIESCE_ERROR_MAX])
{
	bool *is_named = calloc(mounts->count + 1, sizeof(*is_named));
	int r = is_named == NULL ? -ENOMEM : 0;

	ret->count = 0;
	if (r == 0)
		r = switch_files_name_all(mounts, order, is_named, words);
	for (size_t i = 0; r == 0 && i < mounts->count; i++)
		r = switch_files_take(mounts, i, order, is_named[i], report, ret, words);
	free(is_named);
	if (r < 0)
		switch_files_close(ret);
	return r;
}
