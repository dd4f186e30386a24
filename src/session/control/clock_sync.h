/*
 * clock_sync: CLOCK_SYNC: the host's time, and its randomness, for the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_CLOCK_SYNC_H
#define SESSION_CONTROL_CLOCK_SYNC_H

#include "session/session.h"

session_serve_fn clock_sync_serve;

#endif
