/*
 * wait_port: WAIT_PORT: until somebody in the guest listens on a TCP port.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_WAIT_PORT_H
#define SESSION_CONTROL_WAIT_PORT_H

#include "session/session.h"

/* Serves WAIT_PORT; see session_serve_fn. */
session_serve_fn wait_port_serve;

#endif
