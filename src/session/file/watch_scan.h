/*
 * file_watch_scan: putting watches on a directory and, where wanted, on all below
 * it, and telling of what is there already.
 *
 * Of what is below the top one directory that can't be watched is left out, see
 * file_watch_leave_out(), and not the end of the watch: they are made by whoever is
 * watched. So are file systems such as /proc, which tell of no changes, without a word.
 * Links below the top are not followed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_SCAN_H
#define SESSION_FILE_WATCH_SCAN_H

#include "session/file/watch_state.h"

/* Watches the directory PATH, which may be named by a link, as the top, and if the watch is
 * recursive what is below it. Returns 0; -ENOSPC where the user may have no more watches
 * (inotify(7)), -ENOBUFS where they would take more than VMM_GUEST_WATCH_MAX; -ESTALE where
 * the top is not at PATH any more; as file_watch_tell(); or -errno of inotify_add_watch(2)
 * or readdir(3) for PATH itself. */
int file_watch_scan_top(struct file_watch *watch, const char *path);

/* The same for the directory that has appeared as NAME in PARENT. `created` is sent for
 * all that is in it. One that has gone meanwhile is not an error, nor is one that is
 * watched already. */
int file_watch_scan_new(struct file_watch *watch, struct file_watch_dir *parent, const char *name);

/* DIR has been moved: looks for what could not be found in it, or below it, while it was
 * not where it was thought to be. */
int file_watch_scan_again(struct file_watch *watch, struct file_watch_dir *dir);

#endif
