/*
 * file_watch_event: from an event of the kernel to those that the host is told.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_EVENT_H
#define SESSION_FILE_WATCH_EVENT_H

#include <sys/inotify.h>

#include "session/file/watch_state.h"

/* Has the host told what EVENT (inotify(7)) says has happened; also of directories, which are
 * watched from here on, or no more. Returns 0; -EAGAIN where it is one half of a rename, whose
 * other one may still come; or what ends the watch: -ESTALE where what is watched has gone,
 * -EOVERFLOW where events were lost, -EPIPE, -ENOMEM and what inotify_add_watch(2) says. */
int file_watch_event(struct file_watch *watch, const struct inotify_event *event);

#endif
