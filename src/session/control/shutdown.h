/*
 * shutdown: SHUTDOWN: the host asks for the end. This session asks the supervisor,
 * outlives all others, and has the last word before the lights go out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_SHUTDOWN_H
#define SESSION_CONTROL_SHUTDOWN_H

#include "session/session.h"

session_serve_fn shutdown_serve;

#endif
