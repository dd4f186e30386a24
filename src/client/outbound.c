/*
 * outbound: what goes out, in which order, and how much of it waits.
 *
 * All that waits is a few frames in one block. Input is put in only as far as there is room
 * (input.c); signals, sizes and ends are kept beside it until there is, and so never wait behind
 * more than that. Of a durable session input comes from its ring, as it may have to be sent
 * again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "platform/clock.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"

/* Where in the block the payload of a frame stands that is alone. */
#define OUTBOUND_PAYLOAD_OFFSET 64

/* ---- the block ------------------------------------------------------------- */

void
outbound_clear(struct vmm_guest *guest)
{
	guest->out.sent = 0;
	guest->out.len = 0;
}

bool
outbound_is_empty(const struct vmm_guest *guest)
{
	return guest->out.sent == guest->out.len;
}

/* Makes room for LEN bytes. */
static int
outbound_reserve(struct outbound *out, size_t len)
{
	size_t size = out->len + len < HANDLE_SEND_MAX ? HANDLE_SEND_MAX : out->len + len;
	uint8_t *grown;

	if (out->sent == out->len) {
		out->sent = 0;
		out->len = 0;
	}
	if (out->size - out->len >= len)
		return 0;
	grown = realloc(out->data, size);
	if (grown == NULL)
		return -ENOMEM;
	out->data = grown;
	out->size = size;
	return 0;
}

static int
outbound_put_bytes(struct outbound *out, const void *data, size_t len)
{
	int r = outbound_reserve(out, len);

	if (r == 0)
		memcpy(out->data + out->len, data, len);
	if (r == 0)
		out->len += len;
	return r;
}

/* The frame at BYTES, header and all, is to go out. */
static void
outbound_observe(struct vmm_guest *guest, const void *bytes, size_t len)
{
	const uint8_t *frame = bytes;
	const struct frame_header header = { .type = frame[0],
		.len = (uint32_t)(len - VMM_GUEST_HEADER_LEN) };

	handle_observe(guest, true, &header, frame + VMM_GUEST_HEADER_LEN, header.len);
}

uint8_t *
outbound_place(struct vmm_guest *guest, size_t len)
{
	struct outbound *out = &guest->out;

	if (outbound_reserve(out, OUTBOUND_PAYLOAD_OFFSET + len) < 0)
		return NULL;
	/* Of a frame that is alone the payload is where the kernel copies it fastest. */
	if (out->len == 0)
		out->sent = out->len = OUTBOUND_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN;
	return out->data + out->len + VMM_GUEST_HEADER_LEN;
}

void
outbound_put_placed(struct vmm_guest *guest, uint8_t type, size_t len)
{
	struct outbound *out = &guest->out;

	frame_header_format(out->data + out->len, type, (uint32_t)len);
	outbound_observe(guest, out->data + out->len, VMM_GUEST_HEADER_LEN + len);
	out->len += VMM_GUEST_HEADER_LEN + len;
}

int
outbound_put(struct vmm_guest *guest, uint8_t type, const void *payload, size_t len)
{
	uint8_t *place = outbound_place(guest, len);

	if (place == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(place, payload, len);
	outbound_put_placed(guest, type, len);
	return 0;
}

bool
outbound_is_upload(const struct vmm_guest *guest)
{
	return guest->last.operation->kind == OPERATION_FILE;
}

size_t
outbound_space(const struct vmm_guest *guest)
{
	const struct outbound *out = &guest->out;
	size_t max = outbound_is_upload(guest) ? HANDLE_UPLOAD_MAX : HANDLE_SEND_MAX;
	size_t used = out->sent == out->len ? 0 : out->len;
	size_t taken = used + HANDLE_SPARE + VMM_GUEST_HEADER_LEN;

	return taken < max ? max - taken : 0;
}

int
outbound_put_eof(struct vmm_guest *guest)
{
	const uint8_t type = outbound_is_upload(guest) ? VMM_GUEST_FILE_DONE : VMM_GUEST_EOF;
	bool is_due = guest->out.eof_is_due;

	guest->out.eof_is_due = false;
	return is_due ? outbound_put(guest, type, NULL, 0) : 0;
}

/* The operation's first frame. */
static int
outbound_put_request(struct vmm_guest *guest)
{
	int r = outbound_put_bytes(&guest->out, guest->first.data, guest->first.len);

	if (r == 0)
		outbound_observe(guest, guest->first.data, guest->first.len);
	return r;
}

int
outbound_begin(struct vmm_guest *guest)
{
	char line[HANDSHAKE_LINE_MAX];
	struct outbound *out = &guest->out;
	size_t len = handshake_format_connect(line, sizeof(line), vmm_guest_port(guest));
	int r = 0;

	outbound_clear(guest);
	/* Of a connection that came to nothing all is said again; input it has had none. */
	out->eof_is_due = out->has_eof && !guest->is_durable;
	if (guest->state == HANDLE_SHAKES)
		r = outbound_put_bytes(out, line, len);
	if (r < 0 || (guest->state == HANDLE_SHAKES && !guest->sends_ahead))
		return r;
	r = outbound_put_request(guest);
	return r < 0 ? r : outbound_put_eof(guest);
}

/* ---- what is due ----------------------------------------------------------- */

int
outbound_put_signals(struct vmm_guest *guest)
{
	struct outbound *out = &guest->out;
	uint8_t payload[VMM_GUEST_OUTPUT_ACK_LEN];
	int r = 0;

	for (size_t i = 0; i < out->signal_count && r == 0; i++) {
		frame_signal_format(payload, out->signals[i]);
		r = outbound_put(guest, VMM_GUEST_SIGNAL, payload, VMM_GUEST_SIGNAL_LEN);
	}
	out->signal_count = 0;
	if (r == 0 && out->resize_is_due) {
		frame_resize_format(payload, out->size_due);
		r = outbound_put(guest, VMM_GUEST_RESIZE, payload, VMM_GUEST_RESIZE_LEN);
	}
	out->resize_is_due = false;
	return r;
}

/* All output below the session's offset was given out, and the caller is done with it but for the
 * last; or he says himself what has arrived. What was not sent on this connection yet can't be
 * acknowledged on it. */
static int
outbound_put_ack(struct vmm_guest *guest)
{
	struct durable *session = &guest->session;
	uint64_t shown = session->offset - guest->shown_later;
	uint8_t payload[VMM_GUEST_OUTPUT_ACK_LEN];
	bool is_due = shown >= session->ack_due;

	if (session->acks_by_hand)
		is_due = session->ack_is_due && session->offset >= session->acked;
	if (!session->holds || !is_due)
		return 0;
	session->ack_is_due = false;
	session->ack_due = shown + DURABLE_ACK_EVERY;
	frame_output_ack_format(payload, session->acks_by_hand ? session->acked : shown);
	return outbound_put(guest, VMM_GUEST_OUTPUT_ACK, payload, sizeof(payload));
}

/* Of a durable session: as much of its input as there is room for, and the end. */
static int
outbound_put_kept(struct vmm_guest *guest)
{
	struct durable *session = &guest->session;
	size_t space = outbound_space(guest);
	uint8_t *place;

	if (!session->wants_input || session->stdin_closed)
		return 0;
	if (resend_has_bytes(&session->input) && space > 0) {
		place = outbound_place(guest, space);
		if (place == NULL)
			return -ENOMEM;
		outbound_put_placed(
		    guest, VMM_GUEST_STDIN, resend_take(&session->input, place, space));
	}
	if (!resend_has_end(&session->input))
		return 0;
	session->input.eof_is_sent = true;
	return outbound_put(guest, VMM_GUEST_EOF, NULL, 0);
}

/* What goes behind all input. */
static int
outbound_put_ends(struct vmm_guest *guest)
{
	struct outbound *out = &guest->out;
	bool waits = guest->is_durable && guest->session.wants_input &&
		     !guest->session.stdin_closed && resend_has_bytes(&guest->session.input);
	int r = outbound_put_eof(guest);

	if (r == 0 && out->thaw_is_due)
		r = outbound_put(guest, VMM_GUEST_THAW, NULL, 0);
	out->thaw_is_due = false;
	if (r < 0 || !out->detach_is_due || waits)
		return r;
	out->detach_is_due = false;
	return outbound_put(guest, VMM_GUEST_DETACH, NULL, 0);
}

/* Puts what is due behind what waits, at most once round. */
static int
outbound_fill(struct vmm_guest *guest)
{
	int r = 0;

	if (guest->awaits_attached)
		return 0;
	/* Of these alone there might be more than there is room for. */
	if (outbound_space(guest) == 0)
		return 0;
	r = outbound_put_signals(guest);
	if (r == 0 && guest->is_durable)
		r = outbound_put_ack(guest);
	if (r == 0 && guest->is_durable)
		r = outbound_put_kept(guest);
	return r < 0 ? r : outbound_put_ends(guest);
}

int
outbound_put_first(struct vmm_guest *guest, uint64_t *ret_begin)
{
	int r = outbound_put_ends(guest);

	*ret_begin = more_put_bytes(guest);
	return r < 0 ? r : outbound_put_request(guest);
}

/* ---- for senders --------------------------------------------------------------- */

size_t
vmm_guest_pending(struct vmm_guest *guest, const void **ret_data)
{
	struct outbound *out = &guest->out;

	*ret_data = NULL;
	/* A request that was refused before it was sent may have a rest. */
	if ((!handle_is_busy(guest) && !guest->is_kept) || out->is_deaf || guest->has_ended)
		return 0;
	if (guest->state == HANDLE_TALKS && outbound_fill(guest) < 0) {
		/* What the caller has not done with would go with the end. */
		if (!guest->is_given)
			handle_end_failed(guest, -ENOMEM, "out of memory");
		return 0;
	}
	guest->shown = guest->sent + out->len - out->sent;
	if (outbound_is_empty(guest))
		return 0;
	*ret_data = out->data + out->sent;
	return out->len - out->sent;
}

void
vmm_guest_sent(struct vmm_guest *guest, size_t len)
{
	struct outbound *out = &guest->out;
	size_t waits = out->len - out->sent;

	len = len < waits ? len : waits;
	out->sent += len;
	guest->sent += len;
	guest->has_sent |= guest->state == HANDLE_TALKS;
	guest->progress_ms = clock_mono_ms();
}
