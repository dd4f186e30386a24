/*
 * file_temporary: the temporary names that replacing a file takes for a moment, and
 * how one that a killed worker left is found and unlinked by the next worker of
 * its slot. The record is in the scoreboard, which outlives both.
 *
 * Not by the supervisor: unlinking on a dead FUSE server may hang for ever.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_TEMPORARY_H
#define SESSION_FILE_TEMPORARY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "shared/scoreboard.h"

/* Room for ".vmm-guest-SLOT-N" and its NUL. */
#define FILE_TEMPORARY_NAME_MAX 48

struct session;

/* Writes a new temporary name of SESSION's slot to RET_NAME and records that it is
 * about to stand in the directory of DIR_FD. FILE is what will have it; NULL if
 * that is not made yet. A directory whose path has no name, or too long a one,
 * is not recorded: the worker still unlinks it unless it is killed. */
void file_temporary_announce(struct session *session, int dir_fd, const struct stat *file,
    char ret_name[FILE_TEMPORARY_NAME_MAX]);

/* Records which file it is, once it was made. */
void file_temporary_identify(struct session *session, const struct stat *file);

/* The name does not stand any more. */
void file_temporary_forget(struct session *session);

/* Whether NAME is such a name, of whatever slot. */
bool file_temporary_is_name(const char *name);

/* For a worker that starts in the slot of INDEX: unlinks what a predecessor left
 * there, if that directory still has its path, and the file or link its name and,
 * where that is known, is the very one. The record is dropped first: a file system
 * that does not answer ends one worker after 10 s (watchdog.h), and not each that
 * follows. */
void file_temporary_collect(struct scoreboard *board, uint32_t index);

#endif
