/*
 * conn_note: what the slot is told of a frame on its way, from which the supervisor
 * knows what may still be sent where this worker dies over it. For the parts of conn
 * alone.
 *
 * A frame that goes by one send which is taken whole or not at all leaves the stream at
 * a frame's boundary, whenever the worker dies: nothing need be told. Before any other
 * send in_frame is set, and cleared when all has gone. The last frame of a connection
 * is kept in the slot, if it is short, with how much of it went: where that is known
 * (between two sends) in_frame is not set.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONN_NOTE_H
#define SESSION_CONN_NOTE_H

#include "session/conn.h"

/* A frame with this HEADER and LEN bytes of PAYLOAD begins. Returns 0, or -EPIPE where
 * one before it has failed, or was given up in the middle: nothing may follow that. */
int conn_note_begin(
    struct conn *conn, const uint8_t *header, const void *payload, size_t len, bool last);

/* The next send asks for LEN bytes of it. */
void conn_note_try(struct conn *conn, size_t len);

/* It has taken LEN. */
void conn_note_sent(struct conn *conn, size_t len);

/* It has taken nothing, and is made again later. */
void conn_note_waiting(struct conn *conn);

#endif
