/*
 * identity: who the guest is: its name, and its machine-id(5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_IDENTITY_H
#define SESSION_CONTROL_IDENTITY_H

#include <stdbool.h>

#include "vmm-guest/protocol.h"

/* Both say in *RET_PROBLEM, a literal, which part failed; NULL: what the error says is all. A
 * file system that does not answer costs the worker its life, after 10 s. */

/* Sets the hostname to NAME; then writes /etc/hosts anew, where that is ours. Returns 0 or
 * -errno. */
int identity_set_hostname(const char *name, const char **ret_problem);

/* Whether it is: where there is none, or an empty one, or one that we wrote. */
bool identity_has_own_hosts(void);

/* Makes ID, 32 hex digits, or a random one where it is "", the guest's machine-id, and that of
 * D-Bus where it has a file of its own. Returns 0 or -errno. */
int identity_set_machine_id(const char id[VMM_GUEST_MACHINE_ID_LEN + 1], const char **ret_problem);

#endif
