/*
 * bell: wakes a process that sleeps in poll(2); see eventfd(2). It says that there is
 * something to look at, and no more: what, stands elsewhere, and was left there before.
 * Unlike a signal it needs no process number, which may be another's by now.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_BELL_H
#define PLATFORM_BELL_H

/* Makes a bell: non-blocking, close-on-exec, the caller's; readable once it has been
 * rung. Returns it, or -errno. */
int bell_open(void);

/* Rings. One that rings already stays as it is. Does nothing where FD is an error. */
void bell_ring(int fd);

/* Stops the ringing, to be done before the look. */
void bell_silence(int fd);

#endif
