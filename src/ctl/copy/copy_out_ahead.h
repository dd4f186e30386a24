/*
 * copy_out_ahead: what an agent tells of a tree is received and read by a thread of its own,
 * while what came before is written: each takes about as long as the other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_OUT_AHEAD_H
#define CTL_COPY_OUT_AHEAD_H

#include "ctl/core/guest_tree.h"

struct copy_out_ahead;

/* Asks for the tree of REQUEST, which is borrowed. Returns 0 with *RET for
 * copy_out_ahead_stop(), or -errno with ERROR filled in. */
int copy_out_ahead_start(
    struct copy_out_ahead **ret, const struct file_request *request, struct client_error *error);

/* The next event, which it waits for. Returns one of enum guest_tree_event, with *RET, which is
 * good until the next call; or, when no more will come, -errno with ERROR filled in, -ENOSYS
 * where the agent has no TREE. */
int copy_out_ahead_next(
    struct copy_out_ahead *ahead, const struct guest_tree_item **ret, struct client_error *error);

/* Ends it, and frees it. NULL is nothing. */
void copy_out_ahead_stop(struct copy_out_ahead *ahead);

#endif
