/*
 * file_attributes: owner, mode and modification time as a request asks for them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_ATTRIBUTES_H
#define SESSION_FILE_ATTRIBUTES_H

#include "protocol/file_request.h"

/* What chmod(2) takes. */
#define FILE_MODE_BITS 07777

/* Sets what REQUEST has of owner, mode and modification time on the file that FD is open
 * on, in this order, as chown(2) clears set-id bits. FD may be O_PATH; no link is followed.
 * Stops at the first that fails: what came before it stands. Returns 0, or -errno of
 * chown(2), chmod(2) or utimensat(2); FD must not be a link where there is a mode. */
int file_attributes_set(int fd, const struct file_request *request);

#endif
