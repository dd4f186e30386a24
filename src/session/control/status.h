/*
 * status: STATUS_REQ: what the agent is doing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_STATUS_H
#define SESSION_CONTROL_STATUS_H

#include "session/session.h"

session_serve_fn status_serve;

#endif
