/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch_event.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/compat.h"
#include "session/file/temporary.h"
#include "session/file/watch_queue.h"
#include "session/file/watch_scan.h"
#include "session/file/watch_tell.h"

/* A name in a directory, and where it is. */
struct file_watch_event_spot {
	struct file_watch_dir *dir; /* NULL: one that is not watched any more */
	const char *name;
	bool is_unnamed; /* the path is too long */
	char path[PATH_MAX];
};

/* Whether the host asked for NAME of DIR. */
static bool
file_watch_event_is_wanted(
    const struct file_watch *watch, const struct file_watch_dir *dir, const char *name)
{
	return watch->only == NULL || (dir == watch->dirs.top && strcmp(name, watch->only) == 0);
}

static void
file_watch_event_spot(
    struct file_watch *watch, const struct inotify_event *event, struct file_watch_event_spot *ret)
{
	ret->dir = file_watch_table_find(&watch->dirs, event->wd);
	ret->name = event->name;
	ret->is_unnamed = false;
	if (ret->dir == NULL)
		return;
	if (watch->only != NULL && file_watch_event_is_wanted(watch, ret->dir, event->name))
		(void)strlcpy(ret->path, watch->path, sizeof(ret->path));
	else
		ret->is_unnamed = file_watch_table_path(ret->dir, event->name, ret->path) < 0;
}

static int
file_watch_event_tell_spot(
    struct file_watch *watch, enum file_event_kind kind, const struct file_watch_event_spot *spot)
{
	if (spot->is_unnamed)
		return file_watch_tell_unnamed(watch, spot->dir);
	return file_watch_tell(watch, kind, spot->path, "");
}

/* Something is at SPOT that was not there. */
static int
file_watch_event_appeared(
    struct file_watch *watch, const struct file_watch_event_spot *spot, bool is_dir)
{
	int r = file_watch_event_tell_spot(watch, FILE_EVENT_CREATED, spot);

	if (r == 0 && watch->recursive && is_dir && !spot->is_unnamed)
		r = file_watch_scan_new(watch, spot->dir, spot->name);
	return r;
}

static int
file_watch_event_left(
    struct file_watch *watch, const struct file_watch_event_spot *spot, bool is_dir)
{
	struct file_watch_dir *dir = NULL;

	if (watch->recursive && is_dir)
		dir = file_watch_table_child(spot->dir, spot->name);
	if (dir != NULL)
		file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
	return file_watch_event_tell_spot(watch, FILE_EVENT_REMOVED, spot);
}

/* A directory has been moved: what is watched of it goes with it. It is looked at
 * again all the same: one that was left out may be watched here, and one that took its
 * place since may have been taken for it. */
static int
file_watch_event_carry(struct file_watch *watch, const struct file_watch_event_spot *from,
    const struct file_watch_event_spot *to)
{
	struct file_watch_dir *dir = file_watch_table_child(from->dir, from->name);
	int r = 0;

	if (dir != NULL) {
		r = file_watch_table_move(&watch->dirs, dir, to->dir, to->name);
		if (r == 0)
			r = file_watch_scan_again(watch, dir);
		else if (r == -ELOOP) /* it is not the one */
			r = 0;
		else
			file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
	}
	if (r == -ENOBUFS || r == -ENOMEM)
		return file_watch_leave_out(watch, to->dir, to->path, r);
	return r < 0 ? r : file_watch_scan_new(watch, to->dir, to->name);
}

static int
file_watch_event_renamed(struct file_watch *watch, const struct inotify_event *from_event,
    const struct inotify_event *to_event)
{
	bool is_dir = (from_event->mask & IN_ISDIR) != 0;
	struct file_watch_event_spot from;
	struct file_watch_event_spot to;
	int r;

	file_watch_event_spot(watch, from_event, &from);
	file_watch_event_spot(watch, to_event, &to);
	/* Into a directory that has left: so has this. */
	if (to.dir == NULL)
		return file_temporary_is_name(from.name)
			   ? 0
			   : file_watch_event_left(watch, &from, is_dir);
	/* It is a WRITE's, which takes temporary names for files that are there. */
	if (file_temporary_is_name(from.name))
		return file_watch_event_tell_spot(watch, FILE_EVENT_MODIFIED, &to);
	if (from.is_unnamed || to.is_unnamed) {
		r = file_watch_event_left(watch, &from, is_dir);
		return r < 0 ? r : file_watch_event_appeared(watch, &to, is_dir);
	}
	r = file_watch_tell(watch, FILE_EVENT_RENAMED, from.path, to.path);
	return r == 0 && watch->recursive && is_dir ? file_watch_event_carry(watch, &from, &to) : r;
}

/* The first half of a rename. Returns -EAGAIN while the second may still come. */
static int
file_watch_event_moved(struct file_watch *watch, const struct inotify_event *from)
{
	struct inotify_event *to = file_watch_queue_pair(watch, from);
	struct file_watch_dir *from_dir = file_watch_table_find(&watch->dirs, from->wd);
	struct file_watch_event_spot spot;

	if (to == NULL && !watch->waited)
		return -EAGAIN;
	watch->waited = false;
	if (to == NULL) {
		if (!file_watch_event_is_wanted(watch, from_dir, from->name) ||
		    file_temporary_is_name(from->name))
			return 0;
		file_watch_event_spot(watch, from, &spot);
		return file_watch_event_left(watch, &spot, (from->mask & IN_ISDIR) != 0);
	}
	to->mask = 0; /* told with this one */
	if (!file_watch_event_is_wanted(watch, from_dir, from->name) &&
	    !file_watch_event_is_wanted(
		watch, file_watch_table_find(&watch->dirs, to->wd), to->name))
		return 0;
	return file_watch_event_renamed(watch, from, to);
}

/* Whether NAME, at PATH, is the kernel's word for an unnamed file (O_TMPFILE): "#"
 * and its inode's number, where nothing is. */
static bool
file_watch_event_is_tmpfile(const char *name, const char *path)
{
	struct stat status;

	return name[0] == '#' && name[1] != '\0' &&
	       name[1 + strspn(name + 1, "0123456789")] == '\0' &&
	       fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) < 0;
}

/* An event about a name in the watched directory DIR. */
static int
file_watch_event_name(
    struct file_watch *watch, const struct inotify_event *event, const struct file_watch_dir *dir)
{
	struct file_watch_event_spot spot;

	if (event->mask & IN_MOVED_FROM)
		return file_watch_event_moved(watch, event);
	if (!file_watch_event_is_wanted(watch, dir, event->name) ||
	    file_temporary_is_name(event->name))
		return 0;
	file_watch_event_spot(watch, event, &spot);
	if (event->mask & (IN_CREATE | IN_MOVED_TO))
		return file_watch_event_appeared(watch, &spot, (event->mask & IN_ISDIR) != 0);
	if (event->mask & IN_DELETE)
		return file_watch_event_tell_spot(watch, FILE_EVENT_REMOVED, &spot);
	if ((event->mask & (IN_MODIFY | IN_ATTRIB)) == 0 ||
	    (!spot.is_unnamed && file_watch_event_is_tmpfile(spot.name, spot.path)))
		return 0;
	return file_watch_event_tell_spot(watch, FILE_EVENT_MODIFIED, &spot);
}

/* Something happened to the watched directory itself. */
static int
file_watch_event_top(struct file_watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
		return -ESTALE;
	if ((event->mask & IN_ATTRIB) && watch->only == NULL)
		return file_watch_tell(watch, FILE_EVENT_MODIFIED, watch->path, "");
	return 0;
}

int
file_watch_event(struct file_watch *watch, const struct inotify_event *event)
{
	struct file_watch_dir *dir;

	if (event->mask & IN_Q_OVERFLOW)
		return -EOVERFLOW;
	dir = file_watch_table_find(&watch->dirs, event->wd);
	/* A directory that we let go of still had something in the queue. */
	if (dir == NULL)
		return 0;
	if (event->len > 0)
		return file_watch_event_name(watch, event, dir);
	if (dir == watch->dirs.top)
		return file_watch_event_top(watch, event);
	if (event->mask & IN_IGNORED)
		file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
	return 0;
}
