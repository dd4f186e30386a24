/*
 * file_keep: the extended attributes of a file that another keeps which takes its
 * place: its ACL (acl(5)), and those of the name space "user" (xattr(7)).
 *
 * Not those of "security": file capabilities are taken away by every write to a file,
 * and are not to survive new content; labels are the policy's to give.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_KEEP_H
#define SESSION_FILE_KEEP_H

#include "session/file/place.h"

/* Gives FD, which has its owner already and is to get its mode after this, what the
 * file at FROM has. An ACL that FD has from its directory and FROM has not goes. What
 * of "user" FD's file system has no place for is left behind if MAY_LOSE says so; an
 * ACL never is. Uses conn_tx_buffer(). Returns 0; or -errno of listxattr(2),
 * getxattr(2) or setxattr(2), and FD is not to take that place. */
int file_keep(const struct file_place *from, int fd, bool may_lose);

#endif
