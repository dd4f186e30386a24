/*
 * conn_wait: how the parts of conn wait; for them alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONN_WAIT_H
#define SESSION_CONN_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "session/conn.h"

/* What a recv(2) or a send(2) that failed with ERROR comes to: -EAGAIN to wait for the
 * host, or, after a pause, for memory; -EINTR to call again; -EPIPE. */
int conn_bear(struct conn *conn, int error);

/* Says in the log, with the cause, if the connection was reset in mid-session: ERROR is what
 * recv(2) or send(2) failed with, 0 if neither was asked. Returns the error of that, EPIPE if
 * it was. */
int conn_tell_reset(const struct conn *conn, int error);

/* Waits until EVENTS, or the host's going, show on the connection. Where CAN_STOP,
 * being told to stop ends the wait: a request need not be waited for then, but the last
 * frame is sent all the same. */
int conn_wait(
    struct conn *conn, short events, bool can_stop, uint64_t deadline_ms, short *ret_shown);

/* Receives something, waiting for it. */
int conn_fill_wait(struct conn *conn, bool can_stop, uint64_t deadline_ms);

#endif
