/*
 * signal_request: how KILL asks for a signal: by a word in shared memory, of who alone may
 * send it, and who says so there when it has. The word names its session, so that
 * one that comes too late does nothing; it stays where it is when it was dealt with,
 * or its session would be over before the one who asked had looked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_SIGNAL_REQUEST_H
#define SHARED_SIGNAL_REQUEST_H

#include <stdatomic.h>
#include <stdint.h>

/* ---- who asks ------------------------------------------------------------ */

/* Asks at PLACE for SIGNAL, 1 to 64, for SESSION. One that was asked for before, for the
 * same session, goes first: waits for that until DEADLINE_MS (CLOCK_MONOTONIC).
 * Returns 0, or -ETIMEDOUT. */
int signal_request_ask(_Atomic uint64_t *place, uint64_t session, int signal, uint64_t deadline_ms);

/* Waits until that was sent. CURRENT is the number of the session that PLACE is of
 * now. Returns 0 when it was; -ESRCH where the session was over before, or nobody
 * has sent it by DEADLINE_MS. */
int signal_request_await(const _Atomic uint64_t *place, const _Atomic uint64_t *current,
    uint64_t session, int signal, uint64_t deadline_ms);

/* ---- who sends ----------------------------------------------------------- */

/* The signal that is wanted for SESSION at PLACE and was not sent yet; 0: none. A word
 * for another session is taken out. */
int signal_request_look(_Atomic uint64_t *place, uint64_t session);

/* Says that SIGNAL was sent to SESSION. */
void signal_request_done(_Atomic uint64_t *place, uint64_t session, int signal);

#endif
