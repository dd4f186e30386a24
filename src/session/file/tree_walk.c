/*
 * file_tree_walk: the way through the directories of a tree.
 *
 * The tree is a guest's: it may be of any depth, and change under us. What we hold of it is of
 * fixed size: a path, and for each level of it which directory that is; the deepest ones are
 * open. Where the way back leads to one that was closed, ".." must be the directory that we
 * came from; else one was moved, and it is looked up by the names that led there, each of which
 * has to be the directory that it was. Names are only ever looked up in an open directory, and
 * links never followed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "session/file/look.h"
#include "session/file/reply.h"
#include "session/file/tree_state.h"
#include "session/rest.h"

static DIR **
file_tree_stream(struct file_tree *tree, size_t level)
{
	return &tree->open[level % FILE_TREE_OPEN_MAX];
}

/* The path is what it was before LEN; what stands behind it counts no more. */
static void
file_tree_cut_path(struct file_tree *tree, size_t len)
{
	tree->path_len = len;
	tree->path[len] = '\0';
}

/* Goes into the directory at the path, which has STATUS and whose stream is DIR. */
static void
file_tree_push(struct file_tree *tree, const struct stat *status, DIR *dir)
{
	DIR **stream = file_tree_stream(tree, tree->depth);

	dir_close(stream);
	*stream = dir;
	tree->levels[tree->depth++] = (struct file_tree_level){
		.dev = status->st_dev,
		.ino = status->st_ino,
		.path_len = (uint16_t)tree->path_len,
	};
}

static int
file_tree_is_level(const struct file_tree_level *level, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	return status.st_dev == level->dev && status.st_ino == level->ino ? 0 : -ESTALE;
}

/* Opens LEVEL again, which is NAME in DIR_FD if nobody has moved it, where it was closed. */
static int
file_tree_open_level(struct file_tree *tree, size_t level, int dir_fd, const char *name)
{
	DIR **stream = file_tree_stream(tree, level);
	int r = dir_open(dir_fd, name, O_NOFOLLOW, stream);

	if (r == 0)
		r = file_tree_is_level(&tree->levels[level], dirfd(*stream));
	/* Nothing has been read of it yet, and so this is what seekdir(3) does. */
	if (r == 0 && lseek(dirfd(*stream), tree->levels[level].at, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		dir_close(stream);
	return r;
}

/* Leaves the deepest directory for the one above it. */
static void
file_tree_pop(struct file_tree *tree)
{
	DIR **stream = file_tree_stream(tree, --tree->depth);

	if (tree->depth > 0) {
		if (*stream != NULL && *file_tree_stream(tree, tree->depth - 1) == NULL)
			(void)file_tree_open_level(tree, tree->depth - 1, dirfd(*stream), "..");
		file_tree_cut_path(tree, tree->levels[tree->depth - 1].path_len);
	}
	dir_close(stream);
}

/* Goes from *FD, the directory of a level, to the directory of LEVEL, the next one. */
static int
file_tree_descend(struct file_tree *tree, const struct file_tree_level *level, int *fd)
{
	size_t begin = (size_t)(level - 1)->path_len;
	/* A file system may have names of more than NAME_MAX bytes. */
	char name[PATH_MAX];
	int next;

	begin += begin > 0 ? 1 : 0;
	memcpy(name, tree->path + begin, level->path_len - begin);
	name[level->path_len - begin] = '\0';
	next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0)
		return -errno;
	fd_close(fd);
	*fd = next;
	return file_tree_is_level(level, next);
}

/* Opens the deepest level again, from the root on: that below it was moved away. */
static int
file_tree_reopen(struct file_tree *tree)
{
	int CLEANUP_FD fd = openat(tree->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 1; r == 0 && i < tree->depth; i++)
		r = file_tree_descend(tree, &tree->levels[i], &fd);
	return r == 0 ? file_tree_open_level(tree, tree->depth - 1, fd, ".") : r;
}

/* Tells of what FD is open on, and goes into it if it is a directory. */
static int
file_tree_enter(struct file_tree *tree, int fd)
{
	char target[PATH_MAX];
	DIR CLEANUP_DIR *dir = NULL;
	struct stat status;
	int error = 0;
	int r = file_look_by_fd(fd, target, &status);

	if (r < 0)
		return file_tree_tell_error(tree, r);
	if (S_ISDIR(status.st_mode) && (tree->depth == 0 || !tree->request->one_file_system ||
					   status.st_dev == tree->levels[0].dev))
		error = dir_open(fd, ".", 0, &dir);
	if (error < 0 && !tree->has_told)
		return error;
	r = file_tree_tell(tree, fd, &status, target);
	if (r == 0 && error < 0)
		r = file_tree_tell_error(tree, error);
	if (r == 0 && dir != NULL) {
		file_tree_push(tree, &status, dir);
		dir = NULL;
	}
	return r;
}

/* Tells of the entry NAME of the deepest directory, DIR_FD. */
static int
file_tree_visit(struct file_tree *tree, int dir_fd, const char *name)
{
	struct file_tree_level *level = &tree->levels[tree->depth - 1];
	size_t begin = level->path_len + (level->path_len > 0 ? 1u : 0u);
	size_t len = strlen(name);
	int CLEANUP_FD fd = -1;
	int r;

	if (begin + len >= sizeof(tree->path)) {
		r = level->is_cut ? 0 : file_tree_tell_error(tree, -ENAMETOOLONG);
		level->is_cut = true;
		return r;
	}
	fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	/* It has gone since its name was read. */
	if (fd < 0 && errno == ENOENT)
		return 0;
	r = fd < 0 ? -errno : 0;
	if (begin > 0)
		tree->path[begin - 1] = '/';
	memcpy(tree->path + begin, name, len + 1);
	tree->path_len = begin + len;
	r = r < 0 ? file_tree_tell_error(tree, r) : file_tree_enter(tree, fd);
	file_tree_cut_path(tree, tree->levels[tree->depth - 1].path_len);
	return r;
}

/* One step at the deepest level: its next entry, or the way back up. */
static int
file_tree_step(struct file_tree *tree)
{
	DIR **stream = file_tree_stream(tree, tree->depth - 1);
	struct dirent *entry = NULL;
	int r = *stream == NULL ? file_tree_reopen(tree) : 0;

	if (r == 0)
		r = dir_next(*stream, &entry);
	if (r == 0 && entry != NULL) {
		tree->levels[tree->depth - 1].at = entry->d_off;
		return file_tree_visit(tree, dirfd(*stream), entry->d_name);
	}
	if (r < 0)
		r = file_tree_tell_error(tree, r);
	file_tree_pop(tree);
	return r;
}

int
file_tree_walk(struct file_tree *tree)
{
	int r = file_tree_enter(tree, tree->root_fd);

	while (r == 0 && tree->depth > 0) {
		rest_point();
		watchdog_ping();
		if (tree->has_sent)
			r = file_reply_check(tree->session);
		tree->has_sent = false;
		if (r == 0)
			r = file_tree_step(tree);
	}
	while (tree->depth > 0)
		file_tree_pop(tree);
	return r;
}
