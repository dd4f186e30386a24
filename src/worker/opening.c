/*
 * SPDX-License-Identifier: MIT
 */
#include "worker/opening.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "platform/clock.h"
#include "platform/fdpass.h"
#include "session/stop.h"
#include "shared/parking.h"

/* The supervisor empties the queue at once; where it has to wait for a processor, within this. */
#define OPENING_FULL_MS 100

int
opening_take_parked(int parking_fd, struct opening *ret)
{
	struct parking parking;
	int r = fdpass_take(parking_fd, &ret->fd, &parking, sizeof(parking));

	if (r < 0)
		return r;
	ret->session = parking.session;
	ret->left_ms = parking.left_ms;
	ret->port = (enum worker_port)parking.port;
	return 0;
}

void
opening_register(struct session *session, int write_fd)
{
	if (write_fd >= 0 && fdpass_put(write_fd, conn_fd(&session->conn), NULL, 0) == 0)
		atomic_store(&session->slot->phase, SLOT_OPEN);
}

/* Waits until the queue has room, or the host speaks. */
static void
opening_await_room(const struct session *session, int parking_fd)
{
	struct pollfd waits[] = { { .fd = conn_fd(&session->conn), .events = POLLIN },
		{ .fd = parking_fd, .events = POLLOUT } };

	(void)stop_poll(waits, 2, clock_mono_ms() + OPENING_FULL_MS, true);
}

/* Hands the connection over to the supervisor, and closes it here. Its duplicate is taken back
 * first: what lies there would be answered if this worker died, whoever has it by then. Returns
 * 0; or, and then all is as before, -EAGAIN if that is to be tried again, or -errno. */
static int
opening_park(
    struct session *session, const struct worker_options *options, const struct first_frame *frame)
{
	const struct parking parking = {
		.session = atomic_load(&session->slot->session),
		.left_ms = clock_until(frame->until_ms, clock_mono_ms()),
		.port = frame->port,
	};
	int r;

	session_drop_duplicate(session);
	if (session->has_left_duplicate)
		return -EBUSY;
	atomic_store(&session->slot->phase, SLOT_ACCEPTED);
	r = fdpass_put(options->parking_fd, conn_fd(&session->conn), &parking, sizeof(parking));
	if (r == 0) {
		conn_close(&session->conn);
		return 0;
	}
	opening_register(session, options->queue_write_fd);
	if (r == -EAGAIN)
		opening_await_room(session, options->parking_fd);
	return r;
}

int
opening_read(struct session *session, const struct worker_options *options,
    const struct opening *opening, struct first_frame *ret)
{
	bool can_park = options->parking_fd >= 0;
	int r;

	ret->port = opening->port;
	ret->until_ms = atomic_load(&session->slot->started_ms) + opening->left_ms;
	for (;;) {
		r = first_frame_read(session, options->settings, can_park, ret);
		if (r != -EAGAIN)
			return r;
		r = opening_park(session, options, ret);
		if (r == 0)
			return -EAGAIN;
		can_park = r == -EAGAIN;
	}
}
