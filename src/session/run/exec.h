/*
 * exec: START: a program, run for the host, on pipes or a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_EXEC_H
#define SESSION_RUN_EXEC_H

#include "session/session.h"

/* Serves START: every path through it ends in EXIT, unless the host has gone. */
session_serve_fn exec_serve;

#endif
