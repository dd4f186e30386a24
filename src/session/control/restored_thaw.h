/*
 * restored_thaw: what RESTORED does to a guest that is quiesced.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_RESTORED_THAW_H
#define SESSION_CONTROL_RESTORED_THAW_H

#include <stdbool.h>

#include "shared/quiesce.h"
#include "shared/scoreboard.h"

/* Has the switch do KIND, and waits for that; a disk may need its time. Returns 0; -ENODATA
 * where the guest is not quiesced, or not any more; -ETIMEDOUT, where it is still under way
 * after 10 s; or -EBUSY, where the switch had others to serve for so long. */
int restored_thaw(struct scoreboard *board, enum quiesce_ask_kind kind);

/* Whether a file system is frozen, so that whoever writes there stands still, too. */
bool restored_thaw_has_frozen(const struct scoreboard *board);

#endif
