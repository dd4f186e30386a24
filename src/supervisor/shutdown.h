/*
 * shutdown: the end of the machine, by the agent that is its PID 1, or by its init.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SHUTDOWN_H
#define SUPERVISOR_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/shutdown_choice.h"

/* Sends SIGNAL to every process but kernel threads, ourselves and those for which SPARE
 * returns true. Returns how many processes there were. */
int shutdown_signal_all(int signal, bool (*spare)(pid_t pid, void *context), void *context);

/* Begins to write everything out and to make the file systems read-only, in a child,
 * as either can hang for ever. Returns its pid, or -1 where there is none. */
pid_t shutdown_sync(void);

/* Whether the child PID of shutdown_sync() has ended, reaped or not. */
bool shutdown_is_synced(pid_t pid);

/* Ends the machine. Does not return; where reboot(2) fails, it waits for ever, as
 * PID 1 must not exit. */
_Noreturn void shutdown_machine(enum shutdown_action action);

/* Asks the init of the guest that the agent is a service of for ACTION: a child becomes the
 * guest's own "reboot", "poweroff" or "halt", whose status 0 says that the guest goes down. It is
 * found by PATH, to which the usual folders are added, for it and for what it calls. Returns its
 * pid; or 0 where there is none, which is logged. */
pid_t shutdown_ask_init(enum shutdown_action action);

#endif
