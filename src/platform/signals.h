/*
 * signals: the dispositions of this process.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_SIGNALS_H
#define PLATFORM_SIGNALS_H

/* Gives every signal its default action, also the two that glibc keeps for itself
 * and refuses to touch (whoever started us with posix_spawn(3) may have left them
 * ignored). For the start of a program, whose children are to ignore nothing:
 * handlers do not survive execve(2), what is ignored does. See signal(7). */
void signals_reset(void);

#endif
