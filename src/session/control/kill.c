/*
 * The session's own worker sends the signal: nobody else knows that the number of the
 * process group is still the group's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/kill.h"

#include <errno.h>
#include <stdatomic.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "protocol/control_request.h"
#include "shared/detached.h"
#include "shared/signal_request.h"
#include "shared/slot_wake.h"

#define KILL_WAIT_MS 2000

/* The slot of the program's session NUMBER, or NULL. */
static struct slot *
kill_find(struct scoreboard *board, uint64_t number)
{
	for (uint32_t i = 0; number != 0 && i < board->workers; i++) {
		struct slot *slot = &board->slots[i];

		if (atomic_load(&slot->session) == number && atomic_load(&slot->child_pid) != 0)
			return slot;
	}
	return NULL;
}

/* A detached program is the supervisor's child, and its to signal. */
static int
kill_ask_supervisor(struct scoreboard *board, uint64_t number, int signal)
{
	struct scoreboard_detached *entry = detached_find(board, number);
	uint64_t deadline = clock_mono_ms() + KILL_WAIT_MS;

	if (entry == NULL ||
	    signal_request_ask(&entry->signal_request, number, signal, deadline) < 0)
		return -ESRCH;
	bell_ring(board->bell_fd);
	return signal_request_await(
	    &entry->signal_request, &entry->session, number, signal, deadline);
}

/* Leaves SIGNAL in the slot and wakes its worker. */
static int
kill_ask_worker(struct slot *slot, uint64_t number, int signal)
{
	uint64_t deadline = clock_mono_ms() + KILL_WAIT_MS;

	if (signal_request_ask(&slot->signal_request, number, signal, deadline) < 0 ||
	    slot_wake(slot) < 0)
		return -ESRCH;
	return signal_request_await(
	    &slot->signal_request, &slot->session, number, signal, deadline);
}

void
kill_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct control_kill request;
	struct json_error error;
	struct slot *slot;
	int r;

	(void)type;
	if (control_kill_parse((const char *)payload, len, &request, &error) < 0) {
		session_refuse_bad(session, "KILL", &error);
		return;
	}
	slot = kill_find(session->board, request.session);
	r = slot != NULL ? kill_ask_worker(slot, request.session, request.signal) : -ESRCH;
	/* It may be about to let its program go. */
	if (r < 0)
		r = kill_ask_supervisor(session->board, request.session, request.signal);
	session_send_exit(session, r < 0 ? VMM_GUEST_EXIT_NOT_MADE : VMM_GUEST_EXIT_OK, 0);
}
