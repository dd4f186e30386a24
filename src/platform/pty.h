/*
 * pty: a pseudo-terminal and the few things that are done to it. See pty(7),
 * ioctl_tty(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_PTY_H
#define PLATFORM_PTY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a second devpts may be mounted, whose terminals root alone can make. */
#define PTY_HOST_DIR "/dev/pts-host"

/* Opens a new pair, both close-on-exec, the master non-blocking; the caller owns
 * both. The slave is reached through its master, so that nothing planted in
 * /dev/pts is opened in its place. Where the guest's users have all terminals that they can
 * have, it is one of PTY_HOST_DIR. Returns 0, or -errno with the name of what could not
 * be opened in *RET_WHAT (static). */
int pty_open(int *ret_master_fd, int *ret_slave_fd, const char **ret_what);

/* Gives the slave to UID, with group 5 (tty) and mode 0620. */
int pty_set_owner(int slave_fd, uid_t uid);

/* Sets the window's size in characters; 0 in either leaves it as it is. */
int pty_set_size(int master_fd, uint16_t columns, uint16_t rows);

/* The same; and where it is that size already, the foreground process group is sent
 * SIGWINCH, as a change would. */
int pty_repeat_size(int master_fd, uint16_t columns, uint16_t rows);

/* The terminal's end-of-file character (VEOF), and whether it reads by lines
 * (ICANON). Returns 0, -ENODATA if the character is disabled, or -errno. */
int pty_get_eof(int master_fd, char *ret_eof, bool *ret_canonical);

#endif
