/*
 * host_program: a program that is run on this machine, with our standard streams and in our
 * process group, so that keys that make signals reach both.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_HOST_PROGRAM_H
#define CTL_HOST_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts ARGV, whose first is looked up in PATH if it has no slash; its end is a SIGCHLD
 * (ctl/signals.h). Signals that are caught have their usual effect in it. Returns 0 with its
 * pid, or -errno. */
int host_program_start(char **argv, pid_t *ret_pid);

/* Says that NAME could not be started because of -ERROR, and returns the exit status for
 * that, as a shell has it. */
int host_program_complain(const char *name, int error);

/* Whether PID has ended; then it is reaped, and *RET_STATUS is as of wait(2). */
bool host_program_has_ended(pid_t pid, int *ret_status);

/* What STATUS of wait(2) comes to as ours. */
int host_program_exit_status(int status);

#endif
