/*
 * forget: FORGET: the end of a durable session is not kept any longer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_FORGET_H
#define SESSION_DURABLE_FORGET_H

#include "session/session.h"

session_serve_fn forget_serve;

#endif
