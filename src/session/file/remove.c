/*
 * The tree is a guest's: it may be a million levels deep, and change under us. So the way
 * down is a heap array of which directory each level is, and only the deepest levels are
 * open. What that array holds is bounded: further down the upper half of it is forgotten,
 * what is below is removed, and then we start again. Where the way back leads to a level
 * that was closed, ".." must be the directory that we came from, else a directory was
 * moved and we stop. Names are only ever looked up in an open directory, links never
 * followed; a directory that is swapped for a link is unlinked as the link.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "session/file/path.h"
#include "session/file/place.h"
#include "session/file/serve.h"
#include "session/rest.h"

/* The deepest levels, whose directories are open. */
#define FILE_REMOVE_OPEN_MAX 16

/* How many levels are remembered. */
#define FILE_REMOVE_LEVELS_MAX 65536

/* How often we start again at the top, for levels that were forgotten. */
#define FILE_REMOVE_PASSES_MAX 1024

/* How often a directory is emptied that somebody keeps filling. */
#define FILE_REMOVE_TRIES 8

/* Between two looks at the host. */
#define FILE_REMOVE_CHECK_EVERY 256

struct file_remove_level {
	dev_t dev;
	ino_t ino;
	DIR *dir;	      /* NULL: closed, as it is far up */
	struct dirent *entry; /* of DIR, that was entered; NULL: none */
	int tries;	      /* to remove that entry */
};

struct file_remove {
	struct session *session;
	struct file_remove_level *levels;
	size_t depth;
	size_t size;
	unsigned steps;
	bool has_forgotten; /* there are levels above the first */
};

/* What came of an entry. */
enum {
	FILE_REMOVE_GONE = 0,
	FILE_REMOVE_ENTER = 1
};

/* Removes NAME unless it is a directory with something in it: FILE_REMOVE_ENTER.
 * rmdir(2) says EBUSY of what something is mounted on, before anything else. */
static int
file_remove_entry(int dir_fd, const char *name, bool is_dir)
{
	for (int tries = 0; tries < 2; tries++, is_dir = !is_dir) {
		if (unlinkat(dir_fd, name, is_dir ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
			return FILE_REMOVE_GONE;
		if (errno == ENOTEMPTY || errno == EEXIST)
			return FILE_REMOVE_ENTER;
		if (errno != (is_dir ? ENOTDIR : EISDIR))
			return -errno;
	}
	/* Swapped between the two calls. */
	return -EBUSY;
}

/* Opens the directory NAME below DIR_FD as the stream of LEVEL. */
static int
file_remove_open_level(int dir_fd, const char *name, struct file_remove_level *level)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct stat status;
	int r = dir_open(dir_fd, name, O_NOFOLLOW, &dir);

	if (r < 0)
		return r;
	if (fstat(dirfd(dir), &status) < 0)
		return -errno;
	*level =
	    (struct file_remove_level){ .dev = status.st_dev, .ino = status.st_ino, .dir = dir };
	dir = NULL;
	return 0;
}

static void
file_remove_close_level(struct file_remove_level *level)
{
	dir_close(&level->dir);
	level->entry = NULL;
}

/* Makes room for one level more. */
static int
file_remove_make_room(struct file_remove *remove)
{
	struct file_remove_level *grown;
	size_t size = remove->size > 0 ? remove->size * 2 : FILE_REMOVE_OPEN_MAX;

	if (remove->depth < remove->size)
		return 0;
	if (remove->size == FILE_REMOVE_LEVELS_MAX) {
		/* They are closed: the open ones are the deepest. */
		remove->depth = FILE_REMOVE_LEVELS_MAX / 2;
		memmove(remove->levels, remove->levels + remove->depth,
		    remove->depth * sizeof(*remove->levels));
		remove->has_forgotten = true;
		return 0;
	}
	grown = reallocarray(remove->levels, size, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	remove->levels = grown;
	remove->size = size;
	return 0;
}

static int
file_remove_push(struct file_remove *remove, int dir_fd, const char *name)
{
	struct file_remove_level level;
	int r = file_remove_make_room(remove);

	if (r < 0)
		return r;
	r = file_remove_open_level(dir_fd, name, &level);
	if (r < 0)
		return r;
	remove->levels[remove->depth++] = level;
	if (remove->depth > FILE_REMOVE_OPEN_MAX)
		file_remove_close_level(&remove->levels[remove->depth - 1 - FILE_REMOVE_OPEN_MAX]);
	return 0;
}

/* Leaves the deepest directory for the one above it. */
static int
file_remove_pop(struct file_remove *remove)
{
	struct file_remove_level *child = &remove->levels[remove->depth - 1];
	struct file_remove_level *parent = child - 1;
	struct file_remove_level again = { 0 };
	int r = 0;

	if (remove->depth > 1 && parent->dir == NULL) {
		r = file_remove_open_level(dirfd(child->dir), "..", &again);
		if (r == 0 && (again.dev != parent->dev || again.ino != parent->ino)) {
			file_remove_close_level(&again);
			r = -ESTALE;
		}
		if (r == 0)
			*parent = again;
	}
	file_remove_close_level(child);
	remove->depth--;
	return r;
}

/* Removes the entry of the deepest level, or enters it. */
static int
file_remove_try(struct file_remove *remove)
{
	struct file_remove_level *level = &remove->levels[remove->depth - 1];
	const char *name = level->entry->d_name;
	int r = file_remove_entry(dirfd(level->dir), name, level->entry->d_type == DT_DIR);

	if (r == FILE_REMOVE_GONE)
		level->entry = NULL;
	if (r != FILE_REMOVE_ENTER)
		return r;
	if (level->tries++ == FILE_REMOVE_TRIES)
		return -ENOTEMPTY;
	r = file_remove_push(remove, dirfd(level->dir), name);
	/* Gone or swapped since: the next step sees what is there now. */
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : r;
}

/* One step at the deepest level: its next entry, or the way back up. */
static int
file_remove_step(struct file_remove *remove)
{
	struct file_remove_level *level = &remove->levels[remove->depth - 1];
	int r;

	if (level->entry != NULL)
		return file_remove_try(remove);
	r = dir_next(level->dir, &level->entry);
	level->tries = 0;
	if (r < 0)
		return r;
	return level->entry == NULL ? file_remove_pop(remove) : file_remove_try(remove);
}

/* Empties the directory NAME. */
static int
file_remove_empty(struct file_remove *remove, int dir_fd, const char *name)
{
	int r = file_remove_push(remove, dir_fd, name);

	while (r == 0 && remove->depth > 0) {
		rest_point();
		r = file_remove_step(remove);
		watchdog_ping();
		if (r == 0 && ++remove->steps % FILE_REMOVE_CHECK_EVERY == 0)
			r = file_reply_check(remove->session);
	}
	while (remove->depth > 0)
		file_remove_close_level(&remove->levels[--remove->depth]);
	return r;
}

static int
file_remove_place(struct session *session, const struct file_place *place, bool recursive)
{
	struct file_remove remove = { .session = session };
	int r = FILE_REMOVE_ENTER;
	int passes = 0;

	for (int tries = 0; r == FILE_REMOVE_ENTER; tries++) {
		r = file_remove_entry(place->dir_fd, place->name, S_ISDIR(place->status.st_mode));
		if (r != FILE_REMOVE_ENTER)
			break;
		if (!recursive || tries == FILE_REMOVE_TRIES)
			r = -ENOTEMPTY;
		else
			r = file_remove_empty(&remove, place->dir_fd, place->name);
		if (r == 0)
			r = FILE_REMOVE_ENTER;
		if (remove.has_forgotten && passes++ < FILE_REMOVE_PASSES_MAX)
			tries = -1;
		remove.has_forgotten = false;
	}
	free(remove.levels);
	return r;
}

static int
file_remove(struct file_work *work)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	char last[NAME_MAX + 1];
	int r = file_place_open(work->path, 0, &place);

	if (r < 0)
		return r;
	file_path_last(work->path, last);
	if (strcmp(last, "/") == 0)
		return -EBUSY;
	if (file_path_is_dots(last))
		return -EINVAL;
	if (place.fd < 0)
		return -ENOENT;
	return file_remove_place(work->session, &place, work->request->recursive);
}

void
file_remove_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_remove);
}
