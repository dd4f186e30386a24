/*
 * relay_durable: the relay of a durable session.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/relay_durable.h"

#include <errno.h>

#include "platform/clock.h"
#include "platform/pty.h"
#include "session/run/relay_end.h"
#include "session/stop.h"

#define RELAY_DURABLE_PER_S 1000

/* How long the program waits for a host that takes nothing; after that its output is read
 * as far as the journal has room. Much less than a person notices, and much more than a host
 * that reads needs to do so again. */
#define RELAY_DURABLE_PACE_MS 10

#define RELAY_DURABLE_GONE (POLLRDHUP | POLLHUP | POLLERR)

static uint64_t
relay_durable_now(struct relay *relay)
{
	return run_clock_look(&relay->clock, clock_mono_ms());
}

/* ---- from readers --------------------------------------------------------- */

static void
relay_durable_take_size(struct relay *relay)
{
	int tty_fd = relay->input.tty_fd;
	uint16_t columns;
	uint16_t rows;
	bool is_first;

	if (!owner_next_size(relay->owner, &columns, &rows, &is_first) || tty_fd < 0)
		return;
	/* A full-screen program paints itself anew for whoever has come. */
	if (is_first)
		(void)pty_repeat_size(tty_fd, columns, rows);
	else
		(void)pty_set_size(tty_fd, columns, rows);
	owner_set_size(relay->owner, columns, rows);
}

/* One piece of input a turn: its writer may be faster than we are. */
static void
relay_durable_take_input(struct relay *relay)
{
	struct input *input = &relay->input;
	const uint8_t *bytes;
	size_t len = owner_next_input(relay->owner, input_room(input), &bytes);

	if (len > 0)
		input_put(input, bytes, len);
	else if (owner_next_eof(relay->owner, input->tty_fd < 0))
		input_put_eof(input);
	if (input->fd < 0)
		owner_close_input(relay->owner);
}

/* Nobody is there, or again somebody. */
static void
relay_durable_look_alone(struct relay *relay)
{
	uint64_t alone_ms =
	    (uint64_t)relay->owner->journal.settings.alone_seconds * RELAY_DURABLE_PER_S;

	if (alone_ms == 0 || relay->end.is_gone)
		return;
	/* A host that came and went between two looks was there all the same. */
	if (!relay->owner->is_alone || relay->owner->has_changed)
		relay_stop_timer(relay, RELAY_TIMER_ALONE);
	if (relay->owner->is_alone && relay->at_ms[RELAY_TIMER_ALONE] == CLOCK_NEVER)
		relay_set_timer(relay, RELAY_TIMER_ALONE, relay_durable_now(relay) + alone_ms);
}

static void
relay_durable_look_pace(struct relay *relay)
{
	if (!owner_keeps_pace(relay->owner))
		relay_stop_timer(relay, RELAY_TIMER_PACE);
	else if (relay->at_ms[RELAY_TIMER_PACE] == CLOCK_NEVER)
		relay_set_timer(
		    relay, RELAY_TIMER_PACE, relay_durable_now(relay) + RELAY_DURABLE_PACE_MS);
}

void
relay_durable_look(struct relay *relay)
{
	bool had_room = output_may_read(&relay->output);
	int signal;

	owner_look(relay->owner);
	relay_durable_look_alone(relay);
	relay_durable_take_size(relay);
	while ((signal = owner_next_signal(relay->owner)) != 0)
		process_tree_signal(relay->tree, signal);
	relay_durable_take_input(relay);
	relay_durable_look_pace(relay);
	/* Time in which nothing could be read is not quiet. */
	output_look(&relay->output);
	if (!had_room && output_may_read(&relay->output))
		relay->output.quiet_since_ms = relay_durable_now(relay);
}

/* ---- the host ------------------------------------------------------------- */

void
relay_durable_prepare(const struct relay *relay, struct pollfd *ret)
{
	int events = owner_host_events(relay->owner, !host_frames_must_wait(&relay->frames));

	ret->fd = events < 0 ? -1 : conn_fd(relay->conn);
	ret->events = (short)(events < 0 ? 0 : events);
}

void
relay_durable_read_host(struct relay *relay, short shown)
{
	struct owner *owner = relay->owner;
	ssize_t n = 0;

	if (owner->host == OWNER_HOST_LINGERS)
		owner_linger(owner);
	if (shown & RELAY_DURABLE_GONE)
		owner_leave(owner, (shown & ~POLLRDHUP & RELAY_DURABLE_GONE) != 0);
	if (owner->host != OWNER_HOST_ATTACHED && owner->host != OWNER_HOST_LEAVING)
		return;
	if (shown & POLLIN || owner->host == OWNER_HOST_LEAVING)
		n = conn_fill(relay->conn);
	if (n == -EPIPE)
		owner_leave(owner, false);
	if (host_frames_take(&relay->frames) == -EMSGSIZE)
		owner_detach(owner, "a frame was announced with more bytes than it may have");
	/* What had arrived is read: one that takes nothing more may send for ever. */
	if (owner->host == OWNER_HOST_LEAVING &&
	    (relay->frames.has_detached || (n < 0 && !host_frames_must_wait(&relay->frames))))
		owner_let_go(owner);
}

void
relay_durable_push(struct relay *relay, bool has_room, uint64_t now)
{
	struct owner *owner = relay->owner;

	if (has_room)
		relay_stop_timer(relay, RELAY_TIMER_PACE);
	if (owner_push(owner, has_room))
		owner_close(owner);
	/* That it has gone may have shown in this alone. */
	if (owner->host == OWNER_HOST_LEAVING)
		relay_durable_read_host(relay, 0);
	if (owner->host == OWNER_HOST_LINGERS && relay->at_ms[RELAY_TIMER_LINGER] == CLOCK_NEVER)
		relay_set_timer(relay, RELAY_TIMER_LINGER, now + (uint64_t)owner->linger_ms);
	/* A frame that has begun has the connection's buffer. */
	owner_update_room(owner);
	output_look(&relay->output);
}

void
relay_durable_hang_up(struct relay *relay, uint64_t now)
{
	(void)now;
	if (relay->owner->host == OWNER_HOST_LINGERS)
		owner_hang_up(relay->owner);
}

/* ---- the end -------------------------------------------------------------- */

bool
relay_durable_has_all(const struct relay *relay)
{
	if (!output_is_open(&relay->output))
		return true;
	/* Nobody has come for it, and nobody will. */
	return relay->end.is_gone && !output_may_read(&relay->output);
}

void
relay_durable_go_ahead(struct relay *relay, uint64_t now)
{
	(void)now;
	owner_go_ahead(relay->owner);
	output_look(&relay->output);
}

void
relay_durable_drain(struct relay *relay)
{
	owner_drain(relay->owner);
	output_look(&relay->output);
}
