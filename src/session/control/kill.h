/*
 * kill: KILL: a signal for a running session, by its number.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_KILL_H
#define SESSION_CONTROL_KILL_H

#include "session/session.h"

session_serve_fn kill_serve;

#endif
