/*
 * attach: ATTACH: a host comes to a durable session that runs, or whose end is kept. How it
 * is admitted and where it begins; what then goes back and forth is attach_run.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_ATTACH_H
#define SESSION_DURABLE_ATTACH_H

#include "session/session.h"

session_serve_fn attach_serve;

#endif
