/*
 * io_error: what an errno means, by what is on the other side.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/io_error.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/compat.h"

#define IO_SIDE(side) (1u << (side))
#define IO_ANY (IO_SIDE(IO_CONNECTION) | IO_SIDE(IO_PIPE) | IO_SIDE(IO_TERMINAL))

struct io_error {
	uint8_t error;
	uint8_t sides;
	uint8_t meaning; /* enum io_meaning */
};

/* What does not stand here is IO_BROKEN. */
static const struct io_error io_errors[] = {
	{ EAGAIN, IO_ANY, IO_NOT_NOW },
	{ EINTR, IO_ANY, IO_AGAIN },
	/* Before Linux 6.17 a vsock packet of 64 KiB is one piece of 128 KiB of the kernel's
	 * memory, which a guest that has run for weeks may not have. */
	{ ENOMEM, IO_ANY, IO_NO_MEMORY },
	{ ENOBUFS, IO_ANY, IO_NO_MEMORY },
	{ EPIPE, IO_ANY, IO_GONE },
	{ ECONNRESET, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ECONNABORTED, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ENOTCONN, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ESHUTDOWN, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ETIMEDOUT, IO_SIDE(IO_CONNECTION), IO_GONE },
	/* A vsock whose device was reset, as by a snapshot that was restored. */
	{ ENODEV, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ENETDOWN, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ENETRESET, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ ENETUNREACH, IO_SIDE(IO_CONNECTION), IO_GONE },
	{ EHOSTUNREACH, IO_SIDE(IO_CONNECTION), IO_GONE },
	/* The last slave was closed: pty(7) has no other end of file. */
	{ EIO, IO_SIDE(IO_TERMINAL), IO_GONE },
};

enum io_meaning
io_error_read(enum io_side side, int error)
{
	for (size_t i = 0; i < sizeof(io_errors) / sizeof(io_errors[0]); i++) {
		if (io_errors[i].error == error && (io_errors[i].sides & IO_SIDE(side)) != 0)
			return (enum io_meaning)io_errors[i].meaning;
	}
	return IO_BROKEN;
}

const char *
io_error_name(int error)
{
	const char *name = strerrorname_np(-error);

	return name != NULL ? name : "EIO";
}

void
io_error_pause(void)
{
	clock_sleep_ms(IO_NO_MEMORY_PAUSE_MS);
}

bool
io_lack_bear(struct io_lack *lack)
{
	uint64_t now = clock_mono_ms();

	if (lack->since_ms == 0)
		lack->since_ms = now;
	if (lack->max_ms >= 0 && now - lack->since_ms > (uint64_t)lack->max_ms)
		return false;
	io_error_pause();
	return true;
}
