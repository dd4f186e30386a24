/*
 * file_read: READ of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_READ_H
#define SESSION_FILE_READ_H

#include "session/session.h"

/* Sends a file, and comes to an end whatever the file does:
 *   - only a regular file or a block device is ever opened;
 *   - one with a size is sent up to the size it had when it was opened;
 *   - one of size 0, as in /proc, is sent up to its end, or up to where it has
 *     nothing more at the moment (EAGAIN), but no more than settings'
 *     max_file_bytes of it: then FILE_ERR EFBIG; so is anything of /proc, where
 *     sizes mean little (/proc/kcore).
 */
session_serve_fn file_read_serve;

#endif
