/*
 * conn_note: what the slot is told of a frame on its way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/conn_note.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* The frame is there before the phase that says so. */
static void
conn_note_keep(struct slot *slot, const uint8_t *header, const void *payload, size_t len)
{
	struct slot_last *last = &slot->last;

	last->sent = 0;
	last->len = 0;
	if (VMM_GUEST_HEADER_LEN + len <= sizeof(last->bytes)) {
		memcpy(last->bytes, header, VMM_GUEST_HEADER_LEN);
		if (len > 0)
			memcpy(last->bytes + VMM_GUEST_HEADER_LEN, payload, len);
		last->len = (uint8_t)(VMM_GUEST_HEADER_LEN + len);
	}
	atomic_store(&slot->phase, SLOT_LAST_SENDING);
}

int
conn_note_begin(
    struct conn *conn, const uint8_t *header, const void *payload, size_t len, bool last)
{
	if (conn->tx_begun && conn->tx_left > 0)
		conn->is_broken = true;
	if (conn->is_broken)
		return -EPIPE;
	conn->tx_len = len;
	conn->tx_most = len > conn->tx_most ? len : conn->tx_most;
	conn->tx_left = VMM_GUEST_HEADER_LEN + len;
	conn->tx_begun = false;
	conn->tx_last = last;
	if (last)
		conn_note_keep(conn->slot, header, payload, len);
	return 0;
}

void
conn_note_try(struct conn *conn, size_t len)
{
	conn->has_room = false;
	conn->tx_is_whole = !conn->tx_begun && len == conn->tx_left && len <= conn->room;
	if (conn->tx_left > 0 && !conn->tx_is_whole)
		atomic_store(&conn->slot->in_frame, 1);
}

/* Between two sends it is known how much has gone; of use to others is that only for
 * none of it, or for a frame that they have. */
static void
conn_note_between(struct conn *conn)
{
	struct slot *slot = conn->slot;
	bool is_kept = conn->tx_last && slot->last.len > 0;

	if (is_kept)
		slot->last.sent = (uint8_t)(slot->last.len - conn->tx_left);
	atomic_store(&slot->in_frame, conn->tx_begun && !is_kept);
}

void
conn_note_waiting(struct conn *conn)
{
	if (conn->tx_left > 0)
		conn_note_between(conn);
}

/* A last frame is marked as sent before in_frame is cleared: in between it is neither
 * on its way nor lost. */
static void
conn_note_all(struct conn *conn)
{
	struct slot *slot = conn->slot;

	atomic_store_explicit(&slot->bytes_out,
	    atomic_load_explicit(&slot->bytes_out, memory_order_relaxed) + conn->tx_len,
	    memory_order_relaxed);
	if (conn->tx_last)
		atomic_store(&slot->phase, SLOT_LAST_SENT);
	atomic_store(&slot->in_frame, 0);
}

void
conn_note_sent(struct conn *conn, size_t len)
{
	if (!conn->room_is_renewed)
		conn->room -= len < conn->room ? len : conn->room;
	if (conn->tx_left == 0)
		return;
	conn->tx_left -= len;
	if (conn->tx_left == 0) {
		conn_note_all(conn);
		return;
	}
	/* There was less room than we knew of: we know nothing. */
	if (conn->tx_is_whole)
		conn->room = 0;
	conn->tx_begun = true;
	conn_note_between(conn);
}
