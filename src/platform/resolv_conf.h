/*
 * resolv_conf: /etc/resolv.conf, replaced whole. Not here: what stands in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_RESOLV_CONF_H
#define PLATFORM_RESOLV_CONF_H

/* Makes TEXT the contents of /etc/resolv.conf below ROOT_FD (an O_PATH descriptor
 * of the root directory is enough), mode 0644. A link is followed within that
 * root, a dangling one gets its target made, parents too, as is /etc itself.
 * The file is replaced by rename(2), so that nobody reads half of it; one that
 * can't be because something is mounted on it, or its directory is read-only, is
 * written in place.
 * Returns 0; -EROFS if the file stands on a read-only file system; -ENOENT if
 * there is none and none can be made on it; or another -errno. */
int resolv_conf_write_below(int root_fd, const char *text);

/* The same for this process's root. On -EROFS a file in /run is bound over the
 * one that stands there, and from then on written in place. Returns 0 or -errno
 * as above. */
int resolv_conf_write(const char *text);

#endif
