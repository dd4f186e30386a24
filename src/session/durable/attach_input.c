/*
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/attach_input.h"

#include <errno.h>

#include "protocol/frame.h"
#include "shared/attachment.h"

/* Each of these acts on a frame that has been taken whole. Returns false where it must wait
 * for the owner. */

static bool
attach_input_resize(struct attach_input *input)
{
	const struct session *session = input->follow->session;
	struct frame_resize size;

	if (frame_resize_parse(input->control, input->control_len, &size) == 0)
		attachment_put_size(session->board, session->slot_index, input->follow->journal,
		    size.columns, size.rows);
	return true;
}

static bool
attach_input_signal(struct attach_input *input)
{
	const struct session *session = input->follow->session;
	int signal;

	if (frame_signal_parse(input->control, input->control_len, &signal) < 0)
		return true;
	return attachment_put_signal(
	    session->board, session->slot_index, input->follow->journal, signal);
}

static bool
attach_input_eof(struct attach_input *input)
{
	const struct follow *follow = input->follow;

	return !journal_takes_input(follow->journal) ||
	       attachment_put_eof(
		   follow->session->board, follow->session->slot_index, follow->journal);
}

static bool
attach_input_ack(struct attach_input *input)
{
	uint64_t offset;

	if (frame_output_ack_parse(input->control, input->control_len, &offset) == 0)
		follow_ack(input->follow, offset);
	return true;
}

/* Whether what the host sends is of use to anybody: of the holder's, while the owner is there
 * to take it. */
static bool
attach_input_counts(const struct attach_input *input)
{
	return input->follow->is_holder && journal_is_running(input->follow->journal);
}

/* Acts on the frame that was taken. */
static bool
attach_input_act(struct attach_input *input)
{
	static const struct {
		uint8_t type;
		bool (*act)(struct attach_input *input);
	} acts[] = {
		{ VMM_GUEST_RESIZE, attach_input_resize },
		{ VMM_GUEST_SIGNAL, attach_input_signal },
		{ VMM_GUEST_EOF, attach_input_eof },
		{ VMM_GUEST_OUTPUT_ACK, attach_input_ack },
	};

	if (input->type == VMM_GUEST_DETACH)
		input->has_detached = true;
	for (size_t i = 0; attach_input_counts(input) && i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (acts[i].type == input->type)
			return acts[i].act(input);
	}
	return true;
}

/* Passes on STDIN. Returns 0, -EAGAIN where it must wait, or -errno. What a spectator sends, or
 * the host that was the holder until now, is dropped, as is what comes after the session's end. */
static int
attach_input_put(struct attach_input *input)
{
	const struct follow *follow = input->follow;
	const struct session *session = follow->session;

	while (input->len > 0) {
		ssize_t n = (ssize_t)input->len;

		if (attach_input_counts(input))
			n = attachment_put(session->board, session->slot_index, follow->journal,
			    input->bytes, input->len);
		if (n == -EPERM &&
		    !attachment_holds(session->board, session->slot_index, follow->journal))
			n = (ssize_t)input->len;
		if (n <= 0)
			return n == 0 ? -EAGAIN : (int)n;
		input->bytes += n;
		input->len -= (size_t)n;
	}
	return 0;
}

/* Takes what is there of the frame's payload. Returns 0 if that is all of it; -EAGAIN if more is
 * to come, or must wait; or -errno. */
static int
attach_input_take_payload(struct attach_input *input)
{
	struct conn *conn = &input->follow->session->conn;

	for (;;) {
		int r = attach_input_put(input);

		input->waits = r == -EAGAIN;
		if (r < 0)
			return r;
		if (input->type == VMM_GUEST_STDIN)
			input->len = conn_take_joined(conn, SIZE_MAX, &input->bytes);
		else
			conn_take_head(
			    conn, input->control, sizeof(input->control), &input->control_len);
		if (input->len == 0)
			return conn_in_payload(conn) ? -EAGAIN : 0;
	}
}

int
attach_input_take(struct attach_input *input)
{
	struct conn *conn = &input->follow->session->conn;
	struct frame_header header;
	int r = 0;

	while (r == 0 && !input->has_detached) {
		if (input->is_in_frame)
			r = attach_input_take_payload(input);
		if (r < 0)
			break;
		input->waits = input->is_in_frame && !attach_input_act(input);
		if (input->waits)
			break;
		input->is_in_frame = false;
		if (input->has_detached)
			break;
		r = conn_parse_header(conn, &header);
		if (r < 0)
			break;
		input->is_in_frame = true;
		input->type = header.type;
		input->control_len = 0;
	}
	return r == -EAGAIN ? 0 : r;
}
