/*
 * file_write: WRITE of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WRITE_H
#define SESSION_FILE_WRITE_H

#include "session/session.h"

/* Receives a file. Where an error comes before the host has sent all of it, the
 * host is told at once, and the rest is read and dropped for at most
 * VMM_GUEST_DISCARD_MS, so that it does not meet a broken pipe first. */
session_serve_fn file_write_serve;

#endif
