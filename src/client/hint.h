/*
 * hint: what a person can do where an agent can't be reached. Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_HINT_H
#define CLIENT_HINT_H

#include <stdbool.h>

/* What stands behind the words of ERROR, an errno of connect(2) to a vsock or a Unix socket: a
 * question or an advice; "": there is none. */
const char *hint_unreached(int error, bool is_vsock);

#endif
