/*
 * file_watch_tell: what a WATCH tells the host. Events are gathered, and sent
 * together by file_watch_flush(), or where no more have room.
 *
 * All return 0; -EPIPE if the host has gone; -ECANCELED if this worker was told to
 * stop while it waited for the host; or -ENOMEM.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_TELL_H
#define SESSION_FILE_WATCH_TELL_H

#include "protocol/file_entry.h"
#include "session/file/watch_state.h"

/* KIND happened to PATH; RENAMED_TO is "" unless it was renamed. */
int file_watch_tell(
    struct file_watch *watch, enum file_event_kind kind, const char *path, const char *renamed_to);

/* PATH, which is DIR or in it, is not watched, for ERROR (-errno). The host is told:
 * `unwatched` if it understands that, else `modified`; of DIR and after ACK, if that has
 * not been sent yet. Where ERROR is a limit that was met and the host would not know that
 * there are gaps, they end the watch: ERROR is returned. */
int file_watch_leave_out(
    struct file_watch *watch, struct file_watch_dir *dir, const char *path, int error);

/* Something happened in DIR to what has too long a path: `unwatched` is told once of
 * the deepest directory that has none, and then `modified`. */
int file_watch_tell_unnamed(struct file_watch *watch, struct file_watch_dir *dir);

/* Tells of what was left out before ACK. */
int file_watch_tell_noted(struct file_watch *watch);

/* Sends what was gathered, and waits for the host as long as that takes. */
int file_watch_flush(struct file_watch *watch);

#endif
