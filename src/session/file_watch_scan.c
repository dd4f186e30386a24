/*
 * file_watch_scan: putting watches on directories.
 *
 * A directory is watched first and read after: what appears in between is told
 * twice, and nothing is missed. It is found by its path, and may be moved meanwhile,
 * it or one above it. What is not found is no error then: the directory that it was in
 * is marked, and read again when the event of the move comes.
 */
#include "session/file_watch_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "platform/dir.h"
#include "platform/watchdog.h"
#include "session/file_path.h"
#include "session/file_reply.h"
#include "session/file_user.h"
#include "session/file_watch_tell.h"

#define FILE_WATCH_MASK                                                                            \
	(IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |             \
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

/* Between two looks at the host. */
#define FILE_WATCH_CHECK_EVERY 256

struct file_watch_scan {
	struct file_watch *watch;
	bool report;
	unsigned steps;
};

/* ---- one directory ----------------------------------------------------- */

/* File systems whose changes are the kernel's, of which inotify does not tell. */
static bool
file_watch_is_mute(const char *path)
{
	static const unsigned mute[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC };
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(mute) / sizeof(mute[0]); i++) {
		if ((unsigned)fs.f_type == mute[i])
			return true;
	}
	return false;
}

/* Whether two paths lead to one directory. */
static bool
file_watch_is_same(const char *a, const char *b)
{
	struct stat a_status;
	struct stat b_status;

	return stat(a, &a_status) == 0 && stat(b, &b_status) == 0 &&
	       a_status.st_dev == b_status.st_dev && a_status.st_ino == b_status.st_ino;
}

static bool
file_watch_is_dir(int dir_fd, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(status.st_mode);
}

/* Something was not found in DIR, where it has been. Nothing is lost if it has left or
 * was moved, as the event of that is on its way; but not if the path that leads to the
 * top has changed, of which nothing tells. */
static int
file_watch_not_found(struct file_watch *watch, struct file_watch_dir *dir)
{
	struct stat status;

	file_watch_table_set_incomplete(&watch->dirs, dir, true);
	if (stat(watch->path, &status) < 0 || status.st_dev != watch->top_dev ||
	    status.st_ino != watch->top_ino)
		return -ESTALE;
	return 0;
}

static bool
file_watch_is_gone(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

/* DIR was watched, but could not be read to its end. */
static int
file_watch_not_read(
    struct file_watch *watch, struct file_watch_dir *dir, const char *path, int error)
{
	if (dir->parent == NULL && !watch->stands)
		return error;
	if (file_watch_is_gone(error))
		return file_watch_not_found(watch, dir);
	return file_watch_leave_out(watch, dir, path, error);
}

/* Puts a watch on the directory at PATH unless *RET_WD is one already, and opens it if
 * the watch is recursive: with the rights of the user for whom it is watched, and with no
 * wait for the host meanwhile. Returns 0 or -errno; *RET_WD may be a watch all the same. */
static int
file_watch_reach(
    struct file_watch *watch, const char *path, uint32_t follow, int *ret_wd, DIR **ret_stream)
{
	struct file_user FILE_USER_SCOPE user = { 0 };
	int r = watch->has_user ? file_user_enter_again(&user) : 0;

	if (r < 0)
		return r;
	if (*ret_wd < 0)
		*ret_wd = inotify_add_watch(watch->inotify_fd, path, FILE_WATCH_MASK | follow);
	if (*ret_wd < 0)
		return -errno;
	return watch->recursive ? dir_open(AT_FDCWD, path, 0, ret_stream) : 0;
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

/* The directory DIR, at PATH, is watched already as KNOWN. Where the path of that still
 * holds, DIR is a second one by a bind mount, perhaps below itself: it is not entered
 * again. Else it has been moved here. */
static int
file_watch_meet(struct file_watch *watch, struct file_watch_dir *known, struct file_watch_dir *dir,
    const char *path)
{
	char known_path[PATH_MAX];
	bool is_here = known->parent == dir->parent && strcmp(known->name, dir->name) == 0;
	int r = 0;

	if (!is_here && (file_watch_table_path(known, NULL, known_path) < 0 ||
			    !file_watch_is_same(known_path, path)))
		r = file_watch_table_move(&watch->dirs, known, dir->parent, dir->name);
	if (r < 0)
		r = file_watch_leave_out(watch, dir->parent, path, r);
	file_watch_forget(watch, dir);
	return r;
}

/* DIR, which is below the top, could not be watched. */
static int
file_watch_not_entered(
    struct file_watch *watch, struct file_watch_dir *dir, const char *path, int error)
{
	int r;

	if (file_watch_is_gone(error))
		r = file_watch_not_found(watch, dir->parent);
	else
		r = file_watch_leave_out(watch, dir, path, error);
	/* What is noted of it is still to be told. */
	if (dir->gap == 0)
		file_watch_forget(watch, dir);
	return r;
}

/* Watches DIR and sees what is in it. */
static int
file_watch_enter(struct file_watch_scan *scan, struct file_watch_dir *dir, const char *path)
{
	struct file_watch *watch = scan->watch;
	bool is_top = dir->parent == NULL;
	DIR CLEANUP_DIR *stream = NULL;
	struct file_watch_dir *known;
	int wd = -1;
	int r = file_watch_reach(watch, path, is_top ? 0 : IN_DONT_FOLLOW, &wd, &stream);

	if (wd < 0)
		return is_top ? r : file_watch_not_entered(watch, dir, path, r);
	known = file_watch_table_find(&watch->dirs, wd);
	if (known != NULL)
		return file_watch_meet(watch, known, dir, path);
	file_watch_table_set_wd(&watch->dirs, dir, wd);
	if (r < 0)
		return file_watch_not_read(watch, dir, path, r);
	return stream != NULL ? file_watch_read_dir(scan, dir, path, stream) : 0;
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
		watchdog_ping();
		if (file_watch_table_path(dir, NULL, path) < 0) {
			r = file_watch_tell_unnamed(watch, dir->parent);
			file_watch_forget(watch, dir);
		} else if (file_watch_is_mute(path)) {
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

static int
file_watch_read_again(struct file_watch_scan *scan, struct file_watch_dir *dir)
{
	struct file_watch *watch = scan->watch;
	DIR CLEANUP_DIR *stream = NULL;
	char path[PATH_MAX];
	int wd = dir->wd;
	int r;

	file_watch_table_set_incomplete(&watch->dirs, dir, false);
	if (file_watch_table_path(dir, NULL, path) < 0)
		return file_watch_tell_unnamed(watch, dir);
	r = file_watch_reach(watch, path, 0, &wd, &stream);
	if (r < 0)
		return file_watch_not_read(watch, dir, path, r);
	return file_watch_read_dir(scan, dir, path, stream);
}

int
file_watch_scan_again(struct file_watch *watch, struct file_watch_dir *dir)
{
	struct file_watch_scan scan = { .watch = watch, .report = true };
	struct file_watch_dir *next = watch->dirs.incomplete > 0 ? dir : NULL;
	int r = 0;

	for (; r == 0 && next != NULL; next = file_watch_table_next(next, dir)) {
		if (next->is_incomplete)
			r = file_watch_read_again(&scan, next);
	}
	return r < 0 ? r : file_watch_go_down(&scan);
}
