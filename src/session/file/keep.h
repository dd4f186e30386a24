/*
 * file_keep: the extended attributes that pass from a file to the one that replaces it: its
 * ACL (acl(5)), and those of the name space "user" (xattr(7)).
 *
 * Not those of "security": file capabilities are taken away by every write to a file,
 * and are not to survive new content; labels are the policy's to give.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_KEEP_H
#define SESSION_FILE_KEEP_H

#include "session/file/place.h"

/* Gives FD the attributes of the file at FROM. FD has its owner already, and is to get its
 * mode after this. An ACL that FD inherited from its directory and FROM does not have is
 * removed. What FD's file system can't hold of "user" is left behind if MAY_LOSE; an ACL
 * never is. Uses conn_tx_buffer(). Returns 0; or -errno of listxattr(2), getxattr(2) or
 * setxattr(2), and FD must not replace the file. */
int file_keep(const struct file_place *from, int fd, bool may_lose);

#endif
