/*
 * given_env: the variables that RESTORED gave the guest, for each program that is started from
 * then on.
 *
 * There are two texts, of which one counts: a word says which, how long it is, and how often
 * that has changed. The other is written, and then the word; so a writer that dies leaves
 * the old one. A reader copies, looks at the word again, and copies anew if it has changed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_GIVEN_ENV_H
#define SHARED_GIVEN_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/start.h"
#include "shared/scoreboard.h"

/* Puts the COUNT variables of ENV in place of those before; none are right too. For the
 * worker of slot INDEX. Returns 0; -E2BIG where "NAME=value" and a NUL of each are more than
 * VMM_GUEST_ENV_MAX; -EBUSY where others have not ended theirs within a second. */
int given_env_set(
    struct scoreboard *board, uint32_t index, const struct start_env *env, size_t count);

/* For the supervisor: the worker of slot INDEX has died. */
void given_env_free_dead(struct scoreboard *board, uint32_t index);

/* The variables, each "NAME=value" and a NUL, *RET_LEN bytes, in a new block that the caller
 * frees; NULL: there are none. Returns 0, -ENOMEM, or -EAGAIN where they never stood still. */
int given_env_read(const struct scoreboard *board, char **ret_text, size_t *ret_len);

#endif
