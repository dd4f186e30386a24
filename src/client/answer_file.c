/*
 * answer_file: what the frames of port 53 mean.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "client/errno_name.h"
#include "client/handle.h"

/* FILE_ERR is the end whatever the host was about to send: the rest of an upload stays here. */
static void
answer_file_refused(struct vmm_guest *guest, const struct piece *piece)
{
	const char *words = (const char *)piece->data;
	int error = errno_name_parse_refusal(words);

	guest->is_refusal = true;
	handle_end_answered(
	    guest, handle_fail(guest, error != 0 ? -error : -EREMOTEIO, "%s", words));
}

/* One entry is the answer of STAT, one of many of TREE. */
static enum vmm_guest_event
answer_file_entry(struct vmm_guest *guest, struct piece *piece)
{
	bool is_whole = guest->operation->type == VMM_GUEST_FILE_STAT_REQ ||
			guest->operation->type == VMM_GUEST_FILE_LIST_REQ;

	answer_keep(guest, piece);
	if (is_whole)
		handle_end_answered(guest, 0);
	return VMM_GUEST_EVENT_ENTRY;
}

/* DONE is the end of a READ, and of a file in the answer of a TREE. */
static enum vmm_guest_event
answer_file_done(struct vmm_guest *guest, struct piece *piece)
{
	piece->len = 0;
	if (guest->operation->type != VMM_GUEST_FILE_READ_REQ)
		return VMM_GUEST_EVENT_DATA;
	handle_end_answered(guest, 0);
	return VMM_GUEST_EVENT_NONE;
}

static enum vmm_guest_event
answer_file_ack(struct vmm_guest *guest, struct piece *piece)
{
	piece->len = 0;
	if (guest->operation->kind == OPERATION_WATCH)
		return VMM_GUEST_EVENT_READY;
	handle_end_answered(guest, 0);
	return VMM_GUEST_EVENT_NONE;
}

/* Whether a frame of TYPE, other than FILE_ERR, is of the answer to OPERATION. */
static bool
answer_file_is_of(const struct operation *operation, uint8_t type)
{
	switch (operation->type) {
	case VMM_GUEST_FILE_READ_REQ:
		return type == VMM_GUEST_FILE_DATA || type == VMM_GUEST_FILE_DONE;
	case VMM_GUEST_FILE_STAT_REQ:
		return type == VMM_GUEST_FILE_STAT;
	case VMM_GUEST_FILE_LIST_REQ:
		return type == VMM_GUEST_FILE_LIST;
	case VMM_GUEST_FILE_TREE_REQ:
		return type == VMM_GUEST_FILE_STAT || type == VMM_GUEST_FILE_DATA ||
		       type == VMM_GUEST_FILE_DONE || type == VMM_GUEST_FILE_ACK;
	case VMM_GUEST_FILE_WATCH_REQ:
		return type == VMM_GUEST_FILE_ACK || type == VMM_GUEST_FILE_EVENT;
	default:
		return type == VMM_GUEST_FILE_ACK;
	}
}

/* Whether PIECE may be of the answer that is waited for. */
static bool
answer_file_fits(struct vmm_guest *guest, const struct piece *piece)
{
	if (piece->type == VMM_GUEST_FILE_ERR && more_is_unasked(guest)) {
		/* A worker was lost behind its last answer: that is the end of the connection. */
		guest->reader.head = guest->reader.tail;
		vmm_guest_hangup(guest, 0);
		return false;
	}
	if (piece->type == VMM_GUEST_FILE_ERR)
		return true;
	if (answer_file_is_of(guest->operation, piece->type) && more_is_asked(guest))
		return true;
	handle_end_failed(guest, -EPROTO, HANDLE_NO_AGENT);
	return false;
}

enum vmm_guest_event
answer_file_take(struct vmm_guest *guest, struct piece *piece)
{
	if (!answer_file_fits(guest, piece))
		return VMM_GUEST_EVENT_NONE;
	guest->has_begun = true;
	switch (piece->type) {
	case VMM_GUEST_FILE_DATA:
		return piece->len > 0 ? VMM_GUEST_EVENT_DATA : VMM_GUEST_EVENT_NONE;
	case VMM_GUEST_FILE_STAT:
	case VMM_GUEST_FILE_LIST:
		return answer_file_entry(guest, piece);
	case VMM_GUEST_FILE_EVENT:
		answer_keep(guest, piece);
		return VMM_GUEST_EVENT_CHANGE;
	case VMM_GUEST_FILE_DONE:
		return answer_file_done(guest, piece);
	case VMM_GUEST_FILE_ACK:
		return answer_file_ack(guest, piece);
	case VMM_GUEST_FILE_ERR:
		answer_file_refused(guest, piece);
		return VMM_GUEST_EVENT_NONE;
	default:
		return VMM_GUEST_EVENT_NONE;
	}
}
