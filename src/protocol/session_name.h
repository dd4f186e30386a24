/*
 * session_name: the host's own name of a session. Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_SESSION_NAME_H
#define PROTOCOL_SESSION_NAME_H

#include <stdbool.h>

/* Whether NAME is 1 to VMM_GUEST_NAME_MAX of A-Z, a-z, 0-9, '.', '_' and '-'. */
bool session_name_is_valid(const char *name);

#endif
