/*
 * signal_request: how KILL asks for a signal: by a word in shared memory. The one process
 * that may send the signal looks at it, and marks it when it has. The word names its
 * session, so that a late request does nothing. It stays when it has been dealt with, so
 * that the asker can see that even after the session has ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_SIGNAL_REQUEST_H
#define SHARED_SIGNAL_REQUEST_H

#include <stdatomic.h>
#include <stdint.h>

/* ---- for the asker ------------------------------------------------------- */

/* Asks at PLACE for SIGNAL, 1 to 64, for SESSION. An earlier request for the same session
 * goes first: waits for it until DEADLINE_MS (CLOCK_MONOTONIC).
 * Returns 0, or -ETIMEDOUT. */
int signal_request_ask(_Atomic uint64_t *place, uint64_t session, int signal, uint64_t deadline_ms);

/* Waits until that signal was sent. CURRENT is the number of the session that PLACE now
 * belongs to. Returns 0 when it was sent; -ESRCH where the session was over before, or
 * it was not sent by DEADLINE_MS. */
int signal_request_await(const _Atomic uint64_t *place, const _Atomic uint64_t *current,
    uint64_t session, int signal, uint64_t deadline_ms);

/* ---- for the sender ------------------------------------------------------ */

/* The signal that is wanted for SESSION at PLACE and was not sent yet; 0: none. A word
 * for another session is taken out. */
int signal_request_look(_Atomic uint64_t *place, uint64_t session);

/* Says that SIGNAL was sent to SESSION. */
void signal_request_done(_Atomic uint64_t *place, uint64_t session, int signal);

#endif
