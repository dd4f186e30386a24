/*
 * file_content: the bytes of a file, as DATA.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_CONTENT_H
#define SESSION_FILE_CONTENT_H

#include "session/session.h"

/* Sends LENGTH bytes of the file FD, from OFFSET on, and nothing behind them. FD is open on a
 * regular file or a block device, non-blocking, and its position is 0 where OFFSET is. Comes to
 * an end whatever the file does:
 *   - one with a size is sent up to the size that it has at first;
 *   - one of size 0, as in /proc, is sent up to its end, or up to where it has
 *     nothing more at the moment (EAGAIN), but no more than settings'
 *     max_file_bytes of it: then -EFBIG; so is anything of /proc, where
 *     sizes mean little (/proc/kcore).
 * *RET_SENT are sent, fewer where the file has no more. Uses conn_tx_buffer(). Returns 0,
 * -EPIPE if the host has gone, or -errno. */
int file_content_send(
    struct session *session, int fd, uint64_t offset, uint64_t length, uint64_t *ret_sent);

#endif
