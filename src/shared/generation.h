/*
 * generation: which restore of its snapshot the guest is, as RESTORED said. One request at a
 * time may change it: who has claimed it stands in a word that dies with its slot.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_GENERATION_H
#define SHARED_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"

/* Claims NUMBER for the worker of slot INDEX, until generation_release(). Returns 0; or with
 * nothing claimed -EBUSY, where another has; -ESTALE, where NUMBER is smaller than that in
 * *RET_THERE; -EALREADY, where it is the same and all was done. */
int generation_claim(
    struct scoreboard *board, uint32_t index, uint64_t number, uint64_t *ret_there);

/* Gives it back; IS_DONE: all of the request was, and the same number again asks for nothing.
 * Where the worker dies before, the next may claim the same again. */
void generation_release(struct scoreboard *board, uint32_t index, bool is_done);

/* For the supervisor: the worker of slot INDEX has died. */
void generation_free_dead(struct scoreboard *board, uint32_t index);

/* The number that was claimed last. Returns false if none ever was. */
bool generation_look(const struct scoreboard *board, uint64_t *ret);

#endif
