/*
 * host_program: programs that are run on this machine, in our process group, so that keys that
 * make signals reach both.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_HOST_PROGRAM_H
#define CTL_HOST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Starts ARGV, whose first is looked up in PATH if it has no slash, with our standard streams;
 * its end is a SIGCHLD
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

/* Runs ARGV with the file IN_FD as its standard input and nowhere to complain to, and takes
 * what it puts out, at most MAX bytes. Returns 0 with that in a new block that the caller frees, a
 * NUL behind it, and what wait(2) says of the program in *RET_STATUS; -EFBIG, and the program is
 * killed, if there is more; or -errno. */
int host_program_read(
    char **argv, int in_fd, size_t max, char **ret, size_t *ret_len, int *ret_status);

#endif
