/*
 * file_watch_scan: putting watches on directories.
 *
 * A directory is watched first and read after: what appears in between is told
 * twice, and nothing is missed. It may be moved meanwhile, it or one above it. That it is
 * not found is not an error then: the directory that it was in is marked as incomplete, and
 * read again when the event of the move comes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/watchdog.h"
#include "session/file/path.h"
#include "session/file/reply.h"
#include "session/file/watch_reach.h"
#include "session/file/watch_tell.h"
#include "session/rest.h"

/* Between two looks at the host. */
#define FILE_WATCH_CHECK_EVERY 256

struct file_watch_scan {
	struct file_watch *watch;
	bool report;
	unsigned steps;
};

/* ---- one directory ----------------------------------------------------- */

static bool
file_watch_is_dir(int dir_fd, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(status.st_mode);
}

/* DIR is not at its path any more: nor is what is in it. Nothing is lost if it was moved,
 * or one that it is in, as the event of that is on its way; but where the path that leads
 * to the top has changed, nothing tells of it. */
static int
file_watch_not_found(struct file_watch *watch, struct file_watch_dir *dir)
{
	struct stat status;

	file_watch_table_set_incomplete(&watch->dirs, dir, true);
	if (fstatat(AT_FDCWD, watch->path, &status, 0) < 0 || status.st_dev != watch->top_dev ||
	    status.st_ino != watch->top_ino)
		return -ESTALE;
	return 0;
}

/* DIR, at PATH, is watched, but could not be read to its end. */
static int
file_watch_not_read(
    struct file_watch *watch, struct file_watch_dir *dir, const char *path, int error)
{
	if (dir->parent == NULL && !watch->stands)
		return error;
	return file_watch_leave_out(watch, dir, path, error);
}

/* The directory NAME in PARENT, at PATH, is to be watched. */
static int
file_watch_later(
    struct file_watch *watch, struct file_watch_dir *parent, const char *name, const char *path)
{
	struct file_watch_dir *dir;
	int r = file_watch_table_add(&watch->dirs, parent, name, &dir);

	if (r < 0)
		return file_watch_leave_out(watch, parent, path, r);
	file_watch_table_put_off(&watch->dirs, dir);
	return 0;
}

/* Sees ENTRY of DIR, whose path is DIR_PATH. */
static int
file_watch_see(struct file_watch_scan *scan, struct file_watch_dir *dir, const char *dir_path,
    int dir_fd, const struct dirent *entry)
{
	struct file_watch *watch = scan->watch;
	bool is_dir = file_watch_is_dir(dir_fd, entry);
	char path[PATH_MAX];
	int r = 0;

	rest_point();
	watchdog_ping();
	if (!is_dir && !scan->report)
		return 0;
	if (file_path_join(path, sizeof(path), dir_path, entry->d_name) < 0)
		return file_watch_tell_unnamed(watch, dir);
	if (scan->report)
		r = file_watch_tell(watch, FILE_EVENT_CREATED, path, "");
	if (r == 0 && is_dir)
		r = file_watch_later(watch, dir, entry->d_name, path);
	return r;
}

static int
file_watch_check(struct file_watch_scan *scan)
{
	int r;

	if (++scan->steps % FILE_WATCH_CHECK_EVERY != 0)
		return 0;
	r = file_reply_check(scan->watch->session);
	return r == 0 ? file_watch_flush(scan->watch) : r;
}

/* Sees what STREAM holds, which is DIR's, at PATH. */
static int
file_watch_read_dir(
    struct file_watch_scan *scan, struct file_watch_dir *dir, const char *path, DIR *stream)
{
	struct dirent *entry;

	for (;;) {
		int r = dir_next(stream, &entry);

		if (r < 0)
			return file_watch_not_read(scan->watch, dir, path, r);
		if (entry == NULL)
			return 0;
		r = file_watch_see(scan, dir, path, dirfd(stream), entry);
		if (r == 0)
			r = file_watch_check(scan);
		if (r < 0)
			return r;
	}
}

/* ---- all of them ------------------------------------------------------- */

static void
file_watch_forget(struct file_watch *watch, struct file_watch_dir *dir)
{
	file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
}

/* What was moved is complete where it is now. */
static int file_watch_complete(struct file_watch_scan *scan, struct file_watch_dir *dir);

/* What is called DIR, at PATH, is watched already as KNOWN. Where that is in place, DIR is
 * a second one by a bind mount, perhaps below itself: it is not entered again. Else KNOWN
 * has been moved here, or is to be, when an event of before comes. */
static int
file_watch_meet(struct file_watch_scan *scan, struct file_watch_dir *known,
    struct file_watch_dir *dir, const char *path)
{
	struct file_watch *watch = scan->watch;
	bool is_here = known->parent == dir->parent && strcmp(known->name, dir->name) == 0;
	int r = 0;

	if (!is_here && !file_watch_is_in_place(watch, known)) {
		r = file_watch_table_move(&watch->dirs, known, dir->parent, dir->name);
		is_here = r == 0;
	}
	if (r == -ELOOP)
		r = file_watch_not_found(watch, dir->parent);
	else if (r < 0)
		r = file_watch_leave_out(watch, dir->parent, path, r);
	file_watch_forget(watch, dir);
	return r == 0 && is_here ? file_watch_complete(scan, known) : r;
}

/* DIR, which is below the top, could not be watched. One that has gone, or is a link by
 * now, is not a gap: its parent tells of that. */
static int
file_watch_not_entered(
    struct file_watch *watch, struct file_watch_dir *dir, const char *path, int error)
{
	int r = 0;

	if (error == -ESTALE)
		r = file_watch_not_found(watch, dir->parent);
	else if (error != -ENOENT && error != -ENOTDIR && error != -ELOOP)
		r = file_watch_leave_out(watch, dir, path, error);
	/* What is noted of it is still to be told. */
	if (dir->gap == 0)
		file_watch_forget(watch, dir);
	return r;
}

/* Watches DIR, at PATH, and sees what is in it. */
static int
file_watch_enter(struct file_watch_scan *scan, struct file_watch_dir *dir, const char *path)
{
	struct file_watch *watch = scan->watch;
	struct file_watch_found found;
	struct file_watch_dir *known;
	int r = file_watch_reach(watch, dir, &found);

	if (r < 0)
		return dir->parent == NULL ? r : file_watch_not_entered(watch, dir, path, r);
	known = file_watch_table_find(&watch->dirs, found.wd);
	if (found.is_mute) {
		file_watch_forget(watch, dir);
	} else if (known != NULL) {
		r = file_watch_meet(scan, known, dir, path);
	} else {
		file_watch_table_set_wd(&watch->dirs, dir, found.wd);
		if (watch->recursive)
			r = file_watch_read_dir(scan, dir, path, found.stream);
	}
	dir_close(&found.stream);
	return r;
}

/* Enters all that was put off, and what comes up meanwhile. */
static int
file_watch_go_down(struct file_watch_scan *scan)
{
	struct file_watch *watch = scan->watch;
	struct file_watch_dir *dir;
	char path[PATH_MAX];
	int r = 0;

	while (r == 0 && (dir = file_watch_table_take_up(&watch->dirs)) != NULL) {
		rest_point();
		watchdog_ping();
		if (file_watch_table_path(dir, NULL, path) < 0) {
			r = file_watch_tell_unnamed(watch, dir->parent);
			file_watch_forget(watch, dir);
		} else {
			r = file_watch_enter(scan, dir, path);
		}
	}
	return r;
}

int
file_watch_scan_top(struct file_watch *watch, const char *path)
{
	struct file_watch_scan scan = { .watch = watch };
	struct file_watch_dir *top;
	int r = file_watch_table_add(&watch->dirs, NULL, strcmp(path, "/") == 0 ? "" : path, &top);

	if (r < 0)
		return r;
	r = file_watch_enter(&scan, top, path);
	return r < 0 ? r : file_watch_go_down(&scan);
}

int
file_watch_scan_new(struct file_watch *watch, struct file_watch_dir *parent, const char *name)
{
	struct file_watch_scan scan = { .watch = watch, .report = true };
	char path[PATH_MAX];
	int r;

	if (file_watch_table_path(parent, name, path) < 0)
		return file_watch_tell_unnamed(watch, parent);
	r = file_watch_later(watch, parent, name, path);
	return r < 0 ? r : file_watch_go_down(&scan);
}

/* Reads DIR again, of which something was not found. */
static int
file_watch_read_again(struct file_watch_scan *scan, struct file_watch_dir *dir)
{
	struct file_watch *watch = scan->watch;
	DIR CLEANUP_DIR *stream = NULL;
	char path[PATH_MAX];
	int r;

	if (file_watch_table_path(dir, NULL, path) < 0)
		return file_watch_tell_unnamed(watch, dir);
	r = file_watch_reach_again(watch, dir, &stream);
	if (r == -ESTALE)
		return file_watch_not_found(watch, dir);
	file_watch_table_set_incomplete(&watch->dirs, dir, false);
	if (r < 0)
		return file_watch_not_read(watch, dir, path, r);
	return file_watch_read_dir(scan, dir, path, stream);
}

static int
file_watch_complete(struct file_watch_scan *scan, struct file_watch_dir *dir)
{
	struct file_watch_dir *next = scan->watch->dirs.incomplete > 0 ? dir : NULL;
	int r = 0;

	for (; r == 0 && next != NULL; next = file_watch_table_next(next, dir)) {
		if (next->is_incomplete)
			r = file_watch_read_again(scan, next);
	}
	return r;
}

int
file_watch_scan_again(struct file_watch *watch, struct file_watch_dir *dir)
{
	struct file_watch_scan scan = { .watch = watch, .report = true };
	int r = file_watch_complete(&scan, dir);

	return r < 0 ? r : file_watch_go_down(&scan);
}
