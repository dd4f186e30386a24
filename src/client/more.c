/*
 * more: requests of port 53 one behind the other on one connection, sent ahead of their answers,
 * which come in order.
 *
 * The handle keeps the first frame of an operation that was begun alone, so that it can be sent
 * again where the agent has given the connection back in that very moment; of those behind it,
 * and of input, nothing is kept.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client/handle.h"
#include "platform/clock.h"

/* Whether an operation may stand in a line of several. */
static bool
more_may(const struct operation *operation)
{
	return operation->kind == OPERATION_FILE;
}

static bool
more_has_input(const struct vmm_guest *guest)
{
	return (guest->last.operation->flags & OPERATION_INPUT) != 0;
}

bool
more_keeps(struct vmm_guest *guest)
{
	bool is_under_way = more_has_input(guest) && !guest->out.has_eof;

	if (!guest->has_more || guest->turns_count > 0)
		return guest->has_more;
	if (guest->has_ended || guest->out.is_deaf)
		return false;
	/* Of an upload that was refused the agent drops what comes, up to its end. */
	guest->out.eof_is_due |= is_under_way;
	return outbound_put_eof(guest) == 0;
}

bool
more_goes_on(struct vmm_guest *guest, const struct operation *operation)
{
	uint8_t byte;

	if (!guest->is_kept || guest->has_ended || guest->out.is_deaf || !more_may(operation))
		return false;
	/* What has come behind the last answer nobody has asked for: the first to look at it ends
	 * by that. */
	guest->has_unasked = guest->reader.head != guest->reader.tail;
	/* The agent has closed it, or says such a thing now. */
	return guest->has_unasked || guest->fd < 0 ||
	       (recv(guest->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) < 0 &&
		   io_error_read(IO_CONNECTION, errno) == IO_NOT_NOW);
}

int
more_check(const struct vmm_guest *guest, const struct operation *operation)
{
	if (!more_may(operation) || !guest->last.has_more ||
	    (more_has_input(guest) && !guest->out.has_eof))
		return -EALREADY;
	if (guest->state != HANDLE_TALKS || guest->has_ended || guest->out.is_deaf ||
	    guest->turns_count == HANDLE_TURNS_MAX || outbound_space(guest) == 0)
		return -EAGAIN;
	return 0;
}

int
more_put(struct vmm_guest *guest, struct turn turn)
{
	int r;

	if (guest->turns == NULL)
		guest->turns = calloc(HANDLE_TURNS_MAX, sizeof(*guest->turns));
	if (guest->turns == NULL)
		return -ENOMEM;
	r = outbound_put_first(guest, &turn.begin);
	if (r < 0)
		return r;
	guest->turns[(guest->turns_first + guest->turns_count++) % HANDLE_TURNS_MAX] = turn;
	guest->last = turn;
	guest->out.has_eof = false;
	return 0;
}

void
more_advance(struct vmm_guest *guest)
{
	const struct turn turn = guest->turns[guest->turns_first];
	const int64_t timeout_ms = guest->options[OPTION_TIMEOUT_MS];

	guest->turns_first = (guest->turns_first + 1) % HANDLE_TURNS_MAX;
	guest->turns_count--;
	guest->operation = turn.operation;
	guest->has_more = turn.has_more;
	guest->begin = turn.begin;
	guest->is_answered = (turn.operation->flags & OPERATION_PROMPT) == 0;
	guest->has_begun = false;
	guest->is_answer_old = true;
	guest->progress_ms = clock_mono_ms();
	guest->deadline_ms =
	    timeout_ms > 0 ? guest->progress_ms + (uint64_t)timeout_ms : CLOCK_NEVER;
	guest->is_skipped = !guest->is_kept;
	guest->state = guest->is_kept ? HANDLE_TALKS : HANDLE_OVER;
	buffer_done(&guest->first);
}

void
more_begin_turn(struct vmm_guest *guest)
{
	guest->is_answer_old = false;
	guest->answer.len = 0;
	guest->is_refusal = false;
	guest->reached = VMM_GUEST_REACHED_AGENT;
}

uint64_t
more_put_bytes(const struct vmm_guest *guest)
{
	return guest->sent + guest->out.len - guest->out.sent;
}

/* Of these, what was sent; where it is the caller who sends, what he may have sent. */
static uint64_t
more_sent_bytes(const struct vmm_guest *guest)
{
	return guest->address_text != NULL ? guest->sent : guest->shown;
}

bool
more_is_unasked(const struct vmm_guest *guest)
{
	return guest->has_unasked || (guest->begin > 0 && guest->begin >= more_sent_bytes(guest));
}

bool
more_is_asked(const struct vmm_guest *guest)
{
	if (guest->has_unasked)
		return false;
	if (guest->turns_count > 0)
		return guest->turns[guest->turns_first].begin <= more_sent_bytes(guest);
	return more_put_bytes(guest) <= more_sent_bytes(guest) &&
	       (!more_has_input(guest) || (guest->out.has_eof && !guest->out.eof_is_due));
}

/* Whether the operation may have been carried out, and its answer been lost with the connection.
 * An agent that gives a connection back lets the host see its end; where that was reset, by a
 * machine that is restored, or as what the host had sent was not read, nobody knows. */
static bool
more_is_in_doubt(const struct vmm_guest *guest)
{
	return guest->end_error != 0 && (guest->operation->flags & OPERATION_ONCE) != 0 &&
	       !more_is_unasked(guest);
}

int
more_skip(struct vmm_guest *guest)
{
	if (guest->skipped != -ECONNABORTED)
		return guest->skipped;
	if (more_is_in_doubt(guest))
		return handle_fail(guest, -ECONNRESET, HANDLE_IN_DOUBT);
	return handle_fail(guest, -ECONNABORTED, HANDLE_NOT_BEGUN);
}

bool
more_lose(struct vmm_guest *guest)
{
	bool is_between = !guest->has_begun && guest->reader.payload_left == 0 &&
			  guest->reader.head == guest->reader.tail;
	bool is_alone = guest->turns_count == 0;
	bool is_kept = guest->first.len > 0 && !guest->has_input;

	if (!is_between || !more_may(guest->operation) || more_is_in_doubt(guest) ||
	    (!guest->has_answered && (guest->has_sent || is_alone)))
		return false;
	if (is_alone && is_kept)
		handle_connect_at(guest, 0);
	else
		handle_end_failed(guest, -ECONNABORTED, HANDLE_NOT_BEGUN);
	return true;
}
