/*
 * file_watch_scan: putting watches on a directory and, where wanted, on all below
 * it, and telling of what is there already.
 */
#ifndef SESSION_FILE_WATCH_SCAN_H
#define SESSION_FILE_WATCH_SCAN_H

#include <stdbool.h>

#include "protocol/file_entry.h"
#include "session/file_watch_table.h"
#include "session/session.h"

struct file_watch {
	struct session *session;
	int inotify_fd;
	bool recursive;
	struct file_watch_table dirs;
};

/* Sends an EVENT. Returns 0, -EPIPE (also where the host takes nothing for the
 * stall timeout), -ECANCELED or -ENOMEM. */
int file_watch_send(struct file_watch *watch, const struct file_event *event);

/* Watches the directory PATH, which may be named by a link, and if the watch is
 * recursive what is below it, where links are not followed and file systems such
 * as /proc, which tell of no changes, are left out. Returns 0 with its watch in
 * *RET_WD, -ENOSPC where the user may have no more watches (inotify(7)),
 * -ENAMETOOLONG where a path below grew too long, -EPIPE, -ECANCELED, or -errno
 * of inotify_add_watch(2) for PATH itself. */
int file_watch_scan_top(struct file_watch *watch, const char *path, int *ret_wd);

/* The same for a directory that has appeared at PATH. `created` is sent for all
 * that is in it. One that has gone meanwhile is no error. */
int file_watch_scan_new(struct file_watch *watch, const char *path);

#endif
