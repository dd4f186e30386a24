/*
 * hint: what a person can do where an agent can't be reached. Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_HINT_H
#define CLIENT_HINT_H

/* What stands behind the words of ERROR, an errno of connect(2): a question or an advice; "":
 * there is none. */
const char *hint_unreached(int error);

#endif
