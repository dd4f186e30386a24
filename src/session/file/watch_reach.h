/*
 * file_watch_reach: finding directories in a tree that is renamed meanwhile, and
 * putting the kernel's watches on them. All with the rights of the user for whom it is
 * watched, and without a wait for the host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_REACH_H
#define SESSION_FILE_WATCH_REACH_H

#include "platform/dir.h"
#include "session/file/watch_state.h"

/* A directory that was found: its watch, and STREAM to read it by. */
struct file_watch_found {
	int wd;
	bool is_mute; /* its file system tells of no changes: there is no watch */
	DIR *stream;  /* for dir_close() */
};

/* Watches DIR: the top at its path, which may be a link; another by its name in its
 * parent, where that still is. Returns 0 with *RET; -ESTALE where the parent is not at
 * its path any more; or -errno of openat(2), fchdir(2), inotify_add_watch(2). */
int file_watch_reach(
    struct file_watch *watch, const struct file_watch_dir *dir, struct file_watch_found *ret);

/* Opens DIR, which is watched, to be read. Returns 0, -ESTALE where it is not at its
 * path any more, or -errno. */
int file_watch_reach_again(
    struct file_watch *watch, const struct file_watch_dir *dir, DIR **ret_stream);

/* Whether DIR, which is watched, has its name in its parent, and that is at its path. */
bool file_watch_is_in_place(struct file_watch *watch, const struct file_watch_dir *dir);

#endif
