/*
 * net: NET_RECONFIG: another address for the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_NET_H
#define SESSION_CONTROL_NET_H

#include "session/session.h"

/* Serves NET_RECONFIG; see session_serve_fn. */
session_serve_fn net_serve;

#endif
