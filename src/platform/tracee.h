/*
 * tracee: processes that have made us their tracer. Any process or thread may do so to its parent
 * (PTRACE_TRACEME of ptrace(2)), which is never asked: it then stops for us at each
 * signal, and a thread that ends waits for us to reap it, and its process with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_TRACEE_H
#define PLATFORM_TRACEE_H

#include <signal.h>
#include <sys/types.h>

/* Detaches from the tracee of INFO, as of waitid(2) with CLD_TRAPPED: it goes on untraced,
 * with the signal that it was stopped at. */
void tracee_let_go(const siginfo_t *info);

/* Does that for all tracees, and reaps those that have ended, except MAIN_PID. */
void tracee_settle(pid_t main_pid);

#endif
