/*
 * attach_stdin: standard input. Of a session that ends with its connection it goes straight
 * to the outbox, and is not read while that is full. Of a durable one it is kept until it
 * has surely arrived, and is read, up to a limit, also while there is no connection: the
 * keys that leave have to be seen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ctl/attach_loop.h"
#include "platform/clock.h"
#include "platform/io_error.h"

bool
attach_wants_stdin(const struct attach *attach)
{
	if (!attach->stdin_is_open)
		return false;
	if (attach->session == NULL)
		return outbox_is_empty(&attach->outbox);
	return resend_room(&attach->session->input) > KEYS_DETACH_MAX;
}

/* Reads up to MAX bytes. Returns how many; 0 at the end, -EAGAIN, or -errno when it is said
 * that there was an error and all is over. */
static ssize_t
attach_stdin_read(struct attach *attach, uint8_t *data, size_t max)
{
	ssize_t n = read(STDIN_FILENO, data, max);

	if (n >= 0)
		return n;
	if (errno == EINTR || errno == EAGAIN)
		return -EAGAIN;
	if (io_error_read(IO_PIPE, errno) == IO_NO_MEMORY) {
		io_error_pause();
		return -EAGAIN;
	}
	/* A terminal that has gone is an end as well. */
	if (errno == EIO && isatty(STDIN_FILENO))
		return 0;
	client_fail(&attach->result->error, "can't read standard input: %s", strerror(errno));
	attach_end(attach, ATTACH_LOST, 0);
	return -EIO;
}

/* Keeps what is the program's of the input; where the input is another host's, nothing. */
static void
attach_stdin_keep(struct attach *attach, const uint8_t *data, size_t len)
{
	if (len == 0 || !attach->session->wants_input || attach->session->stdin_closed)
		return;
	if (resend_put(&attach->session->input, data, len) == 0)
		return;
	client_fail(&attach->result->error, "out of memory");
	attach_end(attach, ATTACH_LOST, 0);
}

void
attach_type_held(struct attach *attach)
{
	replay_give_up(&attach->replay);
	attach_stdin_keep(attach, attach->replay.held, attach->replay.held_len);
	attach->replay.held_len = 0;
}

/* The same of what was typed just now; while old output is shown it is held. */
static void
attach_stdin_type(struct attach *attach, const uint8_t *data, size_t len)
{
	if (replay_holds(&attach->replay) && len > replay_room(&attach->replay))
		attach_type_held(attach);
	if (!replay_holds(&attach->replay))
		attach_stdin_keep(attach, data, len);
	else if (replay_hold(&attach->replay, data, len))
		attach_type_held(attach);
}

void
attach_take_late_keys(struct attach *attach)
{
	uint8_t late[KEYS_DETACH_MAX];

	attach_stdin_type(attach, late, keys_take_due(&attach->keys, clock_mono_ms(), late));
}

/* A raw terminal has no end but its going, which is not typed into the program. */
static void
attach_stdin_ends(struct attach *attach)
{
	attach->stdin_is_open = false;
	if (attach->session == NULL)
		attach->eof_is_due = true;
	else if (attach->tty && isatty(STDIN_FILENO))
		attach_end(attach, ATTACH_SIGNALED, SIGHUP);
	else
		attach->session->input.has_eof = true;
}

static void
attach_stdin_read_kept(struct attach *attach)
{
	static uint8_t typed[OUTBOX_PAYLOAD_MAX];
	static uint8_t ours[OUTBOX_PAYLOAD_MAX + KEYS_DETACH_MAX];
	size_t room = resend_room(&attach->session->input) - KEYS_DETACH_MAX;
	ssize_t n = attach_stdin_read(attach, typed, room < sizeof(typed) ? room : sizeof(typed));
	bool leaves;
	size_t len;

	if (n == 0)
		attach_stdin_ends(attach);
	if (n <= 0)
		return;
	len = keys_take_typed(&attach->keys, typed, (size_t)n, clock_mono_ms(), ours, &leaves);
	attach_stdin_type(attach, ours, len);
	if (leaves && !attach->is_over)
		attach_durable_leave(attach);
}

void
attach_read_stdin(struct attach *attach)
{
	uint8_t *payload = outbox_payload(&attach->outbox);
	ssize_t n;

	if (attach->session != NULL) {
		attach_stdin_read_kept(attach);
		return;
	}
	n = attach_stdin_read(attach, payload, OUTBOX_PAYLOAD_MAX);
	if (n == 0)
		attach_stdin_ends(attach);
	if (n <= 0)
		return;
	if (attach->tty &&
	    keys_complete_escape(&attach->escape, payload, (size_t)n, clock_mono_ms())) {
		attach_end(attach, ATTACH_SIGNALED, 0);
		return;
	}
	outbox_put(&attach->outbox, attach->client, VMM_GUEST_STDIN, (size_t)n);
}

bool
attach_put_input(struct attach *attach)
{
	struct resend *input = &attach->session->input;
	size_t len;

	if (!attach->session->wants_input || attach->session->stdin_closed)
		return false;
	len = resend_take(input, outbox_payload(&attach->outbox), OUTBOX_PAYLOAD_MAX);
	if (len > 0) {
		outbox_put(&attach->outbox, attach->client, VMM_GUEST_STDIN, len);
		return true;
	}
	if (!resend_has_end(input))
		return false;
	input->eof_is_sent = true;
	outbox_put(&attach->outbox, attach->client, VMM_GUEST_EOF, 0);
	return true;
}
