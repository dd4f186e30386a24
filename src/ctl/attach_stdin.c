/*
 * attach_stdin: standard input. Of a session that ends with its connection it goes straight
 * to where it is sent from, as far as there is room. Of a durable one it is kept by the library
 * until it has surely arrived, and is read, up to a limit, also while there is no connection: the
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

#define ATTACH_STDIN_MAX (64 * 1024)

/* What may come beside what is read: keys and what was held. */
#define ATTACH_STDIN_MORE (KEYS_DETACH_MAX + REPLAY_HELD_MAX)

bool
attach_wants_stdin(const struct attach *attach)
{
	size_t more = attach->durable != NULL ? ATTACH_STDIN_MORE : 0;

	return attach->stdin_is_open && attach->is_asked &&
	       vmm_guest_room(attach->guest->handle) > more;
}

/* What a read of N bytes, or one that failed with -N, comes to. Returns N; 0 at the end, -EAGAIN,
 * or -errno when it is said that there was an error and all is over. */
static ssize_t
attach_stdin_result(struct attach *attach, ssize_t n)
{
	if (n >= 0 || n == -EAGAIN)
		return n;
	if (n == -EINTR)
		return -EAGAIN;
	if (io_error_read(IO_PIPE, (int)-n) == IO_NO_MEMORY) {
		io_error_pause();
		return -EAGAIN;
	}
	/* A terminal that has gone is an end as well. */
	if (n == -EIO && isatty(STDIN_FILENO))
		return 0;
	attach_lose(attach, "can't read standard input: %s", strerror((int)-n));
	return n;
}

static ssize_t
attach_stdin_read(struct attach *attach, uint8_t *data, size_t max)
{
	ssize_t n = read(STDIN_FILENO, data, max);

	return attach_stdin_result(attach, n < 0 ? -errno : n);
}

/* Has what is the program's of the input sent; where the input is another host's, or the program
 * takes no more, nothing. */
static void
attach_stdin_send(struct attach *attach, const uint8_t *data, size_t len)
{
	if (len > 0 && vmm_guest_write(attach->guest->handle, data, len) == -ENOMEM)
		attach_lose(attach, "out of memory");
}

void
attach_type_held(struct attach *attach)
{
	replay_give_up(&attach->replay);
	attach_stdin_send(attach, attach->replay.held, attach->replay.held_len);
	attach->replay.held_len = 0;
}

/* The same of what was typed just now; while old output is shown it is held. */
static void
attach_stdin_type(struct attach *attach, const uint8_t *data, size_t len)
{
	if (replay_holds(&attach->replay) && len > replay_room(&attach->replay))
		attach_type_held(attach);
	if (!replay_holds(&attach->replay))
		attach_stdin_send(attach, data, len);
	else if (replay_hold(&attach->replay, data, len))
		attach_type_held(attach);
}

void
attach_take_late_keys(struct attach *attach)
{
	uint8_t late[KEYS_DETACH_MAX];

	attach_stdin_type(attach, late, keys_take_due(&attach->keys, clock_mono_ms(), late));
}

/* A raw terminal has no end but its going, which is not typed into a program that goes on. */
static void
attach_stdin_ends(struct attach *attach)
{
	attach->stdin_is_open = false;
	if (attach->durable != NULL && attach->tty && isatty(STDIN_FILENO))
		attach_end(attach, ATTACH_SIGNALED, SIGHUP);
	else
		(void)vmm_guest_eof(attach->guest->handle);
}

/* What is typed on a terminal may be for us. */
static void
attach_stdin_read_keys(struct attach *attach)
{
	static uint8_t typed[ATTACH_STDIN_MAX];
	static uint8_t ours[ATTACH_STDIN_MAX + KEYS_DETACH_MAX];
	size_t room = vmm_guest_room(attach->guest->handle);
	size_t max = attach->durable != NULL ? room - ATTACH_STDIN_MORE : room;
	ssize_t n = attach_stdin_read(attach, typed, max < sizeof(typed) ? max : sizeof(typed));
	bool leaves;
	size_t len;

	if (n == 0)
		attach_stdin_ends(attach);
	if (n <= 0)
		return;
	if (attach->durable == NULL) {
		if (keys_complete_escape(&attach->escape, typed, (size_t)n, clock_mono_ms()))
			attach_end(attach, ATTACH_SIGNALED, 0);
		else
			attach_stdin_send(attach, typed, (size_t)n);
		return;
	}
	len = keys_take_typed(&attach->keys, typed, (size_t)n, clock_mono_ms(), ours, &leaves);
	attach_stdin_type(attach, ours, len);
	if (leaves && !attach->is_over)
		attach_durable_leave(attach);
}

void
attach_read_stdin(struct attach *attach)
{
	ssize_t n;

	if (attach->durable != NULL || attach->tty) {
		attach_stdin_read_keys(attach);
		return;
	}
	n = (ssize_t)vmm_guest_write_fd(attach->guest->handle, STDIN_FILENO, 0);
	/* Nobody reads it any more: what the agent has said of that is still to come. */
	if (n == -EPIPE)
		attach->stdin_is_open = false;
	else if (attach_stdin_result(attach, n) == 0)
		attach_stdin_ends(attach);
}
