/*
 * tracee: who has made us its tracer. Any process or thread may do so to its parent
 * (PTRACE_TRACEME of ptrace(2)), which is never asked: it then stops for us at each
 * signal, and a thread that ends waits for us to reap it, and its process with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_TRACEE_H
#define PLATFORM_TRACEE_H

#include <signal.h>
#include <sys/types.h>

/* Lets go whom INFO, as of waitid(2), says to be stopped for us (CLD_TRAPPED): it goes
 * on untraced, with the signal that it was stopped at. */
void tracee_let_go(const siginfo_t *info);

/* Does that for all of them, and reaps those that have ended, as far as they are there;
 * MAIN_PID alone is left unreaped. */
void tracee_settle(pid_t main_pid);

#endif
