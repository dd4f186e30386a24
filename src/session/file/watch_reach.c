/*
 * file_watch_reach: finding directories in a tree that is renamed meanwhile.
 *
 * The paths that we know are those of the events that were handled: what is at one of
 * them may be another directory by now. So a path leads us to the parent, whose watch
 * says whether it is the one we mean, and from there on by descriptor. We do stand in
 * directories for that: inotify_add_watch(2) takes no descriptor, and /proc, which has
 * paths for them, may have been unmounted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch_reach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "session/file/user.h"

#define FILE_WATCH_MASK                                                                            \
	(IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |             \
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

/* We stand there again at the end of a scope: declared before the user, who may not be
 * allowed to. */
#define FILE_WATCH_HOME __attribute__((cleanup(file_watch_go_home), unused))

static void
file_watch_go_home(const int *home_fd)
{
	if (fchdir(*home_fd) < 0 && chdir("/") < 0)
		_exit(EXIT_FAILURE);
}

/* Watches the directory that we stand in, where it is not watched yet. Returns its
 * watch, or -errno. */
static int
file_watch_add_here(struct file_watch *watch)
{
	return io_result(inotify_add_watch(watch->inotify_fd, ".", FILE_WATCH_MASK));
}

/* Goes to DIR, which is watched. */
static int
file_watch_go_to(struct file_watch *watch, const struct file_watch_dir *dir)
{
	char path[PATH_MAX];
	int r = file_watch_table_path(dir, NULL, path);

	if (r < 0)
		return -ESTALE;
	if (chdir(path) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -ESTALE : -errno;
	r = file_watch_add_here(watch);
	if (r < 0 || r == dir->wd)
		return r < 0 ? r : 0;
	if (file_watch_table_find(&watch->dirs, r) == NULL)
		(void)inotify_rm_watch(watch->inotify_fd, r);
	return -ESTALE;
}

/* Goes to the directory NAME of where we are. */
static int
file_watch_go_down_to(const char *name, int flags, DIR **ret_stream)
{
	int r = dir_open(AT_FDCWD, name, flags, ret_stream);

	return r == 0 && fchdir(dirfd(*ret_stream)) < 0 ? -errno : r;
}

/* File systems whose changes are the kernel's, of which inotify does not tell. */
static bool
file_watch_is_mute(int fd)
{
	static const unsigned mute[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(mute) / sizeof(mute[0]); i++) {
		if ((unsigned)fs.f_type == mute[i])
			return true;
	}
	return false;
}

static int
file_watch_reach_below(
    struct file_watch *watch, const struct file_watch_dir *dir, struct file_watch_found *found)
{
	int r = file_watch_go_to(watch, dir->parent);

	if (r == 0)
		r = file_watch_go_down_to(dir->name, O_NOFOLLOW, &found->stream);
	if (r < 0)
		return r;
	found->is_mute = file_watch_is_mute(dirfd(found->stream));
	if (!found->is_mute)
		found->wd = file_watch_add_here(watch);
	return found->wd < 0 ? found->wd : 0;
}

static int
file_watch_reach_top(
    struct file_watch *watch, const struct file_watch_dir *top, struct file_watch_found *found)
{
	int r = file_watch_go_down_to(top->name[0] != '\0' ? top->name : "/", 0, &found->stream);

	if (r == 0)
		r = found->wd = file_watch_add_here(watch);
	return r < 0 ? r : 0;
}

int
file_watch_reach(
    struct file_watch *watch, const struct file_watch_dir *dir, struct file_watch_found *ret)
{
	int FILE_WATCH_HOME home_fd = watch->home_fd;
	struct file_user FILE_USER_SCOPE user = { 0 };
	struct file_watch_found found = { 0 };
	int r = watch->has_user ? file_user_enter_again(&user) : 0;

	if (r == 0)
		r = dir->parent != NULL ? file_watch_reach_below(watch, dir, &found)
					: file_watch_reach_top(watch, dir, &found);
	if (r < 0)
		dir_close(&found.stream);
	else
		*ret = found;
	return r;
}

int
file_watch_reach_again(struct file_watch *watch, const struct file_watch_dir *dir, DIR **ret_stream)
{
	int FILE_WATCH_HOME home_fd = watch->home_fd;
	struct file_user FILE_USER_SCOPE user = { 0 };
	int r = watch->has_user ? file_user_enter_again(&user) : 0;

	if (r == 0)
		r = file_watch_go_to(watch, dir);
	if (r == 0)
		r = dir_open(AT_FDCWD, ".", 0, ret_stream);
	return r;
}

bool
file_watch_is_in_place(struct file_watch *watch, const struct file_watch_dir *dir)
{
	struct file_watch_found found;
	bool is_in_place;

	if (file_watch_reach(watch, dir, &found) < 0)
		return false;
	is_in_place = found.wd == dir->wd;
	if (!is_in_place && file_watch_table_find(&watch->dirs, found.wd) == NULL)
		(void)inotify_rm_watch(watch->inotify_fd, found.wd);
	dir_close(&found.stream);
	return is_in_place;
}
