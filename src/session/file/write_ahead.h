/*
 * file_write_ahead: a directory that stays open between two uploads, where the second has come
 * with the first.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WRITE_AHEAD_H
#define SESSION_FILE_WRITE_AHEAD_H

/* Closes it: what comes next is something else, or is waited for. */
void file_write_ahead_leave(void);

#endif
