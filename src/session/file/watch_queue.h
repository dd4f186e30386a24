/*
 * file_watch_queue: what the kernel tells a WATCH. See inotify(7).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_QUEUE_H
#define SESSION_FILE_WATCH_QUEUE_H

#include <sys/inotify.h>

#include "session/file/watch_state.h"

/* The event that is to be handled; NULL where none has been read. */
struct inotify_event *file_watch_queue_head(struct file_watch *watch);

/* It has been handled. */
void file_watch_queue_pop(struct file_watch *watch);

/* The IN_MOVED_TO that goes with FROM, if it has been read. */
struct inotify_event *file_watch_queue_pair(
    struct file_watch *watch, const struct inotify_event *from);

/* Waits for events for TIMEOUT_MS (-1: no limit) and reads them. Returns 0, also where
 * none came in time; -EPIPE, -ECANCELED, or -errno. */
int file_watch_queue_fill(struct file_watch *watch, int timeout_ms);

#endif
