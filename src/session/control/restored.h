/*
 * restored: RESTORED: all that a guest needs after its snapshot was restored.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_RESTORED_H
#define SESSION_CONTROL_RESTORED_H

#include "session/session.h"

/* Serves RESTORED; see session_serve_fn. */
session_serve_fn restored_serve;

#endif
