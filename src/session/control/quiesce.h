/*
 * quiesce: QUIESCE: has the guest stand still, says that it does, and thaws it when its host
 * says so or goes. What freezes and thaws is the switch (shared/quiesce.h): this worker lays
 * the order down, watches its host, and tells.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_QUIESCE_H
#define SESSION_CONTROL_QUIESCE_H

#include "session/session.h"

session_serve_fn quiesce_serve;

#endif
