/*
 * step: bytes between the handle and its socket, as far as they go without a wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "client/handle.h"
#include "platform/clock.h"

/* Once memory was short, pieces stay small for this time. */
#define STEP_SHORT_MS 1000

/* Whether the connection goes on, and the next step tries again, where a send(2) or recv(2)
 * failed with ERROR. */
static bool
step_bears(struct vmm_guest *guest, int error)
{
	switch (io_error_read(IO_CONNECTION, error)) {
	case IO_AGAIN:
	case IO_NOT_NOW:
		return true;
	case IO_NO_MEMORY:
		guest->short_until_ms = clock_mono_ms() + STEP_SHORT_MS;
		return io_lack_bear(&guest->lack);
	case IO_GONE:
	case IO_BROKEN:
		return false;
	}
	return false;
}

/* How much of LEN bytes to send at once: little, for a while, where the kernel lacked memory. */
static size_t
step_piece_len(struct vmm_guest *guest, size_t len)
{
	if (guest->short_until_ms == 0 || len <= IO_NO_MEMORY_LEN)
		return len;
	if (clock_mono_ms() < guest->short_until_ms)
		return IO_NO_MEMORY_LEN;
	guest->short_until_ms = 0;
	return len;
}

/* Sends what waits. What the agent said before it stopped listening is still to be read. */
static void
step_send(struct vmm_guest *guest)
{
	const void *data;
	size_t len;

	while ((len = vmm_guest_pending(guest, &data)) > 0) {
		ssize_t n =
		    send(guest->fd, data, step_piece_len(guest, len), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			guest->lack.since_ms = 0;
			vmm_guest_sent(guest, (size_t)n);
			continue;
		}
		if (step_bears(guest, errno))
			return;
		guest->out.is_deaf = true;
		/* We come back to what is left. */
		if (guest->is_durable)
			(void)shutdown(guest->fd, SHUT_RDWR);
		return;
	}
}

static void
step_receive(struct vmm_guest *guest)
{
	uint8_t *place;
	size_t room = inbound_room(guest, &place);
	ssize_t n;
	int error;

	if (room == 0)
		return;
	n = recv(guest->fd, place, room, MSG_DONTWAIT);
	if (n > 0) {
		guest->lack.since_ms = 0;
		inbound_received(guest, (size_t)n);
		return;
	}
	if (n == 0) {
		vmm_guest_hangup(guest, 0);
		return;
	}
	error = errno;
	if (!step_bears(guest, error))
		vmm_guest_hangup(guest, error);
}

void
step_io(struct vmm_guest *guest, int events)
{
	if (guest->address_text == NULL)
		return;
	if (!handle_is_busy(guest)) {
		step_send(guest);
		return;
	}
	if (guest->state == HANDLE_CONNECTS)
		connect_step(guest);
	if (guest->fd < 0 || guest->state == HANDLE_CONNECTS || !handle_is_busy(guest))
		return;
	if ((events & (POLLIN | POLLHUP | POLLERR)) != 0)
		step_receive(guest);
	if (handle_is_busy(guest) && !guest->has_ended)
		step_send(guest);
}

void
vmm_guest_step(struct vmm_guest *guest)
{
	step_io(guest, POLLIN);
}

void
vmm_guest_step_found(struct vmm_guest *guest, int revents)
{
	step_io(guest, revents);
}

int
vmm_guest_fd(const struct vmm_guest *guest)
{
	return guest->fd;
}

int
vmm_guest_events(struct vmm_guest *guest)
{
	const void *data;
	uint8_t *place;

	if (guest->fd < 0 || guest->has_ended)
		return 0;
	if (guest->state == HANDLE_CONNECTS)
		return POLLOUT;
	return (inbound_room(guest, &place) > 0 ? POLLIN : 0) |
	       (vmm_guest_pending(guest, &data) > 0 ? POLLOUT : 0);
}
