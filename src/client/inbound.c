/*
 * inbound: what comes in: the handshake's answer, frames, and pieces of those; and what
 * vmm_guest_next() makes of them.
 *
 * What is a stream of bytes is given out as it comes. What has to be whole is put together
 * first, as far as a limit allows: a guest that announces 16 MiB and sends nothing is given
 * nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "platform/clock.h"
#include "protocol/handshake.h"

#define INBOUND_SIZE (FRAME_READER_PAYLOAD_OFFSET + HANDLE_READ_MAX)

/* ---- bytes ----------------------------------------------------------------- */

size_t
inbound_room(struct vmm_guest *guest, uint8_t **ret)
{
	struct frame_reader *reader = &guest->reader;

	if (!handle_is_busy(guest) || guest->has_ended || guest->state == HANDLE_CONNECTS)
		return 0;
	/* What was given out stands in the buffer. */
	if (guest->is_given)
		return 0;
	if (reader->buffer == NULL) {
		reader->buffer = malloc(INBOUND_SIZE);
		reader->size = INBOUND_SIZE;
	}
	if (reader->buffer == NULL) {
		handle_end_failed(guest, -ENOMEM, "out of memory");
		return 0;
	}
	return frame_reader_room(reader, ret);
}

void
inbound_received(struct vmm_guest *guest, size_t len)
{
	frame_reader_received(&guest->reader, len);
	guest->is_dry = false;
	if (guest->state == HANDLE_TALKS)
		handle_reach(guest, VMM_GUEST_REACHED_ANSWER);
	guest->progress_ms = clock_mono_ms();
}

size_t
vmm_guest_feed(struct vmm_guest *guest, const void *data, size_t len)
{
	uint8_t *place;
	size_t room = inbound_room(guest, &place);

	len = len < room ? len : room;
	if (len > 0) {
		memcpy(place, data, len);
		inbound_received(guest, len);
	}
	return len;
}

void
vmm_guest_hangup(struct vmm_guest *guest, int error)
{
	if (!handle_is_busy(guest) && !guest->is_kept)
		return;
	guest->has_ended = true;
	guest->end_error = error;
}

/* ---- the handshake --------------------------------------------------------- */

/* Looks for "OK NUMBER\n". What is behind it stays. */
static void
inbound_shake(struct vmm_guest *guest)
{
	const uint8_t *answer = NULL;
	size_t len = guest->reader.buffer == NULL ? 0 : frame_reader_peek(&guest->reader, &answer);
	const uint8_t *newline = len > 0 ? memchr(answer, '\n', len) : NULL;

	if (newline == NULL && len < HANDSHAKE_LINE_MAX)
		return;
	if (newline == NULL || newline - answer > HANDSHAKE_LINE_MAX ||
	    memcmp(answer, "OK ", 3) != 0) {
		handle_end_failed(guest, -EPROTO,
		    "%s is not a vsock device of a VM: it answered something else",
		    guest->address_text != NULL ? guest->address_text : "that");
		return;
	}
	frame_reader_skip(&guest->reader, (size_t)(newline - answer) + 1);
	guest->state = HANDLE_TALKS;
	guest->try_until_ms = CLOCK_NEVER;
	handle_reach(guest, guest->reader.tail > guest->reader.head ? VMM_GUEST_REACHED_ANSWER
								    : VMM_GUEST_REACHED_AGENT);
	guest->has_sent = guest->sends_ahead;
	if (!guest->has_sent && outbound_begin(guest) < 0)
		handle_end_failed(guest, -ENOMEM, "out of memory");
}

/* ---- frames ---------------------------------------------------------------- */

/* Frames whose payload is given out as it comes; and those that have to be whole. All others
 * are passed over. */
static bool
inbound_is_stream(uint8_t type)
{
	return type == VMM_GUEST_STDOUT || type == VMM_GUEST_STDERR || type == VMM_GUEST_FILE_DATA;
}

static bool
inbound_is_whole(uint8_t type)
{
	switch (type) {
	case VMM_GUEST_EXIT:
	case VMM_GUEST_STATUS:
	case VMM_GUEST_FILE_DONE:
	case VMM_GUEST_FILE_ACK:
	case VMM_GUEST_FILE_ERR:
	case VMM_GUEST_FILE_STAT:
	case VMM_GUEST_FILE_LIST:
	case VMM_GUEST_FILE_EVENT:
		return true;
	default:
		return false;
	}
}

/* Adds what has come to the text. Returns 0 when it is whole. */
static int
inbound_gather(struct vmm_guest *guest, struct piece *piece)
{
	int r = buffer_add(
	    &guest->text, piece->data, piece->len, (size_t)guest->options[OPTION_JSON_MAX]);

	if (r < 0 || !piece->is_last)
		return r < 0 ? r : -EAGAIN;
	piece->data = (const uint8_t *)guest->text.data;
	piece->len = guest->text.len;
	return 0;
}

/* Whether an answer that ends by itself has gone on for too long, with the frame that begins. */
static bool
inbound_is_endless(struct vmm_guest *guest)
{
	if (guest->operation->kind != OPERATION_CONTROL)
		return false;
	guest->said += VMM_GUEST_HEADER_LEN + guest->frame.len;
	return guest->said > HANDLE_SAID_MAX;
}

/* Whether as much of the frame has come as is given out at once, and as its observer is to see. */
static bool
inbound_may_begin(const struct vmm_guest *guest)
{
	const struct frame_reader *reader = &guest->reader;
	struct frame_header next;
	size_t shown;

	if (frame_reader_look(reader, &next) < 0)
		return true;
	if (inbound_is_stream(next.type) && next.len <= VMM_GUEST_DATA_MAX)
		return reader->tail - reader->head >= VMM_GUEST_HEADER_LEN + next.len;
	if (guest->observer == NULL || guest->has_ended)
		return true;
	shown = next.len < VMM_GUEST_OBSERVED ? next.len : VMM_GUEST_OBSERVED;
	return reader->tail - reader->head >= VMM_GUEST_HEADER_LEN + shown;
}

/* The next piece. Returns 0; -EAGAIN: more has to come first; or another -errno. */
static int
inbound_take(struct vmm_guest *guest, struct piece *ret)
{
	struct frame_reader *reader = &guest->reader;
	int r;

	for (;;) {
		bool is_new = reader->payload_left == 0;

		if (reader->buffer == NULL || (is_new && !inbound_may_begin(guest)))
			return -EAGAIN;
		if (is_new)
			guest->text.len = 0;
		r = is_new ? frame_reader_next(reader, &guest->frame) : 0;
		if (r < 0)
			return r == -EMSGSIZE ? -EPROTO : r;
		if (is_new && inbound_is_endless(guest))
			return -E2BIG;
		*ret = (struct piece){ .type = guest->frame.type, .is_first = is_new };
		ret->len = frame_reader_take(reader, SIZE_MAX, &ret->data);
		ret->is_last = reader->payload_left == 0;
		if (is_new)
			handle_observe(guest, false, &guest->frame, ret->data, ret->len);
		if (ret->len == 0 && !ret->is_last)
			return -EAGAIN;
		if (inbound_is_stream(ret->type))
			return 0;
		/* What answers a request of files is known; what a session says may be more. */
		if (!inbound_is_whole(ret->type) && vmm_guest_port(guest) == VMM_GUEST_FILE_PORT)
			return -EPROTO;
		if (!inbound_is_whole(ret->type))
			continue;
		r = inbound_gather(guest, ret);
		if (r != -EAGAIN)
			return r;
	}
}

/* ---- events ---------------------------------------------------------------- */

/* Words that were held for the agent's, and are the program's. */
static enum vmm_guest_event
inbound_release_words(struct vmm_guest *guest, struct piece *ret)
{
	guest->words_are_due = false;
	guest->words_ms = CLOCK_NEVER;
	guest->has_begun = true;
	ret->type = VMM_GUEST_STDERR;
	ret->data = (const uint8_t *)guest->words.data;
	ret->len = guest->words.len;
	guest->words.len = 0;
	if (guest->is_durable)
		(void)answer_durable_take(guest, ret);
	return ret->len > 0 ? VMM_GUEST_EVENT_STDERR : VMM_GUEST_EVENT_NONE;
}

/* The connection of a durable session was lost. */
static enum vmm_guest_event
inbound_tell_lost(struct vmm_guest *guest, struct piece *ret)
{
	guest->lost_is_due = false;
	ret->data = (const uint8_t *)guest->why;
	ret->len = strlen(guest->why);
	return VMM_GUEST_EVENT_LOST;
}

static enum vmm_guest_event
inbound_end(struct vmm_guest *guest)
{
	if (guest->is_skipped)
		guest->result = more_skip(guest);
	guest->state = HANDLE_TOLD;
	if (guest->turns_count > 0)
		more_advance(guest);
	return guest->end;
}

/* Takes the next piece. Returns an event, or none where that was none, or there is no piece:
 * then *RET_IS_DRY. */
static enum vmm_guest_event
inbound_event(struct vmm_guest *guest, struct piece *ret, bool *ret_is_dry)
{
	bool is_exec = vmm_guest_port(guest) == VMM_GUEST_EXEC_PORT;
	int r = inbound_take(guest, ret);

	*ret_is_dry = r == -EAGAIN;
	if (r == 0)
		return is_exec ? answer_exec_take(guest, ret) : answer_file_take(guest, ret);
	if (r == -ENOMEM)
		handle_end_failed(guest, r, "out of memory");
	else if (r == -EMSGSIZE)
		handle_end_failed(guest, r, "the agent's answer is longer than %lld bytes",
		    (long long)guest->options[OPTION_JSON_MAX]);
	else if (r == -E2BIG)
		handle_end_failed(guest, -EMSGSIZE, HANDLE_SAID_TOO_MUCH);
	else if (r != -EAGAIN)
		handle_end_failed(guest, -EPROTO, HANDLE_NO_AGENT);
	return VMM_GUEST_EVENT_NONE;
}

static enum vmm_guest_event
inbound_next(struct vmm_guest *guest, struct piece *ret)
{
	enum vmm_guest_event event = VMM_GUEST_EVENT_NONE;

	if (guest->is_answer_old)
		more_begin_turn(guest);
	due_act(guest);
	while (event == VMM_GUEST_EVENT_NONE) {
		bool is_dry = true;

		if (guest->state == HANDLE_OVER)
			return inbound_end(guest);
		if (guest->state == HANDLE_SHAKES)
			inbound_shake(guest);
		if (guest->connect_is_due) {
			guest->connect_is_due = false;
			return VMM_GUEST_EVENT_CONNECT;
		}
		if (guest->state == HANDLE_TALKS && answer_exec_words_are_due(guest))
			guest->words_are_due = true;
		if (guest->quiet_is_due) {
			guest->quiet_is_due = false;
			return VMM_GUEST_EVENT_QUIET;
		}
		if (guest->lost_is_due)
			return inbound_tell_lost(guest, ret);
		if (guest->words_are_due)
			event = inbound_release_words(guest, ret);
		else if (guest->state == HANDLE_TALKS)
			event = inbound_event(guest, ret, &is_dry);
		if (event != VMM_GUEST_EVENT_NONE || !is_dry || !handle_is_busy(guest))
			continue;
		guest->is_dry = true;
		if (!guest->has_ended)
			return VMM_GUEST_EVENT_NONE;
		due_lose(guest);
		due_act(guest);
		if (guest->state == HANDLE_CONNECTS && !guest->connect_is_due &&
		    !guest->lost_is_due)
			return VMM_GUEST_EVENT_NONE;
	}
	return event;
}

static bool
inbound_has_bytes(enum vmm_guest_event event)
{
	return event != VMM_GUEST_EVENT_NONE && event != VMM_GUEST_EVENT_CONNECT &&
	       event != VMM_GUEST_EVENT_READY && event != VMM_GUEST_EVENT_QUIET &&
	       event != VMM_GUEST_EVENT_LEFT && event != VMM_GUEST_EVENT_END;
}

enum vmm_guest_event
vmm_guest_next(struct vmm_guest *guest, const void **ret_data, size_t *ret_len)
{
	struct piece piece = { 0 };
	enum vmm_guest_event event = VMM_GUEST_EVENT_NONE;

	guest->is_given = false;
	if (guest->state != HANDLE_IDLE && guest->state != HANDLE_TOLD)
		event = inbound_next(guest, &piece);
	/* What was taken on the way to an end went with it. */
	if (!inbound_has_bytes(event))
		piece.len = 0;
	guest->is_given = inbound_has_bytes(event);
	guest->shown_later =
	    event == VMM_GUEST_EVENT_STDOUT || event == VMM_GUEST_EVENT_STDERR ? piece.len : 0;
	*ret_data = guest->is_given ? piece.data : NULL;
	*ret_len = piece.len;
	return event;
}
