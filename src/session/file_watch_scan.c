/*
 * file_watch_scan: putting watches on directories.
 *
 * A directory is watched first and read after: what appears in between is told
 * twice, and nothing is missed.
 */
#include "session/file_watch_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/watchdog.h"
#include "session/file_path.h"
#include "session/file_reply.h"

#define FILE_WATCH_MASK                                                                            \
	(IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |             \
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

/* Between two looks at the host. */
#define FILE_WATCH_CHECK_EVERY 256

/* Directories that are still to be watched: a heap list, as a guest's tree may be
 * deeper than any stack. */
struct file_watch_todo {
	SLIST_ENTRY(file_watch_todo) entries;
	char path[];
};

struct file_watch_scan {
	struct file_watch *watch;
	bool report;
	unsigned steps;
	SLIST_HEAD(file_watch_todos, file_watch_todo) todo;
};

int
file_watch_send(struct file_watch *watch, const struct file_event *event)
{
	struct session *session = watch->session;
	size_t len;
	char *text = file_event_format(event, &len);
	int r;

	if (text == NULL)
		return -ENOMEM;
	r = conn_send(
	    &session->conn, VMM_GUEST_FILE_EVENT, text, len, session->settings->stall_timeout_ms);
	free(text);
	/* Nobody takes what we send, so nobody can be told. */
	return r == -ETIMEDOUT ? -EPIPE : r;
}

static int
file_watch_later(struct file_watch_scan *scan, const char *path)
{
	size_t size = strlen(path) + 1;
	struct file_watch_todo *todo = malloc(sizeof(*todo) + size);

	if (todo == NULL)
		return -ENOMEM;
	memcpy(todo->path, path, size);
	SLIST_INSERT_HEAD(&scan->todo, todo, entries);
	return 0;
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

static int
file_watch_see(
    struct file_watch_scan *scan, int dir_fd, const char *dir, const struct dirent *entry)
{
	char path[PATH_MAX];
	int r = file_path_join(path, sizeof(path), dir, entry->d_name);

	watchdog_ping();
	if (r == 0 && scan->report)
		r = file_watch_send(
		    scan->watch, &(struct file_event){
				     .kind = FILE_EVENT_CREATED, .path = path, .renamed_to = "" });
	if (r == 0 && file_watch_is_dir(dir_fd, entry))
		r = file_watch_later(scan, path);
	if (r == 0 && ++scan->steps % FILE_WATCH_CHECK_EVERY == 0)
		r = file_reply_check(scan->watch->session);
	return r;
}

static int
file_watch_read_dir(struct file_watch_scan *scan, const char *path)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;
	int r = dir_open(AT_FDCWD, path, 0, &dir);

	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	while (r == 0 && (r = dir_next(dir, &entry)) == 0 && entry != NULL)
		r = file_watch_see(scan, dirfd(dir), path, entry);
	return r;
}

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

/* Watches PATH and sees what is in it. A directory that is watched already under
 * a path that still holds has a second one by a bind mount, perhaps below itself:
 * it is not entered again. */
static int
file_watch_enter(struct file_watch_scan *scan, const char *path, uint32_t how, int *ret_wd)
{
	struct file_watch *watch = scan->watch;
	int wd = inotify_add_watch(watch->inotify_fd, path, FILE_WATCH_MASK | how);
	const char *known;
	int r;

	if (wd < 0)
		return -errno;
	*ret_wd = wd;
	known = file_watch_table_find(&watch->dirs, wd);
	if (known != NULL && file_watch_is_same(known, path))
		return 0;
	r = file_watch_table_put(&watch->dirs, wd, path);
	return r < 0 || !watch->recursive ? r : file_watch_read_dir(scan, path);
}

/* Enters all that was put off, and what comes up meanwhile. */
static int
file_watch_go_down(struct file_watch_scan *scan)
{
	struct file_watch_todo *todo;
	int r = 0;
	int wd;

	while ((todo = SLIST_FIRST(&scan->todo)) != NULL) {
		SLIST_REMOVE_HEAD(&scan->todo, entries);
		watchdog_ping();
		if (r == 0 && !file_watch_is_mute(todo->path))
			r = file_watch_enter(scan, todo->path, IN_DONT_FOLLOW, &wd);
		if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
			r = 0;
		free(todo);
	}
	return r;
}

int
file_watch_scan_top(struct file_watch *watch, const char *path, int *ret_wd)
{
	struct file_watch_scan scan = { .watch = watch };
	int r = file_watch_enter(&scan, path, 0, ret_wd);
	int below = file_watch_go_down(&scan);

	return r < 0 ? r : below;
}

int
file_watch_scan_new(struct file_watch *watch, const char *path)
{
	struct file_watch_scan scan = { .watch = watch, .report = true };
	int r = file_watch_later(&scan, path);

	return r < 0 ? r : file_watch_go_down(&scan);
}
