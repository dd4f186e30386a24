/*
 * hold: a guest that stands still while something is done on this machine.
 *
 * One connection asks for it, and holds it until a program has ended, or our input. What may
 * go wrong on the way is said here, and comes to an exit status: who is told 0 may rely on
 * the guest having stood still all the while.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_HOLD_H
#define CTL_HOLD_H

#include <stdbool.h>

#include "ctl/report_file.h"
#include "protocol/quiesce_request.h"

struct hold_options {
	struct quiesce_request request;
	char **argv;		 /* the program; NULL: there is none, and input is waited for */
	bool tells;		 /* people what was frozen, and how long it took */
	struct report_file file; /* each answer of the agent's goes there; it is open, if at all */
};

/* Holds it, and returns the exit status: the program's, or 0 where there is none;
 * VMM_GUEST_EXIT_AGENT where it was not, or not all the while. A signal that ended it ends
 * us. */
int hold_run(struct hold_options *options);

#endif
