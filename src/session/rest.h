/*
 * rest: a worker with a session stands still while the guest is quiesced (shared/quiesce.h):
 * it comes to rest between two frames of its own, says so in its slot, and until the thaw
 * reads and writes neither connection, program nor file. Its clock stands still with it
 * (clock_skip()), and so do all deadlines of the session.
 *
 * Every loop of a session has a point at which it rests; those of the waits that conn makes
 * are conn's. What a wake-up of that time was for is still to be seen: a sleeper looks
 * again after his rest and before he sleeps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_REST_H
#define SESSION_REST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "session/stop.h"
#include "shared/scoreboard.h"

struct conn;

/* The word to look at: of the scoreboard's quiesce, or, while no session of this worker has to
 * rest, one that is never raised. */
extern const _Atomic uint64_t *rest_word;

/* Once in a process: its slot, and the queue that holds the connection's duplicate (-1: none).
 * Borrowed. */
void rest_init(struct scoreboard *board, uint32_t slot_index, int duplicates_fd);

/* For a request that has been admitted, has CONN (borrowed until rest_end()), and is not served
 * while the guest is quiesced: joins those who rest, and waits for the thaw, for the time that
 * the quiesce itself had to come about. Returns 0, at once where the guest is not quiesced; or,
 * and then it has not joined: -ETIMEDOUT, -EPIPE if the host has gone, -ECANCELED if this
 * worker was told to stop. */
int rest_admit(const struct conn *conn);

/* The session rests from here on, without waiting for anything. */
void rest_join(const struct conn *conn);

/* All is said: it does not rest any more, but is still waited for until its connection is
 * closed, which is soon. */
void rest_leave(void);

/* The session is over, and its connection closed. Time goes on as for others. */
void rest_end(void);

/* Whether it is time to rest: never, once this worker was told to stop. For hot paths: one load
 * while nothing is quiesced, and no call at any size. */
static inline __attribute__((always_inline)) bool
rest_is_due(void)
{
	return quiesce_word_is_raised(atomic_load_explicit(rest_word, memory_order_relaxed)) &&
	       !stop_is_now();
}

/* If it is, rests until the thaw, or until this worker is told to stop. In the middle of a frame
 * of ours it does nothing: that goes to its end first, and no other is begun. */
void rest_point(void);

/* The same for a caller that is to look at something whenever it is woken: returns true then,
 * to be called again, and false when it need not rest any more. */
bool rest_turn(void);

/* For a caller that has just made known what the quiesce waits for: whether it is raised, so
 * that one of the two has seen the other. */
bool rest_is_due_now(void);

#endif
