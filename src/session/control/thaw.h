/*
 * thaw: THAW: a guest that is quiesced goes on, whoever had it stand still.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_THAW_H
#define SESSION_CONTROL_THAW_H

#include "session/session.h"

session_serve_fn thaw_serve;

#endif
