/*
 * file_tree: TREE of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_TREE_H
#define SESSION_FILE_TREE_H

#include "session/session.h"

/* Tells of a file, and of all that a directory holds, to any depth: what each is, and what a
 * regular file has in it. No link is followed, the one at the end of the path included. What
 * fails is told in its place, and the walk goes on. */
session_serve_fn file_tree_serve;

#endif
