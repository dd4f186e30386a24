/*
 * signals: signals as bytes that can be polled for, so that a wait ends, what
 * is half done is cleaned up, and the program then ends as the signal would have ended
 * it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_SIGNALS_H
#define CTL_SIGNALS_H

#include <stdbool.h>

/* Makes signals_fd() what it is from now on. Returns 0 or -errno. */
int signals_open(void);

/* Catches SIGNAL from now on, unless it was ignored when this program started
 * (nohup). */
void signals_catch(int signal);

/* Becomes readable when a caught signal has come, and stays so until
 * signals_take(). -1 before signals_open(), which signals_catch() makes up for: poll(2)
 * skips it. */
int signals_fd(void);

/* Whether there is one to be taken. */
bool signals_have_come(void);

/* The next signal that came, or 0. *RET_IS_SENT: whether it was sent to this process; one
 * that was typed, or came of the terminal's end, the kernel sent to the whole process group
 * (sigaction(2), SI_KERNEL). */
int signals_take(void);
int signals_take_sent(bool *ret_is_sent);

/* Ends this program by SIGNAL, as if it had not been caught. */
_Noreturn void signals_die(int signal);

/* All that were caught have their usual effect again; one that has come, now. */
void signals_release(void);

#endif
