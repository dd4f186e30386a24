/*
 * crowd: connections that say nothing must not keep workers from those that speak. A worker
 * waits for the first byte of its own only while another worker is idle; else it parks the
 * connection (opening.h), and is idle itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_CROWD_H
#define WORKER_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "session/session.h"

/* When the worker of SESSION is to look what else there is to do than to wait for a first byte:
 * so soon that a host which speaks at once is waited for, but at once where others are parked
 * and nobody is idle. CLOCK_MONOTONIC. */
uint64_t crowd_first_look_ms(const struct scoreboard *board);

/* Before each wait for a first byte: says in the slot that who takes the last idle worker's place
 * is to wake this one. Returns whether the connection is to be parked instead: nobody is idle, or
 * this worker was told to leave. */
bool crowd_is_in_the_way(struct session *session);

/* There is a first byte: whoever would have woken this worker wakes another. */
void crowd_end_silence(struct session *session);

/* This worker is not idle any more. If none is, and there is one that waits for a first byte,
 * wakes that. One load where there is none. */
void crowd_make_way(struct scoreboard *board);

#endif
