/*
 * connect: CONNECT: a connection inside the guest, for the host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_CONNECT_H
#define SESSION_CONTROL_CONNECT_H

#include "session/session.h"

/* Serves CONNECT; see session_serve_fn. */
session_serve_fn connect_serve;

#endif
